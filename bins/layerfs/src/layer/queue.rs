//! A bounded queue of bytes between two threads, and what they make of each other's end.

use anyhow::{Result, anyhow};
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

/// Bytes in a chunk, and chunks in a queue.
pub const CHUNK: usize = 64 << 10;
const QUEUE: usize = 16;

/// A bounded queue of bytes from one thread to another.
pub fn queue() -> (ChunkWriter, ChunkReader) {
    let (sender, receiver) = sync_channel(QUEUE);
    (
        ChunkWriter { sender, chunk: Vec::with_capacity(CHUNK) },
        ChunkReader { receiver, chunk: Vec::new(), read: 0, ended: false },
    )
}

/// The end of the queue that is written to.
pub struct ChunkWriter {
    sender: SyncSender<Option<Vec<u8>>>,
    chunk: Vec<u8>,
}

impl ChunkWriter {
    /// Sends what is left and says that this was all. Without it the reader takes the stream for cut short.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.sender.send(None).map_err(|_| closed_queue())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&buf[..n]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.sender.send(Some(chunk)).map_err(|_| closed_queue())
    }
}

/// The end of the queue that is read from.
pub struct ChunkReader {
    receiver: Receiver<Option<Vec<u8>>>,
    chunk: Vec<u8>,
    read: usize,
    ended: bool,
}

impl Read for ChunkReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() && !self.ended {
            match self.receiver.recv() {
                Ok(Some(chunk)) => (self.chunk, self.read) = (chunk, 0),
                Ok(None) => self.ended = true,
                Err(_) => return Err(closed_queue()),
            }
        }
        let n = buf.len().min(self.chunk.len() - self.read);
        buf[..n].copy_from_slice(&self.chunk[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }
}

const CLOSED: &str = "the other end of the queue is gone";

fn closed_queue() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, CLOSED)
}

/// Whether an error says no more than that the other thread has ended.
fn is_closed_queue(error: &anyhow::Error) -> bool {
    error.root_cause().to_string() == CLOSED
}

/// Copies to the end, in chunks: what (un)compresses works best on large ones.
pub fn pump(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => to.write_all(&buffer[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What a thread gave.
pub fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("a thread ended early")))
}

/// The results of two threads that a queue joins. When one of them fails, the other finds the queue closed: then
/// the reason is with the first.
pub fn both<A, B>(a: Result<A>, b: Result<B>) -> Result<(A, B)> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), Err(other)) if is_closed_queue(&error) => Err(other),
        (Err(error), _) => Err(error),
        (_, Err(error)) => Err(error),
    }
}
