//! `ctr history`: how an image came to be, the newest step first.

use super::{ago, table};
use crate::cli;
use anyhow::Result;
use layout::images::{self, Image};
use layout::{Digest, Layout, units};

/// Prints an image's history.
pub fn history(layout: &Layout, args: &cli::History) -> Result<u8> {
    let image = images::find(layout, &args.image)?;
    let mut ids = step_ids(&images::all(layout)?, &image).into_iter();
    let head = ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut layers = image.layers().iter();
    let mut steps = Vec::new();
    for step in &image.config.history {
        // A step that changed only the configuration takes no layer.
        let layer = if step.empty_layer { None } else { layers.next() };
        let size = layer.map(|layer| images::layer_size(layout, layer)).transpose()?.unwrap_or(0);
        steps.push((step, size));
    }
    for (step, size) in steps.into_iter().rev() {
        let by = step.created_by.as_deref().unwrap_or_default().replace('\t', " ");
        rows.push(vec![
            match ids.next() {
                Some(id) if args.no_trunc => id.as_str().to_owned(),
                Some(id) => id.short().to_owned(),
                None => "<missing>".to_owned(),
            },
            ago::ago(step.created.as_deref().unwrap_or(layout::time::ZERO)),
            if args.no_trunc { by } else { table::ellipsis(&by, 45) },
            units::human_size(size),
            step.comment.clone().unwrap_or_default(),
        ]);
    }
    table::print(&rows, args.quiet);
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
