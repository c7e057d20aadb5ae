//! A container by hand: flags become an OCI configuration, and from there on everything is as for a bundle.
//!
//! Without `--rootfs` the result is what unshare(1) gives: the caller's own root, environment, folder and
//! capabilities in the namespaces that were asked for. With it the rest are docker's defaults, as far as the
//! namespaces go. One file for each heading of `--help`: [`namespaces`] (with [`id_map`]), [`files`], [`process`],
//! [`power`], [`limits`].

mod files;
mod id_map;
mod limits;
mod namespaces;
mod power;
mod process;

use crate::cli::Hand;
use crate::process::capabilities::permitted;
use anyhow::{Context, Result, bail};
use layout::oci::capabilities::sets;
use layout::oci::defaults;
use layout::oci::runtime::{Linux, NamespaceKind, Process, Spec, VERSION};
use layout::tool::{PROGRAM_VARIABLE, own_program};
use std::path::PathBuf;

pub use process::parse_user;

/// What the flags are completed with: who calls, from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Groups beside that.
    pub groups: Vec<u32>,
    /// Environment.
    pub env: Vec<String>,
    /// Current folder.
    pub cwd: PathBuf,
    /// Permitted capabilities.
    pub capabilities: u64,
    /// The container's name, as there is one on disk.
    pub name: String,
    /// Our own program, for `--init`.
    pub program: PathBuf,
}

impl Caller {
    /// This process.
    pub fn this() -> Result<Caller> {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let own = std::env::vars_os().filter(|(name, _)| name != PROGRAM_VARIABLE);
        Ok(Caller {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups: rustix::process::getgroups().context("ask for our groups")?.iter().map(|g| g.as_raw()).collect(),
            env: own.filter_map(|(k, v)| Some(format!("{}={}", text(k)?, text(v)?))).collect(),
            cwd: std::env::current_dir().context("ask for the current folder")?,
            capabilities: permitted()?,
            name: format!("by-hand-{}", layout::id::random_hex(6)?),
            program: own_program().context("ask for our own program")?,
        })
    }

