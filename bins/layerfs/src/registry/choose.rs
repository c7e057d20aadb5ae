//! From the document that a registry has under a name to the one image that is wanted.
//!
//! A name leads to a manifest (one image) or to an index (one manifest a platform; docker calls it a list), and an
//! index may list indexes. What a document is, is said twice, by the registry and by itself. Where the two differ, one reader
//! sees another image than the next, so that is refused, and so is a document that could be both.

use anyhow::{Context, Result, bail};
use layout::Digest;
use layout::oci::image::{
    CONFIG, DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, INDEX, Index, LAYER, LAYER_GZIP,
    LAYER_ZSTD, MANIFEST, Manifest, Platform,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// So deep may indexes be nested, and so many documents are asked for to find one image.
const MAX_DEPTH: usize = 4;
const MAX_DOCUMENTS: usize = 16;

/// Docker's layers that are not compressed, and those that are with zstd: names that are in use, and in no specification.
const DOCKER_LAYER_PLAIN: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

/// A document as a registry has it: the very bytes, of which the digest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the registry says that it is.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
}

/// An image: its manifest, read and as it came.
#[derive(Debug)]
pub struct Chosen {
    /// What the manifest says.
    pub manifest: Manifest,
    /// The manifest as it came.
    pub document: Document,
}

impl Chosen {
    /// What leads to it.
    pub fn descriptor(&self) -> Descriptor {
        let document = &self.document;
        let media_type = self.manifest.media_type.as_deref().unwrap_or(media_type(&document.media_type));
        Descriptor::new(media_type, document.digest.clone(), document.bytes.len() as u64)
    }
}

/// Finds the image for a platform, beginning with the document that the name leads to; `fetch` gets the others.
///
/// # Errors
/// No image for the platform; something that is no image; indexes without end.
pub fn choose(
    top: Document,
    platform: &Platform,
    mut fetch: impl FnMut(&Descriptor) -> Result<Document>,
) -> Result<Chosen> {
    let mut offered = Vec::new();
    let mut search = Search { platform, fetch: &mut fetch, offered: &mut offered, seen: BTreeSet::new() };
    if let Some(chosen) = search.below(top, 0)? {
        return Ok(chosen);
    }
    offered.sort();
    offered.dedup();
    bail!(
        "no matching manifest for {platform} in the manifest list entries: it has {}; choose one with --platform",
        if offered.is_empty() { "no images".to_owned() } else { offered.join(", ") }
    )
}

struct Search<'a, F> {
    platform: &'a Platform,
    fetch: &'a mut F,
    /// Which platforms there are, for the error.
    offered: &'a mut Vec<String>,
    seen: BTreeSet<Digest>,
}

