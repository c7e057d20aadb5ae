//! Image layers: content addressing, overlay mounts, the OCI image layout.
//!
//! | files | the concept |
//! | --- | --- |
//! | [`member`], [`tar_read`], [`tar_write`], [`pax`] | a tar is headers and data in blocks of 512 bytes |
//! | [`extract`], [`beneath`] | a tar becomes files, and none of them outside the layer |
//! | [`whiteout`], [`diff`] | how a layer says "deleted", and what changed in an overlay's upper folder |
//! | [`pipeline`], [`layer`] | one pass: digest, compress, extract; a layer appears whole or not at all |
//! | [`store`], [`image`] | blobs named by their digests, and the index that names the images |
//! | [`overlay`], [`mount`] | folders laid over each other |
//! | [`import`], [`commit`], [`tag`], [`remove`], [`history`], [`list`] | the commands that people know from docker |
//! | [`reach`], [`gc`], [`fsck`] | what refers to what; removing what nothing refers to; proving the rest |

#![forbid(unsafe_code)]

mod add;
mod beneath;
mod change;
mod cli;
mod commit;
mod diff;
mod extract;
mod fsck;
mod gc;
mod history;
mod image;
mod import;
mod layer;
mod list;
mod member;
mod mount;
mod output;
mod overlay;
mod pax;
mod pipeline;
mod reach;
mod remove;
mod store;
mod tag;
mod tar_read;
mod tar_write;
mod whiteout;

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
        return overlay::umount(&args.target).map(|()| 0);
    }
    if !rustix::process::geteuid().is_root() {
        bail!("use the image store: layerfs must run as root, as it makes files of any owner and mounts overlays");
    }
    // The modes in a layer are the archive's, not the caller's.
    rustix::process::umask(rustix::fs::Mode::empty());
    layout.open()?;
    match command {
        Command::Import(args) => import::run(&layout, &args)?,
        Command::Add(args) => add::run(&layout, &args)?,
        Command::Commit(args) => commit::run(&layout, &args)?,
        Command::Diff(args) => diff::run(&args)?,
        Command::Mount(args) => mount::run(&layout, &args)?,
        Command::Umount(_) => {}
        Command::Ls(args) => list::ls(&layout, &args)?,
        Command::Inspect(args) => list::inspect(&layout, &args)?,
        Command::Tag(args) => tag::run(&layout, &args)?,
        Command::Rm(args) => return remove::run(&layout, &args),
        Command::History(args) => history::run(&layout, &args)?,
        Command::Gc(args) => gc::run(&layout, &args)?,
        Command::Fsck(args) => return fsck::run(&layout, &args),
    }
    Ok(0)
}
