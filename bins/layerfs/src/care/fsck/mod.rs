//! `layerfs fsck`: proving that the store is what it says, and putting right what can be put right.
//!
//! Every name in the store is a digest, so everything can be checked against its own name; and an extracted layer against
//! the archive that it was extracted from. Things that nothing refers to are no fault, only rubbish: `gc` is for them.

mod compare;
mod documents;
mod layers;
mod rebuild;
mod repair;
mod tree;

use crate::cli::FsckArgs;
use crate::{image::store, output};
use anyhow::Result;
use layout::lock::Lock;
use layout::oci::image::{Descriptor, Index};
use layout::{Digest, Layout, images};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    /// Number of blobs and of extracted layers.
    blobs: usize,
    layers: usize,
    /// What was found.
    problems: Vec<Problem<'a>>,
    /// What was done about it.
    repairs: &'a [String],
    /// What is still wrong.
    left: Vec<Problem<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Problem<'a> {
    object: String,
    problem: &'a str,
    images: &'a [String],
}

/// Verifies everything; exits 1 when something is wrong and was not repaired.
pub fn run(layout: &Layout, args: &FsckArgs) -> Result<u8> {
    // Who repairs replaces what others may be about to use.
    let _held = if args.repair { Lock::exclusive(&layout.gc_lock())? } else { store::hold(layout)? };
    let first = Check::run(layout)?;
    let (mut repairs, mut last) = (Vec::new(), None);
    if args.repair {
        // What is listed again after the first time may be found wanting after the second.
        while repairs.len() < 3 && !last.as_ref().unwrap_or(&first).findings.is_empty() {
            let done = repair::run(last.as_ref().unwrap_or(&first))?;
            last = Some(Check::run(layout)?);
            repairs.push(done);
            if repairs.last().is_some_and(Vec::is_empty) {
                break;
            }
        }
    }
    let repairs: Vec<String> = repairs.into_iter().flatten().collect();
    let left = last.as_ref().unwrap_or(&first);
    if args.json {
        let (problems, left) = (problems(&first), problems(left));
        let counts = (first.blobs.len(), first.layers.len());
        output::json(&Report { blobs: counts.0, layers: counts.1, problems, repairs: &repairs, left })?;
    } else {
        say(&first, &repairs, left, args.repair)?;
    }
    Ok(u8::from(!left.findings.is_empty()))
}

fn problems<'a>(check: &'a Check) -> Vec<Problem<'a>> {
    let problem = |finding: &'a Finding| Problem {
        object: finding.object.to_string(),
        problem: &finding.problem,
        images: &finding.images,
    };
    check.findings.iter().map(problem).collect()
}

fn say(first: &Check, repairs: &[String], left: &Check, repair: bool) -> Result<()> {
    if first.findings.is_empty() {
        return output::line(format!("{} blobs, {} layers, no problems", first.blobs.len(), first.layers.len()));
    }
    first.findings.iter().try_for_each(output::line)?;
    if repair {
        repairs.iter().try_for_each(|done| output::line(format!("repaired: {done}")))?;
        left.findings.iter().try_for_each(|finding| output::line(format!("left: {finding}")))?;
    }
    Ok(())
}

/// What something is wrong with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    /// `index.json` itself.
    Index,
    /// An entry of it.
    Entry(String),
    /// A blob.
    Blob(Digest),
    /// An extracted layer.
    Layer(Digest),
    /// A file or folder where only blobs or layers should be.
    Stray(String),
    /// A container.
    Container(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Index => f.write_str("index.json"),
            Object::Entry(name) => write!(f, "image {name}"),
            Object::Blob(digest) => write!(f, "blob {digest}"),
            Object::Layer(digest) => write!(f, "layer {digest}"),
            Object::Stray(path) => f.write_str(path),
            Object::Container(id) => write!(f, "container {id}"),
        }
    }
}

/// Something that is wrong.
#[derive(Debug)]
struct Finding {
    object: Object,
    problem: String,
    /// The images that need it.
    images: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.problem)?;
        if self.images.is_empty() { Ok(()) } else { write!(f, " (needed by {})", self.images.join(", ")) }
    }
}

