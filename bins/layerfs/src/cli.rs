//! The command line: what can be asked for, and the pages that teach it.
//!
//! This file stands alone (std, clap and `layout`): the generator of completions and man pages includes it, and the files
//! of options below, by their paths.

#[path = "cli/copy.rs"]
mod copy;
#[path = "cli/exchange.rs"]
mod exchange;
#[path = "cli/images.rs"]
mod images;
#[path = "cli/registry.rs"]
mod registry;

pub use copy::*;
pub use exchange::*;
pub use images::*;
pub use registry::*;

use clap::{Args, Parser, Subcommand};
use layout::Digest;
use std::path::PathBuf;

/// Image layers: content addressing, overlay mounts, the OCI image layout.
///
/// An image is a stack of layers, and a layer is a tar of what changed. Each is stored once, under the digest
/// of its own content, and laid over the others by overlayfs: what runs on an image writes to a folder of its own,
/// and the layers below stay as they are.
#[derive(Debug, Parser)]
#[command(
    name = "layerfs",
    version,
    after_help = "\
Examples:
  tar -C rootfs -c . | layerfs import - demo     store a root filesystem as the image demo:latest
  layerfs mount demo /mnt/demo --upper /tmp/u --work /tmp/w     and look at it, writable

State is kept in $CTR_ROOT (default /var/lib/ctr): images/ is an OCI image layout, layers/ has the extracted layers."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What layerfs does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an image of one layer out of a root filesystem's tar; print its id.
    Import(ImportArgs),
    /// Store a tar from standard input as a layer of no image yet; print its digests as JSON.
    Add(AddArgs),
    /// Make an image out of a parent image and what changed in an upper folder; print its id.
    Commit(CommitArgs),
    /// Print what changed in an upper folder, as a tar on standard output.
    Diff(DiffArgs),
    /// Lay an image's layers over each other at a folder.
    Mount(MountArgs),
    /// Undo `mount`. It is no error when nothing is mounted there.
    Umount(UmountArgs),
    /// Copy files between this machine and a root that is not trusted, by docker's rules.
    Cp(CopyArgs),
    /// List the images.
    Ls(LsArgs),
    /// Print all that is known of images, as a JSON array.
    Inspect(InspectArgs),
    /// Give an image another name; an image that had the name loses it.
    Tag(TagArgs),
    /// Remove names, and images that no name is left of.
    Rm(RmArgs),
    /// Remove images that no name is left of, or that no container uses.
    Prune(PruneArgs),
    /// Show how an image came to be, newest step first.
    History(HistoryArgs),
    /// Write images into an archive that docker, podman and skopeo read.
    Save(SaveArgs),
    /// Store the images of an archive, docker's or the OCI's.
    Load(LoadArgs),
    /// Write a root filesystem, all its layers merged, as a tar.
    Export(ExportArgs),
    /// Get an image from a registry.
    Pull(PullArgs),
    /// Send an image to a registry.
    Push(PushArgs),
    /// Tell a registry who you are, and keep it for the next time.
    Login(LoginArgs),
    /// Forget what `login` kept.
    Logout(LogoutArgs),
    /// Remove blobs, layers and half-made things that nothing refers to.
    Gc(GcArgs),
    /// Verify every digest and every reference in the store.
    Fsck(FsckArgs),
    /// Show what takes how much room, and how much of it can be had back.
    Df(DfArgs),
}

/// Arguments of `import`.
///
/// The digest of the tar is the layer's diff id, the digest of the configuration that names it is the image id.
/// The tar is read once: digested, compressed and extracted on the way.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tar -C rootfs -c . | layerfs import - python:3-slim
  layerfs import --change 'CMD [\"sh\"]' --change 'ENV LANG=C.UTF-8' rootfs.tar.gz demo")]
pub struct ImportArgs {
    /// A tar, plain or compressed with gzip or zstd; `-` is standard input.
    pub file: PathBuf,
    /// The image's name, as in `python:3-slim`. Without one the image can be had by its id.
    pub reference: Option<String>,
    /// Set a default of the image, in a Dockerfile's words (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL,
    /// USER, VOLUME, WORKDIR); may be repeated.
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub changes: Vec<String>,
    /// The note in the image's history.
    #[arg(short, long, default_value = "Imported from -")]
    pub message: String,
    /// What the image is for, as in `linux/arm64`, instead of the host's platform.
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}

