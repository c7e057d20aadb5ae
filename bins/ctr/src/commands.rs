//! From a command to its work.
//!
//! What changes something becomes a plan first; what only shows something reads the layout and prints.

mod cp;
mod diff;
mod engine;
mod images;
mod life;
mod prune;
mod run;
mod sessions;
mod system_up;
mod update;
mod volumes;

use crate::cli::*;
use crate::client::Manner;
use crate::exec::session::{self, Wanted};
use crate::protocol::Deed;
use crate::{client, defaults, doctor, registry, shim, show};
use anyhow::{Result, bail};
use engine::{Engine, ends_with_one, failed_as_docker, reads_only};
use layout::tool::{Call, Tool};
use layout::{Layout, exit};

/// Runs a command; gives the exit code.
pub fn run(cli: Cli) -> Result<u8> {
    exit::end_with_the_reader();
    let explain = cli.explain;
    if matches!(cli.command, Command::Doctor) {
        return if explain { reads_only() } else { doctor::doctor() };
    }
    let engine = Engine { layout: open_layout()?, explain };
    match cli.command {
        Command::Container(command) => engine.container(command),
        Command::Rm(args) => engine.rm(&args),
        Command::Ps(args) => engine.ps(args),
        Command::Image(command) => engine.image(command),
        Command::Images(args) => engine.images(args),
        Command::Rmi(args) => engine.pass_on(images::rmi(&args)),
        Command::Login(args) => engine.login(&args),
        Command::Logout(args) => engine.pass_on(registry::logout(&args)),
        Command::Inspect(args) => engine.show(|layout| show::inspect::inspect(layout, &args)),
        Command::ContainerGroup(command) => engine.container_group(command.0),
        Command::ImageGroup(command) => engine.image_group(command.0),
        Command::Volume(command) => engine.volume(command),
        Command::SystemGroup(command) => engine.system(command),
        Command::Events(args) => engine.show(|layout| show::events::events(layout, &args)),
        Command::Info(args) => engine.show(|layout| show::info::info(layout, &args)),
        Command::Version(args) => engine.show(|_| show::version::version(&args)),
        Command::Where(args) => engine.show(|layout| show::places::places(layout, &args)),
        Command::Doctor => Ok(0),
    }
}

/// Runs the part of a command that becomes the parent of a container's process, or speaks with it; gives the exit code.
pub fn shim(command: ShimCommand) -> Result<u8> {
    // All but the shim, which serves sockets.
    if !matches!(command, ShimCommand::Create { .. }) {
        exit::end_with_the_reader();
    }
    let layout = open_layout()?;
    match command {
        ShimCommand::Create { id, command } => shim::create(&layout, &id.parse()?, &command),
        ShimCommand::Start { attach, interactive, no_sig_proxy, detach_keys, hide, id, command } => {
            let manner = Manner::new(interactive, !no_sig_proxy, &detach_keys)?.hiding(&hide);
            Ok(client::start(&layout, &id.parse()?, attach.then_some(&manner), &command, None)?.code())
        }
        ShimCommand::Exec { detach, interactive, no_sig_proxy, tty, detach_keys, id, exec, command } => {
            let manner = Manner::new(interactive, !no_sig_proxy, &detach_keys)?;
            let attached = (!detach).then_some(manner);
            let wanted = Wanted { tty, input: interactive && !detach, attached, command };
            session::run(&layout, &id.parse()?, &exec, &wanted)
        }
        ShimCommand::Compress { log } => shim::log::rotate::compress_all(&log).map(|()| 0),
        ShimCommand::Tell { id, what, command } => {
            let what = clap::ValueEnum::from_str(&what, false).map_err(anyhow::Error::msg)?;
            client::tell(&layout, &id.parse()?, what, &command).map(|()| 0)
        }
    }
}

fn open_layout() -> Result<Layout> {
    let layout = Layout::from_env()?;
    if !rustix::process::geteuid().is_root() {
        bail!("containers need root (mounts, networks and cgroups are made for them): run this with sudo");
    }
    layout.open()?;
    Ok(layout)
}

