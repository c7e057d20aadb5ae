//! The older files of a log: when one is full it gets the number 1, that with the number 1 gets 2, and so on; the last goes.
//! With `compress`, a process of its own makes `.1.gz` of `.1`: neither the container nor the shim waits for it.
//!
//! Numbers change only under a lock on the file that is written to. The shim does not wait for it either: as long as
//! somebody has it, the file just grows on.

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use layout::tool::{Call, Tool};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The file with a number; 0 is the one that is written to.
pub fn numbered(path: &Path, number: u32) -> PathBuf {
    match number {
        0 => path.to_owned(),
        number => PathBuf::from(format!("{}.{number}", path.display())),
    }
}

/// The same, compressed.
pub fn compressed(path: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}.gz", path.display()))
}

/// The number of the oldest file. Who was killed while renaming leaves one number free.
pub fn oldest(path: &Path) -> u32 {
    let is_there = |number| numbered(path, number).exists() || compressed(path, number).exists();
    (1..u32::MAX - 1).take_while(|number| is_there(*number) || is_there(*number + 1)).last().unwrap_or(0)
}

/// Opens a log to add to it.
pub fn open(path: &Path) -> Result<File> {
    let file = File::options().append(true).create(true).mode(0o640).open(path);
    file.with_context(|| format!("open the log {}", path.display()))
}

/// Begins a new file, of `files` at most; none when somebody has the lock just now.
pub fn rotate(path: &Path, full: &File, files: u32) -> Result<Option<File>> {
    if flock(full, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    // A new file first: without it nothing is renamed. Who reads the old one can read it to its end.
    let new = path.with_extension("log.new");
    let file = open(&new)?;
    let last = files.saturating_sub(1);
    if last > 0 {
        for old in [numbered(path, last), compressed(path, last)] {
            if_there(fs::remove_file(&old), &old)?;
        }
    }
    for number in (0..last.min(oldest(path) + 1)).rev() {
        rename(&numbered(path, number), &numbered(path, number + 1))?;
        if number > 0 {
            rename(&compressed(path, number), &compressed(path, number + 1))?;
        }
    }
    rename(&new, path)?;
    Ok(Some(file))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    if_there(fs::rename(from, to), from)
}

fn if_there(done: std::io::Result<()>, path: &Path) -> Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("rename the log {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Takes the lock on a log's numbers, and waits for it.
///
/// # Errors
/// There is no such log any more.
pub fn lock(path: &Path, how: FlockOperation) -> Result<File> {
    loop {
        let file = File::open(path).with_context(|| format!("open the log {}", path.display()))?;
        flock(&file, how).with_context(|| format!("lock the log {}", path.display()))?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

fn is_at(file: &File, path: &Path) -> Result<bool> {
    let inode = file.metadata().context("look at the log")?.ino();
    Ok(path.metadata().is_ok_and(|there| there.ino() == inode))
}

/// Has the older files of a log compressed; the shim waits for the process when it has ended, as for any that is left to it.
pub fn start_compressing(path: &Path) -> Result<()> {
    let mut command = Call::new(Tool::Ctr).args(["shim", "compress"]).arg(path).command()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).context("run ctr shim compress")
}

/// Compresses all older files of a log that are not, the newest first. Where another process is at it, that does it.
pub fn compress_all(path: &Path) -> Result<()> {
    let half = path.with_extension("log.gz.new");
    // Looked for once more when the other one may have thought that there are none: so none is forgotten.
    while newest_plain(path).is_some() {
        let Some(mut out) = claim(&half)? else { return Ok(()) };
        match newest_plain(path) {
            Some(number) => compress(path, number, &half, &mut out)?,
            None => fs::remove_file(&half).context("remove what is half made")?,
        }
    }
    Ok(())
}

fn newest_plain(path: &Path) -> Option<u32> {
    (1..=oldest(path)).find(|number| numbered(path, *number).exists())
}

/// Opens the file that is written to before it has its name, and locks it; none when somebody else has.
fn claim(half: &Path) -> Result<Option<File>> {
    loop {
        let file = File::options().write(true).create(true).truncate(false).mode(0o640).open(half);
        let file = file.with_context(|| format!("make {}", half.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        if is_at(&file, half)? {
            file.set_len(0).with_context(|| format!("empty {}", half.display()))?;
            return Ok(Some(file));
        }
    }
}

fn compress(path: &Path, number: u32, half: &Path, out: &mut File) -> Result<()> {
    let discard = || fs::remove_file(half).context("remove what is half made");
    let mut plain = match File::open(numbered(path, number)) {
        Ok(file) => file,
        // Renamed just now.
        Err(error) if error.kind() == ErrorKind::NotFound => return discard(),
        Err(error) => return Err(error).context("open the log"),
    };
    let inode = plain.metadata().context("look at the log")?.ino();
    // Who reads the plain file can tell by it what it has become.
    let mut gz = GzBuilder::new().extra(format!("{{\"inode\":{inode}}}")).write(out, Compression::default());
    std::io::copy(&mut plain, &mut gz).context("compress the log")?;
    gz.finish().context("compress the log")?;
    let _numbers = lock(path, FlockOperation::LockExclusive)?;
    // It may have another number by now, or be gone.
    let now = (1..=oldest(path)).find(|n| numbered(path, *n).metadata().is_ok_and(|there| there.ino() == inode));
    let Some(number) = now else { return discard() };
    fs::rename(half, compressed(path, number)).context("rename the log")?;
    fs::remove_file(numbered(path, number)).context("remove the log")
}

/// The inode that a compressed file had when it was plain; none where it was not us who compressed it.
pub fn plain_inode(extra: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(extra).ok()?.get("inode")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::{Read, Write};

    fn content(path: &Path, number: u32) -> Option<String> {
        let mut text = String::new();
        match File::open(numbered(path, number)) {
            Ok(mut file) => file.read_to_string(&mut text).unwrap(),
            Err(_) => GzDecoder::new(File::open(compressed(path, number)).ok()?).read_to_string(&mut text).unwrap(),
        };
        Some(text)
    }

    #[test]
    fn files_keep_their_order_whether_they_are_compressed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut file = open(&path).unwrap();
        for i in 0..8 {
            write!(file, "{i}").unwrap();
            file = rotate(&path, &file, 5).unwrap().unwrap();
            if i % 3 == 0 {
                compress_all(&path).unwrap();
                assert!(!numbered(&path, 1).exists() && compressed(&path, 1).exists());
            }
        }
        let all: Vec<_> = (0..=oldest(&path)).map(|number| content(&path, number).unwrap()).collect();
        assert_eq!(all, ["", "7", "6", "5", "4"]);
        compress_all(&path).unwrap();
        assert_eq!(newest_plain(&path), None);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 5, "{names:?}");

        // Somebody looks at the numbers: nothing is renamed meanwhile.
        let reader = lock(&path, FlockOperation::LockShared).unwrap();
        assert!(rotate(&path, &file, 5).unwrap().is_none());
        drop(reader);
        assert!(rotate(&path, &file, 5).unwrap().is_some());
    }
}
