//! `create` and `run`: what a container is connected to.

use clap::Args;

/// What it is connected to.
#[derive(Debug, Args)]
pub struct NetworkOptions {
    /// Network: bridge, host or none
    #[arg(long, alias = "net", default_value = "bridge")]
    pub network: String,
    /// Publish a port of the container: [[IP:]HOST:]CONTAINER[/tcp|udp]
    #[arg(short, long = "publish", value_name = "PORT")]
    pub publish: Vec<String>,
    /// Publish all ports that the image exposes, at random ports of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Note that the container listens on a port
    #[arg(long, value_name = "PORT")]
    pub expose: Vec<String>,
}
