//! The options of the commands about the engine as a whole, and about what its containers use.

use clap::{Args, Subcommand};

/// `ctr system ...`
#[derive(Debug, Subcommand)]
pub enum SystemGroup {
    /// Show what takes how much room, and how much of it can be had back
    Df(SystemDf),
    /// Remove what nobody uses: containers that do not run, images without names
    Prune(SystemPrune),
    /// Show what the engine has and what the machine can do
    Info(Info),
    /// Show what happens, as it happens
    Events(Events),
    /// Start what is to run after a reboot, by its restart policy; what runs already is left alone
    Up,
}

/// `ctr top`
#[derive(Debug, Args)]
#[command(override_usage = "ctr top CONTAINER [PS-OPTIONS]")]
pub struct Top {
    /// The container, by name or id, then options for the host's ps (default: -ef)
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true, value_name = "CONTAINER")]
    words: Vec<String>,
}

impl Top {
    /// The container.
    pub fn container(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The options for ps.
    pub fn options(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// `ctr stats`
#[derive(Debug, Args)]
pub struct Stats {
    /// All containers, not only those that run
    #[arg(short, long)]
    pub all: bool,
    /// Only once, not again and again
    #[arg(long)]
    pub no_stream: bool,
    /// Do not shorten
    #[arg(long)]
    pub no_trunc: bool,
    /// How to print them: table, json, or a template: {{.Name}} {{.CPUPerc}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Containers, by name or id (default: those that run)
    pub containers: Vec<String>,
}

/// `ctr events`
#[derive(Debug, Args)]
pub struct Events {
    /// From then on: a date, seconds since 1970, or how long ago (10m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Until then, and end
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only some: type, event, container, image, volume, network, label
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// How to print them: json, or a template: {{.Type}} {{.Action}}
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `ctr info`
#[derive(Debug, Args)]
pub struct Info {
    /// Print only this: {{.Containers}}, {{json .}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `ctr version`
#[derive(Debug, Args)]
pub struct Version {
    /// Print only this: {{.Client.Version}}, {{json .}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `ctr where`
#[derive(Debug, Args)]
pub struct Where {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// A container, an image or a volume, by name or id
    pub name: String,
}

/// `ctr system df`
#[derive(Debug, Args)]
pub struct SystemDf {
    /// Each image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
    /// How to print the sums: table, json, or a template: {{.Type}} {{.Size}}
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    pub format: Option<String>,
}

/// `ctr system prune`
#[derive(Debug, Args)]
pub struct SystemPrune {
    /// All images that no container uses, not just those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Volumes too
    #[arg(long)]
    pub volumes: bool,
    /// Only some: label=KEY[=VALUE], label!=KEY, until=24h
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// `ctr container prune`
#[derive(Debug, Args)]
pub struct ContainerPrune {
    /// Only some: label=KEY[=VALUE], label!=KEY, until=24h
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}
