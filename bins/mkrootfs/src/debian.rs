//! `mkrootfs debian`: a root filesystem out of Debian's packages.
//!
//! Packages are archives, but installing them means running their scripts in the right order, in the new root. Two programs
//! know how, and one of them has to be here: mmdebstrap, which writes a tar, or debootstrap, which fills a folder. What this
//! adds: all or nothing, packages are downloaded once, and the same packages give the same tree.

use crate::cli::{DebianArgs, Installer, Variant};
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

/// `mkrootfs debian`.
pub fn main(args: DebianArgs) -> Result<u8> {
    let (installer, program) = find(args.installer)?;
    let cache = match &args.cache {
        Some(dir) => std::path::absolute(dir).with_context(|| format!("resolve {}", dir.display()))?,
        None => layout::paths::cache_dir()?.join("debian"),
    };
    // What another suite needs would only be in the way.
    let cache = cache.join(args.suite.replace('/', "-"));
    fs::create_dir_all(&cache).with_context(|| format!("make the folder of packages {}", cache.display()))?;
    let staging = Staging::beside(&args.dir)?;
    let mut summary = match installer {
        Installer::Mmdebstrap => mmdebstrap(&program, &args, &cache, &staging)?,
        Installer::Debootstrap => debootstrap(&program, &args, &cache, &staging)?,
    };
    tidy::tidy(staging.path()).context("make the tree the same for everybody")?;
    (summary.files, summary.bytes) = tidy::count(staging.path())?;
    summary.dir = staging.publish()?;
    summary.print(&args.dir, args.json)?;
    Ok(0)
}

/// The program that does the work: the one that was asked for, else whichever is here.
fn find(asked: Option<Installer>) -> Result<(Installer, PathBuf)> {
    let is_root = rustix::process::geteuid().is_root();
    let candidates = match asked {
        Some(one) => vec![one],
        None => vec![Installer::Mmdebstrap, Installer::Debootstrap],
    };
    for installer in &candidates {
        let Some(program) = program(name(*installer)) else { continue };
        if *installer == Installer::Debootstrap && !is_root {
            bail!("run debootstrap: only root can; use sudo, or install mmdebstrap (the package has that name)");
        }
        return Ok((*installer, program));
    }
    let names: Vec<_> = candidates.iter().map(|installer| name(*installer)).collect();
    bail!(
        "find {}: not on this host; on Debian and its like: apt-get install {}",
        names.join(" or "),
        names.first().unwrap_or(&"mmdebstrap")
    )
}

fn name(installer: Installer) -> &'static str {
    match installer {
        Installer::Mmdebstrap => "mmdebstrap",
        Installer::Debootstrap => "debootstrap",
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
    command.arg(r#"--setup-hook=mkdir -p "$1"/var/cache/apt/archives/"#);
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
