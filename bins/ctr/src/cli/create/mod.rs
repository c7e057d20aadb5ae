//! The options of `create` and `run`, in the groups that `--help` shows them in.

#[path = "life.rs"]
mod life;
#[path = "network.rs"]
mod network;
#[path = "process.rs"]
mod process;
#[path = "resources.rs"]
mod resources;
#[path = "security.rs"]
mod security;
#[path = "storage.rs"]
mod storage;
#[path = "watch.rs"]
mod watch;

pub use life::*;
pub use network::*;
pub use process::*;
pub use resources::*;
pub use security::*;
pub use storage::*;
pub use watch::*;

use clap::{Args, ValueEnum};

/// When `create` and `run` get the image from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PullPolicy {
    /// If there is a newer one
    Always,
    /// If it is not here
    #[default]
    Missing,
    /// Not at all
    Never,
}

/// What `create` and `run` have in common. `-h` is the host name's, as with docker, so help is `--help` alone.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Create {
    /// What runs.
    #[command(flatten, next_help_heading = "What runs")]
    pub process: ProcessOptions,
    /// How long, and what is kept.
    #[command(flatten, next_help_heading = "Its life")]
    pub life: LifeOptions,
    /// How it is looked after.
    #[command(flatten, next_help_heading = "How it is looked after")]
    pub watch: WatchOptions,
    /// What it is connected to.
    #[command(flatten, next_help_heading = "Its network")]
    pub network: NetworkOptions,
    /// What is mounted into it.
    #[command(flatten, next_help_heading = "Its files")]
    pub storage: StorageOptions,
    /// How much it may use.
    #[command(flatten, next_help_heading = "Its share of the machine")]
    pub resources: ResourceOptions,
    /// What it may do.
    #[command(flatten, next_help_heading = "Its powers")]
    pub security: SecurityOptions,
    /// When to get the image from its registry
    #[arg(long, value_enum, value_name = "always|missing|never", default_value_t, hide_possible_values = true)]
    #[arg(help_heading = "Its image")]
    pub pull: PullPolicy,
    /// Show nothing of the image's coming
    #[arg(short, long, help_heading = "Its image")]
    pub quiet: bool,
    /// The image for this platform, as in linux/arm64, instead of this machine's
    #[arg(long, value_name = "PLATFORM", help_heading = "Its image")]
    pub platform: Option<String>,
    /// Whether signatures of images are left unchecked; nothing else is there
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    #[arg(action = clap::ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    #[arg(value_name = "true", help_heading = "Its image")]
    pub disable_content_trust: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help, help_heading = None::<&'static str>)]
    pub help: Option<bool>,
    /// The image, then the command and its arguments (default: the image's). Options end at the image
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_name = "IMAGE")]
    #[arg(help_heading = None::<&'static str>)]
    words: Vec<String>,
}

impl Create {
    /// The image.
    pub fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The command and its arguments; none means the image's.
    pub fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// `ctr run`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Run {
    /// Run in the background and print the container id
    #[arg(short, long)]
    pub detach: bool,
    /// Pass the signals that this command gets on to the container's process
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1)]
    #[arg(
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub sig_proxy: bool,
    /// What is typed to leave the container running (default: ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// The rest
    #[command(flatten)]
    pub create: Create,
}
