//! `layerfs rm`: docker's rules for removing images.
//!
//! A name is removed first. When it was the last one the image goes too, and with it each parent that was only a step
//! towards it. What a container uses, or what another image was built on, stays.

use crate::cli::RmArgs;
use crate::{
    care::gc,
    image::{self, store},
    output,
};
use anyhow::{Context, Result, bail};
use layout::exit;
use layout::lock::Lock;
use layout::oci::image::{Descriptor, ImageConfig, Index};
use layout::{Digest, Layout, Reference, images};

/// Removes each image that was named; what fails is said, and the others go on.
pub fn run(layout: &Layout, args: &RmArgs) -> Result<u8> {
    let mut code = 0;
    for wanted in &args.images {
        match remove_one(layout, wanted, args.force, !args.no_prune) {
            Ok(lines) => lines.iter().try_for_each(output::line)?,
            Err(error) => {
                eprintln!("layerfs: {error:#}");
                code = exit::TOOL;
            }
        }
    }
    gc::collect_if_quiet(layout)?;
    Ok(code)
}

fn remove_one(layout: &Layout, wanted: &str, force: bool, prune: bool) -> Result<Vec<String>> {
    store::edit_index(layout, |index| {
        let image = images::find(layout, wanted)?;
        let mut remover = Remover::new(layout, index)?;
        remover.remove(&image.id, wanted, force, prune)?;
        index.manifests = remover.listed.into_iter().map(|listed| listed.descriptor).collect();
        Ok(remover.said)
    })
}

/// One line of the index.
struct Listed {
    descriptor: Descriptor,
    id: Digest,
    layers: Vec<Digest>,
    parent: Option<Digest>,
}

/// A container and its image.
struct User {
    short: String,
    running: bool,
    image: Digest,
    layers: Vec<Digest>,
}

struct Remover {
    listed: Vec<Listed>,
    users: Vec<User>,
    /// Docker's lines: `Untagged: ...`, `Deleted: ...`.
    said: Vec<String>,
}

impl Remover {
    fn new(layout: &Layout, index: &Index) -> Result<Remover> {
        let mut listed = Vec::new();
        for descriptor in &index.manifests {
            let image = images::load(layout, descriptor.clone())?;
            let layers = image.layers().to_vec();
            listed.push(Listed { descriptor: descriptor.clone(), id: image.id, layers, parent: image.parent });
        }
        Ok(Remover { listed, users: users(layout)?, said: Vec::new() })
    }

    fn remove(&mut self, id: &Digest, wanted: &str, force: bool, prune: bool) -> Result<()> {
        // A name that looks like the beginning of the id (`c`, of c0ffee...) is a name all the same.
        let by_name = self.listed.iter().any(|listed| listed.id == *id && is_named(listed, wanted));
        let by_id = !by_name && (id.as_str().starts_with(wanted) || id.hex().starts_with(wanted));
        let single = self.names(id).len() <= 1;
        if by_id {
            if single {
                self.check(id, force, false)?;
                self.untag_all(id);
            }
            return self.delete(id, force, prune);
        }
        if !force
            && single
            && let Some(user) = self.users.iter().find(|user| user.image == *id)
        {
            bail!(
                "conflict: unable to remove repository reference {wanted:?} (must force) - container {} is using its referenced image {}",
                user.short,
                id.short()
            );
        }
        self.untag(wanted)?;
        if !self.names(id).is_empty() {
            return Ok(());
        }
        self.delete_quietly(id, force, prune)
    }

    /// Deletes an image, and then the parents that were steps towards it.
    fn delete(&mut self, id: &Digest, force: bool, prune: bool) -> Result<()> {
        self.check(id, force, true)?;
        let parent = self.listed.iter().find(|listed| listed.id == *id).and_then(|listed| listed.parent.clone());
        let layers = self.listed.iter().find(|listed| listed.id == *id).map(|listed| listed.layers.clone());
        self.untag_all(id);
        self.listed.retain(|listed| listed.id != *id);
        self.said.push(format!("Deleted: {id}"));
        self.say_released(&layers.unwrap_or_default());
        match parent.filter(|_| prune) {
            Some(parent) if self.listed.iter().any(|listed| listed.id == parent) => {
                self.delete_quietly(&parent, false, prune)
            }
            _ => Ok(()),
        }
    }

    /// As `delete`, when nobody asked for this image by name: what is still of use stays, without a word.
    fn delete_quietly(&mut self, id: &Digest, force: bool, prune: bool) -> Result<()> {
        match self.check(id, force, true) {
            Ok(()) => self.delete(id, force, prune),
            Err(_) => Ok(()),
        }
    }

