//! What may be removed of the index, and how it is said: docker's rules and docker's words.

use crate::image;
use anyhow::{Result, bail};
use layout::lock::Lock;
use layout::oci::image::{Descriptor, ImageConfig, Index, REPO_DIGESTS};
use layout::{Digest, Layout, Reference, events, images};
use std::collections::BTreeMap;

/// An image's labels.
type Labels = Option<BTreeMap<String, String>>;

/// One line of the index.
struct Listed {
    descriptor: Descriptor,
    /// The image's id; of one that cannot be read, what is listed stands for it.
    id: Digest,
    layers: Vec<Digest>,
    parent: Option<Digest>,
    labels: Labels,
    /// Why it cannot be read.
    damage: Option<String>,
}

impl Listed {
    fn new(layout: &Layout, descriptor: &Descriptor) -> Listed {
        let descriptor = descriptor.clone();
        match images::load(layout, descriptor.clone()) {
            Ok(image) => {
                let layers = image.layers().to_vec();
                let labels = image.config.config.labels;
                Listed { descriptor, id: image.id, layers, parent: image.parent, labels, damage: None }
            }
            Err(error) => {
                let (id, damage) = (descriptor.digest.clone(), Some(format!("{error:#}")));
                Listed { descriptor, id, layers: Vec::new(), parent: None, labels: None, damage }
            }
        }
    }

    /// The digests that registries know it by, as references.
    fn repo_digests(&self) -> Vec<Reference> {
        let list = self.descriptor.annotation(REPO_DIGESTS).unwrap_or_default();
        list.split_whitespace().filter_map(|text| Reference::parse(text).ok()).collect()
    }
}

/// A container and its image.
struct User {
    short: String,
    running: bool,
    image: Digest,
    layers: Vec<Digest>,
}

/// What is to be removed.
pub enum Target {
    /// A name of this image.
    Name(Digest),
    /// A digest that a registry knows it by.
    RepoDigest(Digest, Reference),
    /// The image itself.
    Id(Digest),
}

/// The index, without what was removed so far.
pub struct Remover {
    listed: Vec<Listed>,
    users: Vec<User>,
    /// Docker's lines: `Untagged: ...`, `Deleted: ...`.
    pub said: Vec<String>,
    /// What happened to which image, with its labels.
    events: Vec<(&'static str, Digest, Labels)>,
    /// Sum of the sizes of the layers that go, in bytes.
    pub freed: u64,
    /// The sizes of all layers of images.
    sizes: BTreeMap<Digest, u64>,
}

impl Remover {
    /// Reads the index and the containers.
    pub fn new(layout: &Layout, index: &Index) -> Result<Remover> {
        let listed: Vec<Listed> = index.manifests.iter().map(|descriptor| Listed::new(layout, descriptor)).collect();
        let mut sizes = BTreeMap::new();
        for layer in listed.iter().flat_map(|listed| &listed.layers) {
            if !sizes.contains_key(layer) {
                sizes.insert(layer.clone(), images::layer_size(layout, layer).unwrap_or(0));
            }
        }
        Ok(Remover { listed, users: users(layout)?, said: Vec::new(), events: Vec::new(), freed: 0, sizes })
    }

    /// Notes what happened, once it is true.
    pub fn note(&self, layout: &Layout) {
        for (action, id, labels) in &self.events {
            events::of_image(layout, action, id.as_str(), id.as_str(), labels.as_ref());
        }
    }

    /// An image has lost `names` of its names.
    fn untagged(&mut self, id: &Digest, names: usize) {
        let labels = self.listed.iter().find(|listed| listed.id == *id).and_then(|listed| listed.labels.clone());
        self.events.extend(std::iter::repeat_n(("untag", id.clone(), labels), names));
    }

    /// What the index is to hold now.
    pub fn left(&self) -> Vec<Descriptor> {
        self.listed.iter().map(|listed| listed.descriptor.clone()).collect()
    }

    /// The images that no image was built on and no container uses.
    pub fn unused(&self) -> Vec<Digest> {
        let is_used = |id: &Digest| self.users.iter().any(|user| user.image == *id);
        let is_parent = |id: &Digest| self.listed.iter().any(|listed| listed.parent.as_ref() == Some(id));
        let whole = self.listed.iter().filter(|listed| listed.damage.is_none()).map(|listed| &listed.id);
        let mut found: Vec<Digest> = whole.filter(|id| !is_used(id) && !is_parent(id)).cloned().collect();
        found.sort();
        found.dedup();
        found
    }

