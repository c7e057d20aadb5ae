//! `layerfs cp`: files between this machine and a root that is not trusted, by docker's rules.
//!
//! What is copied travels as a tar between two threads, as it does between docker and its daemon: so each kind of file is
//! copied as what it is, and a tar can stand in for either side.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`root`] | the root, with what a container has mounted in it |
//! | [`place`] | what a path names |
//! | [`into`] | from a tar to files |
//!
//! The other way, from files to a tar, is [`diff`](crate::layer::diff)'s.

mod into;
mod place;
mod root;

use crate::archive::read::TarReader;
use crate::cli::CopyArgs;
use crate::layer::compression::{Compression, Decoder};
use crate::layer::{beneath, diff};
use anyhow::{Context, Result, bail};
use into::{Into, Owner};
use layout::lock::Lock;
use place::{Place, Tree};
use rustix::fs::{Access, AtFlags, OFlags, StatxFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One side of a copy.
enum Side<'a> {
    /// A tar.
    Stream,
    /// A path in the root.
    Inside(&'a [u8]),
    /// A path on this machine.
    Here(Vec<u8>),
}

impl<'a> Side<'a> {
    fn of(path: &'a Path) -> Result<Side<'a>> {
        let bytes = path.as_os_str().as_bytes();
        Ok(match bytes.strip_prefix(b":") {
            Some(inside) => Side::Inside(inside),
            None if path == OsStr::new("-") => Side::Stream,
            None if bytes.starts_with(b"/") => Side::Here(bytes.to_vec()),
            None => {
                let here = std::env::current_dir().context("find the current folder")?;
                Side::Here([here.as_os_str().as_bytes(), b"/", bytes].concat())
            }
        })
    }
}

/// Copies.
pub fn run(args: &CopyArgs) -> Result<()> {
    // Before anything else: a namespace of its own is for a process that has one thread.
    let inside = Tree { root: root::open(args)?, name: Some(args.name.clone()) };
    let here = Tree { root: beneath::open_root(Path::new("/"))?, name: None };
    match (Side::of(&args.source)?, Side::of(&args.target)?) {
        (Side::Inside(from), Side::Stream) => {
            let out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
            Source::find(&inside, from, args.follow_link)?.write(None, out)
        }
        (Side::Inside(from), Side::Here(to)) => {
            let own = Owner::Is(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let owner = if args.keep_owner || args.fill { Owner::AsWritten } else { own };
            copy(&inside, from, &here, &to, owner, args)
        }
        (Side::Here(from), Side::Inside(to)) => copy(&here, &from, &inside, to, owner_inside(args), args),
        (Side::Stream, Side::Inside(to)) => {
            let place = inside.find(to, true)?;
            if !place.is_dir() {
                bail!("destination \"{}:{}\" must be a directory", args.name, to.escape_ascii());
            }
            let folder = place.path();
            writable(&inside, &folder)?;
            let into = Into { root: &inside.root, folder, owner: owner_inside(args), root_too: false };
            // Compressed or not, as docker takes it.
            let mut input = BufReader::new(io::stdin().lock());
            let compression = Compression::of(input.fill_buf().context("read the archive")?)?;
            receive(Decoder::new(compression, input), &into)
        }
        _ => bail!("one of the two paths has to begin with a colon: that one is within --root"),
    }
}

fn owner_inside(args: &CopyArgs) -> Owner {
    args.owner.map_or(Owner::AsWritten, |(uid, gid)| Owner::Is(uid, gid))
}

/// What is copied.
struct Source {
    /// The folder that it is in, or if all of that folder is copied, the folder itself.
    dir: OwnedFd,
    /// Its name there; empty for all of the folder.
    start: Vec<u8>,
    /// What it is called in the archive, unless the target gives it a name.
    name: Vec<u8>,
    is_dir: bool,
}

impl Source {
    fn find(tree: &Tree, path: &[u8], follow: bool) -> Result<Source> {
        let place = tree.find(path, follow)?;
        if place.kind.is_none() {
            bail!(tree.missing(path, Errno::NOENT));
        }
        let is_dir = place.is_dir();
        if place::asserts_folder(path) && !is_dir {
            bail!(tree.missing(path, Errno::NOTDIR));
        }
        let name = place::base(path);
        if is_dir {
            let dir = beneath::open_in(&tree.root, &place.path(), OFlags::DIRECTORY | OFlags::RDONLY)?;
            return Ok(Source { dir, start: Vec::new(), name, is_dir });
        }
        Ok(Source { dir: place.parent.1, start: place.name, name, is_dir })
    }

    /// Writes it as a tar, under another name if one is given.
    fn write(self, name: Option<&[u8]>, out: impl Write) -> Result<()> {
        let name = name.unwrap_or(&self.name);
        let written = diff::write_as(self.dir, &self.start, name, out)?.flush();
        written.context("write the archive")
    }
}

/// Copies from one tree to the other.
fn copy(from: &Tree, source: &[u8], to: &Tree, target: &[u8], owner: Owner, args: &CopyArgs) -> Result<()> {
    // What is not there fills nothing.
    if args.fill && from.find(source, true).map_or(true, |place| place.kind.is_none()) {
        return Ok(());
    }
    let source = Source::find(from, source, args.follow_link)?;
    let place = find_target(to, target)?;
    let (folder, name) = aim(&source, &place, target)?;
    writable(to, &folder)?;
    let _filling = if args.fill {
        let path = Path::new(OsStr::from_bytes(&folder));
        // Whoever fills it as well waits, and then finds it filled. The lock is on the folder above, which no container has mounted:
        // one that holds a lock on its own volume would have us wait for ever.
        let held = Lock::on_dir(path.parent().unwrap_or(path))?;
        if !beneath::names(beneath::open_root(path)?)?.is_empty() {
            return Ok(());
        }
        held
    } else {
        None
    };
    let into = Into { root: &to.root, folder, owner, root_too: args.fill };
    let (reader, writer) = io::pipe().context("make a pipe")?;
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || source.write(name.as_deref(), BufWriter::with_capacity(64 << 10, writer)));
        let received = receive(reader, &into);
        // A sender whose reader gave up says only that the pipe is broken.
        let sent = sending.join().unwrap_or_else(|_| bail!("the thread that reads has failed"));
        match (sent, received) {
            (Err(sent), Err(received)) if is_broken_pipe(&sent) => Err(received),
            (Err(sent), _) => Err(sent),
            (Ok(()), received) => received,
        }
    })
}

