//! The `options` of a mount: flags of the mount, its propagation, flags of the filesystem, and what only that
//! filesystem itself understands. One list holds them all, as with mount(8).

use crate::sys::MountAttr;
use anyhow::{Result, bail};
use rustix::mount::MountAttrFlags as Attr;

/// Options, sorted by whom they are for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// Flags of this mount.
    pub attr: MountAttr,
    /// Flags of this mount and all below it (`rro`, ...).
    pub recursive_attr: MountAttr,
    /// `bind` or `rbind`.
    pub bind: Option<Bind>,
    /// `idmap` or `ridmap`.
    pub idmap: Option<Bind>,
    /// Changes what is mounted there already.
    pub remount: bool,
    /// A tmpfs starts with what it covers.
    pub copy_up: bool,
    /// `private`, `rshared`, ...: in this order.
    pub propagation: Vec<Propagation>,
    /// Flags that every filesystem has, wherever it is mounted: `ro`, `sync`, ...
    pub superblock: Vec<String>,
    /// What is for this filesystem alone: `size=64m`, ...
    pub data: Vec<String>,
}

/// How much of a tree of mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// The one mount.
    One,
    /// And what is mounted below it.
    Tree,
}

/// Which mounts and unmounts are told to whom (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`.
    pub kind: u64,
    /// For the mounts below as well.
    pub recursive: bool,
}

impl Propagation {
    /// Reads `shared`, `rshared`, `slave`, ...
    pub fn parse(option: &str) -> Option<Propagation> {
        let recursive = option != "unbindable" && option.starts_with('r');
        let kind = match option.strip_prefix('r').unwrap_or(option) {
            "shared" => libc::MS_SHARED,
            "slave" => libc::MS_SLAVE,
            "private" => libc::MS_PRIVATE,
            "unbindable" => libc::MS_UNBINDABLE,
            _ => return None,
        };
        // c_ulong is 32 bits wide on 32-bit machines.
        #[allow(clippy::useless_conversion)]
        Some(Propagation { kind: kind.into(), recursive })
    }

    /// Its name, for the story.
    pub fn name(self) -> &'static str {
        match self.kind as i64 {
            kind if kind == libc::MS_SHARED as i64 => "MS_SHARED",
            kind if kind == libc::MS_SLAVE as i64 => "MS_SLAVE",
            kind if kind == libc::MS_PRIVATE as i64 => "MS_PRIVATE",
            _ => "MS_UNBINDABLE",
        }
    }

    /// As mount_setattr wants it.
    pub fn attr(self) -> MountAttr {
        MountAttr { propagation: self.kind, ..MountAttr::default() }
    }
}

/// A flag's effect: bits to clear, then bits to set.
fn flag(option: &str) -> Option<(Attr, Attr)> {
    let none = Attr::empty();
    let set = |bits| Some((none, bits));
    let clear = |bits| Some((bits, none));
    // The three ways to keep access times share one field.
    let time = |bits| Some((Attr::MOUNT_ATTR__ATIME, bits));
    match option {
        "ro" => set(Attr::MOUNT_ATTR_RDONLY),
        "rw" => clear(Attr::MOUNT_ATTR_RDONLY),
        "nosuid" => set(Attr::MOUNT_ATTR_NOSUID),
        "suid" => clear(Attr::MOUNT_ATTR_NOSUID),
        "nodev" => set(Attr::MOUNT_ATTR_NODEV),
        "dev" => clear(Attr::MOUNT_ATTR_NODEV),
        "noexec" => set(Attr::MOUNT_ATTR_NOEXEC),
        "exec" => clear(Attr::MOUNT_ATTR_NOEXEC),
        "nosymfollow" => set(Attr::MOUNT_ATTR_NOSYMFOLLOW),
        "symfollow" => clear(Attr::MOUNT_ATTR_NOSYMFOLLOW),
        "nodiratime" => set(Attr::MOUNT_ATTR_NODIRATIME),
        "diratime" => clear(Attr::MOUNT_ATTR_NODIRATIME),
        "noatime" => time(Attr::MOUNT_ATTR_NOATIME),
        "strictatime" => time(Attr::MOUNT_ATTR_STRICTATIME),
        "relatime" | "atime" | "nostrictatime" | "norelatime" => time(Attr::MOUNT_ATTR_RELATIME),
        _ => None,
    }
}

impl MountAttr {
    /// Takes a flag's effect on top of what is there; the later option wins.
    fn add(&mut self, (clear, set): (Attr, Attr)) {
        let (clear, set) = (u64::from(clear.bits()), u64::from(set.bits()));
        self.set = (self.set & !clear) | set;
        self.clear = (self.clear & !set) | clear;
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == MountAttr::default()
    }
}

/// Flags of the filesystem itself that fsconfig(2) knows by these names, besides `ro` and `rw`.
const SUPERBLOCK: [&str; 7] = ["sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"];

