//! The command line, and nothing else: the generator of completions and man pages reads this file too.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Make a root filesystem: the folder that a container sees as `/`.
///
/// A program is rarely one file. It names a loader and libraries, those name further libraries, and all are
/// opened by absolute paths. A root filesystem is a folder in which each of those paths leads to something.
#[derive(Debug, Parser)]
#[command(
    name = "mkrootfs",
    version,
    after_help = "\
Examples:
  mkrootfs host rootfs --with python3      the host's shell, coreutils and python, with all they need
  sudo chroot rootfs sh                    the same folder, as `/`"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the root filesystem comes from.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy programs of this host with everything that they need to run.
    ///
    /// Always: sh, bash, coreutils, ps, grep, sed and the like, as far as the host has them; --bin and --with add to them.
    /// The libraries are found as the loader finds them (ld.so(8)): by reading them out of the programs.
    /// The set-user-id bit is not copied, and the files belong to whoever makes them.
    #[command(after_help = "\
Examples:
  mkrootfs host rootfs
  mkrootfs host rootfs --bin curl --bin ./myprogram --with python3 --json
  mkrootfs host rootfs --only --with busybox       two files that matter

The same host gives the same tree, times included: what is copied keeps its time, what is made gets that of the newest file.
SOURCE_DATE_EPOCH (seconds) is the time of what is made, and the latest of what is copied.")]
    Host(HostArgs),

    /// Install Debian's packages into a new folder.
    ///
    /// mmdebstrap or debootstrap does the work, and has to be on this host. Packages are downloaded once: they are kept in
    /// $XDG_CACHE_HOME/ctr/debian (default ~/.cache; root's is /var/cache/ctr/debian), which may be emptied at any time.
    #[command(after_help = "\
Examples:
  mkrootfs debian rootfs --suite bookworm
  mkrootfs debian rootfs --suite trixie --include python3-flask,redis-server --mirror http://ftp.at.debian.org/debian

The same packages give the same tree: logs and lists of packages are left out, and no file is newer than the suite's
release (or than SOURCE_DATE_EPOCH, in seconds).")]
    Debian(DebianArgs),

    /// Make a plain folder of an image in the store.
    ///
    /// It holds what a container of that image would see, and needs neither the image nor overlayfs any more.
    #[command(after_help = "\
Examples:
  mkrootfs image python:3-slim rootfs
  mkrootfs image 4fc242d58285 rootfs --json")]
    Image(ImageArgs),

    /// Extract a tar archive (plain or gzip) that holds a root filesystem.
    ///
    /// No entry can be written outside of the folder, whatever names and links the archive holds.
    #[command(after_help = "\
Examples:
  mkrootfs tar rootfs.tar.gz rootfs
  docker export web | mkrootfs tar - rootfs")]
    Tar(TarArgs),

    /// List the files that a program needs to start, and how each is found.
    ///
    /// The same question that ldd(1) answers. ldd runs the program's loader to ask it; this reads the files.
    #[command(after_help = "\
Examples:
  mkrootfs closure ls
  mkrootfs closure --root rootfs /usr/bin/ls")]
    Closure(ClosureArgs),

    /// Say what would not run in a root filesystem.
    ///
    /// A loader, a library, an interpreter or a shell that is not there, a link that leads nowhere, a program for another
    /// processor: each is a line, and then the exit code is 1. Nothing is run, so the folder may be anybody's.
    #[command(after_help = "\
Examples:
  mkrootfs check rootfs
  mkrootfs check --json rootfs")]
    Check(CheckArgs),
}

/// Arguments of `mkrootfs host`.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// The folder to make; it must not exist, or be empty.
    pub dir: PathBuf,
    /// One more program, by name or path; it is an error if the host does not have it.
    #[arg(long = "bin", value_name = "PROG")]
    pub bins: Vec<String>,
    /// What is more than a program and its libraries: a language with the library that comes with it, and the like.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub with: Vec<With>,
    /// Only what --bin and --with name, not the shell and the tools that are taken otherwise.
    #[arg(long)]
    pub only: bool,
    /// The time zone, as in Europe/Vienna; without it the host's.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What needs more than a program and its libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum With {
    /// The python3 in PATH and its standard library, without tests and without installed packages.
    Python3,
    /// The perl in PATH and its core modules.
    Perl,
    /// The busybox in PATH, and a link for each of its names that no other program has.
    Busybox,
    /// All time zones.
    Zoneinfo,
}

/// Arguments of `mkrootfs debian`.
#[derive(Debug, Args)]
pub struct DebianArgs {
    /// The folder to make; it must not exist, or be empty.
    pub dir: PathBuf,
    /// The release: a name (bookworm, trixie, sid), or what it is just now (stable, testing).
    #[arg(long, default_value = "stable")]
    pub suite: String,
    /// More packages, with what they depend on; may be repeated.
    #[arg(long, value_name = "PACKAGE", value_delimiter = ',')]
    pub include: Vec<String>,
    /// Where packages come from: a URL, also file:///...
    #[arg(long, value_name = "URL", default_value = "http://deb.debian.org/debian")]
    pub mirror: String,
    /// How much of Debian.
    #[arg(long, value_enum, default_value_t = Variant::Minbase)]
    pub variant: Variant,
    /// The program that does the work; without it the one that is on this host, mmdebstrap first.
    #[arg(long, value_enum)]
    pub installer: Option<Installer>,
    /// The keys that the mirror may be signed with, in place of those that the installer goes by.
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Where downloaded packages are kept.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A program that installs Debian into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Installer {
    /// The faster one, by apt; also for users who are not root.
    Mmdebstrap,
    /// The older one, in shell; only for root.
    Debootstrap,
}

/// How much of Debian is installed without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// What every package may rely on, and apt.
    Minbase,
    /// What somebody who logs in expects.
    Important,
    /// What it takes to build packages.
    Buildd,
}

/// Arguments of `mkrootfs image`.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// The image, by name or id.
    pub image: String,
    /// The folder to make; it must not exist, or be empty.
    pub dir: PathBuf,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `mkrootfs tar`.
#[derive(Debug, Args)]
pub struct TarArgs {
    /// The archive, or `-` for standard input.
    pub file: PathBuf,
    /// The folder to make; it must not exist, or be empty.
    pub dir: PathBuf,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `mkrootfs closure`.
#[derive(Debug, Args)]
pub struct ClosureArgs {
    /// Programs or libraries: a name in PATH, or a path.
    #[arg(required = true, value_name = "PROG")]
    pub programs: Vec<String>,
    /// Look into this root filesystem, in place of the host's.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `mkrootfs check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The root filesystem.
    pub dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
