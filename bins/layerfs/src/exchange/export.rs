//! `layerfs export`: a root filesystem as one tar, its layers merged.
//!
//! What is read is the overlay itself: a folder that it is mounted at, or an image's, which is mounted for a moment. From
//! its beginning on that mount has no name: the open folder keeps it, and when this process ends, however it ends, so does
//! the mount.

use super::output_file::OutputFile;
use crate::cli::ExportArgs;
use crate::image::store;
use crate::layer::{beneath, diff};
use crate::mount::{self, overlay};
use anyhow::{Context, Result};
use layout::Layout;
use std::io::{BufWriter, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Exports.
pub fn run(layout: &Layout, args: &ExportArgs) -> Result<()> {
    let mut out = OutputFile::open(args.output.as_deref(), "export container")?;
    // What is not mounted anywhere is in use all the same: no layer may be removed meanwhile.
    let _held = store::hold(layout)?;
    let root = match is_path(&args.what) {
        true => beneath::open_root(Path::new(&args.what))?,
        false => open_image(layout, &args.what)?,
    };
    // A folder without a name is opened again by its descriptor (proc_pid_fd(5)).
    let path = PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd()));
    let exported = diff::write(&path, BufWriter::with_capacity(256 << 10, &mut out))
        .and_then(|mut buffered| buffered.flush().context("write the archive"));
    exported.with_context(|| format!("export {}", args.what))?;
    out.finish()
}

/// Whether the argument is a folder: an image's name begins otherwise.
fn is_path(what: &str) -> bool {
    what.starts_with(['/', '.'])
}

/// An image's root, mounted for nobody but who holds this. The caller holds the gc lock shared.
pub fn open_image(layout: &Layout, image: &str) -> Result<OwnedFd> {
    let folder = store::temp_dir(layout)?;
    mount::read_only(layout, image)?.mount(folder.path(), false)?;
    let root = beneath::open_root(folder.path());
    overlay::umount(folder.path())?;
    root
}
