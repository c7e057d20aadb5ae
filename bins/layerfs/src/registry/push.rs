//! `layerfs push`: an image from the store into a registry, byte for byte, so that its digest stays.
//!
//! First the blobs, several at once; then the manifest that names them, because a registry takes none whose blobs it lacks.

use crate::cli::PushArgs;
use crate::image::{self, store};
use crate::output;
use crate::registry::failure::{Failure, about};
use crate::registry::progress::Progress;
use crate::registry::pull::has_tag;
use crate::registry::repository::{Access, Repository};
use crate::registry::settings::Settings;
use crate::registry::upload::{self, Sent};
use anyhow::{Context, Result, bail};
use layout::images::{self, Image, platforms};
use layout::oci::image::{Descriptor, ImageConfig, Index, Manifest};
use layout::{Digest, Layout, Reference};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Pushes.
pub fn run(layout: &Layout, config: &Path, args: &PushArgs) -> Result<()> {
    let reference = Reference::parse(&args.reference)?;
    if reference.digest.is_some() {
        bail!("cannot push a digest reference: an image is pushed by its tag, its digest is computed");
    }
    if args.all_tags && has_tag(&args.reference) {
        bail!("tag can't be used with --all-tags/-a");
    }
    let settings = Settings::load(config)?;
    let progress = Progress::new(args.quiet);
    if !args.all_tags && !has_tag(&args.reference) {
        progress.message("Using default tag: latest")?;
    }
    let name = format!("{}/{}", reference.domain, reference.path);
    progress.message(format!("The push refers to repository [{name}]"))?;
    // What is pushed is not removed meanwhile.
    let _held = store::hold(layout)?;
    let wanted = wanted(layout, &reference, args.all_tags)?;
    let repository = Repository::open(&settings, &reference, Access::Push)?;
    let images = images::all(layout)?;
    let push = Push {
        layout,
        repository: &repository,
        settings: &settings,
        progress: &progress,
        reference: &reference,
        images,
    };
    for (tag, listed) in &wanted {
        push.image(tag, listed).map_err(|error| about(error, || format!("push {}:{tag}", reference.repository())))?;
    }
    let shown = if args.all_tags { reference.repository() } else { reference.familiar() };
    super::note(layout, "push", &shown, &reference);
    match (args.quiet, args.all_tags) {
        (false, _) => Ok(()),
        (true, true) => output::line(name),
        (true, false) => output::line(reference.full()),
    }
}

