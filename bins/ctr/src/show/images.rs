//! `ctr images`.

use super::{ago, table};
use crate::cli;
use anyhow::Result;
use layout::images::{self, Image};
use layout::{Layout, Reference, units};
use std::collections::BTreeSet;

const NONE: &str = "<none>";

/// Lists images, newest first: one line a name, and one for an image that has none.
pub fn images(layout: &Layout, args: &cli::Images) -> Result<u8> {
    let mut images = images::all(layout)?;
    images.sort_by(|a, b| b.config.created.cmp(&a.config.created));
    let parents: BTreeSet<_> = images.iter().filter_map(|image| image.parent.clone()).collect();
    let head = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for image in &images {
        // A build step: without a name, and another image stands on it.
        let is_step = image.names.is_empty() && parents.contains(&image.id);
        if args.all || !is_step {
            rows.extend(image_rows(layout, image, args)?);
        }
    }
    if args.quiet {
        let mut seen = BTreeSet::new();
        for id in rows.iter().skip(1).map(|row| &row[2]).filter(|id| seen.insert((*id).clone())) {
            println!("{id}");
        }
        return Ok(0);
    }
    table::print(&rows, false);
    Ok(0)
}

fn image_rows(layout: &Layout, image: &Image, args: &cli::Images) -> Result<Vec<Vec<String>>> {
    let id = if args.no_trunc { image.id.as_str() } else { image.id.short() };
    let created = ago::ago(image.config.created.as_deref().unwrap_or(layout::time::ZERO));
    let created = if created.is_empty() { "N/A".to_owned() } else { created };
    let size = units::human_size(image.size(layout)?);
    let row = |repository: &str, tag: &str| [repository, tag, id, &created, &size].map(str::to_owned).to_vec();
    if image.names.is_empty() {
        return Ok(if args.name.is_none() { vec![row(NONE, NONE)] } else { Vec::new() });
    }
    let mut rows = Vec::new();
    for name in &image.names {
        match Reference::parse(name) {
            Ok(name) if args.name.as_deref().is_none_or(|wanted| matches(&name, wanted)) => {
                rows.push(row(&name.repository(), name.tag.as_deref().unwrap_or(NONE)));
            }
            // Another tool may have named it as it liked.
            Err(_) if args.name.as_ref().is_none_or(|wanted| wanted == name) => rows.push(row(name, NONE)),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(rows)
}

/// `ctr images NAME`: the repository with any tag, or with just the one that is said.
fn matches(name: &Reference, wanted: &str) -> bool {
    let tagged = wanted.rsplit('/').next().is_some_and(|last| last.contains(':'));
    match Reference::parse(wanted) {
        Ok(wanted) if tagged => wanted == *name,
        Ok(wanted) => wanted.repository() == name.repository(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_filtered_by_repository_or_by_tag() {
        let name = Reference::parse("python:3-slim").unwrap();
        for (wanted, expected) in [("python", true), ("python:3-slim", true), ("python:latest", false), ("ls", false)] {
            assert_eq!(matches(&name, wanted), expected, "{wanted}");
        }
    }
}
