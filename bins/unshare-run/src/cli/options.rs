//! The options of the subcommands. (Of runc's some mean nothing here; they are taken, so that its callers need not know.)

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A container, and nothing else.
#[derive(Debug, Clone, Args)]
pub struct Id {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Where a new container comes from, and what it gets from us.
#[derive(Debug, Clone, Args)]
pub struct Create {
    /// The container's new name
    #[arg(value_name = "ID")]
    pub id: String,
    /// Folder with config.json
    #[arg(long, short = 'b', default_value = ".", value_name = "DIR")]
    pub bundle: PathBuf,
    /// Write the process's number here
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Send the terminal's master end to this unix socket
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Pass on this many file descriptors from 3 on
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// As for `create`.
    #[command(flatten)]
    pub create: Create,
    /// Do not wait for the end
    #[arg(long, short = 'd')]
    pub detach: bool,
}

/// `kill`.
#[derive(Debug, Clone, Args)]
pub struct Kill {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Name or number
    #[arg(default_value = "SIGTERM", value_name = "SIGNAL")]
    pub signal: String,
    /// Send it to every process of the container's cgroup
    #[arg(long, short = 'a')]
    pub all: bool,
}

/// `delete`.
#[derive(Debug, Clone, Args)]
pub struct Delete {
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// End it first if it runs; succeed if it is not there
    #[arg(long, short = 'f')]
    pub force: bool,
}

/// `exec`.
#[derive(Debug, Clone, Args)]
pub struct Exec {
    /// Give it a terminal of its own
    #[arg(long, short = 't')]
    pub tty: bool,
    /// Do not wait for the end
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// Run as this user, in numbers [default: as the container's first process]
    #[arg(long, short = 'u', value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Further groups
    #[arg(long, short = 'g', value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// Folder to start in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set an environment variable
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Add a capability
    #[arg(long, short = 'c', value_name = "CAP")]
    pub cap: Vec<String>,
    /// It can never gain privileges
    #[arg(long)]
    pub no_new_privs: bool,
    /// Take the whole process from this JSON file instead
    #[arg(long, short = 'p', value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Write the process's number here
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Send the terminal's master end to this unix socket
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Pass on this many file descriptors from 3 on
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// The container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Command and arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `list`.
#[derive(Debug, Clone, Args)]
pub struct List {
    /// `table` or `json`
    #[arg(long, short = 'f', value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    pub format: ListFormat,
    /// As --format json
    #[arg(long)]
    pub json: bool,
    /// The names alone
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

/// Form of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns
    Table,
    /// One JSON array
    Json,
}
