//! The layer that a COPY or a WORKDIR makes: a tar, written as it is read by `layerfs add`.
//!
//! A layer that adds `app/x` also has an entry for `app`, because a layer's folder covers those below: where `app`
//! exists already the entry repeats its mode and owner, else the new layer would change them.

use super::destination::Destination;
use super::sources::{Picked, Selection};
use crate::context::{BuildContext, Kind};
use crate::paths::Place;
use anyhow::{Context as _, Result, bail};
use layout::digest::HashingReader;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Who files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A layer's tar in the making.
pub struct LayerTar<'a, W: Write> {
    tar: Builder<W>,
    /// The image that the layer will lie on, mounted.
    root: &'a Path,
    /// The folders that have an entry already.
    written: BTreeSet<PathBuf>,
    /// The time of folders that are made on the way, in seconds since 1970.
    now: i64,
}

impl<'a, W: Write> LayerTar<'a, W> {
    /// A layer on the image that is mounted at `root`.
    pub fn new(out: W, root: &'a Path) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        LayerTar { tar: Builder::new(out), root, written: BTreeSet::new(), now }
    }

    /// Writes all that a COPY takes. `between` is asked before each file whether to go on.
    ///
    /// New folders above a file belong to `owner`, as do the files; of a folder's copy only the folder itself
    /// does, and what is above it is root's: both as in docker.
    pub fn copy(
        &mut self,
        context: &BuildContext,
        selection: &Selection,
        to: &Destination,
        owner: Owner,
        between: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        for source in &selection.sources {
            if source.is_dir {
                let place = to.folders_of_dir()?;
                self.folders(&place, Owner::default(), owner)?;
                for file in &source.files {
                    between()?;
                    self.file(context, file, &place.path().join(&file.below), owner)?;
                }
                continue;
            }
            between()?;
            self.folders(&to.folders_of_file(), owner, owner)?;
            for file in &source.files {
                self.file(context, file, &to.of_file(&source.name), owner)?;
            }
        }
        Ok(())
    }

    /// Writes the folders down to a place: those that exist as they are, new ones with mode 0755.
    pub fn folders(&mut self, place: &Place, above: Owner, last: Owner) -> Result<()> {
        let mut path = PathBuf::new();
        for (index, name) in place.names.iter().enumerate() {
            path.push(name);
            if !self.written.insert(path.clone()) {
                continue;
            }
            let mut header = header(EntryType::Directory);
            if index < place.existing {
                let here = self.root.join(&path);
                let is = here.symlink_metadata().with_context(|| format!("look at {}", here.display()))?;
                set(&mut header, is.mode() & 0o7777, Owner { uid: is.uid(), gid: is.gid() }, is.mtime());
            } else {
                set(&mut header, 0o755, if index + 1 == place.names.len() { last } else { above }, self.now);
            }
            self.append(header, &path, std::io::empty())?;
        }
        Ok(())
    }

    fn file(&mut self, context: &BuildContext, file: &Picked, to: &Path, owner: Owner) -> Result<()> {
        let entry = &file.entry;
        let with = |kind| {
            let mut header = header(kind);
            set(&mut header, entry.mode, owner, entry.mtime);
            header
        };
        match &entry.kind {
            Kind::Dir => {
                self.written.insert(to.to_owned());
                self.append(with(EntryType::Directory), to, std::io::empty())
            }
            Kind::Fifo => self.append(with(EntryType::Fifo), to, std::io::empty()),
            Kind::Link(target) => {
                let mut header = with(EntryType::Symlink);
                self.tar.append_link(&mut header, to, target).with_context(|| format!("write {}", to.display()))
            }
            Kind::File(size) => {
                let mut header = with(EntryType::Regular);
                header.set_size(*size);
                let mut content = HashingReader::new(context.open(&file.path)?.take(*size));
                self.append(header, to, &mut content)?;
                // Its digest is in the cache's key already: another content must not get in under it.
                let (_, digest, read) = content.finish();
                if read != *size || Some(&digest) != file.content.as_ref() {
                    bail!("{} changed while it was being copied: build again", file.path.display());
                }
                Ok(())
            }
            Kind::Device => bail!("{} is a device, which cannot be copied", file.path.display()),
        }
    }

