//! The options of the commands about a container's files and ports.

use clap::Args;

/// `ctr cp`
#[derive(Debug, Args)]
pub struct Cp {
    /// What is copied into a container belongs to the user that it runs as
    #[arg(short, long)]
    pub archive: bool,
    /// Copy what a link as the source leads to, not the link
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Show no progress, which is what this does anyhow
    #[arg(short, long)]
    pub quiet: bool,
    /// What to copy: CONTAINER:PATH, a path of this machine, or - for a tar on standard input
    #[arg(value_name = "CONTAINER:SRC_PATH|SRC_PATH|-")]
    pub source: String,
    /// Where to: a path of this machine, - for a tar on standard output, or CONTAINER:PATH
    #[arg(value_name = "DEST_PATH|-|CONTAINER:DEST_PATH")]
    pub target: String,
}

/// `ctr diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The container, by name or id
    pub container: String,
}

/// `ctr port`
#[derive(Debug, Args)]
pub struct Port {
    /// The container, by name or id
    pub container: String,
    /// Only what leads to this port of it
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    pub port: Option<String>,
}
