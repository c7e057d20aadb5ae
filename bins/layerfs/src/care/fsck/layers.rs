//! Extracted layers and their blobs: each blob is digested, uncompressed, digested again, and compared with the folder that
//! was extracted from it, in one pass.

use crate::archive::read::TarReader;
use crate::care::fsck::tree::Tree;
use crate::care::fsck::{Blob, Check, Folder, Object, compare};
use crate::layer::compression::Compression;
use crate::layer::{self, examine};
use anyhow::{Context, Result};
use layout::Digest;
use layout::images::{self, LayerInfo};
use std::io::Read;
use std::path::Path;

/// How many differences of one layer are told.
const MOST: usize = 5;

impl Check<'_> {
    /// All folders in `layers/`.
    pub(super) fn all_layers(&mut self) -> Result<()> {
        let dir = self.layout.layers();
        for name in names(&dir)? {
            match digest(&name) {
                Some(diff_id) => {
                    let state = self.layer(&diff_id);
                    self.layers.insert(diff_id, state);
                }
                None => self.say(Object::Stray(format!("layers/{name}")), "its name is no digest"),
            }
        }
        Ok(())
    }

    fn layer(&mut self, diff_id: &Digest) -> Folder {
        let object = || Object::Layer(diff_id.clone());
        let folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let diff = self.layout.layer_diff(diff_id);
        if !folder(&self.layout.layer(diff_id)) || !folder(&diff) {
            self.say(object(), "its files are not there");
            return Folder::Damaged;
        }
        let info = match layer::info(self.layout, diff_id) {
            Ok(Some(info)) if info.name() == diff_id => info,
            Ok(Some(info)) => {
                self.say(object(), format!("layer.json is of {}", info.diff_id));
                return Folder::Damaged;
            }
            Ok(None) => {
                self.say(object(), "layer.json is not there");
                return Folder::Damaged;
            }
            Err(error) => {
                self.say(object(), format!("{error:#}"));
                return Folder::Damaged;
            }
        };
        self.holds(diff_id, &info.blob);
        let tree = self.content(&info.blob.digest, Some(info.blob.size), |plain| {
            let mut tar = TarReader::of_known_digest(plain);
            let tree = Tree::read(&mut tar)?;
            tar.finish()?;
            Ok(tree)
        });
        match (tree, self.blobs.get(&info.blob.digest)) {
            (Some(Ok(tree)), Some(Blob::Whole { diff_id: Some(found), .. })) if *found == info.diff_id => {
                self.compare(&info, &tree, &diff)
            }
            (Some(Ok(_)), Some(Blob::Whole { .. })) => {
                self.say(object(), format!("its blob {} holds another layer", info.blob.digest));
                Folder::Damaged
            }
            (Some(Err(error)), Some(Blob::Whole { .. })) => {
                self.say(object(), format!("its blob {} holds no layer: {error:#}", info.blob.digest));
                Folder::Unproven
            }
            _ => Folder::Unproven,
        }
    }

    fn compare(&mut self, info: &LayerInfo, wanted: &Tree, diff: &Path) -> Folder {
        let mut wrong = match compare::read_folder(diff) {
            // What was copied from below is in the folder, and not in the archive.
            Ok(found) => compare::differences(wanted, &found, diff, info.chain_id.is_none()),
            Err(error) => vec![format!("{error:#}")],
        };
        if wanted.size().is_some_and(|size| size != info.size) {
            let size = wanted.size().unwrap_or(0);
            wrong.push(format!("layer.json says that its files have {} bytes, and they have {size}", info.size));
        }
        if let Some(Blob::Whole { size, .. }) = self.blobs.get(&info.blob.digest)
            && *size != info.blob.size
        {
            wrong.push(format!("layer.json says that its blob has {} bytes, and it has {size}", info.blob.size));
        }
        if wrong.is_empty() {
            return Folder::Whole;
        }
        let more = wrong.len().saturating_sub(MOST);
        wrong.truncate(MOST);
        wrong.into_iter().for_each(|problem| self.say(Object::Layer(info.name().clone()), problem));
        if more > 0 {
            self.say(Object::Layer(info.name().clone()), format!("{more} more differences"));
        }
        Folder::Damaged
    }

    /// Reads a blob, if it was not read before, and remembers what it is; gives what `look` found in its uncompressed content.
    /// `said` is the size that it should have.
    pub(super) fn content<T>(
        &mut self,
        digest: &Digest,
        said: Option<u64>,
        look: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Option<Result<T>> {
        if let Some(Blob::Damaged | Blob::Missing) = self.blobs.get(digest) {
            return None;
        }
        let path = self.layout.blob(digest);
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            self.blobs.insert(digest.clone(), Blob::Missing);
            return None;
        }
        let read = images::open_blob(self.layout, digest).and_then(|(file, size)| {
            let examined = examine::examine(file, look)?;
            Ok((examined, size))
        });
        let wrong = match read {
            Ok((examined, size)) if examined.digest == *digest => {
                let compressed = examined.compression != Some(Compression::None);
                let (diff_id, found) = match examined.content {
                    Ok((diff_id, found)) => (Some(diff_id), Ok(found)),
                    Err(error) => (None, Err(error)),
                };
                self.blobs.insert(digest.clone(), Blob::Whole { size, compressed, diff_id });
                return Some(found);
            }
            Ok((_, size)) if said.is_some_and(|said| said != size) => {
                format!("it has {size} bytes, not {}", said.unwrap_or(0))
            }
            Ok((examined, _)) => format!("its content is {}", examined.digest),
            Err(error) => format!("{error:#}"),
        };
        self.blobs.insert(digest.clone(), Blob::Damaged);
        self.say(Object::Blob(digest.clone()), wrong);
        None
    }

    /// Blobs that no image and no layer was found to need, and what is no blob.
    pub(super) fn all_blobs(&mut self) -> Result<()> {
        for name in names(&self.layout.blobs())? {
            match digest(&name) {
                Some(digest) if !self.blobs.contains_key(&digest) => {
                    self.content(&digest, None, |_| Ok(()));
                }
                Some(_) => {}
                None => self.say(Object::Stray(format!("images/blobs/sha256/{name}")), "its name is no digest"),
            }
        }
        // Of layers that images need, the images have told.
        for (diff_id, blobs) in self.blobs_of.clone() {
            for (blob, ..) in blobs {
                if self.blobs.get(&blob) == Some(&Blob::Missing) && !self.told(&Object::Blob(blob.clone())) {
                    self.say(Object::Layer(diff_id.clone()), format!("its blob {blob} is not there"));
                }
            }
        }
        Ok(())
    }

    /// Containers whose image is gone.
    pub(super) fn containers(&mut self) -> Result<()> {
        for id in self.layout.container_ids()? {
            if !self.layout.container_dir(&id).container_json().exists() {
                continue;
            }
            let object = Object::Container(id.short().to_owned());
            match self.layout.read_container(&id) {
                Ok(container) if !self.layout.blob(&container.image).exists() => {
                    self.say(object, format!("its image {} is not there", container.image));
                }
                Ok(_) => {}
                Err(error) => self.say(object, format!("{error:#}")),
            }
        }
        Ok(())
    }
}

/// The names in a folder, sorted.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let name = entry.with_context(|| format!("list {}", dir.display()))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn digest(name: &str) -> Option<Digest> {
    format!("sha256:{name}").parse().ok()
}