/// Arguments of `add`.
///
/// The layer belongs to no image until `commit --layer` makes one with it. Whoever calls both holds
/// $CTR_ROOT/locks/gc shared in between, or a `gc` at that moment may take the layer for rubbish.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tar -c app | layerfs add
  layerfs commit --parent demo --layer \"$(tar -c app | layerfs add | jq -r .DiffId)\" --config run.json --tag demo:2")]
pub struct AddArgs {
    /// The image that the layer is meant for. Its hard links may lead to files of this image.
    #[arg(long, value_name = "IMAGE")]
    pub parent: Option<String>,
}

/// Arguments of `commit`.
///
/// What a container changed is exactly what overlayfs put into its upper folder, so that folder alone is read:
/// a commit takes time by the change, not by the image. Deleted files are stored as whiteouts, `.wh.NAME`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs commit /tmp/u --parent demo --created-by 'touch /hello' --tag demo:2
  echo '{\"Cmd\":[\"sh\"]}' | layerfs commit --empty-layer --parent demo --config - --step")]
pub struct CommitArgs {
    /// The upper folder of a mount.
    #[arg(value_name = "UPPER", required_unless_present_any = ["layer", "empty_layer"], conflicts_with_all = ["layer", "empty_layer"])]
    pub upper: Option<PathBuf>,
    /// The image below, or `scratch` for none.
    #[arg(long, value_name = "IMAGE")]
    pub parent: String,
    /// The image's defaults (the `config` object of an OCI image configuration) as JSON; `-` is standard input.
    /// Without it the parent's are kept.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Change a default of the image, in a Dockerfile's words, after all else; may be repeated.
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub changes: Vec<String>,
    /// A file or folder that the engine made for a mount, from the root: left out of the layer if it is empty; may be
    /// repeated.
    #[arg(long, value_name = "PATH")]
    pub without: Vec<PathBuf>,
    /// The command that made the change, for the history.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub created_by: String,
    /// A note for the history.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Who made it.
    #[arg(long, value_name = "TEXT")]
    pub author: Option<String>,
    /// Change only the configuration.
    #[arg(long, conflicts_with = "layer")]
    pub empty_layer: bool,
    /// Take a layer that `add` stored, by its diff id, instead of an upper folder.
    #[arg(long, value_name = "DIFFID")]
    pub layer: Option<Digest>,
    /// Name the image; may be repeated.
    #[arg(short, long = "tag", value_name = "REF")]
    pub tags: Vec<String>,
    /// The image is a step of a build: remember its parent.
    #[arg(long)]
    pub step: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs diff /tmp/u | tar -tv
  layerfs diff /tmp/u | sha256sum     the diff id that a commit of it would get
  layerfs diff --names --image demo /tmp/u     A, C and D: added, changed, deleted")]
pub struct DiffArgs {
    /// Print names instead of a tar: `A` for what was added, `C` for what was changed, `D` for what was deleted.
    #[arg(long, requires = "image")]
    pub names: bool,
    /// The image below, which tells what was there before.
    #[arg(long, value_name = "IMAGE", requires = "names")]
    pub image: Option<String>,
    /// A file or folder that the engine made for a mount, from the root: left out unless something is in it; may be repeated.
    #[arg(long, value_name = "PATH", requires = "names")]
    pub without: Vec<PathBuf>,
    /// The upper folder of a mount.
    pub upper: PathBuf,
}

/// Arguments of `mount`.
///
/// overlayfs shows several folders as one. Files are looked for from the top down; the first write to a file copies
/// it up to the upper folder, and a deleted one leaves a whiteout there (a character device 0:0). Up to 500 layers can be
/// mounted, as overlayfs has it. A place where something is mounted already is refused.
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "\
Examples:
  layerfs mount demo /mnt/demo --upper /tmp/u --work /tmp/w
  layerfs mount --read-only demo /mnt/demo"
)]
pub struct MountArgs {
    /// The image, by name or id.
    #[arg(required_unless_present = "layers", conflicts_with = "layers")]
    pub image: Option<String>,
    /// Where to; made if missing.
    pub target: PathBuf,
    /// Layers by diff id, lowest first, instead of an image's.
    #[arg(long = "layers", value_name = "DIFFID", value_delimiter = ',')]
    pub layers: Vec<Digest>,
    /// The folder that takes the changes; made if missing.
    #[arg(long, value_name = "DIR", required_unless_present = "read_only", requires = "work")]
    pub upper: Option<PathBuf>,
    /// Overlayfs's scratch folder, on the same filesystem as the upper one; made if missing.
    #[arg(long, value_name = "DIR", requires = "upper")]
    pub work: Option<PathBuf>,
    /// Mount without an upper folder: nothing can be changed.
    #[arg(long, conflicts_with_all = ["upper", "work"])]
    pub read_only: bool,
    /// Let fsync(2) do nothing in it: faster, for what need not survive a power cut, as a container that is thrown away.
    #[arg(long, requires = "upper")]
    pub volatile: bool,
    /// Use mount(2) with all options in one string, as kernels before 6.8 need it, instead of fsopen(2).
    #[arg(long)]
    pub classic: bool,
}