impl<F: FnMut(&Descriptor) -> Result<Document>> Search<'_, F> {
    fn below(&mut self, document: Document, depth: usize) -> Result<Option<Chosen>> {
        let index = match read(&document)? {
            Read::Image(manifest) => return Ok(Some(Chosen { manifest: *manifest, document })),
            Read::Index(index) => index,
        };
        let (wanted, others): (Vec<_>, Vec<_>) =
            index.manifests.into_iter().partition(|listed| match &listed.platform {
                Some(platform) => self.platform.takes(platform),
                None => false,
            });
        self.offered.extend(others.iter().filter_map(|listed| listed.platform.as_ref()).map(Platform::to_string));
        // What says nothing of its platform may lead to it: an index in an index, or the only image there is.
        let unsaid = others.into_iter().filter(|listed| listed.platform.is_none());
        for listed in wanted.into_iter().chain(unsaid) {
            if !self.seen.insert(listed.digest.clone()) {
                continue;
            }
            if depth == MAX_DEPTH {
                bail!("{}: indexes are nested more than {MAX_DEPTH} deep", document.digest);
            }
            if self.seen.len() > MAX_DOCUMENTS {
                bail!(
                    "{}: its indexes list more than {MAX_DOCUMENTS} documents for {}",
                    document.digest,
                    self.platform
                );
            }
            let inner = (self.fetch)(&listed)?;
            if inner.bytes.len() as u64 != listed.size {
                let (digest, size) = (&listed.digest, listed.size);
                bail!("{digest}: its index says {size} bytes, and the registry has {}", inner.bytes.len());
            }
            if let Some(found) = self.below(inner, depth + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What a document turned out to be.
enum Read {
    Index(Index),
    Image(Box<Manifest>),
}

fn read(document: &Document) -> Result<Read> {
    let digest = &document.digest;
    let value: Value = serde_json::from_slice(&document.bytes)
        .with_context(|| format!("read the manifest {digest}: the registry sent something else"))?;
    let own = value["mediaType"].as_str();
    let stated = match (media_type(&document.media_type), own) {
        // A web server with files in it is a registry too, and knows no better.
        ("" | "text/plain" | "application/json" | "application/octet-stream", Some(own)) => own,
        (stated, _) => stated,
    };
    if stated.starts_with("application/vnd.docker.distribution.manifest.v1+") || value["schemaVersion"] == 1 {
        bail!(
            "the image is kept in the form of registries before 2016 (schema 1), which names no configuration and is not \
             supported: push it again with a docker of today"
        );
    }
    if let Some(own) = own
        && own != stated
    {
        bail!("the manifest {digest} says that it is {own}, and the registry that it is {stated}");
    }
    let has = |key: &str| value.get(key).is_some();
    if has("manifests") && (has("layers") || has("config")) {
        bail!("the manifest {digest} is an index and an image at once, so that no two readers see the same in it");
    }
    let failed = || format!("read the manifest {digest}");
    match stated {
        INDEX | DOCKER_LIST => Ok(Read::Index(serde_json::from_value(value).with_context(failed)?)),
        MANIFEST | DOCKER_MANIFEST => {
            let manifest: Manifest = serde_json::from_value(value).with_context(failed)?;
            check(&manifest)?;
            Ok(Read::Image(Box::new(manifest)))
        }
        other => bail!("the registry sent a document of the type {other:?}, which is no image"),
    }
}

/// `application/json; charset=utf-8` is `application/json`.
fn media_type(stated: &str) -> &str {
    stated.split(';').next().unwrap_or_default().trim()
}

/// An image has an image's configuration, and layers that can be unpacked. Registries keep other things, too.
fn check(manifest: &Manifest) -> Result<()> {
    let config = manifest.config.media_type.as_str();
    if !matches!(config, CONFIG | DOCKER_CONFIG) {
        let kind = manifest.extra.get("artifactType").and_then(Value::as_str).unwrap_or(config);
        bail!("this is no image but an artifact of the type {kind}, which no container can be made of");
    }
    for layer in &manifest.layers {
        let known = matches!(
            layer.media_type.as_str(),
            LAYER | LAYER_GZIP | LAYER_ZSTD | DOCKER_LAYER | DOCKER_LAYER_PLAIN | DOCKER_LAYER_ZSTD
        );
        if !known {
            bail!("its layer {} is of the type {:?}, which cannot be unpacked", layer.digest.short(), layer.media_type);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn document(media_type: &str, value: Value) -> Document {
        let bytes = serde_json::to_vec(&value).unwrap();
        Document { digest: Digest::of(&bytes), bytes, media_type: media_type.to_owned() }
    }

    fn descriptor(document: &Document, platform: Option<&str>) -> Descriptor {
        let size = document.bytes.len() as u64;
        let mut descriptor = Descriptor::new(&document.media_type, document.digest.clone(), size);
        descriptor.platform = platform.map(|text| Platform::parse(text).unwrap());
        descriptor
    }

    fn image(name: &str) -> Document {
        let blob = |media_type: &str| Descriptor::new(media_type, Digest::of(name.as_bytes()), 3);
        let value = json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": blob(DOCKER_CONFIG),
            "layers": [blob(DOCKER_LAYER)]});
        document(DOCKER_MANIFEST, value)
    }

    fn index(entries: &[Descriptor]) -> Document {
        document(INDEX, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))
    }

    /// Chooses among documents; also says how many were fetched.
    fn choose_among(top: &Document, all: &[&Document], platform: &str) -> (Result<Chosen>, usize) {
        let known: BTreeMap<_, _> = all.iter().map(|document| (document.digest.clone(), (*document).clone())).collect();
        let mut fetched = 0;
        let chosen = choose(top.clone(), &Platform::parse(platform).unwrap(), |wanted| {
            fetched += 1;
            known.get(&wanted.digest).cloned().context("not there")
        });
        (chosen, fetched)
    }

    fn error(top: &Document, all: &[&Document]) -> String {
        format!("{:#}", choose_among(top, all, "linux/amd64").0.unwrap_err())
    }

    #[test]
    fn an_index_leads_to_the_image_of_the_platform_and_nothing_else_is_fetched() {
        let (one, other) = (image("amd64"), image("arm64"));
        let list = index(&[descriptor(&other, Some("linux/arm64/v8")), descriptor(&one, Some("linux/amd64"))]);
        for (platform, expected) in [("linux/amd64", &one), ("linux/arm64", &other)] {
            let (chosen, fetched) = choose_among(&list, &[&one, &other], platform);
            let chosen = chosen.unwrap();
            assert_eq!((&chosen.document, fetched), (expected, 1));
            assert_eq!(chosen.descriptor(), descriptor(expected, None));
        }
        let nested = index(&[descriptor(&other, Some("linux/arm64")), descriptor(&list, None)]);
        assert_eq!(choose_among(&nested, &[&list, &one, &other], "linux/amd64").0.unwrap().document, one);
        let refused = choose_among(&nested, &[&list, &one, &other], "linux/s390x").0.unwrap_err().to_string();
        assert!(refused.contains("no matching manifest for linux/s390x"), "{refused}");
        assert!(refused.contains("linux/amd64, linux/arm64"), "{refused}");
    }

    #[test]
    fn indexes_without_end_are_refused() {
        let mut deep = image("deep");
        let mut all = vec![deep.clone()];
        for _ in 0..6 {
            deep = index(&[descriptor(&deep, None)]);
            all.push(deep.clone());
        }
        let known: Vec<&Document> = all.iter().collect();
        assert!(error(&deep, &known).contains("nested more than 4 deep"));
        let many: Vec<Document> =
            (0..40).map(|n| index(&[descriptor(&image(&n.to_string()), Some("linux/arm64"))])).collect();
        let wide = index(&many.iter().map(|inner| descriptor(inner, None)).collect::<Vec<_>>());
        assert!(error(&wide, &many.iter().collect::<Vec<_>>()).contains("more than 16 documents"));
    }

    #[test]
    fn what_is_no_image_is_refused_and_why_is_said() {
        let blob = Descriptor::new(CONFIG, Digest::of(b"x"), 1);
        let manifest = |config: &str, layer: &str| {
            let with = |media_type: &str| Descriptor { media_type: media_type.to_owned(), ..blob.clone() };
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": with(config), "layers": [with(layer)]})
        };
        let mut both = manifest(CONFIG, LAYER_GZIP);
        both["manifests"] = json!([]);
        let mut chart = manifest("application/vnd.oci.empty.v1+json", LAYER);
        chart["artifactType"] = json!("application/x-chart");
        for (what, why) in [
            (document(MANIFEST, json!({"schemaVersion": 1, "fsLayers": []})), "schema 1"),
            (document("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({})), "schema 1"),
            (document(INDEX, manifest(CONFIG, LAYER)), "and the registry that it is"),
            (document(MANIFEST, both), "an index and an image at once"),
            (document(MANIFEST, chart), "an artifact of the type application/x-chart"),
            (document(MANIFEST, manifest("application/vnd.cncf.helm.config.v1+json", LAYER)), "helm"),
            (document(MANIFEST, manifest(CONFIG, "application/octet-stream")), "cannot be unpacked"),
            (document("text/html", json!({})), "no image"),
            (document(MANIFEST, json!([])), "read the manifest"),
        ] {
            let said = error(&what, &[]);
            assert!(said.contains(why), "{said}");
        }
        let (page, short) = (Document { bytes: b"<html>".to_vec(), ..image("a") }, image("short"));
        assert!(error(&page, &[]).contains("the registry sent something else"));
        let lie = Descriptor { size: 7, ..descriptor(&short, Some("linux/amd64")) };
        assert!(error(&index(&[lie]), &[&short]).contains("says 7 bytes"));
    }
}
