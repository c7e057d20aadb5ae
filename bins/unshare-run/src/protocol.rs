//! What parent and child say to each other while a container is made.
//!
//! A pair of sequenced-packet sockets (unix(7)): messages arrive whole, in order, and when one side dies,
//! however it dies, the other reads the end of the stream. So a child whose parent was killed half-way
//! ends by itself, and a parent whose child was killed cleans up.
//!
//! ```text
//!   parent                                   child
//!     | cgset create
//!     | clone3 ------------------------------> |  namespaces, cgroup
//!     | id maps of a user namespace            |
//!     | ---------------- Proceed ------------> |  (only if there are such)
//!     |                                        |  cgroup namespace, mounts, pivot_root, ...
//!     | <--------------- Warning ------------- |  (any number)
//!     | <--------------- AtHooks ------------- |  (only if there are hooks of the runtime)
//!     | ---------------- Proceed ------------> |
//!     | <--------------- Ready --------------- |  everything is done but execve (and the filter, unless it has a listener)
//!     | state.json, pid file                   |
//!     | ---------------- Go -----------------> |  waits at exec.fifo (create) or executes (run)
//!     | <-------------- Failed, or end ------- |  the socket closes when execve succeeds
//! ```

use anyhow::{Context, Result, bail};
use layout::exit;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// Longer than any message: a packet is never cut.
const LONGEST: usize = 32 << 10;

/// From the child to the parent.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// Everything is done but to execute the program. If somebody else is to decide about its system calls, the number of the
    /// descriptor by which he does.
    Ready(Option<i32>),
    /// Something is not quite as asked for.
    Warning(String),
    /// The root is put together and not entered yet: this is when hooks of the runtime run.
    AtHooks,
    /// The process in the container is made (`exec`): its number.
    Made(i32),
    /// It failed, and the tool is to exit with this code.
    Failed(u8, String),
}

/// From the parent to the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What only the parent can do for the child is done: its id maps, hooks, or (`exec`) its OOM score.
    Proceed,
    /// The state is on disk.
    Go,
}

/// One end of the pair.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Both ends; they close when a program is executed.
    pub fn pair() -> Result<(Channel, Channel)> {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .context("make a socket pair")?;
        Ok((Channel(a), Channel(b)))
    }

    /// Tells the parent.
    pub fn report(&self, report: &Report) -> Result<()> {
        let mut packet = Vec::new();
        match report {
            Report::Ready(listener) => {
                packet.push(b'R');
                packet.extend(listener.iter().flat_map(|number| number.to_ne_bytes()));
            }
            Report::AtHooks => packet.push(b'H'),
            Report::Warning(text) => {
                packet.push(b'W');
                packet.extend_from_slice(text.as_bytes());
            }
            Report::Made(pid) => {
                packet.push(b'M');
                packet.extend_from_slice(&pid.to_ne_bytes());
            }
            Report::Failed(code, text) => {
                packet.extend_from_slice(&[b'F', *code]);
                packet.extend_from_slice(text.as_bytes());
            }
        }
        packet.truncate(LONGEST);
        self.send(&packet)
    }

    /// Tells the child.
    pub fn order(&self, order: Order) -> Result<()> {
        self.send(match order {
            Order::Proceed => b"P",
            Order::Go => b"G",
        })
    }

    /// The child's next report; nothing when its end is closed.
    pub fn next_report(&self) -> Result<Option<Report>> {
        let packet = self.receive()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match packet.split_first() {
            None => None,
            Some((b'R', [])) => Some(Report::Ready(None)),
            Some((b'R', &[a, b, c, d])) => Some(Report::Ready(Some(i32::from_ne_bytes([a, b, c, d])))),
            Some((b'H', _)) => Some(Report::AtHooks),
            Some((b'W', rest)) => Some(Report::Warning(text(rest))),
            Some((b'M', &[a, b, c, d])) => Some(Report::Made(i32::from_ne_bytes([a, b, c, d]))),
            Some((b'F', [code, rest @ ..])) => Some(Report::Failed(*code, text(rest))),
            Some(_) => bail!("read the child's report: {packet:?} is none"),
        })
    }

    /// Waits for an order.
    ///
    /// # Errors
    /// The parent is gone, or says something else.
    pub fn await_order(&self, wanted: Order) -> Result<()> {
        let packet = self.receive()?;
        match (packet.as_slice(), wanted) {
            (b"P", Order::Proceed) | (b"G", Order::Go) => Ok(()),
            ([], _) => bail!("wait for {wanted:?}: the parent is gone"),
            _ => bail!("wait for {wanted:?}: got {packet:?}"),
        }
    }

    fn send(&self, packet: &[u8]) -> Result<()> {
        // write and read, as a filter that is in force already has to allow them: few programs do without these.
        rustix::io::write(&self.0, packet).context("send a message to the other side")?;
        Ok(())
    }

    fn receive(&self) -> Result<Vec<u8>> {
        let mut packet = vec![0; LONGEST];
        loop {
            match rustix::io::read(&self.0, packet.as_mut_slice()) {
                Ok(length) => {
                    packet.truncate(length);
                    return Ok(packet);
                }
                // A reset tells once that the other side left without reading all that we sent. What it
                // had sent before, its reason perhaps, is still to be had.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => continue,
                Err(error) => return Err(error).context("receive a message from the other side"),
            }
        }
    }
}

impl Report {
    /// An error as it travels to the parent.
    pub fn failure(error: &anyhow::Error) -> Report {
        Report::Failed(exit::code_of(error), format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_the_end_is_seen() {
        let (parent, child) = Channel::pair().unwrap();
        let failed = Report::Failed(127, "exec: \"x\": not found".to_owned());
        let (ready, asked) = (Report::Ready(None), Report::Ready(Some(7)));
        for report in [Report::Warning("w".to_owned()), Report::AtHooks, ready, asked, Report::Made(7), failed] {
            child.report(&report).unwrap();
            assert_eq!(parent.next_report().unwrap(), Some(report));
        }
        parent.order(Order::Go).unwrap();
        child.await_order(Order::Go).unwrap();
        parent.order(Order::Go).unwrap();
        assert!(child.await_order(Order::Proceed).is_err());
        drop(child);
        assert_eq!(parent.next_report().unwrap(), None);
        assert!(parent.order(Order::Go).is_err());
    }

    #[test]
    fn who_leaves_without_listening_has_still_been_heard() {
        let (parent, child) = Channel::pair().unwrap();
        parent.order(Order::Proceed).unwrap();
        child.report(&Report::Failed(125, "reason".to_owned())).unwrap();
        drop(child);
        assert_eq!(parent.next_report().unwrap(), Some(Report::Failed(125, "reason".to_owned())));
        assert_eq!(parent.next_report().unwrap(), None);
    }
}