    /// In docker's order: a name that looks like the beginning of an id (`c`, of c0ffee...) is a name all the same.
    pub fn find(&self, wanted: &str) -> Result<Option<Target>> {
        if let Some(listed) = self.listed.iter().find(|listed| is_named(listed, wanted)) {
            return Ok(Some(Target::Name(listed.id.clone())));
        }
        if let Ok(reference) = Reference::parse(wanted)
            && let Some(digest) = reference.digest.clone()
        {
            let known = Reference { tag: None, ..reference };
            if let Some(listed) = self.listed.iter().find(|listed| listed.repo_digests().contains(&known)) {
                return Ok(Some(Target::RepoDigest(listed.id.clone(), known)));
            }
            let listed = self.listed.iter().find(|listed| listed.descriptor.digest == digest || listed.id == digest);
            return Ok(listed.map(|listed| Target::Id(listed.id.clone())));
        }
        let prefix = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut matching: Vec<&Digest> =
            self.listed.iter().map(|listed| &listed.id).filter(|id| id.hex().starts_with(prefix)).collect();
        matching.sort();
        matching.dedup();
        match matching[..] {
            [] => Ok(None),
            [id] => Ok(Some(Target::Id(id.clone()))),
            _ => bail!("{wanted} is the start of more than one image id: give more digits"),
        }
    }

