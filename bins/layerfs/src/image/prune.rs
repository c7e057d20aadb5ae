//! `layerfs prune`: the images that nobody needs.

use super::remover::{Remover, Target};
use super::{change, store};
use crate::cli::PruneArgs;
use crate::{care::gc, output};
use anyhow::{Context, Result, bail};
use layout::events::{self, About};
use layout::oci::image::ImageConfig;
use layout::{Layout, images, time, units};

/// Removes them, and prints docker's lines.
pub fn run(layout: &Layout, args: &PruneArgs) -> Result<()> {
    let filters = args.filters.iter().map(|filter| Filter::parse(filter)).collect::<Result<Vec<_>>>()?;
    let remover = store::edit_index(layout, |index| {
        let mut remover = Remover::new(layout, index)?;
        for id in remover.unused() {
            let config: ImageConfig = images::read_blob(layout, &id)?;
            let names = remover.names(&id);
            let is_dangling = names.is_empty() && remover.repo_digests(&id).is_empty();
            if (!args.all && !is_dangling) || !filters.iter().all(|filter| filter.takes(&config)) {
                continue;
            }
            // What somebody else still needs stays, as it would if it were removed by hand.
            for name in &names {
                let _ = remover.remove(&Target::Name(id.clone()), name, false, true);
            }
            if names.is_empty() {
                let _ = remover.remove(&Target::Id(id.clone()), id.as_str(), false, true);
            }
        }
        index.manifests = remover.left();
        Ok(remover)
    })?;
    let freed = remover.freed;
    remover.note(layout);
    events::note(layout, About::Image, "prune", "", &[("reclaimed", &freed.to_string())]);
    let line = |line: &String| line.replacen("Untagged", "untagged", 1).replacen("Deleted", "deleted", 1);
    let said: Vec<String> = remover.said.iter().map(line).collect();
    if args.json {
        output::json(&serde_json::json!({"Deleted": said, "SpaceReclaimed": freed}))?;
        return gc::collect_if_quiet(layout);
    }
    if !said.is_empty() {
        output::line("Deleted Images:")?;
        said.iter().try_for_each(output::line)?;
        output::line("")?;
    }
    output::line(format!("Total reclaimed space: {}", units::human_size(freed)))?;
    gc::collect_if_quiet(layout)
}

/// Which of them, in docker's words.
enum Filter {
    /// With this label, of this value if one is said, or without it.
    Label { key: String, value: Option<String>, wanted: bool },
    /// Made before this time.
    Until(String),
}

impl Filter {
    fn parse(text: &str) -> Result<Filter> {
        let (key, value) = text.split_once('=').with_context(|| format!("{text:?} is no filter (name=value)"))?;
        let label = |wanted| {
            let (key, value) =
                value.split_once('=').map_or((value, None), |(key, value)| (key, Some(value.to_owned())));
            Ok(Filter::Label { key: key.to_owned(), value, wanted })
        };
        match key {
            "label" => label(true),
            "label!" => label(false),
            "until" => match time::parse(value) {
                Some(_) => Ok(Filter::Until(value.to_owned())),
                None => Ok(Filter::Until(time::before_now(change::nanoseconds(value)?))),
            },
            _ => bail!("Invalid filter '{key}'"),
        }
    }

    fn takes(&self, config: &ImageConfig) -> bool {
        match self {
            Filter::Label { key, value, wanted } => {
                let found = config.config.labels.as_ref().and_then(|labels| labels.get(key));
                let matches = found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found));
                matches == *wanted
            }
            Filter::Until(until) => {
                let created = config.created.as_deref().and_then(time::parse);
                created.zip(time::parse(until)).is_some_and(|(created, until)| created < until)
            }
        }
    }
}
