//! Looking into the image store, no further than a build needs.
//!
//! `index.json` says of each image its names and its parent, so that one file is read for the whole build, and of the
//! images themselves only those that can matter: with thousands in the store, a cached build is as fast as with ten.

use anyhow::Result;
use layout::images::{self, Image};
use layout::oci::image::{Descriptor, Index, PARENT, REF_NAME};
use layout::{Digest, Layout, Reference};

/// The store as it was when the build began.
pub struct Store<'a> {
    layout: &'a Layout,
    index: Index,
}

impl<'a> Store<'a> {
    /// Reads the index.
    pub fn open(layout: &'a Layout) -> Result<Store<'a>> {
        Ok(Store { layout, index: images::index(layout)? })
    }

    /// The image that FROM names: by name, or by id, or by the start of an id.
    pub fn base(&self, name: &str) -> Result<Option<Image>> {
        let familiar = Reference::parse(name).map(|reference| reference.familiar());
        let listed = familiar.ok().and_then(|familiar| self.named(&familiar));
        match listed {
            Some(listed) => images::load(self.layout, listed.clone()).map(Some),
            None => images::lookup(self.layout, name),
        }
    }

    /// The images that a build step made out of `parent`; without one, those that no step made out of another.
    pub fn children(&self, parent: Option<&Digest>) -> Result<Vec<Image>> {
        let is_child = |listed: &&Descriptor| listed.annotation(PARENT) == parent.map(Digest::as_str);
        self.index.manifests.iter().filter(is_child).map(|listed| images::load(self.layout, listed.clone())).collect()
    }

    /// Whether an image has this name (`pythonweb:latest`) already.
    pub fn is_named(&self, image: &Digest, name: &str) -> Result<bool> {
        match self.named(name) {
            Some(listed) => Ok(images::load(self.layout, listed.clone())?.id == *image),
            None => Ok(false),
        }
    }

    fn named(&self, name: &str) -> Option<&Descriptor> {
        self.index.manifests.iter().find(|listed| listed.annotation(REF_NAME) == Some(name))
    }
}
