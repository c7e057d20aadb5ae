//! One direction of a connection: bytes go from a socket into a pipe and out of it into another socket, without ever
//! being copied into this program (splice(2)).
//!
//! A pipe is a list of references to pages. splice from a socket hangs the pages that the network filled into that list,
//! splice to a socket hands them on. Nothing here blocks: a flow goes on until its source has nothing more or its sink
//! takes nothing more, and says which it was; so a slow side fills its own pipe and holds up nobody else.

use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::os::fd::{BorrowedFd, OwnedFd};

/// The most that a pipe may hold. More makes no difference: the pages stay where they are.
const PIPE_SIZE: usize = 256 << 10;
/// How often one flow may fill and drain before the others have their turn.
const TURN: usize = 16;

/// How a flow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There was more to do than one turn allows.
    More,
    /// Nothing can be done before the source has more or the sink has room.
    Waiting,
    /// The source has ended, and so has the sink been told, after the last byte.
    Done,
}

/// One direction of a connection.
#[derive(Debug)]
pub struct Flow {
    into: OwnedFd,
    out_of: OwnedFd,
    in_pipe: usize,
    source: Source,
}

/// What is known of the sending end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Open,
    /// It has said that nothing follows.
    Ended,
    /// It broke off. What it sent before is still good.
    Broken(Errno),
    /// Nobody takes what it sends, or all is done.
    Finished,
}

impl Flow {
    /// A flow with an empty pipe.
    pub fn new() -> rustix::io::Result<Flow> {
        let (out_of, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A large pipe saves system calls; where it is refused, the usual 64 KiB work as well.
        let _ = fcntl_setpipe_size(&into, PIPE_SIZE);
        Ok(Flow { into, out_of, in_pipe: 0, source: Source::Open })
    }

    /// Whether nothing more will come out of this flow.
    pub fn is_done(&self) -> bool {
        self.source == Source::Finished
    }

    /// Moves what can be moved.
    ///
    /// When the source has ended and all is drained, the sink is told by shutting down its writing half; the other
    /// direction is not concerned (a client that has sent its request and half-closes still gets its answer).
    ///
    /// # Errors
    /// When the source broke off (`ECONNRESET`), after everything that it had sent was passed on.
    pub fn pump(&mut self, source: BorrowedFd, sink: BorrowedFd) -> rustix::io::Result<Progress> {
        for _ in 0..TURN {
            if self.source == Source::Finished {
                return Ok(Progress::Done);
            }
            let filled = self.fill(source);
            let drained = self.drain(sink);
            match self.source {
                Source::Ended if self.in_pipe == 0 => {
                    self.source = Source::Finished;
                    // The sink may be gone altogether, and then it need not be told.
                    let _ = shutdown(sink, Shutdown::Write);
                }
                Source::Broken(error) if self.in_pipe == 0 => return Err(error),
                _ if !filled && !drained => return Ok(Progress::Waiting),
                _ => {}
            }
        }
        Ok(Progress::More)
    }

    /// Takes from the source what is there and fits. Says whether anything changed.
    fn fill(&mut self, source: BorrowedFd) -> bool {
        if self.source != Source::Open {
            return false;
        }
        match transfer(source, &self.into) {
            Ok(0) => self.source = Source::Ended,
            Ok(moved) => self.in_pipe += moved,
            // The source has nothing, or the pipe is full: that shows in whether it can be drained.
            Err(Errno::AGAIN) => return false,
            Err(error) => self.source = Source::Broken(error),
        }
        true
    }

    /// Gives to the sink what it takes. Says whether anything changed.
    fn drain(&mut self, sink: BorrowedFd) -> bool {
        if self.in_pipe == 0 {
            return false;
        }
        match transfer(&self.out_of, sink) {
            Ok(0) | Err(Errno::AGAIN) => return false,
            Ok(moved) => self.in_pipe -= moved.min(self.in_pipe),
            // The receiver has gone (EPIPE, ECONNRESET): what it did not want is dropped. What it still has to say
            // is the other flow's matter.
            Err(_) => (self.in_pipe, self.source) = (0, Source::Finished),
        }
        true
    }
}

fn transfer(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd) -> rustix::io::Result<usize> {
    loop {
        match splice(&from, None, &to, None, PIPE_SIZE, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
            Err(Errno::INTR) => continue,
            other => return other,
        }
    }
}
