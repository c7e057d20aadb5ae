//! One pass over a layer: what arrives is digested, compressed and extracted while it is read.
//!
//! ```text
//! plain tar:   input ── digest ──┬── extract            gzip'd tar:  input ── digest ──┬── blob
//!                                └═► compress ── blob                                  └── uncompress ═► digest ── extract
//! ```
//!
//! The double arrow is a queue of a few chunks between two threads: (un)compressing takes as long as all the rest.
//! The queue is bounded, so memory is too, whatever the size of the layer.

use crate::archive::read::TarReader;
use crate::layer::extract;
use anyhow::{Context, Result, anyhow, bail};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use layout::Digest;
use layout::digest::{HashingReader, HashingWriter};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

/// Bytes in a chunk, and chunks in a queue.
const CHUNK: usize = 64 << 10;
const QUEUE: usize = 16;

/// The gzip level of layers. Level 1 compresses faster than a disk reads; higher levels save a few percent.
const LEVEL: u32 = 1;

/// What one pass found out.
#[derive(Debug)]
pub struct Passed {
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Digest of the bytes of the blob.
    pub blob_digest: Digest,
    /// Number of bytes of the blob.
    pub blob_size: u64,
    /// Sum of the sizes of the layer's files.
    pub size: u64,
}

/// Reads a layer, plain or gzip'd, writes the blob that it is stored as to `blob` and its files into the folder `dir`.
/// What arrives as gzip is kept as it is.
pub fn store(mut input: impl Read + Send, blob: File, dir: &Path) -> Result<Passed> {
    let mut start = [0u8; 6];
    let n = fill(&mut input, &mut start)?;
    let start = &start[..n];
    if start.is_empty() {
        bail!("the input is empty: it is no tar archive");
    }
    let compressed = is_gzip(start)?;
    let input = start.chain(input);
    if compressed {
        return unzip_and_extract(input, blob, dir, TarReader::new);
    }
    store_plain(input, blob, dir)
}

/// Extracts a blob that is in the store already, whose digest is verified on the way.
pub fn unpack(mut blob: impl Read + Send, dir: &Path) -> Result<Passed> {
    let mut start = [0u8; 6];
    let n = fill(&mut blob, &mut start)?;
    let start = &start[..n];
    let input = start.chain(blob);
    if is_gzip(start)? {
        return unzip_and_extract(input, io::sink(), dir, TarReader::of_known_digest);
    }
    let mut tar = TarReader::of_known_digest(HashingReader::new(input));
    let size = extract::extract(&mut tar, dir)?;
    let (_, diff_id, blob_size) = tar.finish()?.finish();
    Ok(Passed { blob_digest: diff_id.clone(), diff_id, blob_size, size })
}

/// The digest of a blob, and that of its uncompressed content; `None` for that where the compression is not supported.
pub fn digests(mut blob: impl Read) -> Result<(Digest, Option<Digest>)> {
    let mut start = [0u8; 6];
    let n = fill(&mut blob, &mut start)?;
    let start = &start[..n];
    let mut raw = HashingReader::new(start.chain(blob));
    let compressed = is_gzip(start);
    if !matches!(compressed, Ok(true)) {
        io::copy(&mut raw, &mut io::sink()).context("read the blob")?;
        let digest = raw.finish().1;
        return Ok((digest.clone(), compressed.is_ok().then_some(digest)));
    }
    let mut plain = HashingReader::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, &mut raw)));
    io::copy(&mut plain, &mut io::sink()).context("uncompress the blob")?;
    let diff_id = plain.finish().1;
    Ok((raw.finish().1, Some(diff_id)))
}

/// Tells by the first bytes whether a stream is gzip'd.
///
/// # Errors
/// Compression that is known and not supported.
pub fn is_gzip(start: &[u8]) -> Result<bool> {
    let unsupported = |what: &str, program: &str| {
        anyhow!(
            "the input is compressed with {what}, which is not supported yet: uncompress it before ({program} -dc FILE | layerfs import -)"
        )
    };
    match start {
        [0x1f, 0x8b, ..] => Ok(true),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(unsupported("zstd", "zstd")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(unsupported("xz", "xz")),
        [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2", "bzip2")),
        _ => Ok(false),
    }
}

/// Fills the buffer as far as the input goes.
fn fill(input: &mut impl Read, buf: &mut [u8]) -> Result<usize> {
    let mut filled = Vec::with_capacity(buf.len());
    input.take(buf.len() as u64).read_to_end(&mut filled).context("read the input")?;
    buf[..filled.len()].copy_from_slice(&filled);
    Ok(filled.len())
}

fn store_plain(input: impl Read, blob: File, dir: &Path) -> Result<Passed> {
    let (sender, chunks) = queue();
    thread::scope(|scope| {
        let compressor = scope.spawn(move || compress(chunks, blob));
        let tee = Tee { input, copy: sender };
        let mut tar = TarReader::new(HashingReader::new(tee));
        let extracted = extract::extract(&mut tar, dir).and_then(|size| {
            let (tee, diff_id, _) = tar.finish()?.finish();
            tee.copy.finish().context("compress the layer")?;
            Ok((size, diff_id))
        });
        let ((size, diff_id), (blob_digest, blob_size)) = both(extracted, joined(compressor))?;
        Ok(Passed { diff_id, blob_digest, blob_size, size })
    })
}

/// Compresses a layer's tar as [`store`] does; gives the digest and the size of what came out.
pub fn compress(mut chunks: impl Read, blob: File) -> Result<(Digest, u64)> {
    let mut gzip = GzEncoder::new(HashingWriter::new(BufWriter::with_capacity(CHUNK, blob)), Compression::new(LEVEL));
    io::copy(&mut chunks, &mut gzip).context("write the blob")?;
    let (mut file, digest, size) = gzip.finish().context("write the blob")?.finish();
    file.flush().context("write the blob")?;
    Ok((digest, size))
}

/// Extracts a gzip'd layer, and copies it as it is to `copy`.
fn unzip_and_extract(
    input: impl Read + Send,
    copy: impl Write + Send,
    dir: &Path,
    open: impl FnOnce(HashingReader<ChunkReader>) -> TarReader<HashingReader<ChunkReader>>,
) -> Result<Passed> {
    let (sender, chunks) = queue();
    thread::scope(|scope| {
        let upstream = scope.spawn(move || uncompress(input, copy, sender));
        let mut tar = open(HashingReader::new(chunks));
        let extracted = extract::extract(&mut tar, dir).and_then(|size| Ok((size, tar.finish()?.finish().1)));
        let ((size, diff_id), (blob_digest, blob_size)) = both(extracted, joined(upstream))?;
        Ok(Passed { diff_id, blob_digest, blob_size, size })
    })
}

fn uncompress(input: impl Read, copy: impl Write, mut chunks: ChunkWriter) -> Result<(Digest, u64)> {
    let raw = Tee { input: HashingReader::new(input), copy: BufWriter::with_capacity(CHUNK, copy) };
    let mut gzip = MultiGzDecoder::new(BufReader::with_capacity(CHUNK, raw));
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = match gzip.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => return Err(error).context("uncompress the layer"),
        };
        chunks.write_all(&buffer[..n])?;
    }
    chunks.finish()?;
    let mut raw = gzip.into_inner().into_inner();
    raw.copy.flush().context("write the blob")?;
    let (_, digest, size) = raw.input.finish();
    Ok((digest, size))
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
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

/// Passes on what is read, and writes a copy of it.
struct Tee<R, W> {
    input: R,
    copy: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.copy.write_all(&buf[..n])?;
        Ok(n)
    }
}

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
