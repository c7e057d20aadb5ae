//! The runtime's own program file, out of the container's reach (CVE-2019-5736).
//!
//! A process in the container that gets hold of `/proc/PID/exe` of the runtime (there is such a moment at each
//! start, and `#!/proc/self/exe` makes one to order) holds the host's `unshare-run`, and its root may write to
//! it. So the runtime runs from where nobody can write: a read-only mount of its own file, which is in no mount
//! namespace and therefore cannot be remounted by anybody; without the privilege to make one, a sealed copy in memory.

use crate::mounts::clone_mount;
use crate::mounts::options::Bind;
use crate::narrate::narrate;
use crate::sys::{self, MountAttr};
use anyhow::{Context, Result};
use layout::tool::PROGRAM_VARIABLE;
use nix::fcntl::AtFlags;
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, SealFlags, StatVfsMountFlags};
use rustix::mount::MountAttrFlags;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// [`protect`] before the command line is read, where that is going to make a process: reading it is a tenth of a start, and
/// would be done twice. What goes wrong is left to the later call to tell, and a narration is not begun yet.
pub fn protect_early(words: &[OsString]) {
    let ours = || words.iter().take_while(|word| *word != "--");
    let has = |wanted: &[&str]| ours().any(|word| wanted.iter().any(|known| word == *known));
    if has(&["create", "run", "exec"]) && !has(&["--verbose", "init"]) {
        let _ = protect();
    }
}

/// Executes this program anew from where it cannot be written to, unless it is there already.
/// Returns in the protected process.
pub fn protect() -> Result<()> {
    let own = File::open("/proc/self/exe").context("open /proc/self/exe (is /proc mounted?)")?;
    if is_protected(&own) {
        // The kernel named the process after the descriptor.
        let _ = rustix::thread::set_name(c"unshare-run");
        return Ok(());
    }
    match read_only_mount(&own) {
        Ok(mount) => execute(&mount),
        Err(_) => execute(&sealed_copy(&own)?),
    }
}

/// Our program file on a read-only mount that is attached nowhere. It costs 0.1 ms; a copy costs 1.5.
fn read_only_mount(own: &File) -> rustix::io::Result<OwnedFd> {
    narrate!("our own program file, as a mount that is in no folder", "open_tree(/proc/self/exe, OPEN_TREE_CLONE)");
    let mount = clone_mount(own, Path::new(""), Bind::One)?;
    narrate!("... which nobody can write to", "mount_setattr(MOUNT_ATTR_RDONLY)");
    let read_only = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    sys::mount_setattr(&mount, MountAttr { set: read_only, ..MountAttr::default() }, false)?;
    Ok(mount)
}

fn sealed_copy(own: &File) -> Result<OwnedFd> {
    let size = own.metadata().context("stat /proc/self/exe")?.len() as usize;
    narrate!(
        "we may make no mount: a copy in memory, for ever as it is",
        "memfd_create(unshare-run) fcntl(F_ADD_SEALS)"
    );
    let copy = memfd()?;
    let mut copied = 0;
    while copied < size {
        match rustix::fs::sendfile(&copy, own, None, size - copied).context("copy /proc/self/exe")? {
            0 => break,
            n => copied += n,
        }
    }
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, all).context("seal the copy of /proc/self/exe")?;
    Ok(copy)
}

fn is_protected(own: &File) -> bool {
    let sealed = rustix::fs::fcntl_get_seals(own).is_ok_and(|seals| seals.contains(SealFlags::WRITE));
    sealed || rustix::fs::fstatvfs(own).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn memfd() -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC says that executing it is the purpose; kernels before 6.3 do not know it, and need not be told.
    rustix::fs::memfd_create(c"unshare-run", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create(c"unshare-run", flags))
        .context("make a memfd")
}

fn execute(program: &OwnedFd) -> Result<()> {
    let mut args = Vec::new();
    for arg in std::env::args_os() {
        args.push(CString::new(arg.into_vec())?);
    }
    let mut env = Vec::new();
    let mut add = |name: OsString, value: OsString| -> Result<()> {
        env.push(CString::new([name.into_vec(), value.into_vec()].join(&b'='))?);
        Ok(())
    };
    for (name, value) in std::env::vars_os().filter(|(name, _)| name != PROGRAM_VARIABLE) {
        add(name, value)?;
    }
    // A program that is nowhere has no folder to look for its siblings in, so it is told where it came from.
    let own = std::env::current_exe().context("ask for our own program")?;
    add(PROGRAM_VARIABLE.into(), own.into_os_string())?;
    narrate!("so the container can never write to the runtime's program: we run from there", "execveat(unshare-run)");
    nix::unistd::execveat(program, c"", &args, &env, AtFlags::AT_EMPTY_PATH).context("execute /proc/self/exe anew")?;
    Ok(())
}
