//! Looking into a blob without extracting it: what it is, and what it holds.

use crate::layer::compression::{Compression, Decoder};
use crate::layer::{pipeline, queue::ChunkReader};
use anyhow::{Context, Result};
use layout::Digest;
use layout::digest::HashingReader;
use std::fs::File;
use std::io::{self, Read};

/// What a blob turned out to be.
#[derive(Debug)]
pub struct Examined<T> {
    /// Digest of its bytes.
    pub digest: Digest,
    /// How it is compressed; `None` if it is in a way that is not supported.
    pub compression: Option<Compression>,
    /// The digest of its uncompressed content, and what was found in that; an error where it cannot be uncompressed or read.
    pub content: Result<(Digest, T)>,
}

/// Reads a blob once, to its end whatever is in it: its digest, and what `look` finds in its uncompressed content.
pub fn examine<T>(mut blob: impl Read, look: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<Examined<T>> {
    let mut start = Vec::with_capacity(6);
    (&mut blob).take(6).read_to_end(&mut start).context("read the blob")?;
    let mut raw = HashingReader::new(start.as_slice().chain(blob));
    let (compression, content) = match Compression::of(&start) {
        Ok(compression) => (Some(compression), look_into(Decoder::new(compression, &mut raw), look)),
        Err(error) => (None, Err(error)),
    };
    io::copy(&mut raw, &mut io::sink()).context("read the blob")?;
    Ok(Examined { digest: raw.finish().1, compression, content })
}

fn look_into<T>(plain: impl Read, look: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<(Digest, T)> {
    let mut plain = HashingReader::new(plain);
    let found = look(&mut plain)?;
    io::copy(&mut plain, &mut io::sink()).context("uncompress the blob")?;
    Ok((plain.finish().1, found))
}

/// Compresses a layer's tar as [`pipeline::store`] does, into `blob`; gives the digests before and after, and the size after.
pub fn recompress(tar: ChunkReader, blob: File) -> Result<(Digest, Digest, u64)> {
    let mut plain = HashingReader::new(tar);
    let (digest, size) = pipeline::compress(&mut plain, blob)?;
    Ok((plain.finish().1, digest, size))
}
