//! The options of the commands about containers.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Name of the container (default: a random one)
    #[arg(long)]
    pub name: Option<String>,
    /// Publish a port of the container: [[IP:]HOST:]CONTAINER[/tcp|udp]
    #[arg(short, long = "publish", value_name = "PORT")]
    pub publish: Vec<String>,
    /// Publish all ports that the image exposes, at random ports of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Note that the container listens on a port
    #[arg(long, value_name = "PORT")]
    pub expose: Vec<String>,
    /// Memory limit: 64m, 1g
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Number of processors: 1.5
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<String>,
    /// Share of processor time relative to others (default: 1024)
    #[arg(short, long, value_name = "NUMBER")]
    pub cpu_shares: Option<u64>,
    /// Number of processes and threads (-1: no limit)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Set an environment variable: NAME=VALUE, or NAME to take the value from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Folder that the command starts in
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Who the command runs as: name or number, and after a colon the group
    #[arg(short, long)]
    pub user: Option<String>,
    /// Program to run in place of the image's entry point
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Host name in the container (default: the short container id)
    #[arg(short = 'h', long)]
    pub hostname: Option<String>,
    /// Network: bridge, host or none
    #[arg(long, alias = "net", default_value = "bridge")]
    pub network: String,
    /// Mount the root filesystem read-only
    #[arg(long)]
    pub read_only: bool,
    /// Set a label: KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Signal that stop sends first (default: SIGTERM)
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// When to get the image from its registry
    #[arg(long, value_enum, value_name = "always|missing|never", default_value_t, hide_possible_values = true)]
    pub pull: PullPolicy,
    /// Show nothing of the image's coming
    #[arg(short, long)]
    pub quiet: bool,
    /// The image for this platform, as in linux/arm64, instead of this machine's
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Write the container id to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// The image, then the command and its arguments (default: the image's). Options end at the image
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_name = "IMAGE [COMMAND] [ARG...]")]
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
    /// The rest
    #[command(flatten)]
    pub create: Create,
}

/// `ctr start`
#[derive(Debug, Args)]
pub struct Start {
    /// Connect to the container's output, and end with its exit code
    #[arg(short, long)]
    pub attach: bool,
    /// Connect to its input too
    #[arg(short, long)]
    pub interactive: bool,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `ctr stop`
#[derive(Debug, Args)]
pub struct Stop {
    /// Seconds to wait before SIGKILL (-1: for ever)
    #[arg(
        short = 't',
        long = "time",
        alias = "timeout",
        value_name = "SECONDS",
        default_value_t = 10,
        allow_negative_numbers = true
    )]
    pub time: i64,
    /// Signal to send first (default: the image's, else SIGTERM)
    #[arg(short, long)]
    pub signal: Option<String>,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `ctr kill`
#[derive(Debug, Args)]
pub struct Kill {
    /// Signal to send
    #[arg(short, long, default_value = "KILL")]
    pub signal: String,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `ctr rm`
#[derive(Debug, Args)]
pub struct Rm {
    /// Kill the container first if it is running
    #[arg(short, long)]
    pub force: bool,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `ctr ps`
#[derive(Debug, Args)]
pub struct Ps {
    /// All containers, not only those that run
    #[arg(short, long)]
    pub all: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
}

/// `ctr logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// Go on showing what is written
    #[arg(short, long)]
    pub follow: bool,
    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Only this many lines from the end
    #[arg(short = 'n', long, alias = "lines", default_value = "all")]
    pub tail: String,
    /// The container, by name or id
    pub container: String,
}

/// `ctr exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// Run it in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Who it runs as
    #[arg(short, long)]
    pub user: Option<String>,
    /// Folder that it starts in
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// The container, by name or id, then the command and its arguments. Options end at the container
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_name = "CONTAINER COMMAND [ARG...]")]
    words: Vec<String>,
}

impl Exec {
    /// The container.
    pub fn container(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The command and its arguments.
    pub fn command(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// `ctr attach`
#[derive(Debug, Args)]
pub struct Attach {
    /// Do not connect to its input
    #[arg(long)]
    pub no_stdin: bool,
    /// The container, by name or id
    pub container: String,
}

/// Containers by name.
#[derive(Debug, Args)]
pub struct Names {
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}
