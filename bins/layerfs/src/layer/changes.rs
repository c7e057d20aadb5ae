//! What changed in an overlay's upper folder, name by name: added, changed, deleted.
//!
//! The upper folder holds what was written; whether that was there before, the image says, which is mounted for a moment.

use crate::cli::DiffArgs;
use crate::exchange::export;
use crate::image::store;
use crate::layer::{beneath, whiteout};
use anyhow::{Context, Result};
use layout::Layout;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// One name.
struct Change {
    /// `A`, `C` or `D`.
    mark: u8,
    path: Vec<u8>,
    /// Whether it is there only for what is in it.
    for_its_content: bool,
}

/// Prints a line for each change, as docker diff does.
pub fn run(layout: &Layout, args: &DiffArgs, image: &str) -> Result<()> {
    let _held = store::hold(layout)?;
    let below = export::open_image(layout, image)?;
    let upper = beneath::open_root(&args.upper)?;
    let without = args.without.iter().map(|path| {
        let relative = path.strip_prefix("/").unwrap_or(path);
        relative.as_os_str().as_bytes().to_vec()
    });
    let changes = list(&upper, &below, &without.collect())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut print = |change: &Change| -> std::io::Result<()> {
        out.write_all(&[change.mark, b' ', b'/'])?;
        out.write_all(&change.path)?;
        out.write_all(b"\n")
    };
    changes.iter().try_for_each(&mut print).context("write to standard output")?;
    out.flush().context("write to standard output")
}

fn list(upper: &OwnedFd, below: &OwnedFd, without: &BTreeSet<Vec<u8>>) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut todo = vec![Vec::new()];
    while let Some(path) = todo.pop() {
        let failed = || format!("read {}", path.escape_ascii());
        if !path.is_empty() {
            let Some(stat) = stat(upper, &path).with_context(failed)? else { continue };
            let was_there = stat_is_some(below, &path).with_context(failed)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            let mark = match (whiteout::is_whiteout(&stat), was_there) {
                (true, true) => b'D',
                (true, false) => continue,
                (false, true) => b'C',
                (false, false) => b'A',
            };
            let is_made_up = without.contains(&path);
            if is_made_up && !kind.is_dir() && (stat.st_size == 0 || kind.is_symlink()) {
                continue;
            }
            changes.push(Change { mark, path: path.clone(), for_its_content: is_made_up && kind.is_dir() });
            if !kind.is_dir() {
                continue;
            }
        }
        let dir = match beneath::open_no_links(upper, &path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(dir) => dir,
            // A container that runs may have removed it meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(error) => return Err(error).with_context(failed),
        };
        let join =
            |name: &Vec<u8>| if path.is_empty() { name.clone() } else { [&path, b"/".as_slice(), name].concat() };
        let names = beneath::names(&dir).with_context(failed)?;
        if whiteout::is_opaque(&dir)? {
            deleted(below, &path, &names)?.iter().for_each(|name| {
                changes.push(Change { mark: b'D', path: join(name), for_its_content: false });
            });
        }
        todo.extend(names.iter().rev().map(join));
    }
    Ok(without_empty(changes))
}

/// What a folder that was made anew does not have any more.
fn deleted(below: &OwnedFd, path: &[u8], names: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    match beneath::open_no_links(below, path, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(dir) => Ok(beneath::names(dir)?.into_iter().filter(|name| !names.contains(name)).collect()),
        Err(_) => Ok(Vec::new()),
    }
}

/// Takes the folders out that nothing is in. What is in a folder comes right after it.
fn without_empty(changes: Vec<Change>) -> Vec<Change> {
    let mut kept: Vec<Change> = Vec::new();
    for change in changes.into_iter().rev() {
        let inside = [change.path.as_slice(), b"/"].concat();
        if !change.for_its_content || kept.last().is_some_and(|next| next.path.starts_with(&inside)) {
            kept.push(change);
        }
    }
    kept.reverse();
    kept
}

fn stat(root: &OwnedFd, path: &[u8]) -> Result<Option<rustix::fs::Stat>> {
    match beneath::open_no_links(root, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(fd) => Ok(Some(rustix::fs::fstat(fd)?)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn stat_is_some(root: &OwnedFd, path: &[u8]) -> Result<bool> {
    stat(root, path).map(|stat| stat.is_some())
}
