//! Between container and shim: three pipes, or one terminal.

use crate::protocol::Kind;
use crate::runtime;
use anyhow::{Context, Result, bail};
use layout::container::Container;
use layout::tool::Call;
use layout::{Layout, exit, socket};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags};
use std::io::{IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Stdio};

/// Input that is kept until the process reads it; beyond this, who sends it waits.
const MAX_INPUT: usize = 64 << 10;

/// The shim's ends.
pub struct Streams {
    /// What the process reads.
    pub input: Input,
    /// What it writes.
    pub outputs: Vec<Output>,
    /// Whether it is a terminal.
    pub tty: bool,
}

/// What the process is to read, in the order in which it came.
pub struct Input {
    /// What is written here, the process reads. None when its input is `/dev/null`, or closed.
    file: Option<OwnedFd>,
    /// What it has not taken yet.
    queue: Vec<u8>,
    /// Whether the input ends after that.
    ends: bool,
}

/// One stream that the process writes.
pub struct Output {
    /// As which stream it counts.
    pub kind: Kind,
    /// Where it is read. None when its end was read.
    pub file: Option<OwnedFd>,
}

/// Runs the runtime's `create` and gives our ends of the streams that the container got.
pub fn create_with_streams(layout: &Layout, container: &Container, create: &Call) -> Result<Streams> {
    let console = container.config.tty.then(|| layout.console_socket(&container.id));
    with_streams(create, container.config.open_stdin, console.as_deref())
}

/// Runs a call of the runtime and gives our ends of the streams of the process that it made: pipes, an input among them if it
/// is to have one; or the terminal, which comes through the socket `console`.
pub fn with_streams(call: &Call, input: bool, console: Option<&Path>) -> Result<Streams> {
    match console {
        Some(socket) => with_terminal(call, socket),
        None => with_pipes(call, input),
    }
}

fn with_pipes(call: &Call, input: bool) -> Result<Streams> {
    let (stdin, stdin_end) = match input {
        true => std::io::pipe().map(|(theirs, ours)| (Stdio::from(theirs), Some(OwnedFd::from(ours)))),
        false => Ok((Stdio::null(), None)),
    }
    .context("make the container's standard input")?;
    let (stdout, stdout_end) = std::io::pipe().context("make the container's standard output")?;
    let (mut stderr, stderr_end) = std::io::pipe().context("make the container's standard error")?;
    let child = call.command()?.stdin(stdin).stdout(stdout_end).stderr(stderr_end).spawn();
    wait_for_create(child.with_context(|| format!("run {}", call.tool.name()))?, &mut stderr)?;
    Streams::new(stdin_end, vec![(Kind::Stdout, stdout.into()), (Kind::Stderr, stderr.into())], false)
}

/// The runtime makes the terminal, inside of the container, and sends its other side through a socket.
fn with_terminal(call: &Call, socket: &Path) -> Result<Streams> {
    let console = socket::listen(socket)?;
    let (mut stderr, stderr_end) = std::io::pipe().context("make a pipe")?;
    let child = call.command()?.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr_end).spawn();
    wait_for_create(child.with_context(|| format!("run {}", call.tool.name()))?, &mut stderr)?;
    let master = receive_terminal(&console)?;
    std::fs::remove_file(socket).context("remove the console socket")?;
    let stdin = master.try_clone().context("duplicate the terminal")?;
    Streams::new(Some(stdin), vec![(Kind::Stdout, master)], true)
}

/// Waits for the runtime. Until it has succeeded, only the runtime itself can have written to the error stream.
fn wait_for_create(mut child: Child, stderr: &mut impl Read) -> Result<()> {
    let status = child.wait().context("wait for the runtime")?;
    if status.success() {
        return Ok(());
    }
    let mut said = String::new();
    stderr.take(64 << 10).read_to_string(&mut said).context("read what the runtime said")?;
    let said = said.trim_end();
    let code = match exit::from_status(status) {
        code @ (exit::NOT_FOUND | exit::CANNOT_EXECUTE) => code,
        _ => runtime::exit_code_of(said),
    };
    Err(exit::coded(code, if said.is_empty() { format!("the runtime: {status}") } else { said.to_owned() }))
}

