//! `create` and `run`: what a container may do.

use clap::Args;

/// What it may do.
#[derive(Debug, Args)]
pub struct SecurityOptions {}
