//! The folders that every root filesystem has, and the files in `/etc` that programs expect.

use crate::tree::Tree;
use anyhow::{Context, Result};
use std::path::Path;

/// Folders that may be links on a host with merged `/usr`; programs and the loader are named through them.
const MAY_BE_LINKS: [&str; 9] =
    ["/bin", "/sbin", "/lib", "/lib32", "/libx32", "/lib64", "/usr/sbin", "/usr/lib64", "/var/run"];

/// Folders, with their modes. `proc`, `sys` and `dev` are empty: the runtime mounts something there.
const FOLDERS: [(&str, u32); 18] = [
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/opt", 0o755),
    ("/proc", 0o755),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o755),
    ("/tmp", 0o1777),
    ("/usr/bin", 0o755),
    ("/usr/lib", 0o755),
    ("/usr/sbin", 0o755),
    ("/usr/local/bin", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
];

/// Makes the folders. `/bin` and its like become what they are on the host: a folder, a link, or nothing.
pub fn folders(tree: &mut Tree) -> Result<()> {
    for path in MAY_BE_LINKS.map(Path::new) {
        match std::fs::read_link(path) {
            Ok(target) => tree.link(path, &target)?,
            Err(_) if matches!(path.to_str(), Some("/bin" | "/sbin" | "/lib")) => tree.dir(path, 0o755)?,
            Err(_) => {}
        }
    }
    for (path, mode) in FOLDERS {
        tree.dir(Path::new(path), mode)?;
    }
    // No link leads nowhere, also where nothing is put behind it.
    for folder in MAY_BE_LINKS.iter().filter_map(|path| std::fs::canonicalize(path).ok()) {
        tree.dir(&folder, 0o755)?;
    }
    Ok(())
}

/// Writes the files. Users and groups are few and always the same: nothing of the host's users is copied.
pub fn write(tree: &mut Tree) -> Result<()> {
    let shell = if tree.has(Path::new("/usr/bin/bash")) || tree.has(Path::new("/bin/bash")) { "bash" } else { "sh" };
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/{shell}\n\
         daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
         www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    let group = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n";
    // Names are looked up in the files below and by DNS, by nothing that would have to run in here.
    let nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n";
    let hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    for (path, content) in [
        ("/etc/passwd", passwd.as_str()),
        ("/etc/group", group),
        ("/etc/nsswitch.conf", nsswitch),
        ("/etc/hosts", hosts),
        // Whoever runs this root mounts a container's own over these.
        ("/etc/hostname", "rootfs\n"),
        ("/etc/resolv.conf", ""),
    ] {
        tree.write(path, content.as_bytes()).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_users_are_root_and_few_others_and_tmp_is_sticky() {
        let dest = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(dest.path(), None);
        folders(&mut tree).unwrap();
        write(&mut tree).unwrap();
        assert_eq!(layout::rootfs::find_user(dest.path(), "root").unwrap().home, "/root");
        assert_eq!(layout::rootfs::find_user(dest.path(), "nobody").unwrap().gid, 65534);
        let mode = |path: &str| dest.path().join(path).metadata().unwrap().mode() & 0o7777;
        assert_eq!((mode("tmp"), mode("root"), mode("etc"), mode("etc/passwd")), (0o1777, 0o700, 0o755, 0o644));
    }
}
