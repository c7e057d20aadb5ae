//! `create` and `run`: what runs.

use clap::Args;
use std::path::PathBuf;

/// What runs.
#[derive(Debug, Args)]
pub struct ProcessOptions {
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub tty: bool,
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
    /// NIS domain name in the container
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// One more group of its process, by name or number
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Set a label: KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// Connect to this stream only: stdin, stdout, stderr (default: both outputs, and stdin with -i)
    #[arg(short, long, value_name = "STREAM")]
    pub attach: Vec<String>,
}
