//! Times: the same inputs give the same tree, and the same tree the same image.
//!
//! What is copied keeps the time that it has; what is made here has none of its own, and "now" would differ from run to
//! run. So it gets the time of the newest file that was copied. `$SOURCE_DATE_EPOCH` (seconds since 1970; see
//! reproducible-builds.org) overrides that: what is made here gets that time, and nothing is newer.

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Seconds since 1970, and nanoseconds.
pub type Time = (i64, i64);

/// The time that `$SOURCE_DATE_EPOCH` says, if it is set.
///
/// # Errors
/// It is set and no number.
pub fn epoch() -> Result<Option<i64>> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.is_empty() => {
            let seconds =
                text.parse().with_context(|| format!("read SOURCE_DATE_EPOCH={text}: no number of seconds"))?;
            Ok(Some(seconds))
        }
        _ => Ok(None),
    }
}

/// The earlier of a time and the epoch, if there is one.
pub fn at_most(time: Time, epoch: Option<i64>) -> Time {
    epoch.map_or(time, |seconds| time.min((seconds, 0)))
}

/// A pair of times as the kernel wants it: last read and last changed are the same.
pub fn stamps((tv_sec, tv_nsec): Time) -> Timestamps {
    #[allow(clippy::unnecessary_cast)] // The types of the fields differ between C libraries.
    let time = Timespec { tv_sec: tv_sec as _, tv_nsec: tv_nsec as _ };
    Timestamps { last_access: time, last_modification: time }
}

/// Sets the time of a file, folder or link itself.
pub fn set(path: &Path, time: Time) -> Result<()> {
    rustix::fs::utimensat(CWD, path, &stamps(time), AtFlags::SYMLINK_NOFOLLOW)
        .with_context(|| format!("set time of {}", path.display()))
}

/// Sets the times in a whole tree: each becomes what `change` makes of it, and stays as it is where that is `None`.
pub fn change_all(root: &Path, change: &dyn Fn(&fs::Metadata) -> Option<Time>) -> Result<()> {
    let mut folders = vec![root.to_owned()];
    let mut all = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read folder {}", folder.display()))? {
            let path = entry.with_context(|| format!("read folder {}", folder.display()))?.path();
            let about = fs::symlink_metadata(&path).with_context(|| format!("look at {}", path.display()))?;
            if about.is_dir() {
                folders.push(path);
            } else if let Some(time) = change(&about) {
                set(&path, time)?;
                if about.is_file() && path.extension().is_some_and(|e| e == "pyc") {
                    settle_compiled(&path, time)?;
                }
            }
        }
        all.push(folder);
    }
    for folder in all {
        let about = fs::symlink_metadata(&folder).with_context(|| format!("look at {}", folder.display()))?;
        change(&about).map_or(Ok(()), |time| set(&folder, time))?;
    }
    Ok(())
}

/// A compiled Python module holds the time of its source, and one that does not agree is compiled anew at each start.
/// So whoever makes a source older tells the compiled one.
pub fn settle_compiled(file: &Path, latest: Time) -> Result<()> {
    const FLAGS: u64 = 4; // Not 0: the module goes by a hash of its source.
    const SOURCE_TIME: u64 = 8;
    let context = || format!("set the time of its source in {}", file.display());
    let about = fs::metadata(file).with_context(context)?;
    let open = fs::File::open(file).with_context(context)?;
    let mut header = [0; 12];
    if open.read_exact_at(&mut header, 0).is_err() || header[FLAGS as usize..SOURCE_TIME as usize] != [0; 4] {
        return Ok(());
    }
    let seconds = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let Ok(latest_seconds) = u32::try_from(latest.0) else { return Ok(()) };
    if seconds <= latest_seconds {
        return Ok(());
    }
    // The mode may not let its owner write.
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).with_context(context)?;
    let open = fs::File::options().write(true).open(file).with_context(context)?;
    open.write_all_at(&latest_seconds.to_le_bytes(), SOURCE_TIME).with_context(context)?;
    fs::set_permissions(file, about.permissions()).with_context(context)?;
    set(file, (about.mtime(), about.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiled_module_follows_its_source_unless_it_goes_by_a_hash() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let compiled = |flags: u8| [&[1, 2, 3, 4, flags, 0, 0, 0][..], &500u32.to_le_bytes(), &[9; 20]].concat();
        let source_time = || u32::from_le_bytes(fs::read(file.path()).unwrap()[8..12].try_into().unwrap());
        for (flags, latest, expected) in [(0, 100, 100), (0, 900, 500), (1, 100, 500)] {
            fs::write(file.path(), compiled(flags)).unwrap();
            set(file.path(), (77, 0)).unwrap();
            settle_compiled(file.path(), (latest, 0)).unwrap();
            assert_eq!(source_time(), expected, "flags {flags}, latest {latest}");
            assert_eq!(file.path().metadata().unwrap().mtime(), 77);
        }
        fs::write(file.path(), "short").unwrap();
        settle_compiled(file.path(), (1, 0)).unwrap();
    }

    #[test]
    fn nothing_is_newer_than_the_epoch() {
        assert_eq!(at_most((5, 7), None), (5, 7));
        assert_eq!(at_most((5, 7), Some(5)), (5, 0));
        assert_eq!(at_most((4, 7), Some(5)), (4, 7));
    }
}
