//! The files in the folders of a container.

use crate::ContainerId;
use std::path::PathBuf;

/// The files in a container's folder, beside [`super::Layout::container`].
#[derive(Debug, Clone)]
pub struct ContainerDir(pub PathBuf);

impl ContainerDir {
    /// What was asked for: [`crate::container::Container`].
    pub fn container_json(&self) -> PathBuf {
        self.0.join("container.json")
    }
    /// What became of it: [`crate::container::State`].
    pub fn state_json(&self) -> PathBuf {
        self.0.join("state.json")
    }
    /// The OCI runtime configuration.
    pub fn config_json(&self) -> PathBuf {
        self.0.join("config.json")
    }
    /// The overlay's mount point: the container's root.
    pub fn rootfs(&self) -> PathBuf {
        self.0.join("rootfs")
    }
    /// The writable layer.
    pub fn upper(&self) -> PathBuf {
        self.0.join("upper")
    }
    /// The shared memory of a container that others may share it with: a mount point.
    pub fn shm(&self) -> PathBuf {
        self.0.join("shm")
    }
    /// Overlayfs's scratch folder beside it.
    pub fn work(&self) -> PathBuf {
        self.0.join("work")
    }
    /// Bound over `/etc/hostname`.
    pub fn hostname(&self) -> PathBuf {
        self.0.join("hostname")
    }
    /// Bound over `/etc/hosts`.
    pub fn hosts(&self) -> PathBuf {
        self.0.join("hosts")
    }
    /// Bound over `/etc/resolv.conf`.
    pub fn resolv_conf(&self) -> PathBuf {
        self.0.join("resolv.conf")
    }
    /// The log, in the format of docker's local driver.
    pub fn local_log(&self) -> PathBuf {
        self.0.join("local-logs/container.log")
    }
    /// What is kept here, in the same format, of a log that is sent elsewhere.
    pub fn cached_log(&self) -> PathBuf {
        self.0.join("container-cached.log")
    }
    /// The log, in docker's json-file format.
    pub fn log(&self, id: &ContainerId) -> PathBuf {
        self.0.join(format!("{id}-json.log"))
    }
}

/// The files in [`super::Layout::exec_dir`].
#[derive(Debug, Clone)]
pub struct ExecDir(pub PathBuf);

impl ExecDir {
    /// What is to run: an OCI process.
    pub fn process_json(&self) -> PathBuf {
        self.0.join("process.json")
    }
    /// Its pid, as the runtime's `--pid-file` wrote it.
    pub fn pid_file(&self) -> PathBuf {
        self.0.join("pid")
    }
    /// Where the runtime hands over its terminal.
    pub fn console_socket(&self) -> PathBuf {
        self.0.join("console.sock")
    }
}
