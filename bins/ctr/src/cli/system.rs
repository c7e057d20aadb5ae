//! The commands about the engine as a whole.

use clap::Subcommand;

/// `ctr system ...`
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Start what is to run after a reboot, by its restart policy; what runs already is left alone
    Up,
}
