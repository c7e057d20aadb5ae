//! Looking into a root filesystem without being led out of it, and the users and groups it knows.
//!
//! Whoever made the files decides where the symbolic links in them point. `openat2` with
//! `RESOLVE_IN_ROOT` makes the kernel resolve each step as if the folder were `/` (openat2(2)).

use anyhow::{Context, Result, bail};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

/// Opens `path` as a process inside of `root` would, following links only within it.
pub fn open_in(root: &Path, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let dir = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::openat2(&dir, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
}

/// Reads a text file inside of `root`; `None` where it is missing. At most 4 MiB: who lists more users is up to no good.
pub fn read_in(root: &Path, path: &str) -> Result<Option<String>> {
    use rustix::io::Errno;
    let failed = || format!("open {path} in {}", root.display());
    // First only its place: to open a device is to use it (a watchdog reboots the machine), and a pipe waits for its other end.
    let place = match open_in(root, Path::new(path), OFlags::PATH) {
        Ok(place) => place,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error).with_context(failed),
    };
    let stat = rustix::fs::fstat(&place).with_context(failed)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Ok(None);
    }
    // The same file, whatever stands at its path by now.
    let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd())).with_context(failed)?;
    let mut bytes = Vec::new();
    file.take(4 << 20).read_to_end(&mut bytes).with_context(|| format!("read {path} in {}", root.display()))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Who a process runs as, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// The primary group, as docker has it here too (a program that gives it up keeps it thus), and the groups that
    /// `/etc/group` lists the user in; only the primary one when a group was named.
    pub additional_gids: Vec<u32>,
    /// The home folder that `/etc/passwd` gives, else `/`.
    pub home: String,
}

/// Resolves `USER`, `USER:GROUP`, `UID`, `UID:GID` or the empty string (root) by the `/etc/passwd` and
/// `/etc/group` inside of `root`, as docker does: a number needs no entry, a name does.
pub fn find_user(root: &Path, spec: &str) -> Result<User> {
    let passwd = read_in(root, "/etc/passwd")?.unwrap_or_default();
    let group = read_in(root, "/etc/group")?.unwrap_or_default();
    resolve_user(&passwd, &group, spec)
}

/// As [`find_user`], in a root that is not mounted: `layers` are its folders, topmost first, and each file is
/// read from the first that has it. (A whiteout has it too: it reads as no file.)
pub fn find_user_in_layers(layers: &[std::path::PathBuf], spec: &str) -> Result<User> {
    resolve_user(&read_in_layers(layers, "/etc/passwd")?, &read_in_layers(layers, "/etc/group")?, spec)
}

fn read_in_layers(layers: &[std::path::PathBuf], path: &str) -> Result<String> {
    for layer in layers {
        if open_in(layer, Path::new(path), OFlags::PATH).is_ok() {
            return Ok(read_in(layer, path)?.unwrap_or_default());
        }
    }
    Ok(String::new())
}

/// The number of a group, which may be that number itself, by the `/etc/group` of such layers.
///
/// # Errors
/// Docker's words for a name that is not there.
pub fn find_group_in_layers(layers: &[std::path::PathBuf], wanted: &str) -> Result<u32> {
    if let Some(gid) = number(wanted)? {
        return Ok(gid);
    }
    let group = read_in_layers(layers, "/etc/group")?;
    let fields = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut found =
        fields.filter(|fields| fields.first() == Some(&wanted)).filter_map(|fields| fields.get(2)?.parse().ok());
    found.next().with_context(|| format!("Unable to find group {wanted}: no matching entries in group file"))
}

/// The number that somebody is called by, if it is one.
///
/// # Errors
/// Docker's words for one that nobody can have: the highest of all means nobody to the kernel (setuid(2)).
fn number(word: &str) -> Result<Option<u32>> {
    match word.parse::<i64>() {
        Err(_) => Ok(None),
        Ok(number) => in_range(number).map(Some),
    }
}

fn in_range(number: i64) -> Result<u32> {
    match i32::try_from(number).ok().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(number),
        None => bail!("uids and gids must be in range 0-{}", i32::MAX),
    }
}

