//! The options of `cp`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `cp`.
///
/// A path that begins with a colon is within --root, the others are this machine's; `-` is a tar on standard input or output.
/// What is within the root stays there: each link leads to where it would lead a process inside (openat2(2), RESOLVE_IN_ROOT),
/// also when somebody moves things about meanwhile. The rules are those of docker cp: `FOLDER/.` is what is in the folder, a
/// folder that is there already gets the copy into it, a name that is not there yet becomes the copy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs cp --root /mnt/demo :/etc/passwd .
  tar -c app | layerfs cp --root /mnt/demo - :/srv")]
pub struct CopyArgs {
    /// The root that paths with a colon are within.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Show a folder or file of the host in the root, to this process alone; may be repeated.
    #[arg(long = "bind", value_names = ["SOURCE", "DESTINATION"], num_args = 2)]
    pub binds: Vec<PathBuf>,
    /// The same, and nothing can be written to it.
    #[arg(long = "bind-ro", value_names = ["SOURCE", "DESTINATION"], num_args = 2)]
    pub binds_read_only: Vec<PathBuf>,
    /// Write nothing to the root, which has to be a mount; only to what is bound into it.
    #[arg(long)]
    pub read_only: bool,
    /// Copy what a link as the source leads to, not the link.
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Keep the owners of what is copied out of the root (default: who copies is the owner).
    #[arg(long)]
    pub keep_owner: bool,
    /// The owner of what is copied into the root (default: as in the source).
    #[arg(long, value_name = "UID:GID", value_parser = parse_owner)]
    pub owner: Option<(u32, u32)>,
    /// Copy only into a folder that is empty, and give it what the source has: owner, mode, times, attributes.
    #[arg(long)]
    pub fill: bool,
    /// What the root is called in messages.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub name: String,
    /// What to copy: `:PATH` in the root, PATH on this machine, or `-`.
    pub source: PathBuf,
    /// Where to.
    pub target: PathBuf,
}

fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    let ids = text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    ids.ok_or_else(|| format!("{text:?} is not of the form UID:GID, two numbers"))
}
