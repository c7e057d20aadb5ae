//! Where a COPY goes: docker's rules of slashes, folders and files that are there already.

use crate::paths::{self, Place};
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A destination in a root filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where it is, its links followed.
    pub place: Place,
    /// Whether a file goes into it under its own name, rather than becoming it.
    takes_names: bool,
}

impl Destination {
    /// Looks the destination up. `written` is as in the Dockerfile, `workdir` the folder that it is relative to,
    /// `root` where the image is mounted.
    pub fn find(root: &Path, workdir: &str, written: &str) -> Result<Destination> {
        let path = paths::join(workdir, written);
        let place = paths::resolve(root, Path::new(&path))?;
        let as_folder =
            written.is_empty() || written.ends_with('/') || matches!(written.rsplit('/').next(), Some("." | ".."));
        if place.exists() && !place.is_dir && as_folder {
            bail!("cannot copy into /{}: it is not a directory", place.path().display());
        }
        let takes_names = as_folder || place.exists() && place.is_dir;
        Ok(Destination { place, takes_names })
    }

    /// Where a file of this name goes, relative to the root.
    pub fn of_file(&self, name: &OsStr) -> PathBuf {
        if self.takes_names { self.place.path().join(name) } else { self.place.path() }
    }

    /// The folders that have to be there before a file goes in: names from the root down, and how many exist.
    pub fn folders_of_file(&self) -> Place {
        let mut folders = self.place.clone();
        if !self.takes_names {
            folders.names.pop();
            folders.existing = folders.existing.min(folders.names.len());
        }
        folders
    }

    /// The folder that a folder's contents go into.
    ///
    /// # Errors
    /// There is a file of that name.
    pub fn folders_of_dir(&self) -> Result<Place> {
        if self.place.exists() && !self.place.is_dir {
            bail!("cannot copy a folder over /{}: it is not a directory", self.place.path().display());
        }
        Ok(self.place.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_where_docker_puts_them() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("app/dir")).unwrap();
        std::fs::write(root.path().join("app/file"), "").unwrap();
        std::os::unix::fs::symlink("/app/dir", root.path().join("link")).unwrap();
        for (workdir, written, file, folders, existing) in [
            ("/", "/new", "new", "", 0),
            ("/", "/new/", "new/f", "new", 0),
            ("/", "/app", "app/f", "app", 1),
            ("/", "/app/file", "app/file", "app", 1),
            ("/", "/app/x/y", "app/x/y", "app/x", 1),
            ("/app", ".", "app/f", "app", 1),
            ("/app", "", "app/f", "app", 1),
            ("/app", "..", "f", "", 0),
            ("/app", "x", "app/x", "app", 1),
            ("/app", "./dir", "app/dir/f", "app/dir", 2),
            ("", "x", "x", "", 0),
            ("/", "/link", "app/dir/f", "app/dir", 2),
            ("/", "/link/x", "app/dir/x", "app/dir", 2),
        ] {
            let destination = Destination::find(root.path(), workdir, written).unwrap();
            assert_eq!(destination.of_file(OsStr::new("f")), Path::new(file), "{workdir} {written}");
            let place = destination.folders_of_file();
            assert_eq!((place.path(), place.existing), (folders.into(), existing), "{workdir} {written}");
        }
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(Destination::find(root.path(), "/", "/file/").is_err());
        assert!(Destination::find(root.path(), "/", "/file/x").is_err());
        assert!(Destination::find(root.path(), "/", "/file").unwrap().folders_of_dir().is_err());
    }
}
