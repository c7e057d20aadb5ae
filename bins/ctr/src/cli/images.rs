//! The options of the commands about images.

use clap::Args;
use std::path::PathBuf;

/// `ctr images`
#[derive(Debug, Args)]
pub struct Images {
    /// Build steps too
    #[arg(short, long)]
    pub all: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// Only this repository, or this name and tag
    pub name: Option<String>,
}

/// `ctr build`
#[derive(Debug, Args)]
pub struct Build {
    /// Name of the image: NAME[:TAG]
    #[arg(short, long, value_name = "NAME")]
    pub tag: Vec<String>,
    /// The Dockerfile (default: Dockerfile in the folder)
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Value for an ARG: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_arg: Vec<String>,
    /// Do each step again
    #[arg(long)]
    pub no_cache: bool,
    /// Only the image id
    #[arg(short, long)]
    pub quiet: bool,
    /// The folder whose files the build may use
    pub context: PathBuf,
}

/// `ctr history`
#[derive(Debug, Args)]
pub struct History {
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// The image
    pub image: String,
}

/// `ctr rmi`
#[derive(Debug, Args)]
pub struct Rmi {
    /// Also when it has several names or a stopped container uses it
    #[arg(short, long)]
    pub force: bool,
    /// Images, by name or id
    #[arg(required = true)]
    pub images: Vec<String>,
}

/// `ctr tag`
#[derive(Debug, Args)]
pub struct Tag {
    /// The image, by name or id
    pub source: String,
    /// Its new name: NAME[:TAG]
    pub target: String,
}

/// `ctr import`
#[derive(Debug, Args)]
pub struct Import {
    /// Apply a Dockerfile instruction to the image: CMD, ENV, EXPOSE, ...
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// A note for the image's history
    #[arg(short, long)]
    pub message: Option<String>,
    /// The archive, or - for standard input
    pub file: String,
    /// Name of the image: NAME[:TAG]
    pub name: Option<String>,
}

/// `ctr inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// Containers or images, by name or id
    #[arg(required = true)]
    pub names: Vec<String>,
}
