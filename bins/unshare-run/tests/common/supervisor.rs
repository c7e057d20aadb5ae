//! An agent that decides about system calls of others (seccomp_unotify(2)).

use crate::sys;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::Value;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::JoinHandle;

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// It is made.
    Continue,
    /// It fails.
    Errno(i32),
}

/// Takes as many connections as there are lists, and gives the answers of each to its calls, one after the other. Ends with what the
/// runtime said.
pub fn serve(socket: &Path, answers: Vec<Vec<Answer>>) -> JoinHandle<Vec<Value>> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let serve_one = |answers: Vec<Answer>| {
            let (word, listener) = receive(&listener.accept().unwrap().0);
            for answer in answers {
                let call = sys::next_call(&listener);
                match answer {
                    Answer::Continue => sys::answer(&listener, call, 0, sys::CONTINUE),
                    Answer::Errno(errno) => sys::answer(&listener, call, -errno, 0),
                }
            }
            word
        };
        answers.into_iter().map(serve_one).collect()
    })
}

fn receive(stream: &UnixStream) -> (Value, OwnedFd) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut word = vec![0u8; 65536];
    let read = recvmsg(stream, &mut [IoSliceMut::new(&mut word)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let listener = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    (serde_json::from_slice(&word[..read.bytes]).unwrap(), listener.unwrap())
}
