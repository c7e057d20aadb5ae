//! How a layer may be compressed: told by its first bytes, whatever its media type says.

use crate::layer::queue::CHUNK;
use crate::layer::zstd::Frames;
use anyhow::{Result, anyhow};
use flate2::bufread::MultiGzDecoder;
use layout::oci::image::{LAYER, LAYER_GZIP, LAYER_ZSTD};
use std::io::{self, BufRead, BufReader, Read};

/// What grows by more than this, and to more than [`HARMLESS`], is made to fill a disk. The best that gzip does with a file
/// of one byte over and over is a factor of a thousand; what is in layers shrinks to a half or a tenth.
const MAX_RATIO: u64 = 200;
/// What may come of any number of compressed bytes.
const HARMLESS: u64 = 1 << 30;

/// A way to compress a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None: a plain tar.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// zstd, of one frame or several.
    Zstd,
}

impl Compression {
    /// Tells by the first bytes, up to six.
    ///
    /// # Errors
    /// Compression that is known and not supported.
    pub fn of(start: &[u8]) -> Result<Compression> {
        let unsupported = |what: &str| {
            anyhow!(
                "the input is compressed with {what}, which is not supported: uncompress it before ({what} -dc FILE | layerfs import -)"
            )
        };
        match start {
            [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
            // A frame, or one to be skipped: some write their notes at the start.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(unsupported("xz")),
            [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
            _ => Ok(Compression::None),
        }
    }

    /// The media type of a layer that is compressed so.
    pub fn media_type(self) -> &'static str {
        match self {
            Compression::None => LAYER,
            Compression::Gzip => LAYER_GZIP,
            Compression::Zstd => LAYER_ZSTD,
        }
    }
}

/// Uncompresses what is read through it, as long as what comes out is in proportion to what went in.
pub struct Decoder<R: Read> {
    form: Form<BufReader<Counted<R>>>,
    plain: u64,
}

enum Form<R: BufRead> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Frames<R>),
}

impl<R: Read> Decoder<R> {
    /// The decoder for a stream that starts here.
    pub fn new(compression: Compression, input: R) -> Self {
        let input = BufReader::with_capacity(CHUNK, Counted { input, bytes: 0 });
        let form = match compression {
            Compression::None => Form::Plain(input),
            Compression::Gzip => Form::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => Form::Zstd(Frames::new(input)),
        };
        Decoder { form, plain: 0 }
    }

    /// Gives the compressed stream back.
    pub fn into_inner(self) -> R {
        let input = match self.form {
            Form::Plain(input) => input,
            Form::Gzip(gzip) => gzip.into_inner(),
            Form::Zstd(frames) => frames.into_inner(),
        };
        input.into_inner().input
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (n, compressed) = match &mut self.form {
            Form::Plain(input) => return input.read(buf),
            Form::Gzip(gzip) => (gzip.read(buf)?, gzip.get_ref().get_ref().bytes),
            Form::Zstd(frames) => (frames.read(buf)?, frames.get_ref().get_ref().bytes),
        };
        self.plain += n as u64;
        check_ratio(self.plain, compressed)?;
        Ok(n)
    }
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

/// Refuses what is far larger than what it is made of: `plain` bytes out of `compressed` ones.
fn check_ratio(plain: u64, compressed: u64) -> io::Result<()> {
    if plain <= HARMLESS || plain / MAX_RATIO <= compressed {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{compressed} compressed bytes became {plain}, and there is more: it may be made to fill the disk. \
         If you know better, uncompress it by hand: a plain tar is taken as it is"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_grows_without_measure_is_refused() {
        check_ratio(HARMLESS, 1).unwrap();
        check_ratio(HARMLESS * 10, HARMLESS / 20).unwrap();
        assert!(check_ratio(HARMLESS * 10, HARMLESS / 21).unwrap_err().to_string().contains("by hand"));
    }

    /// Otherwise what is committed here could not be extracted again.
    #[test]
    fn our_own_layers_never_look_like_that() {
        let zeros = vec![0u8; 64 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), crate::layer::pipeline::LEVEL);
        gzip.write_all(&zeros).unwrap();
        let packed = gzip.finish().unwrap().len() as u64;
        assert!(zeros.len() as u64 / packed < MAX_RATIO, "{} to {packed}", zeros.len());
    }
}