/// Flags of mount(2) that have no effect any more: how much the kernel writes to its log, and what each filesystem
/// decides for itself today. runc accepts them, so a configuration may have them.
const WITHOUT_EFFECT: [&str; 8] = ["defaults", "silent", "loud", "acl", "noacl", "iversion", "noiversion", ""];

impl MountOptions {
    /// Sorts the options.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn parse(options: &[String]) -> Result<MountOptions> {
        let mut parsed = MountOptions::default();
        for option in options {
            match option.as_str() {
                "bind" => parsed.bind = Some(parsed.bind.unwrap_or(Bind::One)),
                "rbind" => parsed.bind = Some(Bind::Tree),
                "idmap" => parsed.idmap = Some(parsed.idmap.unwrap_or(Bind::One)),
                "ridmap" => parsed.idmap = Some(Bind::Tree),
                "remount" => parsed.remount = true,
                "tmpcopyup" => parsed.copy_up = true,
                other if WITHOUT_EFFECT.contains(&other) => {}
                other => parsed.add(other),
            }
        }
        if parsed.remount && (parsed.copy_up || parsed.idmap.is_some()) {
            bail!("option remount changes what is mounted already: tmpcopyup and idmap are for new mounts");
        }
        Ok(parsed)
    }

    fn add(&mut self, option: &str) {
        if let Some(effect) = flag(option) {
            self.attr.add(effect);
            if matches!(option, "ro" | "rw") {
                self.superblock.push(option.to_owned());
            }
        } else if let Some(propagation) = Propagation::parse(option) {
            self.propagation.push(propagation);
        } else if let Some(effect) = option.strip_prefix('r').and_then(flag) {
            self.recursive_attr.add(effect);
        } else if SUPERBLOCK.contains(&option) {
            self.superblock.push(option.to_owned());
        } else {
            self.data.push(option.to_owned());
        }
    }
}

/// The names of mount flags, without the `MOUNT_ATTR_` that all begin with, for the story.
pub fn flag_names(attr: u64) -> String {
    let flags = Attr::from_bits_retain(attr as u32);
    flags.iter_names().map(|(name, _)| name.trim_start_matches("MOUNT_ATTR_")).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &str) -> MountOptions {
        MountOptions::parse(&options.split(',').map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn options_are_sorted_by_whom_they_are_for() {
        let options = parse("nosuid,noexec,ro,mode=755,rprivate,size=64m");
        let bits = Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_NOEXEC | Attr::MOUNT_ATTR_RDONLY;
        assert_eq!(options.attr, MountAttr { set: bits.bits().into(), ..MountAttr::default() });
        assert_eq!(options.data, ["mode=755", "size=64m"]);
        assert_eq!(options.propagation, [Propagation { kind: libc::MS_PRIVATE, recursive: true }]);
        assert_eq!(options.bind, None);
        assert_eq!(parse("rbind,bind").bind, Some(Bind::Tree));
    }

    #[test]
    fn recursive_flags_are_no_propagation_and_relatime_is_no_recursive_elatime() {
        let options = parse("rro,rnosuid,relatime");
        let bits = Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_RDONLY;
        assert_eq!(options.recursive_attr.set, u64::from(bits.bits()));
        assert_eq!(options.attr.clear, u64::from(Attr::MOUNT_ATTR__ATIME.bits()));
        assert!(options.data.is_empty() && options.propagation.is_empty());
        assert_eq!(Propagation::parse("runbindable").unwrap().kind, libc::MS_UNBINDABLE);
        assert_eq!(Propagation::parse("unbindable"), Some(Propagation { kind: libc::MS_UNBINDABLE, recursive: false }));
    }

    #[test]
    fn the_later_option_wins() {
        let rdonly = u64::from(Attr::MOUNT_ATTR_RDONLY.bits());
        assert_eq!(parse("ro,rw").attr, MountAttr { clear: rdonly, ..MountAttr::default() });
        assert_eq!(parse("rw,ro").attr, MountAttr { set: rdonly, ..MountAttr::default() });
    }

    #[test]
    fn flags_of_the_filesystem_are_apart_from_what_it_alone_understands() {
        let options = parse("sync,lazytime,ro,size=1m,silent,acl,iversion");
        assert_eq!(
            (options.superblock, options.data),
            (parse("sync,lazytime,ro").superblock, vec!["size=1m".to_owned()])
        );
        assert_eq!(parse("defaults,loud"), MountOptions::default());
    }

    #[test]
    fn what_is_only_for_new_mounts_does_not_go_with_remount() {
        assert_eq!((parse("idmap").idmap, parse("ridmap,idmap").idmap), (Some(Bind::One), Some(Bind::Tree)));
        for new in ["tmpcopyup", "ridmap"] {
            assert!(MountOptions::parse(&["remount".to_owned(), new.to_owned()]).is_err());
        }
    }
}
