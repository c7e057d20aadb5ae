//! Capabilities by name and by number (capabilities(7)), and which of them a container has.

use super::runtime::Capabilities;
use anyhow::{Result, bail};

/// The names, each at its number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The bit of a name, if there is such a capability. The kernel's form (`CAP_KILL`) and docker's (`kill`) are known.
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    NAMES.iter().position(|known| *known == full).map(|number| 1 << number)
}

/// The names of the bits.
pub fn names(bits: u64) -> Vec<String> {
    NAMES.iter().enumerate().filter(|(number, _)| bits & (1 << number) != 0).map(|(_, n)| (*n).to_owned()).collect()
}

/// The sets of a process that has these capabilities, can keep them when it executes a program as root, and hands none
/// on to programs of other users.
pub fn sets(held: u64) -> Capabilities {
    let names = names(held);
    Capabilities { bounding: names.clone(), effective: names.clone(), permitted: names, ..Capabilities::default() }
}

/// The bits of a list of names; names that are unknown are passed over.
pub fn bits_of(names: &[String]) -> u64 {
    names.iter().filter_map(|name| bit(name)).fold(0, |bits, bit| bits | bit)
}

/// What becomes of `base` by `--cap-add` and `--cap-drop`; `most` is what there is to give. As docker has it: `all` on one side is all but what the other side names; `all` on both sides is what is added.
pub fn add_and_drop(base: u64, most: u64, add: &[String], drop: &[String]) -> Result<u64> {
    let read = |flag: &str, list: &[String]| -> Result<(bool, u64)> {
        let (mut all, mut bits) = (false, 0);
        for name in list {
            match bit(name) {
                _ if name.eq_ignore_ascii_case("all") => all = true,
                Some(bit) => bits |= bit,
                None => bail!("{flag} {name}: there is no such capability (see capabilities(7))"),
            }
        }
        Ok((all, bits))
    };
    let (add_all, added) = read("--cap-add", add)?;
    let (drop_all, dropped) = read("--cap-drop", drop)?;
    Ok(match (add_all, drop_all) {
        (true, _) => most & !dropped,
        (false, true) => added,
        (false, false) => (base | added) & !(dropped & !added),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_with_the_kernel() {
        assert_eq!(bit("CAP_CHOWN"), Some(1));
        assert_eq!(bit("CAP_SYS_ADMIN"), Some(1 << 21));
        assert_eq!(bit("kill"), Some(1 << 5));
        assert_eq!(bit("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(bit("CAP_NONSENSE"), None);
        assert_eq!(names(0b10_0001), ["CAP_CHOWN", "CAP_KILL"]);
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_dockers_are() {
        let of = |add: &[&str], drop: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            add_and_drop(0b11, 0b1111, &list(add), &list(drop)).unwrap()
        };
        let kill = 1 << 5;
        assert_eq!(of(&["kill"], &[]), 0b11 | kill);
        assert_eq!(of(&[], &["CAP_CHOWN"]), 0b10);
        assert_eq!(of(&["chown"], &["all"]), 0b01);
        assert_eq!(of(&["ALL"], &["dac_override"]), 0b1101);
        assert_eq!(of(&[], &["all"]), 0);
        assert!(add_and_drop(0, 0, &["fly".to_owned()], &[]).is_err());
    }
}
