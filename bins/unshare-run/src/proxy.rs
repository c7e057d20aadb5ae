//! Showing the container's terminal on ours.
//!
//! Ours goes into raw mode: each key, control-C too, goes to the container's terminal, whose own line discipline
//! makes of it what the program there asked for. Whatever happens, ours is put back as it was.

use crate::run::{Forward, Signals};
use crate::state::Process;
use crate::terminal;
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr, tcsetwinsize};

/// Our terminal in raw mode, until this is dropped.
struct RawMode<'a>(Option<(BorrowedFd<'a>, Termios)>);

impl<'a> RawMode<'a> {
    fn enter(terminal: BorrowedFd<'a>) -> Result<RawMode<'a>> {
        if !isatty(terminal) {
            return Ok(RawMode(None));
        }
        let before = tcgetattr(terminal).context("read the terminal's mode")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw).context("set the terminal's mode")?;
        Ok(RawMode(Some((terminal, before))))
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        if let Some((terminal, before)) = &self.0 {
            // A terminal that has been closed meanwhile needs no mode.
            let _ = tcsetattr(*terminal, OptionalActions::Now, before);
        }
    }
}

/// Bytes on their way in one direction.
struct Pipe {
    buffer: Box<[u8; 16 << 10]>,
    pending: std::ops::Range<usize>,
    open: bool,
}

impl Pipe {
    fn new() -> Pipe {
        Pipe { buffer: Box::new([0; 16 << 10]), pending: 0..0, open: true }
    }

    fn wants_input(&self) -> bool {
        self.open && self.pending.is_empty()
    }

    /// Reads once; the end of the input, and a terminal whose other end is closed (EIO), close the pipe.
    fn fill(&mut self, from: impl AsFd) -> Result<()> {
        match rustix::io::read(from, self.buffer.as_mut_slice()) {
            Ok(0) | Err(Errno::IO) => self.open = false,
            Ok(n) => self.pending = 0..n,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error).context("read the terminal"),
        }
        Ok(())
    }

    /// Writes once. Who does not take the bytes any more does not get them.
    fn drain(&mut self, to: impl AsFd) -> Result<()> {
        match rustix::io::write(to, &self.buffer[self.pending.clone()]) {
            Ok(n) => self.pending.start += n,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::IO | Errno::PIPE) => {
                self.pending = 0..0;
                self.open = false;
            }
            Err(error) => return Err(error).context("write to the terminal"),
        }
        Ok(())
    }
}

/// Shows the terminal with this master end until the process has ended and all that it wrote is shown.
pub fn show(master: &OwnedFd, process: &Process, signals: &Signals, forward: Forward) -> Result<()> {
    let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let flags = rustix::fs::fcntl_getfl(master).context("read the terminal's flags")?;
    rustix::fs::fcntl_setfl(master, flags | rustix::fs::OFlags::NONBLOCK).context("set the terminal's flags")?;
    let _raw = RawMode::enter(stdin)?;
    copy_size(master);
    let (mut input, mut output) = (Pipe::new(), Pipe::new());
    let mut ended = false;
    // After its end, what is still in the terminal is shown, but nobody is waited for: a grandchild may
    // keep it open for ever.
    while output.open && !(ended && output.pending.is_empty() && !readable(master)?) {
        let wants = |yes: bool, flags: PollFlags| if yes { flags } else { PollFlags::empty() };
        let to_master = wants(!input.pending.is_empty(), PollFlags::OUT);
        let mut fds = vec![
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(master, wants(output.wants_input(), PollFlags::IN) | to_master),
        ];
        let [process_at, stdin_at, stdout_at] = [
            add(&mut fds, !ended, process.pidfd.as_fd(), PollFlags::IN),
            add(&mut fds, input.wants_input(), stdin, PollFlags::IN),
            add(&mut fds, !output.pending.is_empty(), stdout, PollFlags::OUT),
        ];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.context("wait for the terminal")?,
        };
        let ready = |at: Option<usize>| at.is_some_and(|at| !fds[at].revents().is_empty());
        let (ended_now, key, room) = (ready(process_at), ready(stdin_at), ready(stdout_at));
        let at_master = fds[1].revents();
        for signal in signals.pending()? {
            if signal.number == libc::SIGWINCH {
                copy_size(master);
            }
            forward.signal(signal.number, process)?;
        }
        if output.wants_input() && at_master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            output.fill(master)?;
        }
        if room {
            output.drain(stdout)?;
        }
        if key {
            input.fill(stdin)?;
            end_of_input(&mut input, stdin);
        }
        if at_master.contains(PollFlags::OUT) && !input.pending.is_empty() {
            input.drain(master)?;
        }
        ended |= ended_now;
    }
    Ok(())
}

fn add<'a>(fds: &mut Vec<PollFd<'a>>, wanted: bool, fd: BorrowedFd<'a>, flags: PollFlags) -> Option<usize> {
    wanted.then(|| {
        fds.push(PollFd::from_borrowed_fd(fd, flags));
        fds.len() - 1
    })
}

fn readable(master: &OwnedFd) -> Result<bool> {
    let mut fds = [PollFd::new(master, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).context("ask the terminal")?;
    Ok(fds[0].revents().contains(PollFlags::IN))
}

/// A file or pipe that has ended cannot be told to a terminal but by the key for it: control-D.
fn end_of_input(input: &mut Pipe, stdin: BorrowedFd<'_>) {
    const END_OF_TRANSMISSION: u8 = 4;
    if !input.open && !isatty(stdin) {
        input.buffer[0] = END_OF_TRANSMISSION;
        input.pending = 0..1;
    }
}

/// Makes the container's terminal as large as ours.
fn copy_size(master: &OwnedFd) {
    if let Some(size) = terminal::size_of_ours() {
        // Both are terminals; a size that is refused leaves the old one.
        let _ = tcsetwinsize(master, size);
    }
}
