//! The options of the commands about volumes.

use clap::{Args, Subcommand};

/// `ctr volume ...`
#[derive(Debug, Subcommand)]
pub enum VolumeGroup {
    /// Make a volume
    Create(VolumeCreate),
    /// List volumes
    #[command(alias = "list")]
    Ls(VolumeLs),
    /// Show everything that is known of volumes, as JSON
    Inspect(VolumeInspect),
    /// Remove volumes that no container uses
    #[command(alias = "remove")]
    Rm(VolumeRm),
    /// Remove all volumes that no container uses
    Prune(VolumePrune),
    /// Mount what a volume's options say at its folder (used by start)
    #[command(hide = true)]
    Mount {
        /// The volume
        name: String,
    },
    /// Undo it, unless a container that is up uses the volume (used when a container has ended)
    #[command(hide = true)]
    Unmount {
        /// The volume
        name: String,
    },
    /// Remove anonymous volumes that no container uses any more (used by `rm --volumes`)
    #[command(hide = true)]
    Discard {
        /// The volumes
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// `ctr volume create`
#[derive(Debug, Args)]
pub struct VolumeCreate {
    /// What manages the volume: only local is there
    #[arg(short, long, default_value = "local")]
    pub driver: String,
    /// Set a label: KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Mount something as the volume: type=TYPE, device=DEVICE, o=OPTIONS as of mount(8)
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub opt: Vec<String>,
    /// The older way to say the name
    #[arg(long = "name", hide = true, conflicts_with = "volume")]
    pub old_name: Option<String>,
    /// As `run -v` makes one: a volume that was asked for by the way has no labels, rather than none
    #[arg(long, hide = true)]
    pub implicit: bool,
    /// Its name (default: a random one)
    pub volume: Option<String>,
}

/// `ctr volume ls`
#[derive(Debug, Args)]
pub struct VolumeLs {
    /// Only those that match: dangling=true, driver=local, label=KEY[=VALUE], name=PART
    #[arg(short, long)]
    pub filter: Vec<String>,
    /// Only names
    #[arg(short, long)]
    pub quiet: bool,
    /// A Go template for each volume, `table TEMPLATE`, or json
    #[arg(long)]
    pub format: Option<String>,
}

/// `ctr volume inspect`
#[derive(Debug, Args)]
pub struct VolumeInspect {
    /// A Go template for each volume
    #[arg(short, long)]
    pub format: Option<String>,
    /// Volumes
    #[arg(required = true)]
    pub volumes: Vec<String>,
}

/// `ctr volume rm`
#[derive(Debug, Args)]
pub struct VolumeRm {
    /// A volume that is not there is no error
    #[arg(short, long)]
    pub force: bool,
    /// Volumes
    #[arg(required = true)]
    pub volumes: Vec<String>,
}

/// `ctr volume prune`
#[derive(Debug, Args)]
pub struct VolumePrune {
    /// Those with a name as well: so it is without this too, as in docker 20.10; later ones leave them
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Only those that match: label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long)]
    pub filter: Vec<String>,
}
