//! `mkrootfs image`: a root filesystem out of an image of the store.
//!
//! The image's layers, laid over each other, are the folder that its containers see. `layerfs export` writes that as a
//! tar; here it becomes a plain folder, which needs neither overlayfs nor the store any more.

use crate::cli::ImageArgs;
use crate::piped::{self, Said};
use crate::staging::Staging;
use anyhow::{Context, Result};
use layout::tool::{Call, Tool};
use nix::sys::signal::Signal;

/// `mkrootfs image`.
pub fn main(args: ImageArgs) -> Result<u8> {
    let staging = Staging::beside(&args.dir)?;
    let mut command = Call::new(Tool::Layerfs).arg("export").arg(&args.image).command()?;
    let mut summary = piped::extract(&mut command, Signal::SIGTERM, Said::Kept, staging.path())
        .with_context(|| format!("extract the image {}", args.image))?;
    summary.dir = staging.publish()?;
    summary.print(&args.dir, args.json)?;
    Ok(0)
}
