//! Image layers: content addressing, overlay mounts, the OCI image layout.
//!
//! | room | the concept |
//! | --- | --- |
//! | [`archive`] | a tar is headers and data in blocks of 512 bytes |
//! | [`layer`] | a tar becomes files, none of them outside the layer, digested in one pass; how a layer says "deleted" |
//! | [`image`] | blobs named by their digests, the index that names the images, and the commands on them |
//! | [`copy`] | files in and out of a root that somebody else controls |
//! | [`exchange`] | images in archives, as they travel without a registry |
//! | [`mount`] | folders laid over each other |
//! | [`care`] | what refers to what; removing what nothing refers to; proving the rest |
//! | [`registry`] | where images come from and go to, over HTTP |

#![forbid(unsafe_code)]

mod archive;
mod care;
mod cli;
mod copy;
mod exchange;
mod image;
mod layer;
mod mount;
mod output;
mod registry;

use anyhow::{Result, bail};
use clap::Parser;
use cli::{Cli, Command};
use layout::Layout;
use layout::exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing better can be done than not to print where there is nowhere to print to.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::TOOL } else { 0 });
        }
    };
    exit::report("layerfs", run(cli.command))
}

fn run(command: Command) -> Result<u8> {
    let layout = Layout::from_env()?;
    // `umount` must work whatever became of the store.
    if let Command::Umount(args) = command {
        return mount::overlay::umount(&args.target).map(|()| 0);
    }
    // Passwords are the user's own, and not in the store.
    match &command {
        Command::Login(args) => return registry::login::login(&layout::paths::config_dir()?, args),
        Command::Logout(args) => return registry::login::logout(args),
        _ => {}
    }
    if !rustix::process::geteuid().is_root() {
        bail!("use the image store: layerfs must run as root, as it makes files of any owner and mounts overlays");
    }
    // The modes in a layer are the archive's, not the caller's.
    rustix::process::umask(rustix::fs::Mode::empty());
    layout.open()?;
    match command {
        Command::Import(args) => image::import::run(&layout, &args)?,
        Command::Add(args) => layer::add::run(&layout, &args)?,
        Command::Commit(args) => image::commit::run(&layout, &args)?,
        Command::Diff(args) => match &args.image {
            Some(image) => layer::changes::run(&layout, &args, image)?,
            None => layer::diff::run(&args)?,
        },
        Command::Mount(args) => mount::run(&layout, &args)?,
        Command::Umount(_) | Command::Login(_) | Command::Logout(_) => {}
        Command::Cp(args) => copy::run(&args)?,
        Command::Ls(args) => image::list::ls(&layout, &args)?,
        Command::Inspect(args) => image::list::inspect(&layout, &args)?,
        Command::Tag(args) => image::tag::run(&layout, &args)?,
        Command::Rm(args) => return image::remove::run(&layout, &args),
        Command::Prune(args) => image::prune::run(&layout, &args)?,
        Command::History(args) => image::history::run(&layout, &args)?,
        Command::Save(args) => exchange::save::run(&layout, &args)?,
        Command::Load(args) => exchange::load::run(&layout, &args)?,
        Command::Export(args) => exchange::export::run(&layout, &args)?,
        Command::Pull(args) => registry::pull::run(&layout, &layout::paths::config_dir()?, &args)?,
        Command::Push(args) => registry::push::run(&layout, &layout::paths::config_dir()?, &args)?,
        Command::Gc(args) => care::gc::run(&layout, &args)?,
        Command::Fsck(args) => return care::fsck::run(&layout, &args),
        Command::Df(args) => care::df::run(&layout, &args)?,
    }
    Ok(0)
}
