//! `layerfs pull`: an image from a registry into the store.
//!
//! ```text
//! manifest ─► configuration ─► several at once: blob ─► tmp/blob-HEX ─► blobs/HEX
//!                              one after the other:          └─► extract ─► layers/DIFFID     ─► index.json
//! ```
//!
//! A layer is extracted while its blob comes in. Nothing has a name before its digest is verified, and the image is listed
//! last: killed at any moment, this leaves blobs and layers that the next pull finds.

use crate::cli::PullArgs;
use crate::image::{self, store};
use crate::registry::arrival::Arrival;
use crate::registry::choose::{self, Document};
use crate::registry::download::{Body, Event, Wanted};
use crate::registry::failure::{Failure, about};
use crate::registry::progress::Progress;
use crate::registry::repository::{Access, Repository};
use crate::registry::settings::Settings;
use crate::{layer, output};
use anyhow::{Context, Result, bail};
use layout::oci::image::{Descriptor, ImageConfig, Manifest, Platform};
use layout::{Digest, Layout, Reference, images, units};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Pulls, and prints the name that the image then has, in full.
pub fn run(layout: &Layout, config: &Path, args: &PullArgs) -> Result<()> {
    let reference = Reference::parse(&args.reference)?;
    let says_which = reference.digest.is_some() || has_tag(&args.reference);
    if args.all_tags && says_which {
        bail!("tag can't be used with --all-tags/-a");
    }
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let settings = Settings::load(config)?;
    let progress = Progress::new(args.quiet);
    if !says_which && !args.all_tags {
        progress.message("Using default tag: latest")?;
    }
    let repository = Repository::open(&settings, &reference, Access::Pull)?;
    let pull = Pull { layout, repository: &repository, settings: &settings, platform, progress: &progress };

    // From the first blob until the image is listed: nobody may take them for rubbish.
    let _held = store::hold(layout)?;
    let wanted = match args.all_tags {
        false => vec![reference.clone()],
        true => repository.tags()?.into_iter().map(|tag| Reference { tag: Some(tag), ..reference.clone() }).collect(),
    };
    let mut news = false;
    for reference in &wanted {
        news |= pull.image(reference).map_err(|error| about(error, || format!("pull {reference}")))?;
    }
    let (shown, full) = match args.all_tags {
        true => (reference.repository(), format!("{}/{}", reference.domain, reference.path)),
        false => (one_name(&reference).familiar(), reference.full()),
    };
    progress.message(match news {
        true => format!("Status: Downloaded newer image for {shown}"),
        false => format!("Status: Image is up to date for {shown}"),
    })?;
    super::note(layout, "pull", &shown, &reference);
    if args.status_only { Ok(()) } else { output::line(full) }
}

/// Whether a reference that can be read says a tag.
pub fn has_tag(text: &str) -> bool {
    text.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

/// A digest says more than a tag: of a reference with both, the digest is what counts.
fn one_name(reference: &Reference) -> Reference {
    match reference.digest {
        Some(_) => Reference { tag: None, ..reference.clone() },
        None => reference.clone(),
    }
}

struct Pull<'a> {
    layout: &'a Layout,
    repository: &'a Repository,
    settings: &'a Settings,
    platform: Option<Platform>,
    progress: &'a Progress,
}

/// A layer, and its blob on the way here.
struct Layer<'a> {
    blob: &'a Descriptor,
    diff_id: &'a Digest,
    /// What it lies on, lowest first.
    below: &'a [Digest],
    /// Whether its files are here, from another blob.
    is_extracted: bool,
    arrival: Arrival,
}

