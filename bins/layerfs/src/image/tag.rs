//! `layerfs tag`: another name for an image.

use crate::cli::TagArgs;
use crate::image::{self, store};
use anyhow::{Context, Result};
use layout::oci::image::Index;
use layout::{Digest, Layout, Reference, events, images};

/// Tags.
pub fn run(layout: &Layout, args: &TagArgs) -> Result<()> {
    let name = Reference::parse_name(&args.reference)?;
    let tagged = store::edit_index(layout, |index| {
        // Looked for under the lock: it may have been removed a moment ago.
        let wanted = images::find(layout, &args.image)?;
        let at = listed(layout, index, &wanted.id)?;
        let at = *at.first().with_context(|| format!("No such image: {}", args.image))?;
        let descriptor = image::without_name(&index.manifests[at]);
        image::set_name(index, &descriptor, &name);
        Ok(wanted)
    })?;
    let labels = tagged.config.config.labels.as_ref();
    events::of_image(layout, "tag", tagged.id.as_str(), &name.familiar(), labels);
    Ok(())
}

/// Where an image is listed in the index: once a name. What is listed may be an index of several platforms, so
/// the image's own manifest is not always found there by its digest.
pub fn listed(layout: &Layout, index: &Index, id: &Digest) -> Result<Vec<usize>> {
    let mut places = Vec::new();
    for (at, descriptor) in index.manifests.iter().enumerate() {
        // One that cannot be read is another one.
        if images::load(layout, descriptor.clone()).is_ok_and(|image| image.id == *id) {
            places.push(at);
        }
    }
    Ok(places)
}
