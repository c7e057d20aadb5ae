//! Where everything is. Every path in the project is absolute and comes from [`Layout`].

mod container_dir;

pub use container_dir::{ContainerDir, ExecDir};

use crate::{ContainerId, Digest, publish};
use anyhow::{Context, Result, bail};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The version of the layout that this code reads and writes: the content of `$CTR_ROOT/LAYOUT`.
pub const VERSION: u32 = 1;

/// The two folders everything lives in: `root` survives a reboot, `run` need not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    run: PathBuf,
}

impl Layout {
    /// The layout that the environment names, without touching the disk.
    ///
    /// `$CTR_ROOT` and `$CTR_RUN`, else `/var/lib/ctr` and `/run/ctr`; for a user who is not root
    /// `$XDG_DATA_HOME/ctr` and `$XDG_RUNTIME_DIR/ctr`. Relative paths are taken from the current folder.
    pub fn from_env() -> Result<Layout> {
        let root = match std::env::var_os("CTR_ROOT").filter(|v| !v.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => Self::default_root()?,
        };
        let run = match std::env::var_os("CTR_RUN").filter(|v| !v.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => Self::default_run()?,
        };
        Self::at(&root, &run)
    }

    /// The layout in two folders of the caller's choice (tests, `--root`).
    pub fn at(root: &Path, run: &Path) -> Result<Layout> {
        let absolute = |dir: &Path| std::path::absolute(dir).with_context(|| format!("resolve {}", dir.display()));
        Ok(Layout { root: absolute(root)?, run: absolute(run)? })
    }

