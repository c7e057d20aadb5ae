//! What a layer's archive says that its folder holds: a tree in memory, made from the members' headers and the digests of
//! their data. Of a folder the same is made, by way of the archive that `diff` writes of it; so the two can be compared.

use crate::archive::member::{Kind, Member};
use crate::archive::read::TarReader;
use crate::archive::sparse;
use crate::layer::{beneath, whiteout};
use anyhow::{Context, Result, bail};
use layout::Digest;
use layout::digest::HashingReader;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};

/// How many links a path may lead through: as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file: its size and the digest of its content.
    File(u64, Digest),
    /// A folder, whether it hides what is below it, and the numbers of the nodes that it holds.
    Dir(bool, BTreeMap<Vec<u8>, usize>),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// A device or a pipe.
    Special(Kind),
    /// "Deleted."
    Whiteout,
    /// Another name of a file that this archive does not have: what it is, a layer below says.
    Below,
}

/// Owner, group, mode, time and attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A file, with one name or several.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub what: What,
    /// `None` for a folder that no member made: one that others are in.
    pub attributes: Option<Attributes>,
}

/// All nodes; the first is the root.
#[derive(Debug)]
pub struct Tree {
    /// By their numbers. Some may have lost their names to later members.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// Reads an archive to its end mark.
    pub fn read<R: Read>(tar: &mut TarReader<R>) -> Result<Tree> {
        let mut tree = Tree { nodes: vec![folder(false)] };
        while let Some(member) = tar.next()? {
            tree.member(member, tar)?;
        }
        Ok(tree)
    }

    /// The sum of the sizes of all files, each counted once; `None` where some of them are in layers below.
    pub fn size(&self) -> Option<u64> {
        let (mut sum, mut todo, mut seen) = (0, vec![0], std::collections::BTreeSet::new());
        while let Some(at) = todo.pop() {
            match &self.nodes[at].what {
                What::Dir(_, names) => todo.extend(names.values()),
                What::File(size, _) if seen.insert(at) => sum = u64::saturating_add(sum, *size),
                What::Below => return None,
                _ => {}
            }
        }
        Some(sum)
    }

    fn member<R: Read>(&mut self, member: Member, data: &mut TarReader<R>) -> Result<()> {
        let failed = || format!("read {}", member.path.escape_ascii());
        let path = beneath::components(&member.path).with_context(failed)?;
        let Some((name, parents)) = path.split_last() else {
            self.nodes[0].attributes = Some(attributes(&member, None));
            return Ok(());
        };
        let mark = whiteout::read_path(parents, name).with_context(failed)?;
        if mark == whiteout::Mark::Aufs {
            return Ok(());
        }
        let parent = self.resolve(parents, true).with_context(failed)?;
        let old = self.child(parent, name);
        match mark {
            whiteout::Mark::None => {}
            whiteout::Mark::Aufs => return Ok(()),
            whiteout::Mark::Opaque => return self.make_opaque(parent),
            whiteout::Mark::Removed(name) => return self.removed(parent, name),
        }
        let what = match &member.kind {
            Kind::File => {
                // A hole is zeros.
                let mut hashed = HashingReader::new(sparse::Filled::new(data, &member));
                io::copy(&mut hashed, &mut io::sink()).with_context(failed)?;
                let (_, digest, size) = hashed.finish();
                What::File(size, digest)
            }
            Kind::Dir => return self.folder(parent, name, old, &member),
            Kind::Hardlink => return self.hard_link(parent, name, &member.link).with_context(failed),
            Kind::Symlink => What::Symlink(member.link.clone()),
            special => What::Special(special.clone()),
        };
        self.put(parent, name, Node { what, attributes: Some(attributes(&member, None)) })
    }