    /// Removes a name, and with the last name the image; or an image with all its names.
    pub fn remove(&mut self, target: &Target, wanted: &str, force: bool, prune: bool) -> Result<()> {
        let (Target::Name(id) | Target::RepoDigest(id, _) | Target::Id(id)) = target;
        if let Some(damage) = self.listed.iter().find_map(|listed| listed.damage.as_ref().filter(|_| listed.id == *id))
        {
            if !force {
                bail!("image {wanted} cannot be read, and what needs it is not known (--force removes it): {damage}");
            }
            self.remove_damaged(target, wanted);
            return Ok(());
        }
        let single = self.is_single(id);
        if let Target::Id(_) = target {
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
        match target {
            Target::RepoDigest(id, reference) => {
                self.untagged(id, 1);
                self.forget_digests(id, |known| known == reference);
            }
            _ => self.untag(id, wanted),
        }
        if !self.names(id).is_empty() || !self.repo_digests(id).is_empty() {
            return Ok(());
        }
        self.delete_quietly(id, force, prune)
    }

    /// Nothing is known of it but how it is listed. Whatever it needed, and nothing else needs, goes with the next `gc`.
    fn remove_damaged(&mut self, target: &Target, wanted: &str) {
        let (Target::Name(id) | Target::RepoDigest(id, _) | Target::Id(id)) = target;
        let by_name = matches!(target, Target::Name(_));
        let is_meant = |listed: &Listed| listed.id == *id && (!by_name || is_named(listed, wanted));
        let names: Vec<&str> = self
            .listed
            .iter()
            .filter(|listed| is_meant(listed))
            .filter_map(|listed| image::name_of(&listed.descriptor))
            .collect();
        self.said.extend(names.into_iter().map(|name| format!("Untagged: {}", familiar(name))));
        self.listed.retain(|listed| !is_meant(listed));
        if self.listed.iter().all(|listed| listed.id != *id) {
            self.said.push(format!("Deleted: {id}"));
            self.events.push(("delete", id.clone(), None));
        }
    }

    /// Deletes an image, and then the parents that were steps towards it.
    fn delete(&mut self, id: &Digest, force: bool, prune: bool) -> Result<()> {
        self.check(id, force, true)?;
        let parent = self.listed.iter().find(|listed| listed.id == *id).and_then(|listed| listed.parent.clone());
        let layers = self.listed.iter().find(|listed| listed.id == *id).map(|listed| listed.layers.clone());
        self.untag_all(id);
        self.listed.retain(|listed| listed.id != *id);
        self.said.push(format!("Deleted: {id}"));
        self.events.push(("delete", id.clone(), None));
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
        if names_too && (!self.names(id).is_empty() || !self.repo_digests(id).is_empty()) {
            return conflict("must be forced", "image is referenced in multiple repositories".to_owned());
        }
        if let Some(user) = user(false) {
            return conflict("must be forced", format!("image is being used by stopped container {}", user.short));
        }
        Ok(())
    }

    /// The names of an image, as people write them.
    pub fn names(&self, id: &Digest) -> Vec<String> {
        let ours = self.listed.iter().filter(|listed| listed.id == *id);
        ours.filter_map(|listed| image::name_of(&listed.descriptor).map(familiar)).collect()
    }

    /// The digests that registries know an image by.
    pub fn repo_digests(&self, id: &Digest) -> Vec<Reference> {
        let ours = self.listed.iter().filter(|listed| listed.id == *id);
        let mut found: Vec<Reference> = ours.flat_map(Listed::repo_digests).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Whether all that an image is called is one name, and digests of the same repository.
    fn is_single(&self, id: &Digest) -> bool {
        let (names, digests) = (self.names(id), self.repo_digests(id));
        if names.len() + digests.len() <= 1 {
            return true;
        }
        let mut repositories: Vec<String> = digests.iter().map(Reference::repository).collect();
        repositories
            .extend(names.iter().map(|name| Reference::parse(name).map_or(name.clone(), |name| name.repository())));
        repositories.dedup();
        names.len() <= 1 && repositories.len() == 1
    }

    /// Takes a name away; with the last of a repository the digests of that repository go, too.
    fn untag(&mut self, id: &Digest, wanted: &str) {
        let Some(at) = self.listed.iter().position(|listed| is_named(listed, wanted)) else { return };
        self.said.push(format!("Untagged: {}", familiar(wanted)));
        self.untagged(id, 1);
        let same = |listed: &&Listed| listed.id == *id;
        if self.listed.iter().filter(same).count() > 1 {
            self.listed.remove(at);
        } else {
            self.listed[at].descriptor = image::without_name(&self.listed[at].descriptor);
        }
        let Ok(removed) = Reference::parse(wanted) else { return };
        let of_it = |name: &String| Reference::parse(name).is_ok_and(|name| name.repository() == removed.repository());
        if !self.names(id).iter().any(of_it) {
            self.forget_digests(id, |known| known.repository() == removed.repository());
        }
    }

    /// Forgets digests that registries know an image by, and says so.
    fn forget_digests(&mut self, id: &Digest, is_meant: impl Fn(&Reference) -> bool) {
        let (gone, kept): (Vec<Reference>, Vec<Reference>) = self.repo_digests(id).into_iter().partition(is_meant);
        self.said.extend(gone.iter().map(|reference| format!("Untagged: {reference}")));
        let kept = kept.iter().map(Reference::full).collect::<Vec<_>>().join(" ");
        for listed in self.listed.iter_mut().filter(|listed| listed.id == *id) {
            listed.descriptor.annotations.remove(REPO_DIGESTS);
            if !kept.is_empty() {
                listed.descriptor.annotations.insert(REPO_DIGESTS.to_owned(), kept.clone());
            }
        }
    }

    fn untag_all(&mut self, id: &Digest) {
        let before = self.said.len();
        for listed in self.listed.iter_mut().filter(|listed| listed.id == *id) {
            if let Some(name) = image::name_of(&listed.descriptor) {
                self.said.push(format!("Untagged: {}", familiar(name)));
                listed.descriptor = image::without_name(&listed.descriptor);
            }
        }
        self.forget_digests(id, |_| true);
        self.untagged(id, self.said.len() - before);
    }

    /// Says which layers go with an image: those above the ones that it shares with another image or a container.
    /// Docker names a layer by its chain, the digest over all that is below it too.
    fn say_released(&mut self, layers: &[Digest]) {
        let shared = |others: &[Digest]| others.iter().zip(layers).take_while(|(a, b)| a == b).count();
        let used_by_images = self.listed.iter().map(|listed| shared(&listed.layers)).max().unwrap_or(0);
        let used_by_containers = self.users.iter().map(|user| shared(&user.layers)).max().unwrap_or(0);
        let kept = used_by_images.max(used_by_containers);
        let chains = images::chain_ids(layers);
        self.freed += layers.iter().skip(kept).filter_map(|layer| self.sizes.get(layer)).sum::<u64>();
        self.said.extend(chains.iter().skip(kept).rev().map(|chain| format!("Deleted: {chain}")));
    }
}

/// Whether this is a name of a line of the index, as a reference or as another tool has written it.
fn is_named(listed: &Listed, wanted: &str) -> bool {
    image::name_of(&listed.descriptor) == Some(wanted)
        || Reference::parse(wanted).is_ok_and(|reference| image::has_name(&listed.descriptor, &reference))
}

/// A name as people write it.
fn familiar(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}

/// All containers, with whether they run: whether their shim holds its lock.
fn users(layout: &Layout) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for id in layout.container_ids()? {
        if !layout.container_dir(&id).container_json().exists() {
            continue;
        }
        let image = layout.read_container(&id)?.image;
        // Only for saying which layers go. What goes is for `gc` to find out, which is more careful.
        let layers =
            images::read_blob::<ImageConfig>(layout, &image).map_or(Vec::new(), |config| config.rootfs.diff_ids);
        let running = Lock::is_held(&layout.shim_lock(&id))?;
        users.push(User { short: id.short().to_owned(), running, image, layers });
    }
    Ok(users)
}
