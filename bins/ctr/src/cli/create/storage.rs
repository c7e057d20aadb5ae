//! `create` and `run`: what is mounted into a container.

use clap::Args;

/// What is mounted into it.
#[derive(Debug, Args)]
pub struct StorageOptions {
    /// Mount a folder of the host, or a volume: [SOURCE:]DESTINATION[:ro,z,nocopy,rshared,...]
    #[arg(short, long, value_name = "SPEC")]
    pub volume: Vec<String>,
    /// Mount something: type=bind|volume|tmpfs,source=...,target=...,readonly,...
    #[arg(long, value_name = "SPEC")]
    pub mount: Vec<String>,
    /// Mount what another container has mounted: NAME[:ro]
    #[arg(long, value_name = "CONTAINER")]
    pub volumes_from: Vec<String>,
    /// What manages its volumes: only local is there
    #[arg(long, value_name = "DRIVER")]
    pub volume_driver: Option<String>,
    /// Mount a filesystem in memory: DESTINATION[:size=64m,mode=1777,...]
    #[arg(long, value_name = "SPEC")]
    pub tmpfs: Vec<String>,
    /// Mount the root filesystem read-only
    #[arg(long)]
    pub read_only: bool,
    /// Size of /dev/shm (default: 64m)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub shm_size: Option<String>,
    /// Options of the storage; refused, as overlayfs has none
    #[arg(long, value_name = "KEY=VALUE")]
    pub storage_opt: Vec<String>,
}