impl Pull<'_> {
    /// Pulls one image; whether its name leads to another image than before.
    fn image(&self, reference: &Reference) -> Result<bool> {
        let asked = one_name(reference);
        let (which, label) = match (&asked.digest, &asked.tag) {
            (Some(digest), _) => (digest.as_str(), asked.full()),
            (None, tag) => {
                let tag = tag.as_deref().unwrap_or("latest");
                (tag, tag.to_owned())
            }
        };
        let top = self.document(which)?;
        let digest = top.digest.clone();
        self.progress.message(format!("{label}: Pulling from {}", asked.path))?;
        let platform = self.platform.clone().unwrap_or_else(Platform::host);
        let chosen = choose::choose(top, &platform, |listed| self.document(listed.digest.as_str()))?;
        let known = self.layout.blob(&chosen.document.digest).exists();
        let config = self.config(&chosen.manifest)?;
        check_fit(&chosen.manifest, &config)?;
        self.layers(&chosen.manifest, &config, known)?;

        store::put_bytes(self.layout, &chosen.document.bytes).context("store the image's manifest")?;
        let name = asked.tag.is_some().then_some(&asked);
        let known_as = format!("{}/{}@{digest}", asked.domain, asked.path);
        let news = image::list_manifest(self.layout, &chosen.descriptor(), name, Some(&known_as))?;
        self.progress.message(format!("Digest: {digest}"))?;
        self.warn_of_platform(&asked, &config);
        Ok(news)
    }

    fn document(&self, which: &str) -> Result<Document> {
        let manifest = self.repository.manifest(which)?;
        Ok(Document { bytes: manifest.bytes, media_type: manifest.media_type, digest: manifest.digest })
    }

    /// An image alone, not in an index, comes whatever it is for.
    fn warn_of_platform(&self, asked: &Reference, config: &ImageConfig) {
        let Some(wanted) = &self.platform else { return };
        let actual = config.platform();
        if !wanted.takes(&actual) {
            eprintln!(
                "WARNING: image with reference {} was found but does not match the specified platform: wanted {wanted}, \
                 actual: {actual}",
                asked.repository()
            );
        }
    }

    /// The image's configuration, which names the layers.
    fn config(&self, manifest: &Manifest) -> Result<ImageConfig> {
        let blob = &manifest.config;
        if blob.size > images::MAX_DOCUMENT {
            bail!("its configuration has {} bytes; more than {} are refused", blob.size, images::MAX_DOCUMENT);
        }
        let wanted = Wanted { layout: self.layout, blob, arrival: &Arrival::default() };
        wanted.fetch(|from| self.body(blob, from), |_| true).context("download the image's configuration")?;
        images::read_blob(self.layout, &blob.digest).context("read the image's configuration")
    }

    fn body(&self, blob: &Descriptor, from: u64) -> Result<Body<impl std::io::Read + Send + use<>>> {
        let body = self.repository.blob(blob, from)?;
        Ok(Body { from: body.from, reader: body })
    }

    /// Gets and extracts the layers that are not here. Those of an image that is `known` are not worth a word.
    fn layers(&self, manifest: &Manifest, config: &ImageConfig, known: bool) -> Result<()> {
        let mut seen = BTreeSet::new();
        let (diff_ids, mut missing) = (&config.rootfs.diff_ids, Vec::new());
        let names = images::layer_names(self.layout, diff_ids);
        for (at, (blob, diff_id)) in manifest.layers.iter().zip(diff_ids).enumerate() {
            if !seen.insert((&blob.digest, diff_id)) {
                continue;
            }
            let is_extracted = names.get(at).is_some_and(|name| self.layout.layer_diff(name).is_dir());
            if is_extracted && self.layout.blob(&blob.digest).exists() {
                if !known {
                    self.progress.state(blob.digest.short(), "Already exists");
                }
                continue;
            }
            self.progress.state(blob.digest.short(), "Pulling fs layer");
            missing.push(Layer { blob, diff_id, below: &diff_ids[..at], is_extracted, arrival: Arrival::default() });
        }
        self.check_room(&missing)?;
        for layer in missing.iter().skip(self.settings.max_downloads) {
            self.progress.state(layer.blob.digest.short(), "Waiting");
        }
        let (failure, next) = (Failure::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..self.settings.max_downloads.min(missing.len()) {
                scope.spawn(|| self.download_all(&missing, &next, &failure));
            }
            for layer in &missing {
                if failure.is_set() {
                    break;
                }
                match self.unpack(layer) {
                    Ok(()) => self.progress.state(layer.blob.digest.short(), "Pull complete"),
                    Err(error) => failure.set(error),
                }
            }
        });
        failure.result()
    }

    /// A disk that is full half-way is a waste of time, and a size that is a lie is found out at once.
    fn check_room(&self, missing: &[Layer<'_>]) -> Result<()> {
        let tmp = self.layout.tmp();
        let here = |digest: &Digest| {
            let part = tmp.join(format!("blob-{}", digest.hex()));
            let found = self.layout.blob(digest).metadata().or_else(|_| part.metadata());
            found.map_or(0, |file| file.len())
        };
        let needed = missing
            .iter()
            .map(|layer| layer.blob.size.saturating_sub(here(&layer.blob.digest)))
            .fold(0, u64::saturating_add);
        let room = rustix::fs::statvfs(&tmp).with_context(|| format!("look at {}", tmp.display()))?;
        let room = room.f_bavail.saturating_mul(room.f_frsize);
        if needed > room {
            bail!(
                "its layers have {} compressed, and {} has room for {}: no space left on device",
                units::human_size(needed),
                tmp.display(),
                units::human_size(room)
            );
        }
        Ok(())
    }

    /// What each of the downloading threads does.
    fn download_all(&self, layers: &[Layer<'_>], next: &AtomicUsize, failure: &Failure) {
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::SeqCst)) {
            if failure.is_set() {
                break;
            }
            if let Err(error) = self.download(layer, failure) {
                failure.set(error);
            }
        }
        if failure.is_set() {
            // Whoever waits for one of them would wait for ever.
            layers.iter().for_each(|layer| layer.arrival.is_given_up());
        }
    }

    fn download(&self, layer: &Layer<'_>, failure: &Failure) -> Result<()> {
        let (id, size) = (layer.blob.digest.short(), layer.blob.size);
        let wanted = Wanted { layout: self.layout, blob: layer.blob, arrival: &layer.arrival };
        let tell = |event| {
            match event {
                Event::Waits => self.progress.state(id, "Waiting"),
                Event::Has(bytes) => self.progress.count(id, "Downloading", bytes, size),
                Event::Verifies => self.progress.state(id, "Verifying Checksum"),
            }
            !failure.is_set()
        };
        wanted.fetch(|from| self.body(layer.blob, from), tell)?;
        self.progress.state(id, "Download complete");
        layer.arrival.is_stored();
        Ok(())
    }

    /// Extracts a layer, from as much of it as is here.
    fn unpack(&self, layer: &Layer<'_>) -> Result<()> {
        let (id, size) = (layer.blob.digest.short(), layer.blob.size);
        let input = layer.arrival.reader(|at| {
            if layer.arrival.whole() {
                self.progress.count(id, "Extracting", at, size);
            }
        });
        if layer.is_extracted {
            // Known from another blob; whether this one holds the same has to be seen.
            let (_, found) = layer::pipeline::digests(input)?;
            if found.as_ref() != Some(layer.diff_id) {
                bail!("the layer {} is not {} uncompressed, as the image says", layer.blob.digest, layer.diff_id);
            }
            return layer.arrival.wait_stored();
        }
        let prepared = layer::prepare_blob_above(self.layout, input, layer.below, layer.diff_id, layer.blob)?;
        // A layer names its blob, so that comes first.
        layer.arrival.wait_stored()?;
        prepared.publish(self.layout).map(drop)
    }
}

/// Whether manifest and configuration speak of the same image, and one that can run here.
fn check_fit(manifest: &Manifest, config: &ImageConfig) -> Result<()> {
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        bail!("its manifest lists {layers} layers, and its configuration {diff_ids}");
    }
    if config.os != "linux" {
        bail!("image operating system {:?} cannot be used on this platform: it takes linux images", config.os);
    }
    Ok(())
}