/// What a blob turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Blob {
    /// True to its name: its size, whether it is compressed, and the digest of what it holds.
    Whole { size: u64, compressed: bool, diff_id: Option<Digest> },
    /// There, and not what its name says.
    Damaged,
    /// Not there.
    Missing,
}

/// What a layer's folder turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folder {
    /// What its blob says.
    Whole,
    /// It cannot be told, because the blob is not whole.
    Unproven,
    /// Something else.
    Damaged,
}

/// An entry of the index, and all that it needs.
#[derive(Debug)]
struct Listed {
    /// Its place in `manifests`.
    at: usize,
    /// How it is called here: by its name, else by its digest.
    shown: String,
    /// Manifests and configurations.
    documents: BTreeSet<Digest>,
    /// Layers, by diff id and blob.
    layers: Vec<(Digest, Digest)>,
    /// Whether its documents cannot be understood.
    broken: bool,
}

/// One look at the whole store.
#[derive(Debug)]
struct Check<'a> {
    layout: &'a Layout,
    /// `None` where it cannot be read.
    index: Option<Index>,
    blobs: BTreeMap<Digest, Blob>,
    layers: BTreeMap<Digest, Folder>,
    /// Which blobs hold a layer, as its `layer.json` and the manifests say.
    blobs_of: BTreeMap<Digest, BTreeSet<LayerBlob>>,
    listed: Vec<Listed>,
    findings: Vec<Finding>,
}

/// A blob that is said to hold a layer: digest, media type and size.
type LayerBlob = (Digest, String, u64);

impl<'a> Check<'a> {
    fn run(layout: &'a Layout) -> Result<Check<'a>> {
        let (index, error) = match images::index(layout) {
            Ok(index) => (Some(index), None),
            Err(error) => (None, Some(error)),
        };
        let mut check = Check {
            layout,
            index,
            blobs: BTreeMap::new(),
            layers: BTreeMap::new(),
            blobs_of: BTreeMap::new(),
            listed: Vec::new(),
            findings: Vec::new(),
        };
        if let Some(error) = error {
            check.say(Object::Index, format!("{:#}", error.root_cause()));
        }
        // First, because the blob of an extracted layer is then read once for both.
        check.all_layers()?;
        check.all_images();
        check.all_blobs()?;
        check.containers()?;
        check.name_images();
        Ok(check)
    }

    fn say(&mut self, object: Object, problem: impl Into<String>) {
        self.findings.push(Finding { object, problem: problem.into(), images: Vec::new() });
    }

    fn told(&self, object: &Object) -> bool {
        self.findings.iter().any(|finding| finding.object == *object)
    }

    fn holds(&mut self, diff_id: &Digest, blob: &Descriptor) {
        let known = (blob.digest.clone(), blob.media_type.clone(), blob.size);
        self.blobs_of.entry(diff_id.clone()).or_default().insert(known);
    }

    fn is_whole(&self, digest: &Digest) -> bool {
        matches!(self.blobs.get(digest), Some(Blob::Whole { .. }))
    }

    /// Whether nothing can be run of an image any more: a document is gone, or a layer in both of its forms.
    fn is_lost(&self, listed: &Listed) -> bool {
        // What is damaged for certain has a whole blob, which it was compared with.
        let usable = |diff_id| self.layout.layer_diff(diff_id).is_dir();
        listed.broken
            || listed.documents.iter().any(|document| !self.is_whole(document))
            || listed.layers.iter().any(|(diff_id, blob)| !usable(diff_id) && !self.is_whole(blob))
    }

    /// Says of each problem which images have it.
    fn name_images(&mut self) {
        for finding in &mut self.findings {
            let needs = |listed: &&Listed| match &finding.object {
                Object::Blob(digest) => {
                    listed.documents.contains(digest) || listed.layers.iter().any(|(_, blob)| blob == digest)
                }
                Object::Layer(digest) => listed.layers.iter().any(|(diff_id, _)| diff_id == digest),
                _ => false,
            };
            finding.images = self.listed.iter().filter(needs).map(|listed| listed.shown.clone()).collect();
            finding.images.sort();
            finding.images.dedup();
        }
    }
}
