//! An extracted layer, held against its archive: names, types, sizes, contents, modes, owners, times and attributes.

use crate::archive::read::TarReader;
use crate::care::fsck::tree::{Attributes, Node, Tree, What};
use crate::layer::{diff, pipeline};
use anyhow::{Result, bail};
use rustix::io::Errno;
use std::collections::HashMap;
use std::path::Path;
use std::thread;

/// The times that every filesystem can keep: 1902 to 2037. Beyond them some keep the nearest that they can.
const KEPT_TIMES: std::ops::Range<i64> = -(1 << 31)..(1 << 31) - 1;
/// The labels that the host's own security modules write.
const HOSTS_OWN: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];

/// Reads a layer's folder.
pub fn read_folder(dir: &Path) -> Result<Tree> {
    let (sender, chunks) = pipeline::queue();
    thread::scope(|scope| {
        let writer = scope.spawn(move || Ok(diff::write(dir, sender)?.finish()?));
        let mut tar = TarReader::new(chunks);
        // To the very end, or the writer finds nobody listening.
        let tree = Tree::read(&mut tar).and_then(|tree| tar.finish().map(|_| tree));
        let written = writer.join().unwrap_or_else(|_| bail!("a thread ended early"));
        pipeline::both(tree, written).map(|(tree, ())| tree)
    })
}

/// Says how `found`, which was read from the folder `dir`, differs from `wanted`, path by path; unless `all` is set, not what is in
/// the folder alone.
pub fn differences(wanted: &Tree, found: &Tree, dir: &Path, all: bool) -> Vec<String> {
    let mut compare = Compare { wanted, found, dir, all, pairs: HashMap::new(), said: Vec::new() };
    let mut todo = vec![(Vec::new(), 0, 0)];
    while let Some((path, a, b)) = todo.pop() {
        let path: Vec<u8> = path;
        if !compare.node(&path, a, b) {
            continue;
        }
        let (What::Dir(_, names), What::Dir(_, there)) = (&wanted.nodes[a].what, &found.nodes[b].what) else {
            continue;
        };
        let join = |name: &[u8]| if path.is_empty() { name.to_vec() } else { [&path, name].join(&b'/') };
        for (name, a) in names.iter().rev() {
            match there.get(name) {
                Some(b) => todo.push((join(name), *a, *b)),
                None => compare.say(&join(name), "it is not there"),
            }
        }
        for name in there.keys().filter(|name| all && !names.contains_key(*name)) {
            compare.say(&join(name), "the layer does not have it");
        }
    }
    compare.said
}

struct Compare<'a> {
    wanted: &'a Tree,
    found: &'a Tree,
    dir: &'a Path,
    /// Whether all that the folder has must be in the archive.
    all: bool,
    /// Which file of the one tree is which of the other.
    pairs: HashMap<usize, usize>,
    said: Vec<String>,
}

impl Compare<'_> {
    fn say(&mut self, path: &[u8], what: impl std::fmt::Display) {
        let path = if path.is_empty() { b"/" } else { path };
        self.said.push(format!("{}: {what}", path.escape_ascii()));
    }

    /// Compares two nodes; says whether they are of one type.
    fn node(&mut self, path: &[u8], a: usize, b: usize) -> bool {
        if let Some(other) = self.pairs.insert(a, b) {
            if other != b {
                self.say(path, "it is no hard link to the file that it should be one of");
            }
            return false;
        }
        let (wanted, found) = (&self.wanted.nodes[a], &self.found.nodes[b]);
        match (&wanted.what, &found.what) {
            (What::Below, _) => return false,
            (What::Whiteout, What::Whiteout) => return false,
            (What::File(size, _), What::File(now, _)) if size != now => {
                self.say(path, format!("it has {now} bytes, not {size}"));
            }
            (What::File(_, digest), What::File(_, now)) if digest != now => {
                self.say(path, "its content is not that of the layer");
            }
            (What::Dir(true, _), What::Dir(false, _)) => self.say(path, "it should hide what is below it"),
            (What::Dir(false, _), What::Dir(true, _)) => self.say(path, "it hides what is below it"),
            (What::File(..), What::File(..)) | (What::Dir(..), What::Dir(..)) => {}
            (a, b) if a == b => {}
            (a, b) => {
                self.say(path, format!("it is {}, not {}", type_of(b), type_of(a)));
                return false;
            }
        }
        self.attributes(path, wanted, found);
        true
    }

    fn attributes(&mut self, path: &[u8], wanted: &Node, found: &Node) {
        if !self.all && wanted.attributes.is_none() {
            return;
        }
        // What is left out, on either side, is what a folder is made with.
        let plain = Attributes { mode: 0o755, owner: (0, 0), mtime: i64::MAX, xattrs: Default::default() };
        let (a, b) = (wanted.attributes.as_ref().unwrap_or(&plain), found.attributes.as_ref().unwrap_or(&plain));
        // A link has no mode of its own.
        if a.mode != b.mode && !matches!(wanted.what, What::Symlink(_)) {
            self.say(path, format!("its mode is {:04o}, not {:04o}", b.mode, a.mode));
        }
        if a.owner != b.owner {
            self.say(path, format!("its owner is {}:{}, not {}:{}", b.owner.0, b.owner.1, a.owner.0, a.owner.1));
        }
        if a.mtime != b.mtime && KEPT_TIMES.contains(&a.mtime) && b.mtime != i64::MAX {
            self.say(path, format!("its time is {}, not {}", b.mtime, a.mtime));
        }
        for name in a.xattrs.keys().chain(b.xattrs.keys().filter(|name| !a.xattrs.contains_key(*name))) {
            if a.xattrs.get(name) != b.xattrs.get(name) && !HOSTS_OWN.contains(&name.as_slice()) && self.keeps(name) {
                self.say(path, format!("its attribute {} is not that of the layer", name.escape_ascii()));
            }
        }
    }

    /// Whether the filesystem can keep such an attribute; where it cannot, the layer lost it when it was extracted.
    fn keeps(&self, name: &[u8]) -> bool {
        rustix::fs::getxattr(self.dir, name, &mut [0u8; 0]) != Err(Errno::OPNOTSUPP)
    }
}

fn type_of(what: &What) -> String {
    match what {
        What::File(..) => "a file".to_owned(),
        What::Dir(..) => "a folder".to_owned(),
        What::Symlink(target) => format!("a link to {}", target.escape_ascii()),
        What::Special(kind) => format!("a {kind:?}"),
        What::Whiteout => "a whiteout".to_owned(),
        What::Below => "a file of a layer below".to_owned(),
    }
}
