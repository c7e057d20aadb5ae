//! What it may do.

use crate::cli::SecurityOptions;
use layout::container::HostConfig;

/// Fills in what the options say about its powers.
pub fn fill(_host: &mut HostConfig, _options: &SecurityOptions) {}
