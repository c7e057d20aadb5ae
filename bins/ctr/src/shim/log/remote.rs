//! Sending lines to a daemon that may be slow, or away for a while: a thread of its own does it, so that nobody waits.
//!
//! What the daemon has not taken yet waits in memory, up to `max-buffer-size`. What comes beyond is not sent, and counted;
//! `ctr logs` has it all the same, from the file beside.

use super::connection::Connection;
use anyhow::{Context, Result};
use nix::sys::signal::SigSet;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much waits, where nothing else is asked for: the shim is to stay small.
const WAITING: u64 = 128 << 10;

/// What a message takes beside its bytes.
const EACH: u64 = 48;

/// How long a container's end waits for the last lines, as long as the daemon takes any.
const LAST_LINES: Duration = Duration::from_secs(2);

/// So often it is tried to find a daemon again that is away.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// The way to the daemon.
pub struct Remote(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Messages; the first one may be on its way, and stays until it is sent.
    waiting: VecDeque<Arc<[u8]>>,
    bytes: u64,
    limit: u64,
    /// How many did not fit.
    lost: u64,
    is_away: bool,
}

impl Remote {
    /// Connects, and has a thread send what is to come.
    pub fn start(limit: Option<u64>, connect: impl Fn() -> Result<Connection> + Send + 'static) -> Result<Remote> {
        let connection = connect()?;
        let shared = Arc::new(Shared::default());
        shared.lock().limit = limit.unwrap_or(WAITING);
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned());
        let work = move || {
            // Signals are the main thread's.
            let _ = SigSet::all().thread_block();
            theirs.send_all(connection, &connect);
        };
        thread.spawn(work).context("make a thread")?;
        Ok(Remote(shared))
    }

    /// Has a message sent, unless there are too many.
    pub fn add(&self, message: Vec<u8>) {
        let mut queue = self.0.lock();
        let size = message.len() as u64 + EACH;
        if queue.bytes + size > queue.limit && !queue.waiting.is_empty() {
            queue.lost += 1;
            return;
        }
        queue.bytes += size;
        queue.waiting.push_back(message.into());
        self.0.changed.notify_all();
    }

    /// How many did not fit, once there is room again: that is to be said before anything else.
    pub fn take_lost(&self) -> Option<u64> {
        let mut queue = self.0.lock();
        let has_room = queue.lost > 0 && queue.bytes <= queue.limit / 2;
        has_room.then(|| std::mem::take(&mut queue.lost))
    }

    /// Waits for a moment until all is sent; not for a daemon that is away.
    pub fn finish(&self) {
        let deadline = Instant::now() + LAST_LINES;
        let mut queue = self.0.lock();
        while !queue.waiting.is_empty() && !queue.is_away {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// No holder of the lock panics, and what is behind it is whole at any time.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Arc<[u8]> {
        let mut queue = self.lock();
        loop {
            match queue.waiting.front() {
                Some(message) => return Arc::clone(message),
                None => queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn send_all(&self, mut connection: Connection, connect: &impl Fn() -> Result<Connection>) {
        loop {
            let message = self.next();
            while !is_done(connection.send(&message)) {
                match connect() {
                    Ok(new) => connection = new,
                    Err(_) => self.be_away(),
                }
            }
            let mut queue = self.lock();
            queue.is_away = false;
            queue.waiting.pop_front();
            queue.bytes -= message.len() as u64 + EACH;
            drop(queue);
            self.changed.notify_all();
        }
    }

    fn be_away(&self) {
        self.lock().is_away = true;
        self.changed.notify_all();
        std::thread::sleep(TRY_AGAIN);
    }
}

/// Whether a message is sent, or never will be.
fn is_done(sent: std::io::Result<()>) -> bool {
    sent.as_ref().map_or_else(|error| error.raw_os_error() == Some(libc::EMSGSIZE), |()| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    #[test]
    fn nobody_waits_for_a_daemon_and_it_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let address = path.to_str().unwrap().to_owned();
        let listener = UnixListener::bind(&path).unwrap();
        let remote = Remote::start(Some(1 << 20), move || Ok(Connection::local(&address)?)).unwrap();
        let (mut first, _) = listener.accept().unwrap();
        // It takes nothing: what the kernel does not hold, waits; then it is counted.
        for _ in 0..3000 {
            remote.add(vec![b'x'; 1000]);
        }
        let lost = remote.0.lock().lost;
        assert!(lost > 0 && lost < 3000, "{lost}");
        assert_eq!(remote.take_lost(), None);
        let mut got = vec![0; 1000 * (3000 - lost as usize)];
        first.read_exact(&mut got).unwrap();
        remote.finish();
        assert_eq!(remote.take_lost(), Some(lost));

        drop((first, listener));
        std::fs::remove_file(&path).unwrap();
        remote.add(b"one".to_vec());
        remote.finish();
        remote.add(b"two".to_vec());
        let listener = UnixListener::bind(&path).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        let mut got = [0; 6];
        second.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"onetwo");
    }
}