/// The place that a target names, links at its end followed; if it is not there, its folder must be.
fn find_target(tree: &Tree, target: &[u8]) -> Result<Place> {
    match tree.find(target, true) {
        Err(_) if tree.name.is_none() && tree.find(target, false).is_err() => {
            let path = Path::new(OsStr::from_bytes(target));
            let parent = path.parent().unwrap_or(path);
            bail!("invalid output path: directory \"{}\" does not exist", parent.display())
        }
        found => found,
    }
}

/// Docker's rules: the folder that the copy goes to, and its name there if it gets another one.
fn aim(source: &Source, place: &Place, target: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    match place.kind {
        Some(kind) if kind.is_dir() => Ok((place.path(), None)),
        Some(kind) if !kind.is_file() => bail!("destination {:?} must be a directory or a regular file", lossy(target)),
        _ if place::asserts_folder(target) && !source.is_dir => bail!("no such directory"),
        Some(_) if source.is_dir => bail!("cannot copy directory"),
        _ => Ok((place.parent.0.clone(), Some(place.name.clone()))),
    }
}

/// Says in docker's words why nothing can be written to a folder of a container.
fn writable(tree: &Tree, folder: &[u8]) -> Result<()> {
    let dir = beneath::open_in(&tree.root, folder, OFlags::DIRECTORY | OFlags::RDONLY)?;
    match rustix::fs::accessat(&dir, ".", Access::WRITE_OK, AtFlags::empty()) {
        Err(Errno::ROFS) if tree.name.is_some() => {
            let mount =
                |fd: &OwnedFd| rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|s| s.stx_mnt_id);
            if mount(&dir)? == mount(&tree.root)? {
                bail!("container rootfs is marked read-only");
            }
            bail!("mounted volume is marked read-only")
        }
        // What else is wrong is told by the write that fails.
        _ => Ok(()),
    }
}

fn receive(input: impl Read, into: &Into<'_>) -> Result<()> {
    let mut tar = TarReader::new(BufReader::with_capacity(256 << 10, input));
    into.extract(&mut tar)?;
    tar.finish().map(drop)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
