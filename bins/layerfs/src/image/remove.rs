//! `layerfs rm`: docker's rules for removing images.
//!
//! A name is removed first. When it was the last one the image goes too, and with it each parent that was only a step
//! towards it. What a container uses, or what another image was built on, stays.

use super::remover::Remover;
use super::store;
use crate::cli::RmArgs;
use crate::{care::gc, output};
use anyhow::Result;
use layout::{Layout, Reference, exit};

/// Removes each image that was named; what fails is said, and the others go on. With force it is no failure that an
/// image is not there.
pub fn run(layout: &Layout, args: &RmArgs) -> Result<u8> {
    let mut code = 0;
    for wanted in &args.images {
        match remove_one(layout, wanted, args.force, !args.no_prune) {
            Ok(Some(removed)) => {
                removed.note(layout);
                removed.said.iter().try_for_each(output::line)?;
            }
            Ok(None) => {
                let name = Reference::parse(wanted).map_or_else(|_| wanted.clone(), |name| name.familiar());
                eprintln!("layerfs: No such image: {name}");
                code = if args.force { code } else { exit::TOOL };
            }
            Err(error) => {
                eprintln!("layerfs: {error:#}");
                code = exit::TOOL;
            }
        }
    }
    // The images are removed; what they were made of can be collected at any other time.
    if let Err(error) = gc::collect_if_quiet(layout) {
        eprintln!("WARNING: blobs and layers that nothing needs were left: {error:#}");
    }
    Ok(code)
}

fn remove_one(layout: &Layout, wanted: &str, force: bool, prune: bool) -> Result<Option<Remover>> {
    store::edit_index(layout, |index| {
        let mut remover = Remover::new(layout, index)?;
        let Some(target) = remover.find(wanted)? else { return Ok(None) };
        remover.remove(&target, wanted, force, prune)?;
        index.manifests = remover.left();
        Ok(Some(remover))
    })
}
