//! `ctr history`: how an image came to be, the newest step first.

use super::format::{Format, Listing, Row, TEMPLATE_ERROR};
use super::{ago, table};
use crate::cli;
use anyhow::Result;
use layout::images::{self, Image};
use layout::oci::image::Platform;
use layout::{Digest, Layout, units};
use serde_json::json;

static LISTING: Listing = Listing {
    type_name: "*image.historyContext",
    columns: &[
        ("ID", "IMAGE"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedBy", "CREATED BY"),
        ("Size", "SIZE"),
        ("Comment", "COMMENT"),
    ],
    words: TEMPLATE_ERROR,
};

/// Prints an image's history.
pub fn history(layout: &Layout, args: &cli::History) -> Result<u8> {
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let image = images::platforms::find(layout, &args.image, platform.as_ref())?;
    let mut ids = step_ids(&images::all(layout)?, &image).into_iter();
    let mut sizes = image.layer_sizes(layout)?.into_iter();
    let mut steps = Vec::new();
    for step in &image.config.history {
        // A step that changed only the configuration takes no layer.
        let size = if step.empty_layer { None } else { sizes.next() }.unwrap_or(0);
        steps.push((step, size));
    }
    let mut rows = Vec::new();
    for (step, size) in steps.into_iter().rev() {
        let by = step.created_by.as_deref().unwrap_or_default().replace('\t', " ");
        let created = step.created.as_deref().unwrap_or(layout::time::ZERO);
        let created_at = layout::time::parse(created).map_or(String::new(), |time| format!("{time:.0}"));
        rows.push(Row::new(json!({
            "ID": match ids.next() {
                Some(id) if args.no_trunc => id.as_str().to_owned(),
                Some(id) => id.short().to_owned(),
                None => "<missing>".to_owned(),
            },
            "CreatedSince": if args.human { ago::ago(created) } else { created_at.clone() },
            "CreatedAt": created_at,
            "CreatedBy": if args.no_trunc { by } else { table::ellipsis(&by, 45) },
            "Size": if args.human { units::human_size(size) } else { size.to_string() },
            "Comment": step.comment.clone().unwrap_or_default(),
        })));
    }
    let format = Format::choose(&LISTING, args.format.as_deref(), args.quiet)?;
    let created = if args.human { "CreatedSince" } else { "CreatedAt" };
    format.print(&["ID", created, "CreatedBy", "Size", "Comment"], &rows)?;
    Ok(0)
}

/// The ids of the image's steps as far as they were made here: its own, its parent's, ...
fn step_ids(all: &[Image], image: &Image) -> Vec<Digest> {
    let mut ids = vec![image.id.clone()];
    let mut parent = image.parent.clone();
    while let Some(id) = parent {
        // A circle cannot come from a build; but whoever edits index.json by hand must not hang us.
        if ids.contains(&id) {
            break;
        }
        parent = all.iter().find(|other| other.id == id).and_then(|other| other.parent.clone());
        ids.push(id);
    }
    ids
}
