//! One blob from the store to a registry: not at all if it is there, by its name alone if a neighbour has it, else its bytes.

use crate::registry::repository::{Mounted, Repository, status};
use anyhow::{Result, bail};
use layout::oci::image::Descriptor;
use layout::{Layout, images};
use std::io::{self, Read};
use std::time::Duration;

/// How often an upload is begun anew, and the pause before; twice as long before the next.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(250);

/// How it got there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was there.
    Exists,
    /// The registry took it from this repository of its own.
    Mounted(String),
    /// It was sent.
    Now,
}

/// Sees to it that the registry has a blob. `neighbour` is a repository in the same registry that should have it. `tell` is told how
/// many bytes have gone, and when it says `false`, nobody wants the blob there any more.
///
/// # Errors
/// The registry does not take it; it is not in the store, or not of the size that the image says.
pub fn send(
    layout: &Layout,
    repository: &Repository,
    blob: &Descriptor,
    neighbour: Option<&str>,
    tell: impl Fn(u64) -> bool + Sync,
) -> Result<Sent> {
    if repository.has_blob(&blob.digest)? {
        return Ok(Sent::Exists);
    }
    let mut begun = None;
    if let Some(neighbour) = neighbour {
        match repository.mount_blob(&blob.digest, neighbour) {
            Ok(Mounted::Yes) => return Ok(Sent::Mounted(neighbour.to_owned())),
            Ok(Mounted::No(upload)) => begun = Some(upload),
            // It may be forbidden to read there; then it is sent.
            Err(_) => {}
        }
    }
    let mut attempt = 0;
    loop {
        let upload = match begun.take() {
            Some(upload) => upload,
            None => repository.upload()?,
        };
        let (file, size) = images::open_blob(layout, &blob.digest)?;
        if size != blob.size {
            bail!(
                "the blob {} has {size} bytes in the store, and the image says {}: see layerfs fsck",
                blob.digest,
                blob.size
            );
        }
        let Err(error) = upload.send(Counted { inner: file, bytes: 0, tell: &tell }, size, &blob.digest) else {
            return Ok(Sent::Now);
        };
        attempt += 1;
        if is_final(&error) || attempt == ATTEMPTS || !tell(0) {
            return Err(error);
        }
        std::thread::sleep(PAUSE * (1 << attempt) / 2);
        // It may have arrived, and only the answer did not.
        if repository.has_blob(&blob.digest)? {
            return Ok(Sent::Now);
        }
    }
}

/// Whether the registry has understood and does not want it. That it does not know the upload any more (404, 416) is another matter.
fn is_final(error: &anyhow::Error) -> bool {
    status(error).is_some_and(|status| (400..500).contains(&status) && ![404, 408, 416, 429].contains(&status))
}

/// Counts what is read.
struct Counted<'a, R, F> {
    inner: R,
    bytes: u64,
    tell: &'a F,
}

impl<R: Read, F: Fn(u64) -> bool> Read for Counted<'_, R, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.bytes += n as u64;
        match (self.tell)(self.bytes) {
            true => Ok(n),
            false => Err(io::Error::other("the upload was stopped, as another one failed")),
        }
    }
}
