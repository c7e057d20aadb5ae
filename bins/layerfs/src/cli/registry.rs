//! The options of the commands on registries.

use clap::Args;

/// Arguments of `pull`.
///
/// A registry is a store of the same blobs behind HTTP. The name leads to a manifest (of several platforms, to that of this
/// machine), the manifest to a configuration and to layers. What is here already is not loaded; a blob of which a part is
/// here goes on from there; everything is verified by its digest before it has a name.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs pull busybox
  layerfs pull --platform linux/arm64 registry.example.com/team/app:v1")]
pub struct PullArgs {
    /// The image: [REGISTRY/]NAME[:TAG][@DIGEST]. Without a registry it is docker.io, without a tag `latest`.
    pub reference: String,
    /// Of several platforms this one, as in linux/arm64, instead of this machine's.
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// All tags that the registry has of the name.
    #[arg(short, long)]
    pub all_tags: bool,
    /// Print only the name of the image, in full.
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not print the name of the image at the end: for who goes on to do something with it.
    #[arg(long, conflicts_with = "quiet")]
    pub status_only: bool,
}

/// Arguments of `push`.
///
/// The registry is asked for each blob whether it has it, and only the others are sent; one that another of its repositories
/// has, it takes from there. The manifest goes last and unchanged, so the image has the same digest there as here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs tag demo localhost:5000/demo && layerfs push localhost:5000/demo
  layerfs push --all-tags registry.example.com/team/app")]
pub struct PushArgs {
    /// The image: [REGISTRY/]NAME[:TAG].
    pub reference: String,
    /// All tags that the name has here.
    #[arg(short, long)]
    pub all_tags: bool,
    /// Print only the name of the image, in full.
    #[arg(short, long)]
    pub quiet: bool,
}
