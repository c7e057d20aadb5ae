//! The local driver's options: a volume whose files come from elsewhere.
//!
//! `type`, `device` and `o` are mount(8)'s `-t`, its device and `-o`. It is mounted at the volume's folder when the first
//! container that uses it starts, and unmounted when the last one has ended.

use crate::life;
use crate::plan::{Plan, Step};
use anyhow::{Context, Result, anyhow, bail};
use layout::Layout;
use layout::container::Status;
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::volume::Volume;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change, mount_remount,
};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// What `-o` of `volume create` may set.
const KNOWN: [&str; 4] = ["type", "device", "o", "size"];

/// Checks the options, in docker's words.
pub fn check(options: &BTreeMap<String, String>) -> Result<()> {
    if let Some(unknown) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        bail!("invalid option: {unknown:?}");
    }
    if options.contains_key("size") {
        bail!("quota size requested but no quota support");
    }
    // What each one is not without: that it is there counts, and not what it says.
    let needed: [(&str, &[&str]); 3] = [("type", &["device"]), ("device", &["type"]), ("o", &["device", "type"])];
    for (_, others) in needed.into_iter().filter(|(key, _)| options.contains_key(*key)) {
        if let Some(missing) = others.iter().find(|key| !options.contains_key(**key)) {
            bail!("missing required option: {missing:?}");
        }
    }
    Ok(())
}

/// The steps that mount what the options say.
pub fn mount_plan(volume: &Volume) -> Plan {
    let mut plan = Plan::default();
    let target = PathBuf::from(&volume.mountpoint);
    if volume.is_mounted() && !life::is_mount_point(&target) {
        let [kind, device, options] = ["type", "device", "o"].map(|key| volume.option(key).to_owned());
        plan.push(Step::Mount { kind, device, options, target });
    }
    plan
}

/// Mounts it, unless it is already.
pub fn mount_volume(layout: &Layout, name: &str) -> Result<()> {
    let _guard = Lock::on_dir(&layout.volume(name))?;
    let volume = layout.read_volume(name)?;
    mount_plan(&volume).execute(layout).map(drop)
}

/// The steps that unmount it, unless a container that is up uses it.
pub fn unmount_plan(layout: &Layout, name: &str) -> Result<Plan> {
    let mut plan = Plan::default();
    let data = layout.volume_data(name);
    let users = layout.volume_users()?;
    for id in users.get(name).into_iter().flatten() {
        // Its shim is alive, and not for taking it down; or somebody holds its folder, who is starting it.
        let up = life::has_shim(layout, id)?
            && layout.read_state(id).is_ok_and(|state| !matches!(state.status, Status::Exited | Status::Dead));
        if up || (!life::has_shim(layout, id)? && Lock::try_on_dir(&layout.container(id))?.is_none()) {
            return Ok(plan);
        }
    }
    if life::is_mount_point(&data) {
        plan.call(Call::new(Tool::Layerfs).arg("umount").arg(data));
    }
    Ok(plan)
}

/// Unmounts it, unless a container that is up uses it.
pub fn unmount_volume(layout: &Layout, name: &str) -> Result<()> {
    let _guard = Lock::on_dir(&layout.volume(name))?;
    unmount_plan(layout, name)?.execute(layout).map(drop)
}

/// What mount(2) is called with.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    flags: MountFlags,
    /// The folder itself is mounted, with what is mounted in it or without.
    bind: Option<MountFlags>,
    propagation: Option<MountPropagationFlags>,
    /// What the filesystem is told.
    data: Vec<String>,
}

impl Words {
    /// Reads options as of mount(8).
    fn read(kind: &str, options: &str) -> Words {
        let bind = (kind == "bind").then_some(MountFlags::BIND);
        let mut words = Words { flags: MountFlags::empty(), bind, propagation: None, data: Vec::new() };
        for word in options.split(',').filter(|word| !word.is_empty()) {
            match word {
                "bind" => words.bind = Some(MountFlags::BIND),
                "rbind" => words.bind = Some(MountFlags::BIND | MountFlags::REC),
                "shared" | "rshared" => words.propagation = Some(MountPropagationFlags::SHARED),
                "slave" | "rslave" => words.propagation = Some(MountPropagationFlags::DOWNSTREAM),
                "private" | "rprivate" => words.propagation = Some(MountPropagationFlags::PRIVATE),
                "unbindable" | "runbindable" => words.propagation = Some(MountPropagationFlags::UNBINDABLE),
                "defaults" | "rw" | "suid" | "dev" | "exec" | "async" | "atime" | "diratime" | "norelatime"
                | "nostrictatime" | "nomand" => {}
                "ro" => words.flags |= MountFlags::RDONLY,
                "nosuid" => words.flags |= MountFlags::NOSUID,
                "nodev" => words.flags |= MountFlags::NODEV,
                "noexec" => words.flags |= MountFlags::NOEXEC,
                "sync" => words.flags |= MountFlags::SYNCHRONOUS,
                "dirsync" => words.flags |= MountFlags::DIRSYNC,
                "noatime" => words.flags |= MountFlags::NOATIME,
                "nodiratime" => words.flags |= MountFlags::NODIRATIME,
                "relatime" => words.flags |= MountFlags::RELATIME,
                "strictatime" => words.flags |= MountFlags::STRICTATIME,
                other => words.data.push(other.to_owned()),
            }
        }
        words
    }

