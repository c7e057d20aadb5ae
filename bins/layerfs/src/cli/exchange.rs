//! The options of the commands on images in archives.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `save`.
///
/// The archive is an OCI image layout in a tar, with docker's manifest.json beside its index.json: both lead to the same
/// blobs, which are copied as they are. So each image keeps its id and its digest wherever it is loaded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs save demo demo:2 -o demo.tar
  layerfs save demo | ssh other layerfs load")]
pub struct SaveArgs {
    /// Images, by name or id; a repository without a tag is all its tags.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Of images for several platforms this one, as in `linux/arm64`, instead of the host's.
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}

/// Arguments of `load`.
///
/// Reads what `save`, docker, podman and skopeo write, compressed or not. All digests are verified before anything is
/// listed; an archive of which one image is wrong changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs load -i demo.tar
  docker save busybox | layerfs load")]
pub struct LoadArgs {
    /// Read from a file instead of standard input.
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Only images for this platform, as in `linux/arm64`.
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Accepted as docker's: there is no progress to be suppressed.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `export`.
///
/// Layers are gone from what it writes, and so is the configuration: it is the files alone, for `import` or `tar -x`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs export demo | tar -tv
  layerfs export /mnt/demo -o rootfs.tar     a folder, a mounted one as a rule, begins with / or .")]
pub struct ExportArgs {
    /// An image, by name or id, or a folder, which begins with `/` or `.`.
    #[arg(value_name = "IMAGE|FOLDER")]
    pub what: String,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
