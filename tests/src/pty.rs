//! A terminal to run a program in, and somebody who types.

use crate::sys;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A program in a terminal of its own, 80 columns wide and 24 rows high.
pub struct Pty {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    seen: usize,
    child: Child,
    reader: JoinHandle<()>,
}

impl Pty {
    /// Starts `command` with the terminal as its standard streams and controlling terminal (pty(7)).
    pub fn spawn(command: &mut Command) -> Pty {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("open a terminal");
        grantpt(&ours).expect("grant the terminal");
        unlockpt(&ours).expect("unlock the terminal");
        let name = ptsname(&ours, Vec::new()).expect("name the terminal");
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).expect("open its other end");
        set_size(&ours, 24, 80);

        let stream = || theirs.try_clone().expect("share the terminal");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        sys::new_session(command);
        let child = command.spawn().unwrap_or_else(|error| panic!("run {command:?}: {error}"));
        // `command` holds copies of the other end, and as long as one is open, ours never reads an end of file.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());

        let keyboard = File::from(ours);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end is an error (EIO) once nobody has the other end.
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Pty { keyboard, screen, seen: 0, child, reader }
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("type");
    }

    /// Makes the window another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        set_size(&self.keyboard, rows, columns);
    }

    /// Waits until the screen shows `text`, after what was expected before, and gives what came before it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let screen = String::from_utf8_lossy(&self.screen.lock().unwrap()[self.seen..]).into_owned();
            if let Some(at) = screen.find(text) {
                self.seen += at + text.len();
                return screen[..at].to_owned();
            }
            assert!(std::time::Instant::now() < end, "expected {text:?} on the screen, which shows {screen:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the program's end and gives its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> u8 {
        let ended = crate::poll_until(60, "the program in the terminal to end", || self.child.try_wait().unwrap());
        layout::exit::from_status(ended)
    }

    /// Waits for the program's end; gives its exit code and every byte that came to the screen, until nobody had the terminal
    /// open any more.
    #[track_caller]
    pub fn ends(&mut self) -> (u8, String) {
        let code = self.wait();
        crate::poll_until(60, "nobody to hold the terminal", || self.reader.is_finished().then_some(()));
        (code, self.screen())
    }

    /// Somebody sits at a shell in a container that has just been started: it answers, its terminal is the container's, a
    /// new size arrives, and its exit code comes back.
    pub fn is_a_shells(mut self) {
        self.expect("# ");
        self.types("echo $((6 * 7)); tty\n");
        self.expect("\r\n42\r\n");
        self.expect("/dev/pts/0");
        self.resize(40, 120);
        crate::poll_until(60, "the new size", || {
            self.types("stty size\n");
            std::thread::sleep(std::time::Duration::from_millis(100));
            self.screen().contains("40 120").then_some(())
        });
        self.types("exit 3\n");
        assert_eq!(self.wait(), 3);
    }

    /// All that the screen has shown.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("set the window's size");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_sees_a_terminal_and_who_types() {
        let mut pty = Pty::spawn(Command::new("sh").args(["-c", "stty size; read word; stty size; echo got $word"]));
        pty.expect("24 80");
        pty.resize(30, 100);
        pty.types("hello\n");
        pty.expect("30 100");
        pty.expect("got hello");
        assert_eq!(pty.wait(), 0);
    }
}
