//! From a command to its work.
//!
//! What changes something becomes a plan first; what only shows something reads the layout and prints.

mod images;

use crate::cli::*;
use crate::plan::{Plan, Step};
use crate::show::inspect::Of;
use crate::{client, create, doctor, exec, life, registry, runtime, shim, show};
use anyhow::{Result, bail};
use layout::container::{Container, State, Status};
use layout::tool::{Call, Tool};
use layout::{Layout, exit};

/// Runs a command; gives the exit code.
pub fn run(cli: Cli) -> Result<u8> {
    let explain = cli.explain;
    // All but the shim, which serves sockets.
    if !matches!(cli.command, Command::Shim(ShimCommand::Create { .. })) {
        exit::end_with_the_reader();
    }
    if matches!(cli.command, Command::Doctor) {
        return if explain { reads_only() } else { doctor::doctor() };
    }
    let layout = Layout::from_env()?;
    if !rustix::process::geteuid().is_root() {
        bail!("containers need root (mounts, networks and cgroups are made for them): run this with sudo");
    }
    layout.open()?;
    let engine = Engine { layout, explain };
    match cli.command {
        Command::Container(command) => engine.container(command),
        Command::Image(command) => engine.image(command),
        Command::ContainerGroup(command) => engine.container_group(command),
        Command::ImageGroup(command) => engine.image_group(command),
        Command::Shim(command) => engine.shim(command),
        Command::Doctor => Ok(0),
    }
}

struct Engine {
    layout: Layout,
    explain: bool,
}

/// Prints what a command that changes nothing has to explain.
fn reads_only() -> Result<u8> {
    println!("# this command calls no tool and changes nothing: it reads the layout (lessons/LAYOUT.md) and prints");
    Ok(0)
}

impl Engine {
    fn container(&self, command: ContainerCommand) -> Result<u8> {
        use ContainerCommand as C;
        match command {
            C::Run(args) => self.run(&args),
            C::Create(args) => self.create(&args),
            C::Start(args) => self.start(&args),
            C::Stop(args) => self.each(&args.containers, |container| self.stop(container, &args)),
            C::Kill(args) => self.each(&args.containers, |container| self.kill(container, &args.signal)),
            C::Rm(args) => self.each(&args.containers, |container| self.remove(container, args.force)),
            C::Ps(args) => self.show(|layout| show::ps::ps(layout, &args)),
            C::Logs(args) => self.show(|layout| show::logs::logs(layout, &args).map_err(ends_with_one)),
            C::Exec(args) => self.exec(&args),
            C::Attach(args) => self.attach(&args),
            C::Wait(args) => self.wait(&args.containers),
            C::Commit(args) => self.commit(&args),
            C::Export(args) => self.export(&args),
        }
    }

    fn image(&self, command: ImageCommand) -> Result<u8> {
        use ImageCommand as I;
        match command {
            I::Images(args) => self.show(|layout| show::images::images(layout, &args).map_err(ends_with_one)),
            I::History(args) => self.show(|layout| show::history::history(layout, &args).map_err(ends_with_one)),
            I::Inspect(args) => self.show(|layout| show::inspect::inspect(layout, &args.names, Of::Any)),
            I::Build(args) => self.pass_on(build(&args)),
            I::Pull(args) => self.pass_on(registry::pull(&args)),
            I::Push(args) => self.pass_on(registry::push(&args)),
            I::Login(args) => self.login(&args),
            I::Logout(args) => self.pass_on(registry::logout(&args)),
            I::Rmi(args) => self.pass_on(images::rmi(&args)),
            I::Tag(args) => self.pass_on(Call::new(Tool::Layerfs).args(["tag", &args.source, &args.target])),
            I::Import(args) => self.pass_on(images::import(&args)),
            I::Save(args) => self.pass_on(images::save(&args)),
            I::Load(args) => self.pass_on(images::load(&args)),
        }
    }

    fn container_group(&self, command: ContainerGroup) -> Result<u8> {
        use ContainerCommand as C;
        use ContainerGroup as G;
        self.container(match command {
            G::Run(args) => C::Run(args),
            G::Create(args) => C::Create(args),
            G::Start(args) => C::Start(args),
            G::Stop(args) => C::Stop(args),
            G::Kill(args) => C::Kill(args),
            G::Rm(args) => C::Rm(args),
            G::Ls(args) => C::Ps(args),
            G::Logs(args) => C::Logs(args),
            G::Exec(args) => C::Exec(args),
            G::Attach(args) => C::Attach(args),
            G::Wait(args) => C::Wait(args),
            G::Commit(args) => C::Commit(args),
            G::Export(args) => C::Export(args),
            G::Inspect(args) => {
                return self.show(|layout| show::inspect::inspect(layout, &args.names, Of::Container));
            }
        })
    }

