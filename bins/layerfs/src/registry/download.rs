//! One blob from a registry into the store, however often the connection breaks.
//!
//! What has come is in `tmp/blob-HEX`, locked by who writes it. The next attempt asks for the rest only, be it after a broken
//! connection or after a `kill -9` last week. The blob appears in the store when all of it is there and its digest is right.

use crate::registry::arrival::Arrival;
use crate::registry::part::Part;
use anyhow::{Context, Error, Result, bail};
use layout::Layout;
use layout::oci::image::Descriptor;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::time::Duration;

/// Attempts in a row that bring nothing, and attempts at all, until it is given up.
const IDLE_ATTEMPTS: u32 = 5;
const ATTEMPTS: u32 = 100;
/// The pause after an attempt that brought nothing; twice as long after the next.
const PAUSE: Duration = Duration::from_millis(100);
/// How often is looked whether another pull, which loads the same blob, is done.
const LOOK: Duration = Duration::from_millis(20);
const BUFFER: usize = 128 << 10;

/// What a registry sends: bytes, and at which byte of the blob they really begin.
pub struct Body<R> {
    /// The bytes, to the end of the blob.
    pub reader: R,
    /// The number of the first of them; 0 when the registry cannot send parts.
    pub from: u64,
}

/// A blob that is wanted.
pub struct Wanted<'a> {
    /// The store.
    pub layout: &'a Layout,
    /// Which, and how large.
    pub blob: &'a Descriptor,
    /// Where others can watch it come.
    pub arrival: &'a Arrival,
}

/// How it got here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It was in the store, or another pull has just put it there.
    Already,
    /// Downloaded, all or the rest of it.
    Now,
}

/// What is told of it on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Another pull is loading it.
    Waits,
    /// So many bytes are here.
    Has(u64),
    /// All of it is here.
    Verifies,
}

