//! The options of the commands on images and their names.

use clap::Args;

/// Arguments of `ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs ls
  layerfs ls --all --json | jq '.[].Id'")]
pub struct LsArgs {
    /// Show the steps of builds too.
    #[arg(short, long)]
    pub all: bool,
    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs inspect demo
  layerfs inspect demo | jq '.[0].RootFS.Layers'")]
pub struct InspectArgs {
    /// Images, by name or id.
    #[arg(required = true)]
    pub images: Vec<String>,
    /// Of an image for several platforms this one, as in `linux/arm64`, instead of the host's.
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}

/// Arguments of `tag`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs tag demo demo:stable
  layerfs tag 4fc242d58285 registry.example.com/demo:1")]
pub struct TagArgs {
    /// The image, by name or id.
    pub image: String,
    /// The new name.
    pub reference: String,
}

/// Arguments of `rm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs rm demo:2
  layerfs rm --force 4fc242d58285")]
pub struct RmArgs {
    /// Images, by name or id.
    #[arg(required = true)]
    pub images: Vec<String>,
    /// Remove all names of an image that has several, and an image that a stopped container uses.
    #[arg(short, long)]
    pub force: bool,
    /// Keep build steps that nothing else refers to.
    #[arg(long)]
    pub no_prune: bool,
}

/// Arguments of `prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs prune
  layerfs prune --all --filter until=24h")]
pub struct PruneArgs {
    /// Remove all images that no container uses, those with names too.
    #[arg(short, long)]
    pub all: bool,
    /// Only some of them: `label=KEY[=VALUE]`, `label!=...`, `until=24h` or a time; may be repeated.
    #[arg(long = "filter", value_name = "FILTER")]
    pub filters: Vec<String>,
    /// Print what was removed as a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs history demo
  layerfs history --json demo | jq -r '.[].CreatedBy'")]
pub struct HistoryArgs {
    /// The image, by name or id.
    pub image: String,
    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}
