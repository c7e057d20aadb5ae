//! `/sys/fs/cgroup` in the container.
//!
//! With the unified hierarchy (v2) it is one mount. With v1, and the hybrid of both, each controller has a
//! hierarchy of its own, mounted side by side in a tmpfs. In a cgroup namespace of its own the container
//! mounts the hierarchies anew, and each shows the container's group as its root; without one, the group's
//! folders are bound.

use super::in_root::Root;
use super::options::{Bind, MountOptions, flag_names};
use super::{Surroundings, attach, clone_private, new_filesystem, target};
use crate::narrate::narrate;
use crate::sys::{self, MountAttr};
use anyhow::{Context, Result};
use layout::oci::runtime::NamespaceKind;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// One mounted v1 hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    /// Where the host has it.
    mount_point: PathBuf,
    /// Its controllers as mount options: `cpu,cpuacct`, `name=systemd`.
    controllers: Vec<String>,
}

impl Hierarchy {
    /// The name of its folder.
    fn name(&self) -> Result<&OsStr> {
        self.mount_point.file_name().context("a cgroup hierarchy is mounted at /")
    }
}

/// Mounts whatever form of cgroups the host has at `destination`.
pub fn mount(root: &Root, destination: &Path, options: &MountOptions, around: &Surroundings<'_>) -> Result<OwnedFd> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let hierarchies = v1_hierarchies(&table);
    if hierarchies.is_empty() {
        return unified(root, destination, options);
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
    let tmpfs = MountOptions { data: vec!["mode=755".to_owned()], ..options.clone() };
    let writable = MountOptions { attr: MountAttr { set: 0, ..options.attr }, ..tmpfs };
    let top = new_filesystem("tmpfs", "tmpfs", &writable)?;
    attach(&top, &target::dir(root, destination)?, destination)?;
    for hierarchy in &hierarchies {
        let target = folder(&top, hierarchy)?;
        let made = one_hierarchy(hierarchy, &own, options, around.namespaces.has(NamespaceKind::Cgroup))
            .with_context(|| format!("mount cgroup {}", hierarchy.controllers.join(",")))?;
        attach(&made, &target, &destination.join(hierarchy.name()?))?;
    }
    narrate!("all is in it now", "mount_setattr({}, {})", destination.display(), flag_names(options.attr.set));
    sys::mount_setattr(&top, options.attr, false).context("set the flags of the cgroup tmpfs")?;
    Ok(top)
}

/// Mounts the unified hierarchy.
pub fn unified(root: &Root, destination: &Path, options: &MountOptions) -> Result<OwnedFd> {
    let target = target::dir(root, destination)?;
    let made = new_filesystem("cgroup2", "cgroup", options).or_else(|error| {
        // In a user namespace without a cgroup namespace of its own the host's tree cannot be mounted anew.
        narrate!("the host's tree instead", "open_tree(/sys/fs/cgroup, OPEN_TREE_CLONE)");
        let made = clone_private(CWD, Path::new("/sys/fs/cgroup"), Bind::Tree).map_err(|_| error)?;
        narrate!("its flags", "mount_setattr({})", flag_names(options.attr.set));
        sys::mount_setattr(&made, options.attr, false).context("set its flags")?;
        anyhow::Ok(made)
    })?;
    attach(&made, &target, destination)?;
    Ok(made)
}

/// The hierarchy's folder in the tmpfs, named as on the host, with a link for each of its controllers.
fn folder(top: &OwnedFd, hierarchy: &Hierarchy) -> Result<OwnedFd> {
    let name = hierarchy.name()?;
    rustix::fs::mkdirat(top, name, Mode::from_raw_mode(0o755)).with_context(|| format!("make {}", name.display()))?;
    for controller in &hierarchy.controllers {
        if *controller != *name.to_string_lossy() && !controller.contains('=') {
            narrate!("its other name", "symlink({}, {controller})", name.display());
            rustix::fs::symlinkat(name, top, controller.as_str()).with_context(|| format!("link {controller}"))?;
        }
    }
    rustix::fs::openat(top, name, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open {}", name.display()))
}

fn one_hierarchy(hierarchy: &Hierarchy, own: &str, options: &MountOptions, namespace: bool) -> Result<OwnedFd> {
    if namespace {
        let options = MountOptions { data: hierarchy.controllers.clone(), ..options.clone() };
        return new_filesystem("cgroup", "cgroup", &options);
    }
    let path = own_path(own, &hierarchy.controllers).unwrap_or_default();
    let source = hierarchy.mount_point.join(path.trim_start_matches('/'));
    narrate!("our group, as the host has it", "open_tree({}, OPEN_TREE_CLONE)", source.display());
    let made = clone_private(CWD, &source, Bind::One).with_context(|| format!("open {}", source.display()))?;
    narrate!("its flags", "mount_setattr({})", flag_names(options.attr.set));
    sys::mount_setattr(&made, options.attr, false).context("set its flags")?;
    Ok(made)
}

/// The v1 hierarchies in a mount table (proc_pid_mountinfo(5)), each once.
fn v1_hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let (mut mount, mut filesystem) = (mount.split(' '), filesystem.split(' '));
        let (Some("cgroup"), Some(super_options)) = (filesystem.next(), filesystem.nth(1)) else { continue };
        let Some(mount_point) = mount.nth(4) else { continue };
        let controllers: Vec<String> =
            super_options.split(',').filter(|o| is_controller(o)).map(str::to_owned).collect();
        if !found.iter().any(|h| h.controllers == controllers) {
            found.push(Hierarchy { mount_point: mount_point.into(), controllers });
        }
    }
    found
}

/// Whether an option of a v1 mount names what is mounted, and not how.
fn is_controller(option: &str) -> bool {
    let how = ["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"];
    !how.contains(&option) && !option.starts_with("release_agent=")
}

/// Our group in the hierarchy with these controllers, by /proc/self/cgroup (cgroups(7)).
fn own_path<'a>(own: &'a str, controllers: &[String]) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let list = fields.next()?;
        controllers.iter().all(|c| list.split(',').any(|l| l == c)).then(|| fields.next()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
50 31 0:32 / /mnt/memory rw,relatime - cgroup cgroup rw,memory";

    #[test]
    fn v1_hierarchies_are_found_once_each() {
        let found = v1_hierarchies(HYBRID);
        let controllers: Vec<String> = found.iter().map(|h| h.controllers.join(",")).collect();
        assert_eq!(controllers, ["cpu,cpuacct", "memory", "name=systemd"]);
        assert_eq!(found[0].mount_point, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert!(v1_hierarchies("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw").is_empty());
    }

    #[test]
    fn our_group_is_found_in_each_hierarchy() {
        let own = "9:name=systemd:/\n5:cpu,cpuacct:/ctr/a:b\n4:memory:/ctr/x\n0::/u";
        let path = |list: &[&str]| own_path(own, &list.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>());
        assert_eq!(path(&["cpu", "cpuacct"]), Some("/ctr/a:b"));
        assert_eq!(path(&["memory"]), Some("/ctr/x"));
        assert_eq!(path(&["name=systemd"]), Some("/"));
        assert_eq!(path(&["pids"]), None);
    }
}