impl Wanted<'_> {
    /// Gets it. `source` asks the registry for the bytes from a number on; `tell` is told how it goes, and when it says
    /// `false`, nobody wants the blob any more.
    ///
    /// # Errors
    /// The registry does not send it, or something else in its place; it cannot be written.
    pub fn fetch<R: Read>(
        &self,
        mut source: impl FnMut(u64) -> Result<Body<R>>,
        tell: impl Fn(Event) -> bool,
    ) -> Result<Fetched> {
        let Some(mut part) = self.claim(&tell)? else {
            let target = self.layout.blob(&self.blob.digest);
            let file = File::open(&target).with_context(|| format!("open {}", target.display()))?;
            let size = file.metadata().with_context(|| format!("look at {}", target.display()))?.len();
            if size != self.blob.size {
                bail!("{} has {size} bytes in the store, and the image says {}", self.blob.digest, self.blob.size);
            }
            self.arrival.is_whole(file, size);
            return Ok(Fetched::Already);
        };
        let mut resumed = part.resume()?;
        loop {
            if !resumed {
                self.arrival.begins(part.file.try_clone().context("open a temporary file")?);
            }
            self.load(&mut part, &mut source, &tell)?;
            tell(Event::Verifies);
            let found = part.digest();
            if found == self.blob.digest {
                break;
            }
            part.clear()?;
            // What was left of an earlier pull may have been damaged; what has come now is what the registry has.
            if !resumed {
                part.remove()?;
                bail!(
                    "what the registry sent as {} has the digest {found}: it was refused; try again later, or tell the \
                     registry's owner",
                    self.blob.digest
                );
            }
            resumed = false;
        }
        self.arrival.is_whole(part.file.try_clone().context("open a temporary file")?, self.blob.size);
        part.publish(self.layout, &self.blob.digest)?;
        Ok(Fetched::Now)
    }

    /// Takes the file that the blob is written to; `None` when the blob is in the store by then.
    fn claim(&self, tell: &impl Fn(Event) -> bool) -> Result<Option<Part>> {
        let target = self.layout.blob(&self.blob.digest);
        let path = self.layout.tmp().join(format!("blob-{}", self.blob.digest.hex()));
        loop {
            if target.exists() {
                return Ok(None);
            }
            // Whoever had it before may have published it meanwhile, which `None` says as well.
            if let Some(part) = Part::lock(&path, self.blob.size)? {
                // Or between our looking for it and our having the file, which then is a new one.
                if target.exists() {
                    part.remove()?;
                    return Ok(None);
                }
                return Ok(Some(part));
            }
            if !tell(Event::Waits) {
                bail!(gone());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Loads what is missing.
    fn load<R: Read>(
        &self,
        part: &mut Part,
        source: &mut impl FnMut(u64) -> Result<Body<R>>,
        tell: &impl Fn(Event) -> bool,
    ) -> Result<()> {
        let (mut idle, mut attempts) = (0, 0);
        while part.held < part.size {
            let before = part.held;
            let broken = match self.attempt(part, source, tell) {
                Ok(()) => continue,
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Broken(error)) => error,
            };
            attempts += 1;
            idle = if part.held > before { 0 } else { idle + 1 };
            if idle == IDLE_ATTEMPTS || attempts == ATTEMPTS {
                let (held, size) = (part.held, part.size);
                return Err(broken.context(format!(
                    "download {}: the connection broke {attempts} times, {held} of {size} bytes are here; the next pull \
                     goes on from there",
                    self.blob.digest
                )));
            }
            std::thread::sleep(PAUSE * (1 << idle) / 2);
        }
        Ok(())
    }

    /// One connection, to its end.
    fn attempt<R: Read>(
        &self,
        part: &mut Part,
        source: &mut impl FnMut(u64) -> Result<Body<R>>,
        tell: &impl Fn(Event) -> bool,
    ) -> Result<(), Trouble> {
        let mut body = match source(part.held) {
            // A registry that does not understand what a part is has all of it.
            Err(_) if part.held > 0 => source(0).map_err(Trouble::Final)?,
            other => other.map_err(Trouble::Final)?,
        };
        if body.from > part.held {
            let (from, held) = (body.from, part.held);
            return Err(Trouble::Broken(anyhow::anyhow!("the registry sent bytes from {from} on in place of {held}")));
        }
        let broken = |error: std::io::Error| Trouble::Broken(Error::new(error).context("read from the registry"));
        skip(&mut body.reader, part.held - body.from).map_err(broken)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = match body.reader.read(&mut buffer) {
                Ok(0) if part.held < part.size => {
                    let early = std::io::Error::new(ErrorKind::UnexpectedEof, "it ended early");
                    return Err(broken(early));
                }
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // All that is wanted is here.
                Err(_) if part.held == part.size => return Ok(()),
                Err(error) => return Err(broken(error)),
            };
            part.append(&buffer[..n]).map_err(Trouble::Final)?;
            self.arrival.has(part.held);
            if !tell(Event::Has(part.held)) {
                return Err(Trouble::Final(gone()));
            }
        }
    }
}

/// Why an attempt ended.
enum Trouble {
    /// The connection: another may do better.
    Broken(Error),
    /// Something that is the same next time.
    Final(Error),
}

fn gone() -> Error {
    anyhow::anyhow!("the download was stopped, as another one failed")
}

