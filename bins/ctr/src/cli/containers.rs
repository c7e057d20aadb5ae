//! The options of the commands about containers that exist already.

use clap::Args;

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
