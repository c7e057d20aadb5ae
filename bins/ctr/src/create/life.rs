//! How long it lives, and what is kept of it.

use crate::cli::LifeOptions;
use layout::container::HostConfig;

/// Fills in what the options say about its life.
pub fn fill(host: &mut HostConfig, options: &LifeOptions) {
    host.auto_remove = options.rm;
}
