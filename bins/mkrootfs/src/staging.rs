//! All or nothing: the folder is made beside its final place and renamed when it is complete.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder that is not yet where it will be. Dropped before [`Staging::publish`], it is removed.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    target: PathBuf,
}

impl Staging {
    /// Makes the folder beside `target`.
    ///
    /// # Errors
    /// `target` is there and not an empty folder, or its parent is not there.
    pub fn beside(target: &Path) -> Result<Staging> {
        let mut target = std::path::absolute(target).with_context(|| format!("resolve {}", target.display()))?;
        if fs::symlink_metadata(&target).is_ok() {
            let context = || format!("make {}", target.display());
            match fs::read_dir(&target).with_context(context)?.next() {
                None => target = fs::canonicalize(&target).with_context(context)?,
                Some(_) => bail!("make {}: the folder is not empty; remove it, or choose another", target.display()),
            }
        }
        interrupt::watch()?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            bail!("make {}: this is no name for a new folder", target.display());
        };
        let folder = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .suffix(".mkrootfs")
            .tempdir_in(parent)
            .with_context(|| format!("make a folder in {}", parent.display()))?;
        Ok(Staging { folder, target })
    }

    /// Where to build.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the folder in its place and gives that place.
    pub fn publish(self) -> Result<PathBuf> {
        let context = || format!("move the complete folder to {}", self.target.display());
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).with_context(context)?;
        fs::rename(self.folder.path(), &self.target).with_context(context)?;
        // It has a new name: nothing is left to remove under the old one.
        let _ = self.folder.keep();
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_or_empty_folder_is_filled_and_another_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("rootfs");
        let staging = Staging::beside(&target).unwrap();
        fs::write(staging.path().join("file"), "").unwrap();
        staging.publish().unwrap();
        assert!(target.join("file").exists());
        let error = Staging::beside(&target).unwrap_err().to_string();
        assert!(error.contains("the folder is not empty"), "{error}");

        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        Staging::beside(&empty).unwrap().publish().unwrap();
        assert!(Staging::beside(&dir.path().join("none/rootfs")).is_err());
        assert!(Staging::beside(&target.join("file")).is_err());
    }

    #[test]
    fn what_is_not_published_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::beside(&dir.path().join("rootfs")).unwrap();
        fs::write(staging.path().join("file"), "").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
