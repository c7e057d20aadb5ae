//! `ctr images`.

use super::ago;
use super::format::{Format, Listing, Row, TEMPLATE_ERROR};
use super::image_filter::ImageFilter;
use crate::cli;
use anyhow::Result;
use layout::images::summary::{self, LayerSizes, Summary};
use layout::{Layout, Reference, time, units};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const NONE: &str = "<none>";

static LISTING: Listing = Listing {
    type_name: "*formatter.imageContext",
    columns: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("Size", "SIZE"),
        ("VirtualSize", "SIZE"),
    ],
    words: TEMPLATE_ERROR,
};

/// Lists images, newest first: one line a name, and one for an image that has none.
pub fn images(layout: &Layout, args: &cli::Images) -> Result<u8> {
    let mut images = summary::all(layout)?;
    let filter = ImageFilter::parse(layout, &args.filter, args.name.as_deref())?;
    let format = Format::choose(&LISTING, args.format.as_deref(), args.quiet)?;
    images.sort_by(|a, b| b.created.cmp(&a.created));
    let parents: BTreeSet<_> = images.iter().filter_map(|image| image.parent.clone()).collect();
    // A build step: without a name, and another image stands on it.
    let is_step = |image: &Summary| image.names.is_empty() && parents.contains(&image.id);
    let mut sizes = LayerSizes::new(layout)?;
    let mut rows = Vec::new();
    for image in images.iter().filter(|image| (args.all || !is_step(image)) && filter.takes(image)) {
        rows.extend(image_rows(layout, image, args, &filter, &mut sizes)?);
    }
    let shown: &[&str] = match args.digests {
        true => &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"],
        false => &["Repository", "Tag", "ID", "CreatedSince", "Size"],
    };
    format.print(shown, &rows)?;
    Ok(0)
}

/// Repository, tag and digest of each line of an image. A digest is shown beside each tag of its repository; one of a
/// repository that it has no tag of makes a line of its own.
fn lines(image: &Summary, digests: bool, filter: &ImageFilter) -> Vec<[String; 3]> {
    let mut of: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    let mut lines = Vec::new();
    for name in &image.names {
        match Reference::parse(name) {
            Ok(name) if filter.takes_name(Some(&name)) => {
                of.entry(name.repository()).or_default().0.push(name.tag.unwrap_or(NONE.to_owned()));
            }
            // Another tool may have named it as it liked.
            Err(_) if filter.takes_foreign(name) => lines.push([name.as_str(), NONE, NONE].map(str::to_owned)),
            Ok(_) | Err(_) => {}
        }
    }
    for known in image.repo_digests.iter().filter_map(|text| Reference::parse(text).ok()) {
        if filter.takes_name(Some(&known))
            && let Some(digest) = &known.digest
        {
            of.entry(known.repository()).or_default().1.push(digest.to_string());
        }
    }
    for (repository, (mut tags, mut known)) in of {
        if tags.is_empty() {
            tags.push(NONE.to_owned());
        }
        if known.is_empty() || !digests {
            known = vec![NONE.to_owned()];
        }
        for digest in &known {
            lines.extend(tags.iter().map(|tag| [repository.clone(), tag.clone(), digest.clone()]));
        }
    }
    if image.names.is_empty() && image.repo_digests.is_empty() && filter.takes_name(None) {
        lines.push([NONE; 3].map(str::to_owned));
    }
    lines
}

fn image_rows(
    layout: &Layout,
    image: &Summary,
    args: &cli::Images,
    filter: &ImageFilter,
    sizes: &mut LayerSizes,
) -> Result<Vec<Row>> {
    let lines = lines(image, args.digests || args.format.is_some(), filter);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let created = image.created.as_deref().unwrap_or(time::ZERO);
    let since = Some(ago::ago(created)).filter(|since| !since.is_empty());
    let size = units::human_size(sizes.sum(layout, &image.layers)?);
    let common = [
        ("ID", if args.no_trunc { image.id.as_str() } else { image.id.short() }.to_owned()),
        ("CreatedSince", since.unwrap_or("N/A".to_owned())),
        // No column of the table.
        ("CreatedAt", if args.format.is_some() { ago::local(created) } else { String::new() }),
        ("VirtualSize", size.clone()),
        ("Size", size),
    ];
    let unknown = ["Containers", "SharedSize", "UniqueSize"].map(|key| (key.to_owned(), json!("N/A")));
    let row = |[repository, tag, digest]: [String; 3]| {
        let own = [("Repository", repository), ("Tag", tag), ("Digest", digest)];
        let all = own.into_iter().chain(common.clone()).map(|(key, text)| (key.to_owned(), Value::String(text)));
        Row::new(Value::Object(all.chain(unknown.clone()).collect()))
    };
    Ok(lines.into_iter().map(row).collect())
}
