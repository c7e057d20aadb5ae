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
  mkrootfs host rootfs --bin curl --bin ./myprogram --with python3 --json")]
    Host(HostArgs),

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

    /// Check that every program in a root filesystem finds its loader and its libraries there.
    ///
    /// Exits with 1 when something is missing, and says what.
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
    /// A language: its interpreter and the library that comes with it.
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub with: Vec<Language>,
    /// Print what was made as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A language whose interpreter needs more than libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// The python3 in PATH and its standard library, without tests and without installed packages.
    Python3,
    /// The perl in PATH and its core modules.
    Perl,
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
