//! Terminals (config.md "Process": `terminal`, `consoleSize`), taken over a socket as a container manager does.

use crate::bundle::Bundle;
use crate::case::{case, check};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

/// One message: its text, and the descriptors that came with it (unix(7), `SCM_RIGHTS`).
pub fn receive(socket: BorrowedFd) -> (String, Vec<OwnedFd>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = vec![0; 64 * 1024];
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let messages = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
        _ => None,
    });
    let fds = messages.flatten().collect();
    (String::from_utf8_lossy(&text[..got.bytes]).into_owned(), fds)
}

/// Somebody who connects within some seconds.
pub fn accept(listener: &UnixListener) -> Option<UnixStream> {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    let came = poll(&mut fds, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap();
    (came > 0).then(|| listener.accept().unwrap().0)
}

/// Makes a container with a terminal, and gives what its program wrote to it while somebody typed `hello`.
fn typed(bundle: &Bundle, command: &[&str]) -> String {
    let path = bundle.path().join("console.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let line: Vec<&str> = [command, &["--console-socket", path.to_str().unwrap(), &bundle.id]].concat();
    let code = bundle.detach(&line);
    if code != 0 {
        return format!("[exit {code}]");
    }
    let (_, fds) = receive(accept(&listener).expect("nobody came").as_fd());
    let mut terminal = File::from(fds.into_iter().next().unwrap());
    if command[0] == "create" {
        bundle.call(&["start", &bundle.id]).ok();
    }
    terminal.write_all(b"hello\n").unwrap();
    let mut screen = Vec::new();
    let mut buffer = [0; 1024];
    // The end is an error (EIO) once nobody has the other end.
    while let Ok(n @ 1..) = terminal.read(&mut buffer) {
        screen.extend_from_slice(&buffer[..n]);
    }
    let screen = String::from_utf8_lossy(&screen).replace("\r\n", "\n");
    // What is typed is echoed at any point of time.
    screen.replacen("hello\n", "", 1).trim_end().to_owned()
}

#[test]
fn the_process_has_a_terminal_of_its_own() {
    fn terminal(bundle: &mut Bundle, script: &str) {
        bundle.config["process"]["terminal"] = json!(true);
        bundle.config["process"]["consoleSize"] = json!({"height": 11, "width": 44});
        bundle.script(script);
    }
    check(vec![
        case("create, start")
            .bundle(|b| terminal(b, "tty; stty size; read word; echo got:$word"))
            .sees("/dev/pts/0\n11 44\ngot:hello", |b| typed(b, &["create"])),
        case("run --detach")
            .bundle(|b| terminal(b, "tty; read word; echo got:$word"))
            .sees("/dev/pts/0\ngot:hello", |b| typed(b, &["run", "--detach"])),
        case("the console is the terminal, which controls the session")
            .bundle(|b| terminal(b, "test /dev/console -ef /dev/pts/0 || stat -c '%F %a' /dev/console; : > /dev/tty && echo open; read w"))
            .sees("open", |b| typed(b, &["create"])),
        case("it belongs to the user")
            .bundle(|b| {
                terminal(b, "stat -c '%u %a' /dev/pts/0; read w");
                b.config["process"]["user"] = json!({"uid": 33, "gid": 33});
            })
            .sees("33 620", |b| typed(b, &["create"])),
        case("a terminal that nobody takes")
            .bundle(|b| terminal(b, "true"))
            .sees("[exit 1]", |b| format!("[exit {}]", b.call(&["create", &b.id]).code)),
        case("a socket for a terminal that there is not")
            .sees("[exit 1]", |b| typed(b, &["create"])),
        case("a socket that there is not")
            .bundle(|b| terminal(b, "true"))
            .sees("[exit 1]", |b| format!("[exit {}]", b.call(&["create", "--console-socket", "/nowhere", &b.id]).code)),
    ]);
}