/// Arguments of `umount`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs umount /mnt/demo
  layerfs umount /mnt/demo && rm -r /tmp/u /tmp/w")]
pub struct UmountArgs {
    /// Where it is mounted.
    pub target: PathBuf,
}

/// Arguments of `gc`.
///
/// What is kept is found by reachability: from index.json and the containers to manifests, configurations, blobs and
/// layers. Nothing counts references, so no count can be wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs gc
  layerfs gc --json")]
pub struct GcArgs {
    /// Print what was removed as a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `fsck`.
///
/// Each blob is digested and compared with its name, each extracted layer with the archive in its blob: names, types, sizes,
/// contents, modes, owners, times, attributes. Exits 0 when all is well, 1 when something is wrong (each thing is a line).
///
/// With --repair a damaged layer is extracted again from its blob, and a damaged blob is written again from the extracted
/// layer where the same bytes come out. What cannot be made again goes to tmp/ for an hour, and an image that
/// cannot be used without it is not listed any more: a pull brings it back. Exits 1 when something is still wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs fsck
  layerfs fsck --repair && echo the store is whole")]
pub struct FsckArgs {
    /// Put right what can be put right.
    #[arg(long)]
    pub repair: bool,
    /// Print the problems, what was done, and what is left, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `df`.
///
/// Images share layers, and each layer is there twice: extracted, to be mounted, and as the blob that it came as. Nothing
/// counts references: what is in use is found from the index and the containers, as `gc` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs df
  layerfs df --json | jq .Images.Reclaimable")]
pub struct DfArgs {
    /// Show each image: what it shares with others, and what it has alone.
    #[arg(short, long)]
    pub verbose: bool,
    /// Print a JSON object; sizes are in bytes.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `login`.
///
/// The registry is asked for nothing, as the user; if it does not refuse, name and password are kept in docker's own
/// config.json ($DOCKER_CONFIG, else ~/.docker), or by the helper that is named there (credsStore).
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs login -u me localhost:5000
  layerfs login -u me --password-stdin registry.example < token")]
pub struct LoginArgs {
    /// The registry: HOST or HOST:PORT.
    #[arg(value_name = "SERVER", default_value = "docker.io", hide_default_value = true)]
    pub server: String,
    /// The user.
    #[arg(short, long, value_name = "NAME")]
    pub username: Option<String>,
    /// The password. Everybody on the machine can read it here: prefer --password-stdin.
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub password: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    pub password_stdin: bool,
}

/// Arguments of `logout`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  layerfs logout
  layerfs logout localhost:5000")]
pub struct LogoutArgs {
    /// The registry: HOST or HOST:PORT.
    #[arg(value_name = "SERVER", default_value = "docker.io", hide_default_value = true)]
    pub server: String,
}