    /// The kernel has no names for machines: `addr=HOST` becomes its address.
    fn resolve(&mut self) -> Result<()> {
        for word in &mut self.data {
            let Some(host) = word.strip_prefix("addr=").filter(|host| host.parse::<IpAddr>().is_err()) else {
                continue;
            };
            let found: Vec<_> = (host, 0).to_socket_addrs().into_iter().flatten().collect();
            let address = found.iter().find(|address| address.is_ipv4()).or(found.first());
            let Some(address) = address else {
                bail!("error resolving passed in network volume address: lookup {host}: no such host")
            };
            *word = format!("addr={}", address.ip());
        }
        Ok(())
    }

    fn mount(&self, kind: &str, device: &str, target: &Path) -> rustix::io::Result<()> {
        match self.bind {
            Some(bind) => {
                let recursive = bind.contains(MountFlags::REC);
                if recursive { mount_bind_recursive(device, target) } else { mount_bind(device, target) }?;
                if !self.flags.is_empty() {
                    mount_remount(target, MountFlags::BIND | self.flags, "")?;
                }
            }
            None => {
                let data = CString::new(self.data.join(",")).map_err(|_| rustix::io::Errno::INVAL)?;
                mount(device, target, kind, self.flags, data.as_c_str())?;
            }
        }
        self.propagation.map_or(Ok(()), |propagation| mount_change(target, propagation))
    }
}

/// mount(2), with options as of mount(8).
///
/// # Errors
/// In docker's words.
pub fn mount_it(kind: &str, device: &str, options: &str, target: &Path) -> Result<()> {
    let failed = || format!("error while mounting volume '{}'", target.display());
    let mut words = Words::read(kind, options);
    if matches!(kind, "nfs" | "nfs4" | "cifs") {
        words.resolve().with_context(failed)?;
    }
    let mounted = words.mount(kind, device, target).map_err(|errno| {
        let flags = (words.flags | words.bind.unwrap_or(MountFlags::empty())).bits();
        let flags = if flags == 0 { String::new() } else { format!(", flags: {flags:#x}") };
        let data = if words.data.is_empty() { String::new() } else { format!(", data: {}", words.data.join(",")) };
        let said = std::io::Error::from(errno).to_string().to_lowercase();
        let why = said.split(" (os error").next().unwrap_or(&said);
        anyhow!("failed to mount local volume: mount {device}:{}{flags}{data}: {why}", target.display())
    });
    mounted.with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_is_told_is_what_docker_tells_it() {
        let mut words = Words::read("nfs", "addr=localhost,rw,nolock,soft,noatime,clientaddr=localhost");
        words.resolve().unwrap();
        assert_eq!(words.data.join(","), "addr=127.0.0.1,nolock,soft,clientaddr=localhost");
        assert_eq!((words.flags, words.bind), (MountFlags::NOATIME, None));
        let bound = Words::read("none", "rbind,ro,rslave");
        assert_eq!(bound.bind, Some(MountFlags::BIND | MountFlags::REC));
        assert_eq!(bound.propagation, Some(MountPropagationFlags::DOWNSTREAM));
        assert!(bound.data.is_empty() && bound.flags == MountFlags::RDONLY);
        for literal in ["addr=192.0.2.1", "addr=2001:db8::1"] {
            let mut words = Words::read("nfs", literal);
            words.resolve().unwrap();
            assert_eq!(words.data, [literal]);
        }
    }

    #[test]
    fn options_are_checked_in_dockers_words() {
        let check = |list: &[(&str, &str)]| {
            let map = list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            super::check(&map).map_err(|error| error.to_string())
        };
        check(&[]).unwrap();
        check(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]).unwrap();
        check(&[("type", "none"), ("device", "/tmp"), ("o", "bind")]).unwrap();
        assert_eq!(check(&[("foo", "bar")]).unwrap_err(), "invalid option: \"foo\"");
        assert_eq!(check(&[("type", "tmpfs")]).unwrap_err(), "missing required option: \"device\"");
        assert_eq!(check(&[("type", "")]).unwrap_err(), "missing required option: \"device\"");
        assert_eq!(check(&[("device", "/tmp"), ("o", "bind")]).unwrap_err(), "missing required option: \"type\"");
        assert_eq!(check(&[("device", "/tmp")]).unwrap_err(), "missing required option: \"type\"");
    }
}
