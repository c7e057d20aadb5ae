//! The places that a container's mounts need, and that must not stay behind in the layer.
//!
//! A mount needs something to be mounted on. Where the image has no `/proc` or `/etc/resolv.conf`, an empty folder
//! or file is made before RUN's command runs and taken away after it: the layer holds what the command did, and
//! nothing of how it was run. (Docker hides them in a layer of their own, the "init layer".)

use crate::paths::{self, Place};
use anyhow::{Context, Result};
use layout::oci::runtime::Mount;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was made, and the folders that it was made in as they were before.
#[derive(Debug, Default)]
pub struct MountPoints {
    /// Relative to the root; parents first.
    made: Vec<PathBuf>,
    /// Folders of the image that overlayfs copied up only because something was made in them.
    touched: Vec<(PathBuf, Attributes)>,
}

/// What of a folder a command may have changed.
#[derive(Debug, PartialEq, Eq)]
struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Attributes {
    fn of(path: &Path) -> Result<Attributes> {
        let found = path.symlink_metadata().with_context(|| format!("look at {}", path.display()))?;
        Ok(Attributes { mode: found.mode(), uid: found.uid(), gid: found.gid() })
    }
}

impl MountPoints {
    /// Makes what is missing in `root` for `mounts`. A mount inside of another (`/dev/pts`) finds its place there.
    pub fn make(root: &Path, mounts: &[Mount]) -> Result<MountPoints> {
        let mut points = MountPoints::default();
        for (index, mount) in mounts.iter().enumerate() {
            if mounts[..index].iter().any(|outer| mount.destination.starts_with(&outer.destination)) {
                continue;
            }
            let place = paths::resolve(root, &mount.destination)?;
            if !place.exists() {
                let is_file = mount.kind == "bind" && !Path::new(&mount.source).is_dir();
                points.make_one(root, &place, is_file)?;
            }
        }
        Ok(points)
    }

    fn make_one(&mut self, root: &Path, place: &Place, is_file: bool) -> Result<()> {
        let folder: PathBuf = place.names[..place.existing].iter().collect();
        let known = |path: &PathBuf| *path == folder;
        if !self.made.iter().any(known) && !self.touched.iter().any(|(path, _)| known(path)) {
            let attributes = Attributes::of(&root.join(&folder))?;
            self.touched.push((folder.clone(), attributes));
        }
        let mut path = folder;
        for (index, name) in place.names.iter().enumerate().skip(place.existing) {
            path.push(name);
            let here = root.join(&path);
            let made = match is_file && index + 1 == place.names.len() {
                true => File::create_new(&here).map(drop),
                false => fs::create_dir(&here),
            };
            made.with_context(|| format!("make the mount point /{}", path.display()))?;
            self.made.push(path.clone());
        }
        Ok(())
    }

    /// Takes away from `upper`, where overlayfs has put it, what was made, unless the command has put something
    /// into it. The overlay is not mounted any more.
    pub fn remove(self, upper: &Path) -> Result<()> {
        for path in self.made.iter().rev() {
            let here = upper.join(path);
            let Ok(found) = here.symlink_metadata() else { continue };
            let removed = match found.is_dir() {
                true => fs::remove_dir(&here),
                false if found.is_file() && found.len() == 0 => fs::remove_file(&here),
                false => Ok(()),
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
                    return Err(error).with_context(|| format!("remove the mount point {}", here.display()));
                }
                _ => {}
            }
        }
        for (path, before) in self.touched.iter().filter(|(path, _)| !path.as_os_str().is_empty()) {
            // The folders above were copied up with it.
            for folder in path.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
                let here = upper.join(folder);
                let unchanged = folder != path || Attributes::of(&here).is_ok_and(|now| now == *before);
                if !unchanged || fs::remove_dir(&here).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mount(destination: &str, kind: &str, source: &str) -> Mount {
        Mount { destination: destination.into(), kind: kind.into(), source: source.into(), ..Mount::default() }
    }

    fn listing(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(dir) = open.pop() {
            for item in fs::read_dir(dir).unwrap() {
                let item = item.unwrap();
                if item.file_type().unwrap().is_dir() {
                    open.push(item.path());
                }
                found.push(item.path().strip_prefix(root).unwrap().display().to_string());
            }
        }
        found.sort();
        found
    }

    /// Root and upper are one folder here, as on `scratch`.
    #[test]
    fn mount_points_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        let mounts = [
            mount("/proc", "proc", "proc"),
            mount("/dev", "tmpfs", "tmpfs"),
            mount("/dev/pts", "devpts", "devpts"),
            mount("/etc/hosts", "bind", "/etc/hosts"),
            mount("/run/x/y", "tmpfs", "tmpfs"),
        ];
        let points = MountPoints::make(root.path(), &mounts).unwrap();
        assert_eq!(listing(root.path()), ["dev", "etc", "etc/hosts", "proc", "run", "run/x", "run/x/y"]);
        fs::write(root.path().join("run/x/kept"), "").unwrap();
        points.remove(root.path()).unwrap();
        assert_eq!(
            listing(root.path()),
            ["proc", "run", "run/x", "run/x/kept"],
            "etc was in the upper folder for hosts"
        );
    }

    #[test]
    fn a_folder_whose_mode_the_command_changed_stays() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let points = MountPoints::make(root.path(), &[mount("/etc/hosts", "bind", "/etc/hosts")]).unwrap();
        fs::set_permissions(root.path().join("etc"), fs::Permissions::from_mode(0o700)).unwrap();
        points.remove(root.path()).unwrap();
        assert_eq!(listing(root.path()), ["etc"]);
    }
}
