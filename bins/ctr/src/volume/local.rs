//! The local driver's options: a volume whose files come from elsewhere.
//!
//! `type`, `device` and `o` are mount(8)'s `-t`, its device and `-o`. It is mounted at the volume's folder when the first
//! container that uses it starts, and unmounted when the last one has ended.

use crate::life;
use crate::plan::{Plan, Step};
use anyhow::{Context, Result, bail};
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
    let is_set = |key: &str| options.get(key).is_some_and(|value| !value.is_empty());
    let bind = options.get("o").is_some_and(|o| o.split(',').any(|word| matches!(word, "bind" | "rbind")));
    match (is_set("type") || bind, is_set("device")) {
        (true, false) => bail!("missing required option: \"device\""),
        (false, true) => bail!("missing required option: \"type\""),
        (false, false) if is_set("o") => bail!("missing required option: \"device\""),
        _ => Ok(()),
    }
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

/// mount(2), with options as of mount(8).
pub fn mount_it(kind: &str, device: &str, options: &str, target: &Path) -> Result<()> {
    let (mut flags, mut data) = (MountFlags::empty(), Vec::new());
    let (mut bind, mut recursive, mut propagation) = (kind == "bind", false, None);
    for word in options.split(',').filter(|word| !word.is_empty()) {
        match word {
            "bind" => bind = true,
            "rbind" => (bind, recursive) = (true, true),
            "defaults" | "rw" | "suid" | "dev" | "exec" | "async" | "atime" => {}
            "ro" => flags |= MountFlags::RDONLY,
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "sync" => flags |= MountFlags::SYNCHRONOUS,
            "noatime" => flags |= MountFlags::NOATIME,
            "nodiratime" => flags |= MountFlags::NODIRATIME,
            "relatime" => flags |= MountFlags::RELATIME,
            "strictatime" => flags |= MountFlags::STRICTATIME,
            "shared" | "rshared" => propagation = Some(MountPropagationFlags::SHARED),
            "slave" | "rslave" => propagation = Some(MountPropagationFlags::DOWNSTREAM),
            "private" | "rprivate" => propagation = Some(MountPropagationFlags::PRIVATE),
            other => data.push(other.to_owned()),
        }
    }
    if bind {
        let bound = if recursive { mount_bind_recursive(device, target) } else { mount_bind(device, target) };
        bound.context("bind")?;
        if !flags.is_empty() {
            mount_remount(target, MountFlags::BIND | flags, "").context("set the flags")?;
        }
    } else {
        let data = CString::new(data.join(",")).context("the options hold a NUL")?;
        mount(device, target, kind, flags, data.as_c_str())?;
    }
    if let Some(propagation) = propagation {
        mount_change(target, propagation).context("set the propagation")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        assert_eq!(check(&[("device", "/tmp")]).unwrap_err(), "missing required option: \"type\"");
    }
}