    fn image_group(&self, command: ImageGroup) -> Result<u8> {
        use ImageCommand as I;
        use ImageGroup as G;
        self.image(match command {
            G::Ls(args) => I::Images(args),
            G::Build(args) => I::Build(args),
            G::History(args) => I::History(args),
            G::Rm(args) => I::Rmi(args),
            G::Tag(args) => I::Tag(args),
            G::Import(args) => I::Import(args),
            G::Pull(args) => I::Pull(args),
            G::Push(args) => I::Push(args),
            G::Save(args) => I::Save(args),
            G::Load(args) => I::Load(args),
            G::Prune(args) => return self.image_prune(&args),
            G::Inspect(args) => {
                return self.show(|layout| show::inspect::images(layout, &args).map_err(ends_with_one));
            }
        })
    }

    fn shim(&self, command: ShimCommand) -> Result<u8> {
        match command {
            ShimCommand::Create { id, command } => shim::create(&self.layout, &id.parse()?, &command),
            ShimCommand::Start { attach, interactive, id, command } => {
                client::start(&self.layout, &id.parse()?, attach, interactive, &command, None)
            }
        }
    }

    fn run(&self, args: &Run) -> Result<u8> {
        let attach = !args.detach;
        let interactive = attach && args.create.process.interactive;
        if interactive && args.create.process.tty && !self.explain && !rustix::termios::isatty(std::io::stdin()) {
            return Err(exit::coded(1, "the input device is not a TTY"));
        }
        let mut plan = registry::provide(&self.layout, &args.create, self.explain)?;
        if self.explain {
            let (container, made) = create::prepare(&self.layout, &args.create, args.detach, 0)?;
            plan.extend(made);
            plan.extend(life::start_plan(&self.layout, &container, attach, interactive));
            if args.detach {
                plan.push(Step::Print(container.id.to_string()));
            }
            return self.explained(&plan);
        }
        plan.execute(&self.layout)?;
        let container = create::create(&self.layout, &args.create, args.detach)?;
        let started = life::start(&self.layout, &container, attach, interactive);
        // One that could not be started. If it was, its shim removes it, whatever became of us.
        let is_left = |state: State| state.status == Status::Created;
        if started.is_err() && args.create.life.rm && self.layout.read_state(&container.id).is_ok_and(is_left) {
            life::remove(&self.layout, &container, true)?;
        }
        let code = started?;
        if args.detach {
            println!("{}", container.id);
        }
        Ok(code)
    }

    fn create(&self, args: &Create) -> Result<u8> {
        let mut plan = registry::provide(&self.layout, args, self.explain).map_err(ends_with_one)?;
        if self.explain {
            let (container, made) = create::prepare(&self.layout, args, false, 0)?;
            plan.extend(made);
            plan.push(Step::Print(container.id.to_string()));
            return self.explained(&plan);
        }
        if let Err(error) = plan.execute(&self.layout) {
            return Err(if exit::is_silent(&error) { exit::silent(1) } else { error });
        }
        println!("{}", create::create(&self.layout, args, false).map_err(ends_with_one)?.id);
        Ok(0)
    }

    fn start(&self, args: &Start) -> Result<u8> {
        let attach = args.attach || args.interactive;
        if attach && args.containers.len() > 1 {
            return Err(exit::coded(1, "you cannot start and attach multiple containers at once"));
        }
        let mut code = 0;
        let failed = self.each(&args.containers, |container| {
            if self.explain {
                self.explained(&life::start_plan(&self.layout, container, attach, args.interactive))?;
                return Ok(false);
            }
            code = life::start(&self.layout, container, attach, args.interactive)?;
            Ok(!attach)
        })?;
        Ok(if failed == 0 { code } else { failed })
    }

    fn stop(&self, container: &Container, args: &Stop) -> Result<bool> {
        if self.is_down(container)? {
            return Ok(!self.explain);
        }
        let plan = life::stop_plan(&self.layout, container, args.signal.as_deref(), args.time);
        if self.explain {
            self.explained(&plan)?;
            return Ok(false);
        }
        match plan.execute(&self.layout) {
            // It ended by itself before the signal came.
            Err(_) if !life::has_shim(&self.layout, &container.id)? => Ok(true),
            other => other.map(|_| true),
        }
    }

    fn kill(&self, container: &Container, signal: &str) -> Result<bool> {
        if self.is_down(container)? {
            bail!("cannot kill container: {}: container {} is not running", container.name, container.id);
        }
        let mut plan = Plan::default();
        plan.call(runtime::kill(&self.layout, &container.id, signal.trim_start_matches("SIG")));
        if matches!(signal.trim_start_matches("SIG"), "KILL" | "9") {
            plan.push(Step::WaitEnd { id: container.id.clone(), within: None, otherwise: None });
        }
        self.carry_out(&plan)
    }

