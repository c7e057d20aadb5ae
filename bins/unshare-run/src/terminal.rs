//! The container's own terminal (pty(7)).
//!
//! It is made in the container's devpts, so that its name is right inside. The slave end becomes the program's
//! standard streams, its controlling terminal and `/dev/console`; the master end travels over a socket to whoever
//! shows it: a shim behind `--console-socket`, or our own [`crate::proxy`].

use crate::mounts::in_root::Root;
use crate::mounts::options::Bind;
use crate::mounts::target;
use crate::mounts::{attach, clone_private};
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{ConsoleSize, Process};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Gid, OFlags, Uid};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::Path;

/// devpts's number in statfs(2).
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// Leaves the caller's session, and with it the caller's terminal.
pub fn new_session() -> Result<()> {
    narrate!("no longer of the caller's session", "setsid()");
    rustix::process::setsid().map(drop).context("make a session")
}

/// Leaves the caller's keys behind (session-keyring(7)).
pub fn new_keyring() -> Result<()> {
    narrate!("the caller's keys stay the caller's", "keyctl(KEYCTL_JOIN_SESSION_KEYRING)");
    sys::new_session_keyring().context("make a session keyring")
}

/// Both ends of a new terminal.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Terminal {
    /// Makes a terminal in the devpts of `root`, of this size, else as large as the one that we are in front of: before
    /// the program runs, because its first deed may be to ask.
    pub fn open(root: &Root, size: Option<ConsoleSize>) -> Result<Terminal> {
        narrate!("a terminal of its own", "open(/dev/ptmx) ioctl(TIOCGPTPEER)");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let master = root.open(Path::new("/dev/ptmx"), flags).context("open /dev/ptmx (is devpts mounted?)")?;
        rustix::pty::unlockpt(&master).context("unlock the terminal (is /dev/ptmx one?)")?;
        // By descriptor, not by name: nobody can put something else at the slave's name meanwhile.
        let slave_flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, slave_flags).context("open the terminal's other end")?;
        if rustix::fs::fstatfs(&slave).context("statfs the terminal")?.f_type as u64 != DEVPTS_MAGIC {
            bail!("open a terminal: /dev/ptmx does not lead to devpts");
        }
        let size = size.filter(|size| size.height > 0 && size.width > 0);
        let size = size.map(|s| Winsize { ws_row: s.height, ws_col: s.width, ws_xpixel: 0, ws_ypixel: 0 });
        if let Some(size) = size.or_else(size_of_ours) {
            rustix::termios::tcsetwinsize(&slave, size).context("set the terminal's size")?;
        }
        Ok(Terminal { master, slave })
    }

    /// Binds the slave end over `/dev/console` of `root`.
    pub fn bind_console(&self, root: &Root) -> Result<()> {
        narrate!("what programs take for the machine's console", "open_tree(slave, OPEN_TREE_CLONE)");
        let target = target::file(root, Path::new("/dev/console"))?;
        let made = clone_private(&self.slave, Path::new(""), Bind::One).context("open the terminal")?;
        attach(&made, &target, Path::new("/dev/console")).context("bind the terminal at /dev/console")
    }

    /// Sends the master end away and makes the slave end ours: the standard streams and the controlling terminal.
    /// We must lead a session that has none yet.
    pub fn take(self, socket: impl AsFd) -> Result<()> {
        send_descriptor(socket, &self.master)?;
        narrate!("the other end is ours: who types there, types to us", "ioctl(TIOCSCTTY) dup2(0) dup2(1) dup2(2)");
        rustix::process::ioctl_tiocsctty(&self.slave).context("make the terminal the controlling one")?;
        rustix::stdio::dup2_stdin(&self.slave).context("make the terminal standard input")?;
        rustix::stdio::dup2_stdout(&self.slave).context("make the terminal standard output")?;
        rustix::stdio::dup2_stderr(&self.slave).context("make the terminal standard error")
    }
}

/// The size of the terminal that we are in front of, if there is one.
pub fn size_of_ours() -> Option<Winsize> {
    let sizes = [rustix::stdio::stdout(), rustix::stdio::stdin()].map(rustix::termios::tcgetwinsize);
    sizes.into_iter().flatten().find(|size| size.ws_row > 0)
}

/// Gives the standard streams to the user that the program runs as, so that it can open `/dev/stdout` anew.
/// Those that belong to nobody in particular are left alone: the null device, and what refuses.
pub fn give_streams_to(process: &Process) -> Result<()> {
    let null = rustix::fs::makedev(1, 3);
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let Ok(stat) = rustix::fs::fstat(stream) else { continue };
        if stat.st_rdev == null || stat.st_uid == process.user.uid {
            continue;
        }
        let (uid, gid) = (Uid::from_raw(process.user.uid), Gid::from_raw(stat.st_gid));
        match rustix::fs::fchown(stream, Some(uid), Some(gid)) {
            Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS | Errno::BADF) => {}
            Err(error) => return Err(error).context("give the standard streams to the user"),
        }
    }
    Ok(())
}

fn send_descriptor(socket: impl AsFd, fd: &OwnedFd) -> Result<()> {
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        bail!("send the terminal: no room for a descriptor");
    }
    // At least one byte must go with it; runc sends a name here.
    let name = [IoSlice::new(b"/dev/ptmx")];
    sendmsg(socket, &name, &mut control, SendFlags::NOSIGNAL).context("send the terminal over the console socket")?;
    Ok(())
}

/// Receives the descriptor that the other side sends; nothing if it goes without.
pub fn receive_descriptor(socket: impl AsFd) -> Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0u8; 64];
    recvmsg(socket, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .context("receive the terminal")?;
    let received = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_descriptor_travels() {
        let (a, b) = UnixStream::pair().unwrap();
        let file: OwnedFd = tempfile::tempfile().unwrap().into();
        send_descriptor(&a, &file).unwrap();
        let received = receive_descriptor(&b).unwrap().unwrap();
        assert_eq!(rustix::fs::fstat(&received).unwrap().st_ino, rustix::fs::fstat(&file).unwrap().st_ino);
        drop(a);
        assert!(receive_descriptor(&b).unwrap().is_none());
    }
}
