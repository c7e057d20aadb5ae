//! `mkrootfs`: where a root filesystem comes from.
//!
//! A root filesystem is a folder that holds everything a program opens by an absolute path: itself, the
//! libraries it is linked with, the loader that joins them, and a handful of files in `/etc`. All of that
//! is on the host already; this tool finds out what belongs together and copies it.
//!
//! | file | what it knows |
//! | --- | --- |
//! | [`elf`] | reads out of a program which loader and which libraries it asks for |
//! | [`ld_cache`], [`search`] | where the loader looks for a library, in its order |
//! | [`closure`] | a program's libraries, and theirs, until nothing is missing |
//! | [`programs`] | which programs are taken, where they are, and `#!` |
//! | [`python`], [`perl`], [`busybox`] | a language's own library folder; one program with many names |
//! | [`tree`] | copying so that every path leads where it led on the host |
//! | [`dangling`] | links that lead nowhere |
//! | [`times`] | same inputs, same times |
//! | [`etc_files`], [`host_data`] | the files in `/etc` and the data that programs need |
//! | [`staging`], [`interrupt`] | all or nothing, also when it is stopped |
//! | [`tidy`] | what an installer of packages leaves that differs from run to run |
//! | [`piped`] | an archive that another program writes |
//! | [`host`], [`debian`], [`image`], [`untar`], [`check`] | the subcommands |

#![deny(unsafe_code)]

mod busybox;
mod check;
mod cli;
mod closure;
mod dangling;
mod debian;
mod elf;
mod etc_files;
mod host;
mod host_data;
mod image;
mod interrupt;
mod ld_cache;
mod perl;
mod piped;
mod programs;
mod python;
mod search;
mod staging;
mod tidy;
mod times;
mod tree;
mod untar;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing to be done if the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { layout::exit::TOOL.into() } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Command::Host(args) => host::main(args),
        Command::Debian(args) => debian::main(args),
        Command::Image(args) => image::main(args),
        Command::Tar(args) => untar::main(args),
        Command::Closure(args) => closure::main(args),
        Command::Check(args) => check::main(args),
    };
    layout::exit::report("mkrootfs", result)
}
