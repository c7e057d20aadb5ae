//! The options of the commands on registries.

use clap::Args;

/// `ctr pull`
#[derive(Debug, Args)]
pub struct Pull {
    /// All tags that the registry has of the name
    #[arg(short, long)]
    pub all_tags: bool,
    /// Only the name of the image
    #[arg(short, long)]
    pub quiet: bool,
    /// The image for this platform, as in linux/arm64, instead of this machine's
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// The image: [REGISTRY/]NAME[:TAG|@DIGEST]
    pub name: String,
}

/// `ctr push`
#[derive(Debug, Args)]
pub struct Push {
    /// All tags that the name has here
    #[arg(short, long)]
    pub all_tags: bool,
    /// Only the name of the image
    #[arg(short, long)]
    pub quiet: bool,
    /// The image: [REGISTRY/]NAME[:TAG]
    pub name: String,
}

/// `ctr login`
#[derive(Debug, Args)]
pub struct Login {
    /// The name
    #[arg(short, long)]
    pub username: Option<String>,
    /// The password; whoever lists the processes can read it
    #[arg(short, long, conflicts_with = "password_stdin")]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// The registry (default: docker.io)
    pub server: Option<String>,
}

/// `ctr logout`
#[derive(Debug, Args)]
pub struct Logout {
    /// The registry (default: docker.io)
    pub server: Option<String>,
}