    fn append(&mut self, mut header: Header, path: &Path, content: impl Read) -> Result<()> {
        self.tar
            .append_data(&mut header, path, content)
            .with_context(|| format!("write {} into the layer", path.display()))
    }

    /// Ends the tar.
    pub fn finish(self) -> Result<W> {
        self.tar.into_inner().context("end the layer")
    }
}

fn header(kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header
}

fn set(header: &mut Header, mode: u32, owner: Owner, mtime: i64) {
    header.set_mode(mode);
    header.set_uid(owner.uid.into());
    header.set_gid(owner.gid.into());
    // The format has no time before 1970.
    header.set_mtime(mtime.try_into().unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::sources;
    use crate::dockerfile::Transfer;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// The layer of `COPY SOURCES TO` as lines: kind, mode, owner, path.
    fn layer(sources: &[&str], to: &str, owner: Owner) -> Result<Vec<String>> {
        let dir = tempfile::tempdir()?;
        let root = tempfile::tempdir()?;
        fs::create_dir_all(dir.path().join("d/sub"))?;
        fs::set_permissions(dir.path().join("d/sub"), fs::Permissions::from_mode(0o2775))?;
        fs::write(dir.path().join("d/sub/s"), "s")?;
        fs::write(dir.path().join("a"), "content")?;
        fs::set_permissions(dir.path().join("a"), fs::Permissions::from_mode(0o600))?;
        symlink("d", dir.path().join("link"))?;
        fs::create_dir_all(root.path().join("tmp"))?;
        fs::set_permissions(root.path().join("tmp"), fs::Permissions::from_mode(0o1777))?;

        let context = BuildContext::walk(dir.path(), Path::new("/none"))?;
        let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
        let transfer = Transfer { sources, destination: to.to_owned(), chown: None };
        let selection = sources::select(&context, &transfer, "COPY")?;
        let mut tar = LayerTar::new(Vec::new(), root.path());
        tar.copy(&context, &selection, &Destination::find(root.path(), "/", to)?, owner, &|| Ok(()))?;
        let bytes = tar.finish()?;
        let mut lines = Vec::new();
        for entry in tar::Archive::new(&bytes[..]).entries()? {
            let entry = entry?;
            let header = entry.header();
            let link = entry.link_name()?.map(|target| format!(" -> {}", target.display())).unwrap_or_default();
            lines.push(format!(
                "{:o} {}:{} {}{link}",
                header.mode()?,
                header.uid()?,
                header.gid()?,
                entry.path()?.display()
            ));
        }
        Ok(lines)
    }

    const WEB: Owner = Owner { uid: 33, gid: 34 };

    #[test]
    fn folders_that_exist_keep_their_mode_and_new_ones_have_0755() {
        assert_eq!(layer(&["a"], "/tmp/new/", WEB).unwrap()[1..], ["755 33:34 tmp/new", "600 33:34 tmp/new/a"]);
        let tmp = layer(&["a"], "/tmp/b", Owner::default()).unwrap();
        assert!(tmp[0].starts_with("1777 ") && tmp[0].ends_with(" tmp"), "{tmp:?}");
        assert_eq!(tmp[1], "600 0:0 tmp/b");
    }

    #[test]
    fn a_folder_gives_its_contents() {
        assert_eq!(
            layer(&["d"], "/x/y", WEB).unwrap(),
            ["755 0:0 x", "755 33:34 x/y", "2775 33:34 x/y/sub", "644 33:34 x/y/sub/s"]
        );
        let all = layer(&["."], "/", Owner::default()).unwrap();
        assert_eq!(all, ["600 0:0 a", "755 0:0 d", "2775 0:0 d/sub", "644 0:0 d/sub/s", "777 0:0 link -> d"]);
        assert_eq!(layer(&["d", "a"], "/z/", Owner::default()).unwrap().len(), 4);
    }
}
