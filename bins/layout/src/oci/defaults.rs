//! What a container gets unless told otherwise: docker's defaults, in one place.

use super::default_seccomp;
use super::runtime::*;
use std::path::PathBuf;

/// The capabilities of a container's root: enough to install packages and run servers, not enough to
/// reconfigure the machine (capabilities(7)).
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Where the kernel tells of the machine as a whole: hidden.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Where the kernel can be reconfigured: read-only.
pub const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `PATH` in an image that sets none.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The version of the specification that this configuration follows, all of it older than the newest: what is in Debian 12
/// as crun reads no newer one.
pub const COMPATIBLE_VERSION: &str = "1.0.2";

/// The bytes of `/dev/shm`.
pub const SHM_SIZE: u64 = 64 << 20;

/// A container with all defaults: docker's mounts, capabilities, system call filter, devices and masks, six new namespaces,
/// the bundle's `rootfs`, and a process that still needs `args`.
pub fn spec() -> Spec {
    let caps: Vec<String> = CAPABILITIES.iter().map(|c| (*c).to_owned()).collect();
    Spec {
        oci_version: COMPATIBLE_VERSION.to_owned(),
        process: Some(Process {
            cwd: PathBuf::from("/"),
            env: vec![PATH.to_owned()],
            capabilities: Some(Capabilities {
                bounding: caps.clone(),
                effective: caps.clone(),
                permitted: caps,
                ..Capabilities::default()
            }),
            ..Process::default()
        }),
        root: Some(Root { path: PathBuf::from("rootfs"), readonly: false }),
        mounts: mounts(),
        linux: Some(Linux {
            namespaces: [
                NamespaceKind::Pid,
                NamespaceKind::Network,
                NamespaceKind::Ipc,
                NamespaceKind::Uts,
                NamespaceKind::Mount,
                NamespaceKind::Cgroup,
            ]
            .map(|kind| Namespace { kind, path: None })
            .to_vec(),
            resources: Some(Resources { devices: device_rules(), ..Resources::default() }),
            masked_paths: MASKED_PATHS.map(str::to_owned).to_vec(),
            readonly_paths: READONLY_PATHS.map(str::to_owned).to_vec(),
            seccomp: Some(default_seccomp::profile(&CAPABILITIES)),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// The kernel's filesystems that every container has.
pub fn mounts() -> Vec<Mount> {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| Mount {
        destination: destination.into(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        ..Mount::default()
    };
    let shm_size = format!("size={SHM_SIZE}");
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size]),
    ]
}

/// The device list: nothing, then making any node, then using the harmless ones and terminals.
pub fn device_rules() -> Vec<DeviceRule> {
    let rule = |kind: &str, major: Option<i64>, minor: Option<i64>, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    let nothing = DeviceRule { allow: false, kind: None, major: None, minor: None, access: Some("rwm".to_owned()) };
    let character = |major, minor| rule("c", Some(major), minor, "rwm");
    vec![
        nothing,
        rule("c", None, None, "m"),
        rule("b", None, None, "m"),
        character(1, Some(3)), // null
        character(1, Some(5)), // zero
        character(1, Some(7)), // full
        character(1, Some(8)), // random
        character(1, Some(9)), // urandom
        character(5, Some(0)), // tty
        character(5, Some(1)), // console
        character(5, Some(2)), // ptmx
        character(136, None),  // pts/*
    ]
}