fn resolve_user(passwd: &str, group: &str, spec: &str) -> Result<User> {
    let (user, wanted_group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (spec, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = number(user)?;

    let entry = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|fields| {
        fields.len() >= 4 && (fields[0] == user || number.is_some() && fields[2].parse().ok() == number)
    });
    let listed = |field: &str, what: &str| {
        let number = field.parse().with_context(|| format!("read the {what} of {user} in /etc/passwd"));
        number.and_then(in_range)
    };
    let mut found = match (&entry, number) {
        (Some(fields), _) => User {
            uid: listed(fields[2], "uid")?,
            gid: listed(fields[3], "gid")?,
            home: fields.get(5).filter(|h| !h.is_empty()).map_or("/", |h| h).to_owned(),
            ..User::default()
        },
        (None, Some(uid)) => User { uid, home: "/".to_owned(), ..User::default() },
        (None, None) => bail!("unable to find user {user}: no matching entries in passwd file"),
    };
    let groups = || group.lines().map(|l| l.split(':').collect::<Vec<_>>()).filter(|fields| fields.len() >= 3);
    if let Some(wanted) = wanted_group {
        found.gid = match self::number(wanted)? {
            Some(gid) => gid,
            None => groups()
                .find(|fields| fields[0] == wanted)
                .and_then(|fields| fields[2].parse().ok())
                .with_context(|| format!("unable to find group {wanted}: no matching entries in group file"))?,
        };
    }
    found.additional_gids = vec![found.gid];
    if let (Some(fields), None) = (entry, wanted_group) {
        let name = fields[0];
        let listed = groups()
            .filter(|fields| fields.get(3).is_some_and(|members| members.split(',').any(|m| m == name)))
            .filter_map(|fields| fields[2].parse::<u32>().ok())
            .filter(|gid| *gid != found.gid);
        found.additional_gids.extend(listed);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33:w:/var/www:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:\nlogs:x:4:web,root\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let find = |spec| resolve_user(PASSWD, GROUP, spec).unwrap();
        assert_eq!(find("").home, "/root");
        assert_eq!(find("web"), User { uid: 33, gid: 33, additional_gids: vec![33, 4], home: "/var/www".into() });
        assert_eq!(find("33"), find("web"));
        assert_eq!(find("web:logs"), User { uid: 33, gid: 4, additional_gids: vec![4], home: "/var/www".into() });
        assert_eq!(find("1000:1000"), User { uid: 1000, gid: 1000, additional_gids: vec![1000], home: "/".into() });
        assert!(resolve_user(PASSWD, GROUP, "nobody").is_err());
        assert!(resolve_user(PASSWD, GROUP, "web:nobody").is_err());
        for spec in ["-1", "4294967295", "2147483648", "web:2147483648", "none"] {
            let passwd = format!("{PASSWD}none:x:4294967295:0::/:\n");
            let error = resolve_user(&passwd, GROUP, spec).unwrap_err().to_string();
            assert_eq!(error, "uids and gids must be in range 0-2147483647", "{spec}");
        }
    }

    #[test]
    fn a_link_to_the_hosts_passwd_stays_inside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/../../../../../../etc/hosts", root.path().join("etc/passwd")).unwrap();
        assert_eq!(read_in(root.path(), "/etc/passwd").unwrap(), None);
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let root = tempfile::tempdir().unwrap();
        let fifo = root.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let writes = OFlags::WRONLY | OFlags::NONBLOCK;
        // Who writes can open it only while somebody has it open who reads.
        let has_reader = || rustix::fs::open(&fifo, writes, Mode::empty()).is_ok();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let opened = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                std::iter::repeat_with(has_reader)
                    .any(|opened| opened || stop.load(std::sync::atomic::Ordering::Relaxed))
                    && !stop.load(std::sync::atomic::Ordering::Relaxed)
            });
            for _ in 0..2000 {
                assert_eq!(read_in(root.path(), "/fifo").unwrap(), None);
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            watcher.join().unwrap()
        });
        assert!(!opened);
    }
}
