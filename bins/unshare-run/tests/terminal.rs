//! Terminals: the container's own, shown on ours or handed over a socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::json;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

/// A terminal as a user has one.
struct Screen {
    master: std::fs::File,
    slave: OwnedFd,
}

impl Screen {
    fn new() -> Screen {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let screen = Screen { master: master.into(), slave };
        screen.resize(33, 99);
        screen
    }

    fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn spawn(&self, mut command: Command) -> Child {
        let stream = || Stdio::from(self.slave.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap()
    }

    /// Reads until a text has come.
    fn expect(&mut self, text: &str) -> String {
        let mut seen = String::new();
        let mut buffer = [0; 1024];
        while !seen.contains(text) {
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let came = poll(&mut ready, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap() > 0;
            assert!(came, "waited too long until {text:?} is on the screen, which shows {seen:?}");
            let n = self.master.read(&mut buffer).unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        seen
    }
}

#[test]
fn run_shows_the_containers_terminal_and_puts_ours_back() {
    // It waits in a loop: a signal that comes just before a shell's `read` does is not seen until that has read a line.
    let script = "tty; stty size; ls -l /dev/console; trap 'stty size; exit 5' WINCH; read a; echo got:$a;
        while :; do sleep 0.01; done";
    let mut bundle = Bundle::new(script);
    bundle.config["process"]["terminal"] = json!(true);
    let mut screen = Screen::new();
    assert!(!screen.is_raw());
    let mut child = screen.spawn(bundle.command(&["run", "--bundle", bundle.path().to_str().unwrap(), "x"]));
    let seen = screen.expect("/dev/console");
    assert!(seen.contains("/dev/pts/0\r\n33 99\r\n"), "{seen}");
    until("our terminal is raw", || screen.is_raw());
    screen.master.write_all(b"hello\r").unwrap();
    screen.expect("got:hello");
    screen.resize(22, 88);
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::WINCH).unwrap();
    screen.expect("22 88");
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(!screen.is_raw());
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    let bundle = Bundle::new("sleep 1000");
    bundle.create("x");
    let mut screen = Screen::new();
    let script = "tty; stty size; exit 6";
    let mut child = screen.spawn(bundle.command(&["exec", "--tty", "x", "sh", "-c", script]));
    let seen = screen.expect("33 99");
    assert!(seen.contains("/dev/pts/0"), "{seen}");
    assert_eq!(child.wait().unwrap().code(), Some(6));
    assert!(!screen.is_raw());
    // Also when it does not come to anything.
    let mut child = screen.spawn(bundle.command(&["exec", "--tty", "x", "nope"]));
    assert_eq!(child.wait().unwrap().code(), Some(127));
    assert!(!screen.is_raw());
}

#[test]
fn the_master_end_goes_over_the_console_socket() {
    let mut bundle = Bundle::new("echo hello; sleep 1000");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 11, "width": 44});
    let path = bundle.path().join("console.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let place = bundle.path().to_str().unwrap();
    let status = bundle
        .command(&["create", "--bundle", place, "--console-socket", path.to_str().unwrap(), "x"])
        .status()
        .unwrap();
    assert!(status.success());
    let (socket, _) = listener.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut [0; 64])], &mut control, RecvFlags::empty()).unwrap();
    let master = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let mut master = std::fs::File::from(master.expect("no descriptor came"));
    assert_eq!(rustix::termios::tcgetwinsize(&master).unwrap().ws_col, 44);
    bundle.call(&["start", "x"]);
    let mut buffer = [0; 7];
    master.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello\r\n");
}

#[test]
fn a_terminal_that_nobody_takes_is_refused() {
    let mut bundle = Bundle::new("true");
    bundle.config["process"]["terminal"] = json!(true);
    let said = bundle.call(&["create", "--bundle", bundle.path().to_str().unwrap(), "x"]);
    assert!(said.code == 1 && said.err.contains("--console-socket is missing"), "{said:?}");
}