/// The tags to push, and what `index.json` lists under them.
fn wanted(layout: &Layout, reference: &Reference, all: bool) -> Result<Vec<(String, Descriptor)>> {
    let mut found: Vec<(String, Descriptor)> = Vec::new();
    for listed in images::index(layout)?.manifests {
        let name = image::name_of(&listed).and_then(|name| Reference::parse(name).ok());
        if let Some(Reference { domain, path, tag: Some(tag), .. }) = name
            && (&domain, &path) == (&reference.domain, &reference.path)
        {
            found.push((tag, listed));
        }
    }
    if found.is_empty() {
        bail!("An image does not exist locally with the tag: {}", reference.repository());
    }
    if !all {
        found.retain(|(tag, _)| Some(tag) == reference.tag.as_ref());
    }
    if found.is_empty() {
        bail!("tag does not exist: {reference}");
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

struct Push<'a> {
    layout: &'a Layout,
    repository: &'a Repository,
    settings: &'a Settings,
    progress: &'a Progress,
    reference: &'a Reference,
    /// All images of the store: which registries know which of them.
    images: Vec<Image>,
}

/// A blob to push.
struct Part {
    blob: Descriptor,
    /// What its line begins with; a configuration has no line.
    id: Option<String>,
    neighbour: Option<String>,
}

impl Push<'_> {
    fn image(&self, tag: &str, listed: &Descriptor) -> Result<()> {
        let mut documents = Vec::new();
        let whole = self.collect(listed, &mut BTreeSet::new(), &mut documents)?;
        if !whole {
            // Of several platforms not all are here; an index of them would lead to nothing for some.
            documents = vec![platforms::choose(self.layout, listed, None)?];
        }
        let Some((top, inner)) = documents.split_last() else { return Ok(()) };
        for document in inner {
            self.document(document, document.digest.as_str())?;
        }
        self.document(top, tag)?;
        let known_as = format!("{}/{}@{}", self.reference.domain, self.reference.path, top.digest);
        store::edit_index(self.layout, |index| {
            image::add_repo_digest(index, listed, &known_as);
            Ok(())
        })?;
        self.progress.message(format!("{tag}: digest: {} size: {}", top.digest, top.size))
    }

    /// All documents below one, those that others name first; `false` when something of them is not in the store.
    fn collect(
        &self,
        found: &Descriptor,
        seen: &mut BTreeSet<Digest>,
        documents: &mut Vec<Descriptor>,
    ) -> Result<bool> {
        if !seen.insert(found.digest.clone()) {
            return Ok(true);
        }
        if !self.layout.blob(&found.digest).exists() {
            return Ok(false);
        }
        if platforms::is_index(found) {
            let index: Index = images::read_blob(self.layout, &found.digest)?;
            for inner in &index.manifests {
                if !self.collect(inner, seen, documents)? {
                    return Ok(false);
                }
            }
        } else {
            let manifest: Manifest = images::read_blob(self.layout, &found.digest)?;
            let is_here = |blob: &Descriptor| self.layout.blob(&blob.digest).exists();
            // What nobody lists by itself has to be whole; of an image alone it is an error later, in words.
            if seen.len() > 1 && !manifest.layers.iter().chain([&manifest.config]).all(is_here) {
                return Ok(false);
            }
        }
        documents.push(found.clone());
        Ok(true)
    }

    /// Pushes a manifest or an index under a tag or its digest, after what it names.
    fn document(&self, document: &Descriptor, which: &str) -> Result<()> {
        if !platforms::is_index(document) {
            let manifest: Manifest = images::read_blob(self.layout, &document.digest)?;
            self.blobs(self.parts(&manifest)?)?;
        }
        let file = self.layout.blob(&document.digest);
        let bytes = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        if Digest::of(&bytes) != document.digest {
            bail!("the manifest {} is damaged in the store: see layerfs fsck", document.digest);
        }
        self.repository.put_manifest(which, &document.media_type, &bytes)
    }

    /// The blobs of an image; the topmost layer first, as docker lists them.
    fn parts(&self, manifest: &Manifest) -> Result<Vec<Part>> {
        let config: ImageConfig = images::read_blob(self.layout, &manifest.config.digest)?;
        let mut seen = BTreeSet::new();
        let mut parts = Vec::new();
        for (at, blob) in manifest.layers.iter().enumerate() {
            if seen.insert(blob.digest.clone()) {
                let id = config.rootfs.diff_ids.get(at).unwrap_or(&blob.digest).short().to_owned();
                parts.push(Part { neighbour: self.neighbour(&blob.digest), blob: blob.clone(), id: Some(id) });
            }
        }
        parts.reverse();
        parts.push(Part { blob: manifest.config.clone(), id: None, neighbour: None });
        Ok(parts)
    }

    /// Another repository in the same registry that is known to have a blob: some image with it came from there, or went there.
    fn neighbour(&self, blob: &Digest) -> Option<String> {
        let has = |image: &&Image| image.manifest.layers.iter().any(|layer| layer.digest == *blob);
        let digests = self.images.iter().filter(has).flat_map(|image| &image.repo_digests);
        let mut paths = digests
            .filter_map(|name| Reference::parse(name).ok())
            .filter(|known| known.domain == self.reference.domain && known.path != self.reference.path);
        paths.next().map(|known| known.path)
    }

    fn blobs(&self, parts: Vec<Part>) -> Result<()> {
        let ids = || parts.iter().filter_map(|part| part.id.as_deref());
        ids().for_each(|id| self.progress.state(id, "Preparing"));
        ids().skip(self.settings.max_uploads).for_each(|id| self.progress.state(id, "Waiting"));
        let (failure, next) = (Failure::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..self.settings.max_uploads.min(parts.len()) {
                scope.spawn(|| {
                    while let Some(part) = parts.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if failure.is_set() {
                            break;
                        }
                        if let Err(error) = self.blob(part, &failure) {
                            failure.set(error);
                        }
                    }
                });
            }
        });
        failure.result()
    }

    fn blob(&self, part: &Part, failure: &Failure) -> Result<()> {
        let tell = |bytes| {
            if let Some(id) = &part.id {
                self.progress.count(id, "Pushing", bytes, part.blob.size);
            }
            !failure.is_set()
        };
        let sent = upload::send(self.layout, self.repository, &part.blob, part.neighbour.as_deref(), tell)?;
        if let Some(id) = &part.id {
            match sent {
                Sent::Exists => self.progress.state(id, "Layer already exists"),
                Sent::Mounted(from) => self.progress.state(id, &format!("Mounted from {from}")),
                Sent::Now => self.progress.state(id, "Pushed"),
            }
        }
        Ok(())
    }
}