    /// A folder keeps what it holds, and takes new attributes. One that takes a whiteout's place hides what is below.
    fn folder(&mut self, parent: usize, name: &[u8], old: Option<usize>, member: &Member) -> Result<()> {
        if let Some(at) = old
            && matches!(self.nodes[at].what, What::Dir(..))
        {
            let had = self.nodes[at].attributes.take();
            self.nodes[at].attributes = Some(attributes(member, had));
            return Ok(());
        }
        let opaque = old.is_some_and(|at| self.nodes[at].what == What::Whiteout);
        self.put(parent, name, Node { attributes: Some(attributes(member, None)), ..folder(opaque) })
    }

    fn hard_link(&mut self, parent: usize, name: &[u8], link: &[u8]) -> Result<()> {
        let path = beneath::components(link)?;
        let Some((target, parents)) = path.split_last() else { bail!("it is a link to the root") };
        let found = self.resolve(parents, false).ok().and_then(|dir| self.child(dir, target));
        match found {
            Some(target) => self.names(parent)?.insert(name.to_vec(), target),
            None => return self.put(parent, name, Node { what: What::Below, attributes: None }),
        };
        Ok(())
    }

    fn removed(&mut self, parent: usize, name: &[u8]) -> Result<()> {
        match self.child(parent, name) {
            None => self.put(parent, name, Node { what: What::Whiteout, attributes: None }),
            Some(at) if matches!(self.nodes[at].what, What::Dir(..)) => self.make_opaque(at),
            Some(_) => Ok(()),
        }
    }

    fn make_opaque(&mut self, at: usize) -> Result<()> {
        if let What::Dir(opaque, _) = &mut self.nodes[at].what {
            *opaque = true;
        }
        Ok(())
    }

    fn put(&mut self, parent: usize, name: &[u8], node: Node) -> Result<()> {
        let number = self.nodes.len();
        self.names(parent)?.insert(name.to_vec(), number);
        self.nodes.push(node);
        Ok(())
    }

    fn names(&mut self, at: usize) -> Result<&mut BTreeMap<Vec<u8>, usize>> {
        match &mut self.nodes[at].what {
            What::Dir(_, names) => Ok(names),
            _ => bail!("what it is in is no folder"),
        }
    }

    fn child(&self, at: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[at].what {
            What::Dir(_, names) => names.get(name).copied(),
            _ => None,
        }
    }

    /// The folder at a path, as the kernel finds it with the tree's root as `/`; missing folders are made if `make` is set.
    fn resolve(&mut self, path: &[&[u8]], make: bool) -> Result<usize> {
        let mut todo: VecDeque<Vec<u8>> = path.iter().map(|part| part.to_vec()).collect();
        let (mut stack, mut links) = (vec![0], 0);
        while let Some(part) = todo.pop_front() {
            let at = stack.last().copied().unwrap_or(0);
            let found = match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    stack.truncate(stack.len().saturating_sub(1).max(1));
                    continue;
                }
                name => self.child(at, name),
            };
            match found.map(|number| (number, &self.nodes[number].what)) {
                Some((number, What::Dir(..))) => stack.push(number),
                Some((_, What::Symlink(target))) => {
                    links += 1;
                    if links > MAX_LINKS {
                        bail!("its path leads through too many links");
                    }
                    if target.starts_with(b"/") {
                        stack.truncate(1);
                    }
                    target.split(|b| *b == b'/').rev().for_each(|part| todo.push_front(part.to_vec()));
                }
                None | Some((_, What::Whiteout)) if make => {
                    self.put(at, &part, folder(found.is_some()))?;
                    stack.push(self.nodes.len() - 1);
                }
                _ => bail!("its path leads through {}, which is no folder", part.escape_ascii()),
            }
        }
        Ok(stack.last().copied().unwrap_or(0))
    }
}

fn folder(opaque: bool) -> Node {
    Node { what: What::Dir(opaque, BTreeMap::new()), attributes: None }
}

fn attributes(member: &Member, before: Option<Attributes>) -> Attributes {
    let mut xattrs = before.map(|before| before.xattrs).unwrap_or_default();
    xattrs.extend(member.xattrs.iter().cloned());
    Attributes { mode: member.mode, owner: (member.uid, member.gid), mtime: member.mtime.0, xattrs }
}
