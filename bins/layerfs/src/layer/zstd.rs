//! A zstd stream (RFC 8878): frames one after the other, some of which are only to be skipped.
//!
//! A frame needs memory for its window, the distance that it looks back: 8 MiB for what is written at any level up to 19, and
//! 128 MiB at most.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, Read};

/// Uncompresses all frames of a stream.
pub struct Frames<R> {
    input: R,
    frame: Box<FrameDecoder>,
    /// Whether a frame was begun and not ended.
    open: bool,
}

impl<R: BufRead> Frames<R> {
    /// A reader of the stream that starts here.
    pub fn new(input: R) -> Self {
        Frames { input, frame: Box::new(FrameDecoder::new()), open: false }
    }

    /// The compressed stream.
    pub fn get_ref(&self) -> &R {
        &self.input
    }

    /// Gives the compressed stream back.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Begins the next frame; `false` at the end of the stream.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.input.fill_buf()?.is_empty() {
            match self.frame.init(&mut self.input) {
                Ok(()) => {
                    self.open = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.input).take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Ends a frame. Its checksum is its last four bytes, if it has one.
    fn end(&mut self) -> io::Result<()> {
        self.open = false;
        let written = self.frame.get_checksum_from_data();
        if written.is_some() && written != self.frame.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a zstd frame is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() && (self.open || self.begin()?) {
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.input, blocks).map_err(io::Error::other)?;
            }
            let n = self.frame.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            self.end()?;
        }
        Ok(0)
    }
}
