//! What is mounted into it.

use crate::cli::StorageOptions;
use layout::container::HostConfig;

/// Fills in what the options say about its files.
pub fn fill(host: &mut HostConfig, options: &StorageOptions) {
    host.readonly_rootfs = options.read_only;
}