    fn default_root() -> Result<PathBuf> {
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/ctr".into());
        }
        if let Some(dir) = std::env::var_os("XDG_DATA_HOME").filter(|v| !v.is_empty()) {
            return Ok(Path::new(&dir).join("ctr"));
        }
        let home = std::env::var_os("HOME").context("find a place for the state: neither CTR_ROOT nor HOME is set")?;
        Ok(Path::new(&home).join(".local/share/ctr"))
    }

    fn default_run() -> Result<PathBuf> {
        let uid = rustix::process::geteuid();
        let users = std::env::var_os("XDG_RUNTIME_DIR").filter(|v| !v.is_empty());
        Ok(match users {
            Some(dir) if !uid.is_root() || is_root_for_a_user() => Path::new(&dir).join("ctr"),
            _ if uid.is_root() => "/run/ctr".into(),
            _ => PathBuf::from(format!("/tmp/ctr-run-{}", uid.as_raw())),
        })
    }

    /// Makes the folders that are missing and checks the version file.
    ///
    /// # Errors
    /// A folder that cannot be made, or a `LAYOUT` file of a version newer than [`VERSION`]: a newer tool
    /// has been here, and what it keeps may not be what this one thinks.
    pub fn open(&self) -> Result<()> {
        // First of all: whoever finds a newer layout changes nothing.
        let is_new = self.check_version()?;
        // Nobody else looks in: there are setuid programs below, and variables with passwords (CVE-2021-41091).
        for dir in [&self.root, &self.run] {
            make_dir(dir, 0o710)?;
        }
        for dir in [
            self.images(),
            self.blobs(),
            self.layers(),
            self.containers(),
            self.names(),
            self.volumes(),
            self.networks(),
            self.tmp(),
            self.locks(),
        ] {
            make_dir(&dir, 0o711)?;
        }
        if is_new {
            publish::bytes(self, &self.root.join("LAYOUT"), format!("{VERSION}\n").as_bytes())?;
        }
        if !self.images().join("oci-layout").exists() {
            let marker = serde_json::json!({"imageLayoutVersion": "1.0.0"});
            publish::json_durable(self, &self.images().join("oci-layout"), &marker)?;
        }
        if !self.index().exists() {
            // Made under the lock, so that a first import beside us is not overwritten with an empty index.
            let _guard = crate::lock::Lock::exclusive(&self.index_lock())?;
            // Where there are blobs, an index that is not there was lost: an empty one would make rubbish of all of them.
            if !self.index().exists() && fs::read_dir(self.blobs()).is_ok_and(|mut blobs| blobs.next().is_none()) {
                publish::json_durable(self, &self.index(), &crate::oci::image::Index::default())?;
            }
        }
        Ok(())
    }

    /// Whether there is no layout yet.
    fn check_version(&self) -> Result<bool> {
        let file = self.root.join("LAYOUT");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(true);
            }
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        };
        match text.trim().parse::<u32>() {
            Ok(found) if found <= VERSION => Ok(false),
            Ok(found) => bail!(
                "{} says layout version {found}, and this tool knows versions up to {VERSION}: use the newer toolkit that made it, or another CTR_ROOT",
                file.display()
            ),
            Err(_) => bail!("{} holds {:?}, which is no layout version", file.display(), text.trim()),
        }
    }

    /// `$CTR_ROOT`: what survives a reboot.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `$CTR_RUN`: locks, pids and sockets of what runs now.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The image store: an OCI image layout.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }
    /// The index of the image store; names are annotations in it.
    pub fn index(&self) -> PathBuf {
        self.images().join("index.json")
    }
    /// All blobs of the image store.
    pub fn blobs(&self) -> PathBuf {
        self.images().join("blobs/sha256")
    }
    /// One blob: a manifest, an image config or a compressed layer.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// All extracted layers.
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }
    /// The folder of one layer, by its diff id (the digest of the uncompressed tar).
    pub fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }
    /// The files of a layer, whiteouts in overlayfs form.
    pub fn layer_diff(&self, diff_id: &Digest) -> PathBuf {
        self.layer(diff_id).join("diff")
    }
    /// What is known of a layer: [`crate::images::LayerInfo`].
    pub fn layer_info(&self, diff_id: &Digest) -> PathBuf {
        self.layer(diff_id).join("layer.json")
    }

    /// All containers.
    pub fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }
    /// The folder of one container, which is an OCI bundle too. Who starts, removes or renames the container
    /// holds a lock on the folder itself, so that one of them happens at a time.
    pub fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }
    /// All container names: symbolic links into [`Layout::containers`].
    pub fn names(&self) -> PathBuf {
        self.root.join("names")
    }
    /// The link that is a container's name.
    pub fn name(&self, name: &str) -> PathBuf {
        self.names().join(name)
    }
    /// All volumes.
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }
    /// The folder of one volume.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }
    /// What is known of a volume: [`crate::volume::Volume`].
    pub fn volume_json(&self, name: &str) -> PathBuf {
        self.volume(name).join("volume.json")
    }
    /// A volume's files.
    pub fn volume_data(&self, name: &str) -> PathBuf {
        self.volume(name).join("_data")
    }
    /// All networks.
    pub fn networks(&self) -> PathBuf {
        self.root.join("networks")
    }
    /// The file of one network.
    pub fn network(&self, name: &str) -> PathBuf {
        self.networks().join(format!("{name}.json"))
    }
    /// Anything half-made, on the same filesystem as the rest; `layerfs gc` may empty it.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The lock files that outlive a reboot's `run`.
    pub fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }
    /// Guards each change of `index.json`: exclusive, and held for a moment.
    pub fn index_lock(&self) -> PathBuf {
        self.locks().join("index")
    }
    /// Shared by whoever has made blobs, layers or a container folder that nothing refers to yet;
    /// exclusive for whoever removes what nothing refers to.
    pub fn gc_lock(&self) -> PathBuf {
        self.locks().join("gc")
    }
    /// Shared by whoever makes volumes, or a container folder that names some, until that folder is in place; exclusive for
    /// whoever removes volumes that nothing names.
    pub fn volumes_lock(&self) -> PathBuf {
        self.locks().join("volumes")
    }
    /// Guards one network's file, bridge and rules: exclusive.
    pub fn network_lock(&self, name: &str) -> PathBuf {
        self.locks().join(format!("network-{name}"))
    }

    /// `run/events.jsonl`: what happened to containers, images and volumes.
    pub fn events_file(&self) -> PathBuf {
        self.run.join("events.jsonl")
    }

    /// The volatile folder of a container.
    pub fn run_dir(&self, id: &ContainerId) -> PathBuf {
        self.run.join(id.as_str())
    }
    /// Held by the shim as long as it lives: the container runs exactly while this is held.
    pub fn shim_lock(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("shim.lock")
    }
    /// The pid of the container's first process, as the runtime's `--pid-file` wrote it.
    pub fn pid_file(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("pid")
    }
    /// Where the runtime hands a container's terminal to the shim (`--console-socket`).
    pub fn console_socket(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("console.sock")
    }
    /// The state, where the shim could not write it to the container's folder: what it says counts.
    pub fn last_state(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("state.json")
    }
    /// Where the shim serves attach.
    pub fn attach_socket(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("attach.sock")
    }
    /// The folder of another process of the container. It is beside [`Layout::run_dir`], which only the shim fills and removes;
    /// the process's parent holds a lock on it.
    pub fn exec_dir(&self, id: &ContainerId, exec: &str) -> ExecDir {
        ExecDir(self.run.join(format!("{id}.exec-{exec}")))
    }
    /// The folders of all processes of the container but its first, with their ids.
    pub fn exec_dirs(&self, id: &ContainerId) -> Result<Vec<(String, ExecDir)>> {
        let prefix = format!("{id}.exec-");
        let failed = || format!("list {}", self.run.display());
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.run).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            if let Some(exec) = entry.file_name().to_str().and_then(|name| name.strip_prefix(&prefix)) {
                found.push((exec.to_owned(), ExecDir(entry.path())));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
    /// The ports that `portfwd publish` holds for the container; the same process holds a lock on it.
    pub fn ports_file(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("ports.json")
    }
    /// The pid of the `portfwd publish` that holds the ports: believed only while [`Layout::ports_file`] is locked.
    pub fn forwarder_pid_file(&self, id: &ContainerId) -> PathBuf {
        self.run_dir(id).join("portfwd.pid")
    }
    /// The runtime's own state (`--root` of `unshare-run`, or of the runc in its place).
    pub fn runtime_root(&self) -> PathBuf {
        self.run.join("runtime")
    }
}

