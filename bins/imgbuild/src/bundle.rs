//! An image laid out to be changed: a folder in `tmp/` with the overlay mount that a RUN runs on, which is an
//! OCI bundle as soon as a `config.json` is in it.

use crate::tools::Tools;
use anyhow::{Context, Result, bail};
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::{Digest, Layout, publish};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A mounted image. When it goes, so does the mount, and then the folder.
pub struct Bundle<'a> {
    tools: &'a Tools,
    /// `None` once it was given up because it could not be unmounted.
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
    on_scratch: bool,
    mounted: bool,
    /// Says that the folder is in use, for as long as it is: `layerfs gc` leaves it.
    _in_use: Option<Lock>,
}

impl<'a> Bundle<'a> {
    /// Mounts an image; on `scratch` (`None`) there is nothing to mount, and the root is the empty
    /// upper folder itself.
    pub fn mount(layout: &Layout, tools: &'a Tools, image: Option<&Digest>) -> Result<Bundle<'a>> {
        if !rustix::process::geteuid().is_root() {
            bail!("mount an image: mounting takes root: build as root (sudo)");
        }
        let dir = publish::temp_dir(layout)?;
        let path = dir.path().to_owned();
        let in_use = Lock::try_on_dir(&path)?;
        let mut bundle =
            Bundle { tools, dir: Some(dir), path, on_scratch: image.is_none(), mounted: false, _in_use: in_use };
        // overlayfs shows the upper folder's own mode as the root's.
        let upper = bundle.upper();
        fs::create_dir(&upper)
            .and_then(|()| fs::set_permissions(&upper, Permissions::from_mode(0o755)))
            .with_context(|| format!("make {}", upper.display()))?;
        if let Some(image) = image {
            bundle.mounted = true;
            let mount = Call::new(Tool::Layerfs).args(["mount", image.as_str()]).arg(bundle.rootfs());
            let mount =
                mount.arg("--upper").arg(bundle.upper()).arg("--work").arg(bundle.path.join("work")).arg("--volatile");
            tools.output(&mount)?;
        }
        Ok(bundle)
    }

    /// The folder of the bundle.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The image's root, writable.
    pub fn rootfs(&self) -> PathBuf {
        if self.on_scratch { self.upper() } else { self.path.join("rootfs") }
    }

    /// Where what is written to the root ends up.
    pub fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    /// Unmounts the root; what was changed stays in [`Bundle::upper`].
    pub fn unmount(&mut self) -> Result<()> {
        if self.mounted {
            self.tools.output(&umount(&self.rootfs()))?;
            self.mounted = false;
        }
        Ok(())
    }
}

fn umount(rootfs: &Path) -> Call {
    Call::new(Tool::Layerfs).arg("umount").arg(rootfs)
}

impl Drop for Bundle<'_> {
    fn drop(&mut self) {
        if self.mounted {
            self.tools.clean_up(&umount(&self.rootfs()));
        }
        let Some(dir) = self.dir.take() else { return };
        if let Err(error) = dir.close() {
            eprintln!("imgbuild: remove {}: {error}", self.path.display());
        }
    }
}
