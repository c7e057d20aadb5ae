//! Build an image from a Dockerfile, one cached layer a step.
//!
//! Read in this order: [`dockerfile`] (text to instructions), [`build`] (the loop over the steps), [`plan`] (what a
//! step would do), [`store`] and [`cache`] (was it done before), [`commit`] (doing it). COPY is [`context`], [`dockerignore`],
//! [`glob`] and [`copy`]; RUN is [`bundle`], [`mount_points`] and [`run_step`]. Images are read from the store
//! directly; everything that changes it is a call of `layerfs` ([`tools`]).

#![forbid(unsafe_code)]

mod args;
mod build;
mod bundle;
mod cache;
mod cli;
mod commit;
mod context;
mod copy;
mod dockerfile;
mod dockerignore;
mod glob;
mod metadata;
mod mount_points;
mod output;
mod paths;
mod plan;
mod run_step;
mod signals;
mod stage;
mod store;
mod tools;
mod variables;

use clap::Parser;
use layout::{Layout, exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to be told that the complaint could not be printed.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit::TOOL) } else { ExitCode::SUCCESS };
        }
    };
    exit::report("imgbuild", run(cli))
}

fn run(cli: cli::Cli) -> anyhow::Result<u8> {
    let layout = Layout::from_env()?;
    layout.open()?;
    build::run(&layout, &build::Config::from_cli(cli)?)
}
