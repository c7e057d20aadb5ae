//! `create` and `run`: how a container is looked after.

use clap::Args;

/// How it is looked after.
#[derive(Debug, Args)]
pub struct WatchOptions {
    /// Start it again when it ends: no, on-failure[:MOST], always, unless-stopped
    #[arg(long, value_name = "POLICY", default_value = "no", hide_default_value = true)]
    pub restart: String,
    /// Command that tells whether it is well, by its exit code
    #[arg(long, value_name = "COMMAND")]
    pub health_cmd: Option<String>,
    /// Time between two checks (500ms, 1m30s; default: 30s)
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub health_interval: Option<String>,
    /// Failures in a row that make it unhealthy (default: 3)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub health_retries: Option<i64>,
    /// Time from the start in which failures do not count
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub health_start_period: Option<String>,
    /// Time that a check may take (default: 30s)
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true)]
    pub health_timeout: Option<String>,
    /// Run no check, though the image has one
    #[arg(long)]
    pub no_healthcheck: bool,
    /// Where its output goes: json-file, local, journald, syslog, none (default: json-file)
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Option of the log driver, as in max-size=10m
    #[arg(long = "log-opt", value_name = "NAME=VALUE")]
    pub log_opts: Vec<String>,
}
