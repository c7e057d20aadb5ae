//! `layerfs history`: how an image came to be.

use crate::cli::HistoryArgs;
use crate::output;
use anyhow::Result;
use layout::images::{self, Image};
use layout::{Layout, units};
use serde::Serialize;

/// One step, with docker's keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    /// The image that the step made, as far as it is known here; otherwise `<missing>`.
    id: String,
    /// When.
    created: Option<String>,
    /// By which command.
    created_by: String,
    /// Names of that image.
    tags: Vec<String>,
    /// Sum of the sizes of the files in its layer, in bytes.
    size: u64,
    /// A note.
    comment: String,
}

/// Prints the steps, newest first.
pub fn run(layout: &Layout, args: &HistoryArgs) -> Result<()> {
    let steps = steps(layout, images::find(layout, &args.image)?)?;
    if args.json {
        return output::json(&steps);
    }
    let mut rows = vec![["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"].map(str::to_owned).to_vec()];
    for step in steps {
        let id = step.id.strip_prefix("sha256:").map_or(step.id.as_str(), |hex| &hex[..12]).to_owned();
        let created = step.created.unwrap_or_default();
        let created = created.get(..19).unwrap_or(&created).replace('T', " ");
        let by: String = step.created_by.chars().take(60).collect();
        rows.push(vec![id, created, by, units::human_size(step.size), step.comment]);
    }
    output::table(&rows)
}

fn steps(layout: &Layout, image: Image) -> Result<Vec<Step>> {
    let mut sizes = image.layer_sizes(layout)?.into_iter();
    let mut steps = Vec::new();
    for line in &image.config.history {
        // A step either made the next layer or none.
        let size = if line.empty_layer { None } else { sizes.next() }.unwrap_or(0);
        steps.push(Step {
            id: "<missing>".to_owned(),
            created: line.created.clone(),
            created_by: line.created_by.clone().unwrap_or_default(),
            tags: Vec::new(),
            size,
            comment: line.comment.clone().unwrap_or_default(),
        });
    }
    steps.reverse();
    name_known(layout, image, &mut steps)?;
    Ok(steps)
}

/// Fills in the images of the steps: this one, its parent, and so on, as long as a parent is known.
fn name_known(layout: &Layout, image: Image, steps: &mut [Step]) -> Result<()> {
    let all = images::all(layout)?;
    let mut next = Some(image);
    for step in steps {
        let Some(image) = next else { break };
        step.id = image.id.to_string();
        step.tags = image.names;
        next = image.parent.and_then(|parent| all.iter().find(|known| known.id == parent).cloned());
    }
    Ok(())
}