/// Takes the file that the runtime sends over its connection (unix(7), SCM_RIGHTS).
fn receive_terminal(console: &UnixListener) -> Result<OwnedFd> {
    // The runtime has succeeded, so its connection waits already; if it does not, it never will.
    console.set_nonblocking(true).context("wait for the terminal")?;
    let (connection, _) = console.accept().context("accept the runtime's connection with the terminal")?;
    connection.set_nonblocking(false).context("wait for the terminal")?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0u8; 4096];
    let received = rustix::net::recvmsg(
        connection.as_fd(),
        &mut [IoSliceMut::new(&mut name)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .context("receive the terminal")?;
    if received.flags.contains(ReturnFlags::CTRUNC) {
        bail!("receive the terminal: more files came than one");
    }
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut files) = message
            && let Some(file) = files.next()
        {
            return Ok(file);
        }
    }
    bail!("receive the terminal: the runtime sent no file")
}

impl Streams {
    /// The loop must never wait in a read or a write of them.
    fn new(input: Option<OwnedFd>, outputs: Vec<(Kind, OwnedFd)>, tty: bool) -> Result<Streams> {
        for file in outputs.iter().map(|(_, file)| file).chain(&input) {
            let flags = rustix::fs::fcntl_getfl(file).context("read a stream's flags")?;
            rustix::fs::fcntl_setfl(file, flags | OFlags::NONBLOCK).context("make a stream non-blocking")?;
        }
        let input = Input { file: input, queue: Vec::new(), ends: false };
        let outputs = outputs.into_iter().map(|(kind, file)| Output { kind, file: Some(file) }).collect();
        Ok(Streams { input, outputs, tty })
    }

    /// Nothing comes after what has come. A terminal stays open: its users come and go.
    pub fn end_input(&mut self) {
        if !self.tty {
            self.input.end();
        }
    }

    /// Sets the terminal's size; without a terminal there is none to set.
    pub fn resize(&self, rows: u16, cols: u16) {
        let master = self.outputs.first().and_then(|output| output.file.as_ref());
        if let (true, Some(master)) = (self.tty, master) {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
            // The terminal may be gone already, with the container.
            let _ = rustix::termios::tcsetwinsize(master, size);
        }
    }
}

impl Input {
    /// Adds bytes, and gives the process what it can take.
    pub fn push(&mut self, bytes: &[u8]) {
        self.queue.extend_from_slice(bytes);
        self.feed();
    }

    /// Nothing comes after what is there.
    fn end(&mut self) {
        self.ends = true;
        self.feed();
    }

    /// Gives the process what it can take.
    pub fn feed(&mut self) {
        let Some(file) = &self.file else { return self.queue.clear() };
        if !self.queue.is_empty() {
            match rustix::io::write(file, &self.queue) {
                Ok(n) => drop(self.queue.drain(..n)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // It has closed its input: nobody will ever read the rest.
                Err(_) => {
                    self.queue.clear();
                    self.ends = true;
                }
            }
        }
        if self.queue.is_empty() && self.ends {
            self.file = None;
        }
    }

    /// Whether the process is far behind.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= MAX_INPUT
    }

    /// What becomes writable when the process can take more of what waits for it.
    pub fn behind(&self) -> Option<&OwnedFd> {
        self.file.as_ref().filter(|_| !self.queue.is_empty())
    }
}

impl Output {
    /// Reads once, at most a buffer full: the bytes. None when there are none, now or for ever.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        match rustix::io::read(self.file.as_ref()?, &mut *buffer) {
            Ok(n) if n > 0 => Some(&buffer[..n]),
            Err(Errno::AGAIN | Errno::INTR) => None,
            // The end, which a terminal says with EIO.
            _ => {
                self.file = None;
                None
            }
        }
    }
}
