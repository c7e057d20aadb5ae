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
    /// What is typed to leave it (default: ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `ctr stop` and `ctr restart`
#[derive(Debug, Args)]
pub struct Stop {
    /// Seconds to wait before SIGKILL; -1: for ever (default: the container's --stop-timeout, else 10)
    #[arg(short = 't', long = "time", alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    pub time: Option<i64>,
    /// Signal to send first (default: the image's, else SIGTERM)
    #[arg(short, long)]
    pub signal: Option<String>,
    /// Containers, by name or id
    #[arg(required = true)]
    pub containers: Vec<String>,
}

/// `ctr rename`
#[derive(Debug, Args)]
pub struct Rename {
    /// The container, by name or id
    pub container: String,
    /// Its new name
    pub name: String,
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
    /// Remove the link of this name, and not the container
    #[arg(short, long)]
    pub link: bool,
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
    /// Only the one that was made last, whatever its state
    #[arg(short, long)]
    pub latest: bool,
    /// Only so many that were made last, whatever their state
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = -1, allow_negative_numbers = true, hide_default_value = true)]
    pub last: i64,
    /// How much they have written, too
    #[arg(short, long)]
    pub size: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// Only some: id, name, label, status, exited, ancestor, before, since, volume, network, publish, expose, health
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// How to print them: table, json, or a template: {{.ID}} {{.Names}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
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
    /// Show what else was written down with each line (labels, variables)
    #[arg(long)]
    pub details: bool,
    /// Only what was written since then: a time, or how long ago (10m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only what was written until then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Only this many lines from the end
    #[arg(short = 'n', long, alias = "lines", default_value = "all", allow_hyphen_values = true)]
    pub tail: String,
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
