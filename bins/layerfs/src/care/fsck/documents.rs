//! The index, and the manifests and configurations that it leads to.

use crate::care::fsck::{Blob, Check, Listed, Object};
use anyhow::{Context, Result, bail};
use layout::images;
use layout::oci::image::{
    CONFIG, DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, INDEX, ImageConfig, Index, MANIFEST, Manifest,
    PARENT, REF_NAME, REPO_DIGESTS,
};
use layout::{Digest, Reference};
use std::collections::BTreeSet;

/// An index may list indexes; nobody nests them deeper than this, and one that lists itself goes on for ever.
const MAX_DEPTH: usize = 4;

impl Check<'_> {
    /// All entries of the index.
    pub(super) fn all_images(&mut self) {
        let Some(index) = self.index.clone() else { return };
        let mut names = BTreeSet::new();
        for entry in &index.foreign {
            let digest = entry.get("digest").and_then(|digest| digest.as_str()).unwrap_or("without a digest");
            self.say(Object::Entry(digest.to_owned()), Index::why_foreign(entry));
        }
        for (at, entry) in index.manifests.iter().enumerate() {
            let name = entry.annotation(REF_NAME);
            let shown = name.unwrap_or(entry.digest.as_str()).to_owned();
            if name.is_some_and(|name| !names.insert(familiar(name))) {
                self.say(Object::Entry(shown.clone()), "another entry of index.json has the same name");
            }
            self.annotations(entry, &shown);
            let mut listed = Listed { at, shown, documents: BTreeSet::new(), layers: Vec::new(), broken: false };
            self.image(entry, &mut listed, true, 0);
            self.listed.push(listed);
        }
    }

    /// What the store itself notes at an entry.
    fn annotations(&mut self, entry: &Descriptor, shown: &str) {
        let object = || Object::Entry(shown.to_owned());
        if let Some(parent) = entry.annotation(PARENT)
            && let Err(error) = parent.parse::<Digest>()
        {
            self.say(object(), format!("its annotation {PARENT}: {error}"));
        }
        for known in entry.annotation(REPO_DIGESTS).unwrap_or_default().split_whitespace() {
            if !Reference::parse(known).is_ok_and(|reference| reference.digest.is_some()) {
                self.say(object(), format!("its annotation {REPO_DIGESTS}: {known:?} is no name with a digest"));
            }
        }
    }

    /// An image, or an index of several. Of the platforms of an index only those need to be here that were copied.
    fn image(&mut self, entry: &Descriptor, listed: &mut Listed, needed: bool, depth: usize) {
        let there = self.layout.blob(&entry.digest).symlink_metadata().is_ok();
        if !there && !needed {
            return;
        }
        listed.documents.insert(entry.digest.clone());
        if !self.blob(entry) {
            return;
        }
        let result = match entry.media_type.as_str() {
            INDEX | DOCKER_LIST => self.index(entry, listed, depth),
            MANIFEST | DOCKER_MANIFEST => self.manifest(entry, listed),
            other => {
                self.say(Object::Blob(entry.digest.clone()), format!("its media type {other} is none of an image"));
                Ok(())
            }
        };
        if let Err(error) = result {
            listed.broken = true;
            let object = Object::Blob(entry.digest.clone());
            if !self.told(&object) {
                self.say(object, format!("{:#}", error));
            }
        }
    }

    fn index(&mut self, entry: &Descriptor, listed: &mut Listed, depth: usize) -> Result<()> {
        if depth >= MAX_DEPTH {
            bail!("indexes are nested too deeply");
        }
        let index: Index = images::read_blob(self.layout, &entry.digest).map_err(cause)?;
        self.same_type(entry, index.media_type.as_deref(), index.schema_version)?;
        index.manifests.iter().for_each(|inner| self.image(inner, listed, false, depth + 1));
        Ok(())
    }

    fn manifest(&mut self, entry: &Descriptor, listed: &mut Listed) -> Result<()> {
        let manifest: Manifest = images::read_blob(self.layout, &entry.digest).map_err(cause)?;
        self.same_type(entry, manifest.media_type.as_deref(), manifest.schema_version)?;
        listed.documents.insert(manifest.config.digest.clone());
        if !matches!(manifest.config.media_type.as_str(), CONFIG | DOCKER_CONFIG) {
            let media_type = &manifest.config.media_type;
            self.say(
                Object::Blob(entry.digest.clone()),
                format!("its configuration has the media type {media_type}, which is none of an image"),
            );
            return Ok(());
        }
        if !self.blob(&manifest.config) {
            return Ok(());
        }
        let read = images::read_blob::<ImageConfig>(self.layout, &manifest.config.digest).map_err(cause);
        let config = read.with_context(|| format!("its configuration {}", manifest.config.digest))?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            bail!("it has {} layers and {} diff ids", manifest.layers.len(), diff_ids.len());
        }
        for (blob, diff_id) in manifest.layers.iter().zip(diff_ids) {
            listed.layers.push((diff_id.clone(), blob.digest.clone()));
            self.holds(diff_id, blob);
            if self.blob(blob) {
                self.layer_blob(entry, blob, diff_id)?;
            }
        }
        Ok(())
    }

    fn layer_blob(&mut self, entry: &Descriptor, blob: &Descriptor, said: &Digest) -> Result<()> {
        let Some(Blob::Whole { compressed, diff_id, .. }) = self.blobs.get(&blob.digest) else { return Ok(()) };
        if diff_id.as_ref().is_some_and(|diff_id| diff_id != said) {
            bail!("its layer {} is, uncompressed, not {said}", blob.digest);
        }
        let media_type = blob.media_type.as_str();
        let wrong = if !media_type.contains("tar") {
            "none of a layer"
        } else if (media_type.contains("gzip") || media_type.ends_with("zstd")) != *compressed {
            "not what its content is"
        } else {
            return Ok(());
        };
        let problem = format!("its layer {} has the media type {media_type}, which is {wrong}", blob.digest);
        self.say(Object::Blob(entry.digest.clone()), problem);
        Ok(())
    }

    /// A document may say itself what it is, and must then say the same as who refers to it.
    fn same_type(&mut self, entry: &Descriptor, own: Option<&str>, version: u32) -> Result<()> {
        if version != 2 {
            bail!("it has the schemaVersion {version}, and only 2 is known");
        }
        if let Some(own) = own.filter(|own| *own != entry.media_type) {
            let problem =
                format!("it says that its media type is {own}, and what refers to it says {}", entry.media_type);
            self.say(Object::Blob(entry.digest.clone()), problem);
        }
        Ok(())
    }

    /// Compares a blob with its descriptor; says whether it is true to its name.
    fn blob(&mut self, descriptor: &Descriptor) -> bool {
        let digest = &descriptor.digest;
        if !self.blobs.contains_key(digest) {
            self.content(digest, Some(descriptor.size), |_| Ok(()));
        }
        let wrong = match self.blobs.get(digest) {
            Some(Blob::Whole { size, .. }) if *size == descriptor.size => return true,
            Some(Blob::Whole { size, .. }) => format!("it has {size} bytes, not {}", descriptor.size),
            Some(Blob::Damaged) => return false,
            Some(Blob::Missing) | None => "No such file or directory".to_owned(),
        };
        let object = Object::Blob(digest.clone());
        if !self.told(&object) {
            self.say(object, wrong);
        }
        self.is_whole(digest)
    }
}

/// The same name, however it is spelled.
fn familiar(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.familiar())
}

/// The error without the file's name, which the object of the finding tells.
fn cause(error: anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.root_cause())
}