    /// Docker's conflicts: those that force does not overcome, and those that it does.
    fn check(&self, id: &Digest, force: bool, names_too: bool) -> Result<()> {
        let conflict = |how: &str, why: String| bail!("conflict: unable to delete {} ({how}) - {why}", id.short());
        if self.listed.iter().any(|listed| listed.parent.as_ref() == Some(id)) {
            return conflict("cannot be forced", "image has dependent child images".to_owned());
        }
        let user = |running| self.users.iter().find(|user| user.image == *id && user.running == running);
        if let Some(user) = user(true) {
            return conflict("cannot be forced", format!("image is being used by running container {}", user.short));
        }
        if force {
            return Ok(());
        }
        if names_too && !self.names(id).is_empty() {
            return conflict("must be forced", "image is referenced in multiple repositories".to_owned());
        }
        if let Some(user) = user(false) {
            return conflict("must be forced", format!("image is being used by stopped container {}", user.short));
        }
        Ok(())
    }

    /// The names of an image, as the index has them.
    fn names(&self, id: &Digest) -> Vec<String> {
        let ours = self.listed.iter().filter(|listed| listed.id == *id);
        ours.filter_map(|listed| image::name_of(&listed.descriptor).map(str::to_owned)).collect()
    }

    fn untag(&mut self, wanted: &str) -> Result<()> {
        let is_meant = |listed: &Listed| is_named(listed, wanted);
        let at = self.listed.iter().position(is_meant).with_context(|| format!("No such image: {wanted}"))?;
        let name = Reference::parse(wanted).map_or_else(|_| wanted.to_owned(), |reference| reference.familiar());
        self.said.push(format!("Untagged: {name}"));
        let id = self.listed[at].id.clone();
        if self.listed.iter().filter(|listed| listed.id == id).count() > 1 {
            self.listed.remove(at);
        } else {
            self.listed[at].descriptor = image::without_name(&self.listed[at].descriptor);
        }
        Ok(())
    }

    fn untag_all(&mut self, id: &Digest) {
        for listed in self.listed.iter_mut().filter(|listed| listed.id == *id) {
            if let Some(name) = image::name_of(&listed.descriptor) {
                let name = Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar());
                self.said.push(format!("Untagged: {name}"));
                listed.descriptor = image::without_name(&listed.descriptor);
            }
        }
    }

    /// Says which layers go with an image: those above the ones that it shares with another image or a container.
    /// Docker names a layer by its chain, the digest over all that is below it too.
    fn say_released(&mut self, layers: &[Digest]) {
        let shared = |others: &[Digest]| others.iter().zip(layers).take_while(|(a, b)| a == b).count();
        let used_by_images = self.listed.iter().map(|listed| shared(&listed.layers)).max().unwrap_or(0);
        let used_by_containers = self.users.iter().map(|user| shared(&user.layers)).max().unwrap_or(0);
        let kept = used_by_images.max(used_by_containers);
        let chains = chain_ids(layers);
        self.said.extend(chains.iter().skip(kept).rev().map(|chain| format!("Deleted: {chain}")));
    }
}

/// Whether this is a name of a line of the index, as a reference or as another tool has written it.
fn is_named(listed: &Listed, wanted: &str) -> bool {
    image::name_of(&listed.descriptor) == Some(wanted)
        || Reference::parse(wanted).is_ok_and(|reference| image::has_name(&listed.descriptor, &reference))
}

/// The chain ids of a stack of layers (config.md, "Layer ChainID").
fn chain_ids(layers: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for layer in layers {
        chains.push(match chains.last() {
            None => layer.clone(),
            Some(below) => Digest::of(format!("{below} {layer}").as_bytes()),
        });
    }
    chains
}

/// All containers, with whether they run: whether their shim holds its lock.
fn users(layout: &Layout) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for id in layout.container_ids()? {
        if !layout.container_dir(&id).container_json().exists() {
            continue;
        }
        let image = layout.read_container(&id)?.image;
        let layers = match layout.blob(&image).exists() {
            true => images::read_blob::<ImageConfig>(layout, &image)?.rootfs.diff_ids,
            false => Vec::new(),
        };
        let running = Lock::is_held(&layout.shim_lock(&id))?;
        users.push(User { short: id.short().to_owned(), running, image, layers });
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_id_covers_all_layers_below() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let chains = chain_ids(&[a.clone(), b.clone()]);
        assert_eq!(chains, [a.clone(), Digest::of(format!("{a} {b}").as_bytes())]);
        assert!(chain_ids(&[]).is_empty());
    }
}