impl Engine {
    fn container(&self, command: ContainerCommand) -> Result<u8> {
        use ContainerCommand as C;
        match command {
            C::Run(args) => self.run(&args.0),
            C::Create(args) => self.create(&args.0),
            C::Start(args) => self.start(&args),
            C::Stop(args) => self.each(&args.containers, |container| self.stop(container, &args)),
            C::Restart(args) => self.each(&args.containers, |container| self.restart(container, &args)),
            C::Kill(args) => self.kill(&args),
            C::Pause(args) => self.each(&args.containers, |container| self.pause(container, Deed::Pause)),
            C::Unpause(args) => self.each(&args.containers, |container| self.pause(container, Deed::Unpause)),
            C::Rename(args) => self.rename(&args),
            C::Logs(args) => self.show(|layout| show::logs::logs(layout, &args)),
            C::Exec(args) => self.exec(&args),
            C::Attach(args) => self.attach(&args),
            C::Wait(args) => self.wait(&args.containers),
            C::Commit(args) => self.commit(&args),
            C::Export(args) => self.export(&args),
            C::Cp(args) => self.cp(&args),
            C::Diff(args) => self.diff(&args),
            C::Update(args) => self.update(&args),
            C::Port(args) => self.show(|layout| show::port::port(layout, &args)),
            C::Top(args) => self.show(|layout| show::top::top(layout, &args)),
            C::Stats(mut args) => {
                args.format = defaults::format(args.format, false, |file| file.stats_format);
                self.show(|layout| show::stats::stats(layout, &args))
            }
        }
    }

    fn container_group(&self, command: ContainerGroup) -> Result<u8> {
        use ContainerGroup as G;
        match command {
            G::Same(command) => self.container(command),
            G::Rm(args) => self.rm(&args),
            G::Ls(args) => self.ps(args),
            G::Prune(args) => self.container_prune(&args),
            G::Inspect(args) => self.show(|layout| show::inspect::containers(layout, &args)),
        }
    }

    fn ps(&self, mut args: Ps) -> Result<u8> {
        args.format = defaults::format(args.format, args.quiet, |file| file.ps_format);
        self.show(|layout| show::ps::ps(layout, &args))
    }

    fn image(&self, command: ImageCommand) -> Result<u8> {
        use ImageCommand as I;
        match command {
            I::History(args) => self.show(|layout| show::history::history(layout, &args)),
            I::Build(args) => self.pass_on(images::build(&args)?),
            I::Pull(args) => self.pass_on(registry::pull(&args)),
            I::Push(args) => self.pass_on(registry::push(&args)),
            I::Tag(args) => self.pass_on(Call::new(Tool::Layerfs).args(["tag", &args.source, &args.target])),
            I::Import(args) => self.pass_on(images::import(&args)),
            I::Save(args) => self.pass_on(images::save(&args)),
            I::Load(args) => self.pass_on(images::load(&args)),
        }
    }

    fn image_group(&self, command: ImageGroup) -> Result<u8> {
        use ImageGroup as G;
        match command {
            G::Same(command) => self.image(command),
            G::Ls(args) => self.images(args),
            G::Rm(args) => self.pass_on(images::rmi(&args)),
            G::Prune(args) => self.image_prune(&args),
            G::Inspect(args) => self.show(|layout| show::inspect::images(layout, &args)),
        }
    }

    fn system(&self, command: SystemGroup) -> Result<u8> {
        use SystemGroup as G;
        match command {
            G::Df(_) if self.explain => self.pass_on(show::df::call()),
            G::Df(args) => self.show(|layout| show::df::df(layout, &args)),
            G::Prune(args) => self.system_prune(&args),
            G::Info(args) => self.show(|layout| show::info::info(layout, &args)),
            G::Events(args) => self.show(|layout| show::events::events(layout, &args)),
            G::Up => self.system_up(),
        }
    }

    fn images(&self, mut args: Images) -> Result<u8> {
        args.format = defaults::format(args.format, args.quiet, |file| file.images_format);
        self.show(|layout| show::images::images(layout, &args))
    }
}