    /// Whether this is root.
    fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// The configuration that the flags stand for.
pub fn spec(hand: &Hand, caller: &Caller) -> Result<Spec> {
    let mut spec = match &hand.files.rootfs {
        Some(_) => defaults::spec(),
        None => bare(hand, caller),
    };
    let mut linux = spec.linux.take().unwrap_or_default();
    namespaces::set(&mut linux, &hand.namespaces, caller)?;
    linux.resources = limits::resources(&hand.limits, hand.files.rootfs.is_some())?;
    linux.cgroups_path = limits::group(&hand.limits, &caller.name);
    spec.hostname = hand.namespaces.hostname.clone().unwrap_or_default();
    spec.domainname = hand.namespaces.domainname.clone().unwrap_or_default();
    files::set(&mut spec, &mut linux, &hand.files, caller)?;
    let mut process = spec.process.take().unwrap_or_default();
    process::set(&mut process, hand, &linux, caller)?;
    power::set(&mut process, &mut linux, &hand.power, most(hand, caller))?;
    if hand.process.init {
        put_init_first(&mut spec, &mut process, caller);
    }
    spec.process = Some(process);
    spec.linux = Some(linux);
    Ok(spec)
}

/// Where `--init` shows our program to the container: in its `/dev`, which is in memory, so that nothing of it is left in
/// the root.
const INIT: &str = "/dev/init";

/// `--init`: our own program starts the command, as [`crate::reaper`] has it. It is one static file, so it runs in any
/// root that it is bound into; the container cannot write to it, and nothing else of the host comes with it.
fn put_init_first(spec: &mut Spec, process: &mut Process, caller: &Caller) {
    let program = caller.program.display().to_string();
    let path = match spec.root {
        Some(_) => {
            spec.mounts.push(files::bind(&program, INIT, true));
            INIT.to_owned()
        }
        None => program,
    };
    process.args.splice(0..0, [path, "init".to_owned(), "--".to_owned()]);
}

/// The caller as it is, in the host's root.
fn bare(hand: &Hand, caller: &Caller) -> Spec {
    let in_userns = namespaces::in_userns(&hand.namespaces);
    Spec {
        oci_version: VERSION.to_owned(),
        process: Some(Process {
            user: process::caller_or_root(caller, in_userns),
            env: caller.env.clone(),
            cwd: caller.cwd.clone(),
            capabilities: Some(sets(most(hand, caller))),
            ..Process::default()
        }),
        linux: Some(Linux {
            rootfs_propagation: if hand.namespaces.mount.is_some() { "rprivate" } else { "" }.to_owned(),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// The capabilities that there are to give: the caller's, or all in a user namespace, where whoever made it is mighty.
fn most(hand: &Hand, caller: &Caller) -> u64 {
    if namespaces::in_userns(&hand.namespaces) { u64::MAX } else { caller.capabilities }
}

/// A flag of the form NAME=VALUE.
fn name_and_value<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => bail!("{flag} {text:?}: it must have the form NAME=VALUE"),
    }
}

/// Whether the configuration has a namespace of this kind.
fn has(linux: &Linux, kind: NamespaceKind) -> bool {
    linux.namespaces.iter().any(|namespace| namespace.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;
    use layout::oci::runtime::{IdMapping, Namespace};

    pub fn caller() -> Caller {
        Caller {
            uid: 1000,
            gid: 100,
            groups: vec![100, 7],
            env: vec!["A=b".to_owned()],
            cwd: "/home/me".into(),
            capabilities: 0b1,
            name: "by-hand-1".to_owned(),
            program: "/usr/bin/unshare-run".into(),
        }
    }

    fn try_spec(flags: &str) -> Result<Spec> {
        let cli = Cli::try_parse_from(format!("unshare-run {flags}").split(' ')).unwrap();
        let spec = spec(&cli.hand, &caller())?;
        crate::validate::validate(&spec)?;
        Ok(spec)
    }

    fn spec_of(flags: &str) -> Spec {
        try_spec(flags).unwrap_or_else(|error| panic!("{flags}: {error:#}"))
    }

    #[test]
    fn without_a_rootfs_only_what_was_asked_for_changes() {
        let spec = spec_of("--uts --hostname box -- sh -c x");
        let (process, linux) = (spec.process.unwrap(), spec.linux.unwrap());
        assert!(spec.root.is_none() && spec.mounts.is_empty() && linux.masked_paths.is_empty());
        assert_eq!(linux.namespaces, [Namespace { kind: NamespaceKind::Uts, path: None }]);
        assert_eq!(linux.resources, None);
        assert_eq!((process.user.uid, process.user.gid, process.user.additional_gids), (1000, 100, vec![100, 7]));
        assert_eq!((process.args.len(), process.env, process.cwd), (3, vec!["A=b".to_owned()], "/home/me".into()));
        assert_eq!(process.capabilities.unwrap().effective, ["CAP_CHOWN"]);
    }

    #[test]
    fn with_a_rootfs_the_rest_is_dockers() {
        let spec = spec_of("--pid --mount --rootfs r --workdir w --env X=y -m 4m --cpus 0.5 -u 7:8 -- sh");
        let (process, linux) = (spec.process.unwrap(), spec.linux.unwrap());
        assert_eq!(spec.root.unwrap().path, PathBuf::from("/home/me/r"));
        assert_eq!(process.env, [defaults::PATH, "X=y"]);
        assert_eq!((process.cwd, process.user.uid, process.user.gid), ("/w".into(), 7, 8));
        let resources = linux.resources.unwrap();
        assert_eq!(resources.memory.unwrap().limit, Some(4 << 20));
        assert_eq!(resources.cpu.unwrap().quota, Some(50_000));
        assert!(!linux.masked_paths.is_empty());
    }

    #[test]
    fn a_plain_user_gets_what_the_kernel_lets_him_mount() {
        let spec = spec_of("--map-root-user --pid --mount --rootfs r -- sh");
        let kinds: Vec<&str> = spec.mounts.iter().map(|mount| mount.kind.as_str()).collect();
        assert_eq!(kinds, ["proc", "tmpfs", "devpts", "tmpfs"]);
        let linux = spec.linux.unwrap();
        assert_eq!(linux.uid_mappings, [IdMapping { container_id: 0, host_id: 1000, size: 1 }]);
        assert_eq!(linux.gid_mappings[0].host_id, 100);
    }

    #[test]
    fn the_init_comes_first_and_leaves_the_root_alone() {
        let spec = spec_of("--pid --mount --rootfs r --init -- sh -c x");
        assert_eq!(spec.process.unwrap().args, ["/dev/init", "init", "--", "sh", "-c", "x"]);
        let mount = spec.mounts.last().unwrap();
        assert_eq!((mount.source.as_str(), mount.destination.to_str().unwrap()), ("/usr/bin/unshare-run", INIT));
        assert!(mount.options.contains(&"rro".to_owned()));
        let spec = spec_of("--pid --init -- sh");
        assert_eq!(spec.process.unwrap().args, ["/usr/bin/unshare-run", "init", "--", "sh"]);
    }

    #[test]
    fn a_flag_that_cannot_be_followed_says_why() {
        for (flags, words) in [
            ("--hostname x -- sh", "uts namespace"),
            ("--userns -- sh", "--map-root-user"),
            ("--mount --rootfs r --bind /a -- sh", "SOURCE:TARGET"),
            ("--mount --rootfs r --bind /a:b -- sh", "absolute"),
            ("--mount --rootfs r --tmpfs t -- sh", "absolute"),
            ("--cap-add what -- sh", "no such capability"),
            ("--ulimit nofile -- sh", "NAME=SOFT"),
            ("--ulimit what=1 -- sh", "no such limit"),
            ("--env X -- sh", "NAME=VALUE"),
            ("--sysctl x -- sh", "NAME=VALUE"),
            ("--cpus 0 -- sh", "above 0"),
            ("--map-root-user --user 33 -- sh", "knows no user 33"),
        ] {
            let error = format!("{:#}", try_spec(flags).expect_err(flags));
            assert!(error.contains(words), "{flags}: {error}");
        }
    }
}
