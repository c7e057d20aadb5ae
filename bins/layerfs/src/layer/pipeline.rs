//! One pass over a layer: what arrives is digested, compressed and extracted while it is read.
//!
//! ```text
//! plain tar:   input ── digest ──┬── extract            compressed:  input ── digest ──┬── blob
//!                                └═► compress ── blob                                  └── uncompress ═► digest ── extract
//! ```
//!
//! The double arrow is a queue of a few chunks between two threads: (un)compressing takes as long as all the rest.
//! The queue is bounded, so memory is too, whatever the size of the layer.

use crate::archive::read::TarReader;
use crate::layer::below::Below;
use crate::layer::compression::{Compression, Decoder};
use crate::layer::examine;
use crate::layer::extract::{self, Extracted};
use crate::layer::queue::{CHUNK, ChunkReader, ChunkWriter, joined, pump};
pub use crate::layer::queue::{both, queue};
use anyhow::{Context, Result, bail};
use flate2::write::GzEncoder;
use layout::Digest;
use layout::digest::{HashingReader, HashingWriter};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::thread;

/// The gzip level of layers. Level 1 compresses faster than a disk reads; higher levels save a few percent.
pub const LEVEL: flate2::Compression = flate2::Compression::new(1);

/// What one pass found out.
#[derive(Debug)]
pub struct Passed {
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// How the blob is compressed.
    pub compression: Compression,
    /// Digest of the bytes of the blob.
    pub blob_digest: Digest,
    /// Number of bytes of the blob.
    pub blob_size: u64,
    /// What came of the files.
    pub extracted: Extracted,
}

/// A stream's compression, told by its first bytes, and the stream from its start.
///
/// # Errors
/// An empty stream, and compression that is known and not supported.
fn sniff<R: Read>(mut input: R) -> Result<(Compression, impl Read + use<R>)> {
    let mut start = Vec::with_capacity(6);
    (&mut input).take(6).read_to_end(&mut start).context("read the input")?;
    if start.is_empty() {
        bail!("the input is empty: it is no tar archive");
    }
    Ok((Compression::of(&start)?, io::Cursor::new(start).chain(input)))
}

/// Reads a layer, writes the blob that it is stored as to `blob` and its files into the folder `dir`. What arrives compressed
/// is kept as it is. `below` are the layers that it lies on, as far as they are known.
pub fn store(input: impl Read + Send, blob: File, dir: &Path, below: &Below) -> Result<Passed> {
    let (compression, input) = sniff(input)?;
    match compression {
        Compression::None => store_plain(input, blob, dir, below),
        _ => uncompress_and_extract(compression, input, blob, dir, below, TarReader::new),
    }
}

/// Extracts a blob that is in the store already, whose digests are computed on the way.
pub fn unpack(blob: impl Read + Send, dir: &Path, below: &Below) -> Result<Passed> {
    let (compression, input) = sniff(blob)?;
    uncompress_and_extract(compression, input, io::sink(), dir, below, TarReader::of_known_digest)
}

/// The digest of a blob, and that of its uncompressed content; `None` for that where the compression is not supported.
pub fn digests(blob: impl Read) -> Result<(Digest, Option<Digest>)> {
    let examined = examine::examine(blob, |_| Ok(()))?;
    match (examined.compression, examined.content) {
        (None, _) => Ok((examined.digest, None)),
        (Some(_), content) => Ok((examined.digest, Some(content?.0))),
    }
}

fn store_plain(input: impl Read, blob: File, dir: &Path, below: &Below) -> Result<Passed> {
    let (sender, chunks) = queue();
    thread::scope(|scope| {
        let compressor = scope.spawn(move || compress(chunks, blob));
        let tee = Tee { input, copy: sender };
        let mut tar = TarReader::new(HashingReader::new(tee));
        let extracted = extract::extract(&mut tar, dir, below).and_then(|extracted| {
            let (tee, diff_id, _) = tar.finish()?.finish();
            tee.copy.finish().context("compress the layer")?;
            Ok((extracted, diff_id))
        });
        let ((extracted, diff_id), (blob_digest, blob_size)) = both(extracted, joined(compressor))?;
        Ok(Passed { diff_id, compression: Compression::Gzip, blob_digest, blob_size, extracted })
    })
}

/// Compresses a layer's tar as [`store`] does; gives the digest and the size of what came out.
pub fn compress(mut chunks: impl Read, blob: File) -> Result<(Digest, u64)> {
    let mut gzip = GzEncoder::new(HashingWriter::new(BufWriter::with_capacity(CHUNK, blob)), LEVEL);
    pump(&mut chunks, &mut gzip).context("write the blob")?;
    let (mut file, digest, size) = gzip.finish().context("write the blob")?.finish();
    file.flush().context("write the blob")?;
    Ok((digest, size))
}

/// Extracts a layer, and copies it as it is to `copy`.
fn uncompress_and_extract(
    compression: Compression,
    input: impl Read + Send,
    copy: impl Write + Send,
    dir: &Path,
    below: &Below,
    open: impl FnOnce(HashingReader<ChunkReader>) -> TarReader<HashingReader<ChunkReader>>,
) -> Result<Passed> {
    let (sender, chunks) = queue();
    thread::scope(|scope| {
        let upstream = scope.spawn(move || uncompress(compression, input, copy, sender));
        let mut tar = open(HashingReader::new(chunks));
        let extracted =
            extract::extract(&mut tar, dir, below).and_then(|extracted| Ok((extracted, tar.finish()?.finish().1)));
        let ((extracted, diff_id), (blob_digest, blob_size)) = both(extracted, joined(upstream))?;
        Ok(Passed { diff_id, compression, blob_digest, blob_size, extracted })
    })
}

fn uncompress(
    compression: Compression,
    input: impl Read,
    copy: impl Write,
    mut chunks: ChunkWriter,
) -> Result<(Digest, u64)> {
    let raw = HashingReader::new(Tee { input, copy: BufWriter::with_capacity(CHUNK, copy) });
    let mut plain = Decoder::new(compression, raw);
    pump(&mut plain, &mut chunks).context("uncompress the layer")?;
    chunks.finish()?;
    let (mut tee, digest, size) = plain.into_inner().finish();
    tee.copy.flush().context("write the blob")?;
    Ok((digest, size))
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
