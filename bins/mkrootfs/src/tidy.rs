//! What an installer of packages leaves that differs from run to run, or from host to host.
//!
//! Logs say when each package was installed, the lists of packages are those of today, and the host's own name and name
//! servers were copied in. Whoever runs this root brings their own. What is left has the times of its packages, and
//! what was made by their scripts none that counts: nothing may be newer than the suite's release.

use crate::times;
use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that go.
const FILES: [&str; 12] = [
    "etc/.pwd.lock",
    "etc/hostname",
    "etc/resolv.conf",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
];

/// Folders that are emptied.
const FOLDERS: [&str; 5] = ["var/cache/apt/archives", "var/lib/apt/lists", "var/log/apt", "run", "tmp"];

/// Files that must be there and become empty: logs, and the name of a machine that each machine draws anew.
const EMPTIED: [&str; 4] = ["etc/machine-id", "var/log/alternatives.log", "var/log/bootstrap.log", "var/log/dpkg.log"];

/// A day in seconds.
const DAY: i64 = 24 * 60 * 60;

/// Removes what differs, and sets the times.
pub fn tidy(root: &Path) -> Result<()> {
    let latest = match times::epoch()? {
        Some(epoch) => Some(epoch),
        None => released(&root.join("var/lib/apt/lists"))?,
    };
    for file in FILES {
        remove(&root.join(file))?;
    }
    for folder in FOLDERS {
        empty(&root.join(folder))?;
    }
    for file in EMPTIED.map(|file| root.join(file)) {
        if fs::symlink_metadata(&file).is_ok_and(|about| about.is_file()) {
            fs::write(&file, "").with_context(|| format!("empty {}", file.display()))?;
        }
    }
    let Some(latest) = latest else { return Ok(()) };
    for file in ["etc/shadow", "etc/shadow-"] {
        set_days(&root.join(file), latest / DAY)?;
    }
    let limit = (latest, 0);
    times::change_all(root, &|about| {
        Some((about.mtime(), about.mtime_nsec())).filter(|time| *time > limit).map(|_| limit)
    })
}

/// When the suite was released in the state that was installed: the date in apt's newest list.
fn released(lists: &Path) -> Result<Option<i64>> {
    let mut newest = None;
    for path in entries(lists)? {
        if !path.to_string_lossy().ends_with("Release") {
            continue;
        }
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let date = text.lines().find_map(|line| line.strip_prefix("Date:")).and_then(layout::time::parse_mail_date);
        newest = newest.max(date);
    }
    Ok(newest)
}

/// `/etc/shadow` says on which day each password was changed: those of accounts that were made just now.
fn set_days(file: &Path, latest: i64) -> Result<()> {
    if !fs::symlink_metadata(file).is_ok_and(|about| about.is_file()) {
        return Ok(());
    }
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let line = |line: &str| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if let Some(day) = fields.get_mut(2)
            && day.parse::<i64>().is_ok_and(|day| day > latest)
        {
            *day = latest.to_string();
        }
        fields.join(":") + "\n"
    };
    let text: String = text.lines().map(line).collect();
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// How many files there are, and their size in bytes.
pub fn count(root: &Path) -> Result<(u64, u64)> {
    let mut folders = vec![root.to_owned()];
    let (mut files, mut bytes) = (0, 0);
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            let about = fs::symlink_metadata(&path).with_context(|| format!("look at {}", path.display()))?;
            if about.is_dir() {
                folders.push(path);
            } else if about.is_file() {
                (files, bytes) = (files + 1, bytes + about.len());
            }
        }
    }
    Ok((files, bytes))
}

/// What is in a folder; nothing if there is none. A link to a folder is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir()) {
        return Ok(Vec::new());
    }
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .with_context(|| format!("read folder {}", folder.display()))
}

fn empty(folder: &Path) -> Result<()> {
    entries(folder)?.iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_installations_of_different_days_become_the_same() {
        let roots = [20_000, 20_300].map(|day: i64| {
            let root = tempfile::tempdir().unwrap();
            let add = |path: &str, content: &str, time: i64| {
                let file = root.path().join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, content).unwrap();
                times::set(&file, (time, 0)).unwrap();
            };
            add("usr/bin/old", "of its package", 1_000_000);
            add("etc/made", "by a script", day * DAY);
            add("etc/hostname", &format!("host{day}"), day * DAY);
            add("etc/machine-id", &day.to_string(), day * DAY);
            add("etc/shadow", &format!("root:*:{day}:0:99999:7:::\nold:*:100:0:99999:7:::\n"), day * DAY);
            add("var/log/dpkg.log", &day.to_string(), day * DAY);
            add("var/cache/apt/archives/a.deb", "", day * DAY);
            let release = "Suite: stable\nDate: Sat, 11 Jan 2020 10:00:00 UTC\n";
            add("var/lib/apt/lists/deb_InRelease", release, day * DAY);
            tidy(root.path()).unwrap();
            root
        });
        let listings = roots.each_ref().map(|root| {
            let mut folders = vec![root.path().to_owned()];
            let mut listing = Vec::new();
            while let Some(folder) = folders.pop() {
                for path in entries(&folder).unwrap() {
                    let about = path.metadata().unwrap();
                    let content = if about.is_dir() { String::new() } else { fs::read_to_string(&path).unwrap() };
                    listing.push((path.strip_prefix(root.path()).unwrap().to_owned(), about.mtime(), content));
                    if about.is_dir() {
                        folders.push(path);
                    }
                }
            }
            listing.sort();
            listing
        });
        assert_eq!(listings[0], listings[1]);
        let of = |name: &str| listings[0].iter().find(|(path, ..)| path == Path::new(name)).unwrap();
        assert_eq!((of("usr/bin/old").1, of("etc/made").1), (1_000_000, 1_578_736_800));
        assert_eq!(of("etc/shadow").2, "root:*:18272:0:99999:7:::\nold:*:100:0:99999:7:::\n");
        assert_eq!(count(roots[0].path()).unwrap().0, 5);
    }
}
