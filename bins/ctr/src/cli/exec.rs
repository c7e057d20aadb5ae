//! The options of `exec` and `attach`.

use clap::Args;
use std::path::PathBuf;

/// `ctr exec`
#[derive(Debug, Args)]
#[command(override_usage = "ctr exec [OPTIONS] CONTAINER COMMAND [ARG...]")]
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
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Who it runs as: name or number, and after a colon the group
    #[arg(short, long)]
    pub user: Option<String>,
    /// Give it all capabilities; what else confines the container stays
    #[arg(long)]
    pub privileged: bool,
    /// Folder that it starts in
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// What is typed to leave it (default: ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// The container, by name or id, then the command and its arguments. Options end at the container
    #[arg(required = true, num_args = 2.., trailing_var_arg = true, value_names = ["CONTAINER", "COMMAND"])]
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
    /// Pass signals on to its process
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1)]
    #[arg(
        require_equals = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub sig_proxy: bool,
    /// What is typed to leave it (default: ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// The container, by name or id
    pub container: String,
}
