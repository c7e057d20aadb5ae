//! `mkrootfs debian`: a root filesystem out of Debian's packages.
//!
//! Packages are archives, but installing them means running their scripts in the right order, in the new root. Two programs
//! know how, and one of them has to be here: mmdebstrap, which writes a tar, or debootstrap, which fills a folder. What this
//! adds: all or nothing, packages are downloaded once, and the same packages give the same tree.

use crate::cli::{DebianArgs, Variant};
use crate::interrupt::{self, Helper};
use crate::piped::{self, Said};
use crate::staging::Staging;
use crate::untar::Summary;
use crate::{programs, tidy};
use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program that does the work.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Installer {
    Mmdebstrap(PathBuf),
    Debootstrap(PathBuf),
}

/// `mkrootfs debian`.
pub fn main(args: DebianArgs) -> Result<u8> {
    let installer = find(rustix::process::geteuid().is_root())?;
    let cache = match &args.cache {
        Some(dir) => std::path::absolute(dir).with_context(|| format!("resolve {}", dir.display()))?,
        None => layout::paths::cache_dir()?.join("debian"),
    };
    fs::create_dir_all(&cache).with_context(|| format!("make the folder of packages {}", cache.display()))?;
    let staging = Staging::beside(&args.dir)?;
    let mut summary = match &installer {
        Installer::Mmdebstrap(program) => mmdebstrap(program, &args, &cache, &staging)?,
        Installer::Debootstrap(program) => debootstrap(program, &args, &cache, &staging)?,
    };
    tidy::tidy(staging.path()).context("make the tree the same for everybody")?;
    (summary.files, summary.bytes) = tidy::count(staging.path())?;
    summary.dir = staging.publish()?;
    summary.print(&args.dir, args.json)?;
    Ok(0)
}

/// mmdebstrap is the faster one, and needs no root where a user may have a range of user ids.
fn find(is_root: bool) -> Result<Installer> {
    if let Some(program) = program("mmdebstrap") {
        return Ok(Installer::Mmdebstrap(program));
    }
    match program("debootstrap") {
        Some(program) if is_root => Ok(Installer::Debootstrap(program)),
        Some(_) => bail!("run debootstrap: only root can; use sudo, or install mmdebstrap (its package has that name)"),
        None => bail!(
            "find debootstrap: neither it nor mmdebstrap is on this host; install one, on Debian with: apt-get install mmdebstrap"
        ),
    }
}

fn program(name: &str) -> Option<PathBuf> {
    programs::find_in_path(name).or_else(|| programs::find_default(name))
}

/// The tar that mmdebstrap writes is extracted as any other. For a user who is not root, all in it becomes the user's.
fn mmdebstrap(program: &Path, args: &DebianArgs, cache: &Path, staging: &Staging) -> Result<Summary> {
    // It builds in a folder of its own, which may be left behind when it is killed: so in one that the next run removes.
    let scratch = staging.scratch()?;
    let cache = layout::tool::quote(cache.to_str().context("the path of the folder of packages is no text")?);
    let (mut command, end) = at_our_side();
    command.arg(program).env("TMPDIR", scratch.path()).arg("--format=tar").arg(variant_of_mmdebstrap(args.variant));
    command.arg(format!("--setup-hook=sync-in {cache} /var/cache/apt/archives/"));
    command.arg(format!("--customize-hook=sync-out /var/cache/apt/archives {cache}"));
    // Packages from the cache are there before any is downloaded; and they are kept for the cache. The lists tell the date.
    for step in ["download/empty", "essential/unlink", "cleanup/apt/lists"] {
        command.arg(format!("--skip={step}"));
    }
    if !args.include.is_empty() {
        command.arg(format!("--include={}", args.include.join(",")));
    }
    command.args(args.keyring.iter().map(|keyring| option("--keyring=", keyring)));
    command.arg(&args.suite).arg("-").arg(&args.mirror);
    piped::extract(&mut command, end, Said::Shown, staging.path()).context("run mmdebstrap")
}

/// debootstrap fills the folder itself.
fn debootstrap(program: &Path, args: &DebianArgs, cache: &Path, staging: &Staging) -> Result<Summary> {
    let (mut command, end) = at_our_side();
    command.arg(program).args(variant_of_debootstrap(args.variant));
    command.arg(option("--cache-dir=", cache));
    if !args.include.is_empty() {
        command.arg(format!("--include={}", args.include.join(",")));
    }
    command.args(args.keyring.iter().map(|keyring| option("--keyring=", keyring)));
    command.arg(&args.suite).arg(staging.path()).arg(&args.mirror);
    // What it tells goes where our own news of trouble goes; standard output is for the result.
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let mut helper = Helper::start(&mut command, end)?;
    let status = helper.wait()?;
    interrupt::check()?;
    if !status.success() {
        bail!("run debootstrap: {status}; it says above why");
    }
    Ok(Summary::default())
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// The beginning of a command that ends with us, whatever ends us, and the signal that ends it. What root runs has processes
/// and mounts of its own: so all of it ends at once, and nothing stays mounted.
fn at_our_side() -> (Command, Signal) {
    let mut command = Command::new("setpriv");
    if !rustix::process::geteuid().is_root() {
        // mmdebstrap then makes namespaces itself, and when it is told to end it removes what is not the user's to remove.
        command.args(["--pdeathsig", "TERM", "--"]);
        return (command, Signal::SIGTERM);
    }
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "slave"]);
    command.args(["--pid", "--fork", "--kill-child", "--"]);
    (command, Signal::SIGKILL)
}

fn variant_of_mmdebstrap(variant: Variant) -> &'static str {
    match variant {
        Variant::Minbase => "--variant=minbase",
        Variant::Important => "--variant=important",
        Variant::Buildd => "--variant=buildd",
    }
}

fn variant_of_debootstrap(variant: Variant) -> Option<&'static str> {
    match variant {
        Variant::Minbase => Some("--variant=minbase"),
        // What it does when nothing is said.
        Variant::Important => None,
        Variant::Buildd => Some("--variant=buildd"),
    }
}
