//! A blob on its way in: one thread writes it to a file, another may read that file meanwhile.
//!
//! The file is the buffer between the two. So a layer is extracted while it arrives, in memory that does not grow, and a
//! connection that breaks and is made anew is nothing that the reader would notice.

use anyhow::{Result, bail};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// See the module. Shared by both threads.
#[derive(Default)]
pub struct Arrival {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// There is something to read, from the beginning.
    file: Option<Arc<File>>,
    /// So many bytes of it are there for good.
    ready: u64,
    /// All of them are.
    whole: bool,
    /// It is in the store, under its name, and on the disk.
    stored: bool,
    /// The rest will not come.
    given_up: bool,
}

impl Arrival {
    /// The file will grow from its beginning on.
    pub fn begins(&self, file: File) {
        self.change(|state| (state.file, state.ready) = (Some(Arc::new(file)), 0));
    }

    /// So many of its bytes are there.
    pub fn has(&self, bytes: u64) {
        self.change(|state| state.ready = bytes);
    }

    /// All of it is in this file, and its digest is right.
    pub fn is_whole(&self, file: File, bytes: u64) {
        self.change(|state| {
            // Who reads it already goes on with the file that he has.
            state.file.get_or_insert_with(|| Arc::new(file));
            state.ready = bytes;
            state.whole = true;
        });
    }

    /// It is in the store.
    pub fn is_stored(&self) {
        self.change(|state| state.stored = true);
    }

    /// Waits until it is in the store.
    ///
    /// # Errors
    /// It will not be.
    pub fn wait_stored(&self) -> Result<()> {
        let mut state = self.state();
        while !state.stored {
            if state.given_up {
                bail!("the blob was not stored");
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Nothing more will come, unless it is whole.
    pub fn is_given_up(&self) {
        self.change(|state| state.given_up = true);
    }

    /// Whether all of it is there.
    pub fn whole(&self) -> bool {
        self.state().whole
    }

    /// A reader of it, which waits where it is faster than what comes. `on_read` is told how far it is.
    pub fn reader<F: FnMut(u64)>(&self, on_read: F) -> Reader<'_, F> {
        Reader { arrival: self, at: 0, on_read }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits for bytes beyond `at`: the file and how far it may be read.
    fn beyond(&self, at: u64) -> io::Result<(Arc<File>, u64)> {
        let mut state = self.state();
        loop {
            if let Some(file) = &state.file
                && (state.whole || state.ready > at)
            {
                return Ok((Arc::clone(file), state.ready));
            }
            if state.given_up {
                return Err(io::Error::other("the rest of it was not downloaded"));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads what arrives.
pub struct Reader<'a, F> {
    arrival: &'a Arrival,
    at: u64,
    on_read: F,
}

impl<F: FnMut(u64)> Read for Reader<'_, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (file, ready) = self.arrival.beyond(self.at)?;
        let room = usize::try_from(ready - self.at).unwrap_or(usize::MAX).min(buf.len());
        let n = file.read_at(&mut buf[..room], self.at)?;
        self.at += n as u64;
        (self.on_read)(self.at);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_arrives_in_pieces_is_read_as_one() {
        let (mut file, arrival) = (tempfile::tempfile().unwrap(), Arrival::default());
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut text, mut seen) = (String::new(), 0);
                arrival.reader(|at| seen = at).read_to_string(&mut text).unwrap();
                (text, seen)
            });
            arrival.begins(file.try_clone().unwrap());
            for (piece, length) in [("one ", 4), ("two ", 8), ("three", 13)] {
                file.write_all(piece.as_bytes()).unwrap();
                arrival.has(length);
            }
            arrival.is_whole(file.try_clone().unwrap(), 13);
            arrival.is_given_up();
            assert_eq!(reader.join().unwrap(), ("one two three".to_owned(), 13));
        });
    }

    #[test]
    fn what_does_not_arrive_is_an_error_and_no_end() {
        let arrival = Arrival::default();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| arrival.reader(|_| ()).read_to_end(&mut Vec::new()).unwrap_err());
            arrival.begins(tempfile::tempfile().unwrap());
            arrival.is_given_up();
            assert!(reader.join().unwrap().to_string().contains("not downloaded"));
        });
    }
}