    fn remove(&self, container: &Container, force: bool) -> Result<bool> {
        if !self.explain {
            life::remove(&self.layout, container, force)?;
            return Ok(true);
        }
        let mut plan = Plan::default();
        if !self.is_down(container)? {
            if !force {
                bail!(life::still_up(&self.layout, container)?);
            }
            plan.extend(life::kill_plan(&self.layout, &container.id));
        }
        plan.extend(life::remove_plan(&self.layout, container));
        self.explained(&plan)?;
        Ok(false)
    }

    fn exec(&self, args: &Exec) -> Result<u8> {
        let id = self.layout.find_container(args.container()).map_err(ends_with_one)?;
        let container = self.layout.read_container(&id)?;
        if self.explain {
            let mut plan = Plan::default();
            plan.push(Step::Foreground(exec::call(&self.layout, &container, args)?));
            return self.explained(&plan);
        }
        exec::exec(&self.layout, &container, args)
    }

    fn attach(&self, args: &Attach) -> Result<u8> {
        let id = self.layout.find_container(&args.container).map_err(ends_with_one)?;
        if self.explain {
            return reads_only();
        }
        let container = self.layout.read_container(&id)?;
        if self.is_down(&container)? {
            return Err(exit::coded(1, "you cannot attach to a stopped container, start it first"));
        }
        client::attach(&self.layout, &container, !args.no_stdin)
    }

    fn wait(&self, names: &[String]) -> Result<u8> {
        self.each(names, |container| {
            if self.explain {
                return reads_only().map(|_| false);
            }
            println!("{}", client::wait(&self.layout, &container.id)?);
            Ok(false)
        })
    }

    /// Whether the container does not run.
    fn is_down(&self, container: &Container) -> Result<bool> {
        Ok(!life::state(&self.layout, &container.id)?.status.is_up())
    }

    /// Does something with each container and prints the name as it was given when the work says so. One that
    /// fails does not keep the others from it; the exit code is then 1, as docker's.
    fn each(&self, names: &[String], mut work: impl FnMut(&Container) -> Result<bool>) -> Result<u8> {
        let mut code = 0;
        for name in names {
            let done = self
                .layout
                .find_container(name)
                .and_then(|id| self.layout.read_container(&id))
                .and_then(|container| work(&container));
            match done {
                Ok(true) => println!("{name}"),
                Ok(false) => {}
                Err(error) => {
                    eprintln!("ctr: {error:#}");
                    code = 1;
                }
            }
        }
        Ok(code)
    }

    fn login(&self, args: &Login) -> Result<u8> {
        let call = registry::login(args);
        match &args.password {
            Some(_) if args.username.is_none() => bail!("Must provide --username with --password"),
            Some(password) if !self.explain => Ok(failed_as_docker(registry::log_in(&call, password)?)),
            _ => self.pass_on(call),
        }
    }

    /// A command that one tool does as a whole, with our streams.
    fn pass_on(&self, call: Call) -> Result<u8> {
        let mut plan = Plan::default();
        plan.push(Step::Foreground(call));
        if self.explain {
            return self.explained(&plan);
        }
        Ok(failed_as_docker(plan.execute(&self.layout)?))
    }

    fn carry_out(&self, plan: &Plan) -> Result<bool> {
        if self.explain {
            self.explained(plan)?;
            return Ok(false);
        }
        plan.execute(&self.layout).map(|_| true)
    }

    fn explained(&self, plan: &Plan) -> Result<u8> {
        print!("{}", plan.to_script(&self.layout));
        Ok(0)
    }

    fn show(&self, print: impl FnOnce(&Layout) -> Result<u8>) -> Result<u8> {
        if self.explain { reads_only() } else { print(&self.layout) }
    }
}

/// Docker ends most commands that fail with 1; 125 is for `run`, where the other codes are the container's.
fn ends_with_one(error: anyhow::Error) -> anyhow::Error {
    exit::coded(1, format!("{error:#}"))
}

fn build(args: &Build) -> Call {
    Call::new(Tool::Imgbuild)
        .args(args.tag.iter().flat_map(|tag| ["--tag", tag]))
        .args(args.file.iter().flat_map(|file| ["--file".into(), file.clone().into_os_string()]))
        .args(args.build_arg.iter().flat_map(|value| ["--build-arg", value]))
        .args(args.no_cache.then_some("--no-cache"))
        .args(args.quiet.then_some("--quiet"))
        .arg(&args.context)
}

/// The tools fail with 125; docker's commands about images do with 1.
fn failed_as_docker(code: u8) -> u8 {
    if code == exit::TOOL { 1 } else { code }
}