fn skip(reader: &mut impl Read, bytes: u64) -> std::io::Result<()> {
    let skipped = std::io::copy(&mut reader.take(bytes), &mut std::io::sink())?;
    if skipped < bytes { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::Digest;
    use std::cell::RefCell;
    use std::io::Cursor;
    use std::path::PathBuf;

    struct Store {
        dir: tempfile::TempDir,
        layout: Layout,
    }

    fn store() -> Store {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        Store { dir, layout }
    }

    impl Store {
        fn part(&self, content: &[u8]) -> PathBuf {
            self.dir.path().join("tmp").join(format!("blob-{}", Digest::of(content).hex()))
        }

        /// Fetches `content` from a registry that behaves as `source` says; also gives what it was asked for.
        fn fetch(
            &self,
            content: &[u8],
            source: impl Fn(u64) -> Result<Body<Cursor<Vec<u8>>>>,
        ) -> (Result<Fetched>, Vec<u64>) {
            let blob = Descriptor::new("", Digest::of(content), content.len() as u64);
            let (arrival, asked) = (Arrival::default(), RefCell::new(Vec::new()));
            let wanted = Wanted { layout: &self.layout, blob: &blob, arrival: &arrival };
            let asked_from = |from| {
                asked.borrow_mut().push(from);
                source(from)
            };
            let fetched = wanted.fetch(asked_from, |_| true);
            let there = self.layout.blob(&blob.digest);
            assert_eq!(fetched.is_ok(), there.exists());
            if fetched.is_ok() {
                assert_eq!(std::fs::read(there).unwrap(), content);
                assert!(!self.part(content).exists() && arrival.whole());
            }
            (fetched, asked.into_inner())
        }
    }

    fn body(bytes: &[u8], from: u64) -> Result<Body<Cursor<Vec<u8>>>> {
        Ok(Body { reader: Cursor::new(bytes.to_owned()), from })
    }

    #[test]
    fn what_breaks_off_goes_on_where_it_was() {
        let (store, content) = (store(), b"0123456789");
        let (fetched, asked) = store.fetch(content, |from| {
            let from = from as usize;
            body(&content[from..(from + 4).min(10)], from as u64)
        });
        assert_eq!((fetched.unwrap(), asked), (Fetched::Now, vec![0, 4, 8]));
        assert_eq!(store.fetch(content, |_| bail!("never asked")).0.unwrap(), Fetched::Already);
    }

    #[test]
    fn the_next_pull_asks_for_the_rest() {
        let (store, content) = (store(), b"0123456789");
        let (broken, asked) = store.fetch(content, |from| body(&content[from as usize..5.max(from as usize)], from));
        assert!(format!("{:#}", broken.unwrap_err()).contains("5 of 10 bytes are here"));
        assert_eq!(asked, [0, 5, 5, 5, 5, 5]);
        let (fetched, asked) = store.fetch(content, |from| body(&content[from as usize..], from));
        assert_eq!((fetched.unwrap(), asked), (Fetched::Now, vec![5]));
    }

    #[test]
    fn a_registry_that_ignores_or_refuses_parts_sends_all_of_it_again() {
        let content = b"0123456789";
        for refuses in [false, true] {
            let store = store();
            std::fs::write(store.part(content), "0123").unwrap();
            let (fetched, asked) = store.fetch(content, |from| match from {
                4 if refuses => bail!("416"),
                _ => body(content, 0),
            });
            assert_eq!(fetched.unwrap(), Fetched::Now);
            assert_eq!(asked, if refuses { vec![4, 0] } else { vec![4] });
        }
    }

    #[test]
    fn what_an_earlier_pull_left_damaged_is_loaded_anew() {
        let content = b"0123456789";
        for rotten in ["xxxx", "xxxxxxxxxx", "0123456789 and more"] {
            let store = store();
            std::fs::write(store.part(content), rotten).unwrap();
            let (fetched, asked) = store.fetch(content, |from| body(&content[from as usize..], from));
            assert_eq!((fetched.unwrap(), asked.last()), (Fetched::Now, Some(&0)), "{rotten}");
        }
    }

    #[test]
    fn no_wrong_byte_is_taken() {
        let content = b"0123456789";
        for (sent, from, why) in [
            (&b"9876543210"[..], 0, "has the digest sha256:"),
            (b"0123456789 and more", 0, "more than the 10 bytes"),
            (b"56789", 5, "sent bytes from 5 on in place of 0"),
            (b"", 0, "it ended early"),
        ] {
            let store = store();
            let said = format!("{:#}", store.fetch(content, |_| body(sent, from)).0.unwrap_err());
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn two_that_want_one_blob_load_it_once() {
        let (store, content) = (store(), vec![7; 300_000]);
        let asked = std::sync::atomic::AtomicU32::new(0);
        let blob = Descriptor::new("", Digest::of(&content), content.len() as u64);
        let fetch = || {
            let wanted = Wanted { layout: &store.layout, blob: &blob, arrival: &Arrival::default() };
            let source = |from| {
                asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                body(&content, from)
            };
            wanted.fetch(source, |_| true).unwrap()
        };
        let mut fetched = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(fetch)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        fetched.sort_by_key(|how| *how != Fetched::Now);
        assert_eq!(fetched, [Fetched::Now, Fetched::Already, Fetched::Already, Fetched::Already]);
        assert_eq!(asked.into_inner(), 1);
    }
}