/// Where the settings are: `$CTR_CONFIG`, else `/etc/ctr`; for a user who is not root `$XDG_CONFIG_HOME/ctr`, else `~/.config/ctr`.
pub fn config_dir() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(dir) = variable("CTR_CONFIG") {
        return std::path::absolute(&dir).with_context(|| format!("resolve {}", dir.display()));
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/etc/ctr".into());
    }
    let users = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    Ok(users.context("find the settings: neither CTR_CONFIG nor HOME is set")?.join("ctr"))
}

/// Docker's own settings and passwords: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
pub fn docker_config() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let dir = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
    Ok(dir.context("find docker's config.json: neither DOCKER_CONFIG nor HOME is set")?.join("config.json"))
}

/// Where downloads are kept that can be had again at any time: `$XDG_CACHE_HOME/ctr`, else `~/.cache/ctr`; root's is
/// `/var/cache/ctr`, unless `$XDG_CACHE_HOME` is set.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("XDG_CACHE_HOME").filter(|dir| Path::new(dir).is_absolute()) {
        return Ok(Path::new(&dir).join("ctr"));
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/var/cache/ctr".into());
    }
    let home =
        std::env::var_os("HOME").context("find a place for downloads: neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/ctr"))
}

/// Whether we are root only of a user namespace, in which a plain user works: so does podman without root. `/run` is not his.
fn is_root_for_a_user() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_everybody = map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    !is_everybody && std::env::var_os("USER").is_none_or(|user| user != "root")
}

/// Makes a folder of the layout, and its parents, which are not the layout's.
fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parents = dir.parent().map_or(Ok(()), fs::create_dir_all);
    match parents.and_then(|()| DirBuilder::new().mode(mode).create(dir)) {
        // Somebody else, at the same moment.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        made => made.with_context(|| format!("make {}", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_root_is_a_valid_empty_layout() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(&dir.path().join("root"), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        layout.open().unwrap();
        assert_eq!(fs::read_to_string(layout.root().join("LAYOUT")).unwrap(), "1\n");
        let marker = fs::read_to_string(layout.images().join("oci-layout")).unwrap();
        assert!(marker.contains(r#""imageLayoutVersion":"1.0.0""#), "{marker}");
        assert_eq!(fs::read_dir(layout.tmp()).unwrap().count(), 0);
        for dir in [layout.root(), layout.run()] {
            assert_eq!(fs::metadata(dir).unwrap().permissions().mode() & 0o007, 0, "{}", dir.display());
        }
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        fs::write(dir.path().join("LAYOUT"), "2\n").unwrap();
        let error = layout.open().unwrap_err().to_string();
        assert!(error.contains("layout version 2"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing may be made beside it");
    }
}
