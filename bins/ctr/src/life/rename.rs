//! Another name. A name is a link, and a link can be made once: of two who want one name, one gets it.

use super::hold;
use crate::create::{check_name, claimable, name_conflict};
use crate::plan::{Plan, Step, to_json};
use anyhow::{Context, Result, bail};
use layout::Layout;
use layout::container::Container;
use layout::events;
use std::path::{Path, PathBuf};

/// The steps that rename a container: the new name is taken, written down, and the old one let go. Whoever is killed in between
/// leaves a container with two names, and both lead to it.
fn rename_plan(layout: &Layout, container: &Container, name: &str) -> Result<Plan> {
    let id = &container.id;
    let renamed = Container { name: name.to_owned(), ..container.clone() };
    let beside = beside(layout, container);
    let mut plan = Plan::default();
    plan.push(Step::Link { target: Path::new("../containers").join(id.as_str()), link: layout.name(name) });
    plan.push(Step::write(&beside, to_json(&renamed)?));
    plan.push(Step::Rename { from: beside, to: layout.container_dir(id).container_json() });
    plan.push(Step::RemoveFile(layout.name(&container.name)));
    Ok(plan)
}

/// Renames a container.
///
/// # Errors
/// Docker's: a name that is no name, that it has already, or that another container has. It then has the name that it had.
pub fn rename(layout: &Layout, container: &Container, name: &str, explain: bool) -> Result<Plan> {
    let name = name.strip_prefix('/').unwrap_or(name);
    let _operation = hold(layout, container)?;
    // Somebody may have renamed it while we waited.
    let container = layout.read_container(&container.id)?;
    if name == container.name {
        bail!("Renaming a container with the same name as its current name");
    }
    check_name(name, &format!("/{name}")).context("Error when allocating new name")?;
    claimable(layout, name).context("Error when allocating new name")?;
    let plan = rename_plan(layout, &container, name)?;
    if explain {
        return Ok(plan);
    }
    if let Err(error) = plan.execute(layout) {
        let holder = layout.id_of_name(name);
        if holder.as_ref() != Some(&container.id) {
            return Err(anyhow::Error::msg(name_conflict(layout, name)).context("Error when allocating new name"));
        }
        if layout.read_container(&container.id)?.name != name {
            // The first error is the one to tell.
            let _ = Step::RemoveFile(layout.name(name)).execute(layout);
            let _ = Step::RemoveFile(beside(layout, &container)).execute(layout);
        }
        return Err(error);
    }
    let renamed = Container { name: name.to_owned(), ..container.clone() };
    events::of_container(layout, &renamed, "rename", &[("oldName", &format!("/{}", container.name))]);
    Ok(plan)
}

/// Where the container's file is while it is written.
fn beside(layout: &Layout, container: &Container) -> PathBuf {
    layout.tmp().join(format!("{}.json", container.id))
}
