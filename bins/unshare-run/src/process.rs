//! Becoming the process that the configuration asks for: limits, capabilities, user, folder, program.
//!
//! The order matters. What needs privilege comes before the user changes, and the capabilities come last, as each
//! step before may need one of them.

use crate::capabilities::{self, Sets};
use crate::find_program::{exec_error, find_program};
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Process, ProcessUser, Rlimit};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::Resource;
use rustix::thread::{Gid, Uid};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// A program that is found and ready to be executed.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<CString>,
    env: Vec<CString>,
}

/// Takes on everything but the program itself, and finds that.
pub fn become_process(process: &Process, warn: &mut dyn FnMut(String)) -> Result<Program> {
    // Signals and file mode mask are inherited; the container is not to depend on who starts it.
    sys::reset_signals();
    rustix::process::umask(Mode::from_raw_mode(process.user.umask.unwrap_or(0o022)));
    for limit in &process.rlimits {
        set_limit(limit, warn)?;
    }
    let env = environment(&process.env, process.user.uid);
    if process.no_new_privileges {
        narrate!("no set-user-id program gives it more", "prctl(PR_SET_NO_NEW_PRIVS)");
        rustix::thread::set_no_new_privs(true).context("set no_new_privs")?;
    }
    let sets = Sets::new(process.capabilities.as_ref(), capabilities::permitted()?, warn);
    // Root may enter folders that the user may not, the user may enter some (on NFS) that root may not.
    let entered = enter_folder(&process.cwd)?;
    sets.bound()?;
    set_user(&process.user)?;
    sets.apply(warn)?;
    if !entered && !enter_folder(&process.cwd)? {
        bail!("enter folder {}: permission denied", process.cwd.display());
    }
    check_inside(&process.cwd)?;
    let name = process.args.first().context("the configuration names no program: process.args is empty")?;
    let path = find_program(name, &env)?;
    let c_strings = |texts: &[String]| -> Result<Vec<CString>> {
        texts.iter().map(|text| CString::new(text.as_str()).with_context(|| format!("{text:?} holds a NUL"))).collect()
    };
    Ok(Program { args: c_strings(&process.args)?, env: c_strings(&env)?, path })
}

impl Program {
    /// Executes it; it keeps standard input, output, error and the next `preserve` descriptors. Returns only to say why not.
    pub fn execute(self, preserve: u32) -> anyhow::Error {
        if let Err(error) = sys::close_on_exec_from(3 + preserve) {
            return anyhow::Error::new(error).context("close all other files");
        }
        narrate!("from here on it is the program", "execve({}, {:?})", self.path.display(), self.args);
        let path = match CString::new(self.path.as_os_str().as_encoded_bytes()) {
            Ok(path) => path,
            Err(error) => return error.into(),
        };
        match nix::unistd::execve(&path, &self.args, &self.env) {
            Ok(never) => match never {},
            Err(errno) => exec_error(&self.path, Errno::from_raw_os_error(errno as i32)),
        }
    }
}

/// The environment, each variable once (the last one counts; programs would take the first), and `HOME` from the
/// container's `/etc/passwd` where the configuration has none, as runc does.
fn environment(given: &[String], uid: u32) -> Vec<String> {
    let mut env: Vec<String> = Vec::with_capacity(given.len() + 1);
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    for variable in given {
        match env.iter().position(|earlier| name(earlier) == name(variable)) {
            Some(at) => env[at].clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
    if !env.iter().any(|variable| variable.starts_with("HOME=")) {
        let home = layout::rootfs::find_user(Path::new("/"), &uid.to_string()).map(|user| user.home);
        env.push(format!("HOME={}", home.unwrap_or_else(|_| "/".to_owned())));
    }
    env
}

fn set_user(user: &ProcessUser) -> Result<()> {
    narrate!("who it is", "setgroups({:?}) setresgid({}) setresuid({})", user.additional_gids, user.gid, user.uid);
    // Otherwise the kernel takes all capabilities away at the step from root to another user.
    rustix::thread::set_keep_capabilities(true).context("keep the capabilities")?;
    let groups: Vec<Gid> = user.additional_gids.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // In a user namespace made without privilege nobody may change his groups.
        Err(Errno::PERM) if groups.is_empty() && setgroups_denied() => {}
        other => other.with_context(|| format!("set the groups {:?}", user.additional_gids))?,
    }
    let gid = Gid::from_raw(user.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).with_context(|| format!("become group {}", user.gid))?;
    let uid = Uid::from_raw(user.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).with_context(|| format!("become user {}", user.uid))?;
    rustix::thread::set_keep_capabilities(false).context("let the capabilities go at execve")
}

fn setgroups_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim_end() == "deny")
}

/// Enters the folder; `false` when we are not permitted to.
fn enter_folder(folder: &Path) -> Result<bool> {
    match rustix::process::chdir(folder) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("enter folder {}", folder.display())),
    }
}

/// Makes sure that the folder that we are in is in the container's root: a path through `/proc/self/fd` could
/// lead to one of the host's that we still have open (CVE-2024-21626).
fn check_inside(folder: &Path) -> Result<()> {
    let place = rustix::process::getcwd(Vec::new()).context("ask for the current folder")?;
    if !place.as_bytes().starts_with(b"/") {
        bail!("enter folder {}: it leads out of the container's root", folder.display());
    }
    Ok(())
}

fn set_limit(limit: &Rlimit, warn: &mut dyn FnMut(String)) -> Result<()> {
    let Some(resource) = resource(&limit.kind) else { bail!("set {}: there is no such limit", limit.kind) };
    // The kernel's RLIM_INFINITY is all ones, as in the configuration.
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    let wanted = rustix::process::Rlimit { current: finite(limit.soft), maximum: finite(limit.hard) };
    match rustix::process::setrlimit(resource, wanted) {
        Err(Errno::PERM) => {}
        other => return other.with_context(|| format!("set {} to {}:{}", limit.kind, limit.soft, limit.hard)),
    }
    // Raising a hard limit takes CAP_SYS_RESOURCE, which not every host gives away.
    let ours = rustix::process::getrlimit(resource).maximum;
    warn(format!(
        "set {} to {}:{}: the host's hard limit stays, not permitted to raise it",
        limit.kind, limit.soft, limit.hard
    ));
    let current = Some(finite(limit.soft).unwrap_or(u64::MAX).min(ours.unwrap_or(u64::MAX)));
    let lowered = rustix::process::Rlimit { current: current.and_then(finite), maximum: ours };
    rustix::process::setrlimit(resource, lowered).with_context(|| format!("set {}", limit.kind))
}

/// The limit of a name (getrlimit(2)).
pub fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_is_there_once_and_the_last_one_counts() {
        let given = ["A=1", "HOME=/h", "B=x=y", "A=2"].map(str::to_owned);
        assert_eq!(environment(&given, 0), ["A=2", "HOME=/h", "B=x=y"]);
    }

    #[test]
    fn limits_have_the_kernels_names() {
        assert_eq!(resource("RLIMIT_NOFILE"), Some(Resource::Nofile));
        assert_eq!(resource("NOFILE"), None);
    }
}
