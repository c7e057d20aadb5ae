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
    /// The digests that registries know images by
    #[arg(long)]
    pub digests: bool,
    /// Only some: dangling=true|false, label=KEY[=VALUE], reference=PATTERN, before=IMAGE, since=IMAGE, until=TIME
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// How to print them: table, json, or a template: {{.Repository}}:{{.Tag}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only this repository, or this name and tag; * stands for anything
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
    /// Remove what a step ran in: this is always done
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", hide_default_value = true, hide_possible_values = true, value_name = "true")]
    pub rm: bool,
    /// And when the step has failed: this, too
    #[arg(long)]
    pub force_rm: bool,
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
    /// Sizes and times for people (--human=false: bytes and dates)
    #[arg(short = 'H', long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub human: bool,
    /// How to print them: table, json, or a template: {{.ID}} {{.CreatedBy}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Of an image for several platforms this one: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// The image
    pub image: String,
}

/// `ctr rmi`
#[derive(Debug, Args)]
pub struct Rmi {
    /// Also when it has several names or a stopped container uses it
    #[arg(short, long)]
    pub force: bool,
    /// Keep build steps that nothing else needs
    #[arg(long)]
    pub no_prune: bool,
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
    /// What the image is for: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// The archive, or - for standard input
    pub file: String,
    /// Name of the image: NAME[:TAG]
    pub name: Option<String>,
}

/// `ctr inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// Print only this: {{.State.Status}}, {{json .Config}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// How much a container's files are, too
    #[arg(short, long)]
    pub size: bool,
    /// What the names are of: container, image, network, volume
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Containers, images, networks, volumes, by name or id
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// `ctr container inspect`
#[derive(Debug, Args)]
pub struct ContainerInspect {
    /// Print only this: {{.State.Status}}, {{json .Config}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// How much their files are, too
    #[arg(short, long)]
    pub size: bool,
    /// Containers, by name or id
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// `ctr image inspect`
#[derive(Debug, Args)]
pub struct ImageInspect {
    /// Print only this: {{.Id}}, {{json .Config}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Of an image for several platforms this one: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Images, by name or id
    #[arg(required = true)]
    pub names: Vec<String>,
}

/// `ctr save`
#[derive(Debug, Args)]
pub struct Save {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Of images for several platforms this one: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Images, by name or id; a name without a tag is all its tags
    #[arg(required = true)]
    pub images: Vec<String>,
}

/// `ctr load`
#[derive(Debug, Args)]
pub struct Load {
    /// Read from a file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Only images for this platform: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Print nothing on the way
    #[arg(short, long)]
    pub quiet: bool,
}

/// `ctr image prune`
#[derive(Debug, Args)]
pub struct ImagePrune {
    /// All images that no container uses, not just those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Only some: label=KEY[=VALUE], label!=KEY, until=24h
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// `ctr export`
#[derive(Debug, Args)]
pub struct Export {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The container, by name or id
    pub container: String,
}

/// `ctr commit`
#[derive(Debug, Args)]
pub struct Commit {
    /// Who makes the image: "Ada <ada@example.com>"
    #[arg(short, long)]
    pub author: Option<String>,
    /// Apply a Dockerfile instruction to the image: CMD, ENV, EXPOSE, ...
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// A note for the image's history
    #[arg(short, long)]
    pub message: Option<String>,
    /// Freeze the container while it is read
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pause: bool,
    /// The container, by name or id
    pub container: String,
    /// Name of the image: NAME[:TAG]
    pub name: Option<String>,
}
