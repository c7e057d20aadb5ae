//! Another name. A name is a link, and a link can be made once: of two who want one name, one gets it.

use super::hold;
use crate::create::{check_name, claimable, name_conflict};
use crate::plan::{Plan, Step, to_json};
use anyhow::{Context, Result, bail};
use layout::Layout;
use layout::container::Container;
use layout::events;
use layout::lock::Lock;
use std::path::{Path, PathBuf};

/// The steps that rename a container: the new name is taken, written down, also where others are linked to it, and the old one
/// let go. Whoever is killed in between leaves a container with two names, and both lead to it.
fn rename_plan(layout: &Layout, container: &Container, name: &str, linked: &[Container]) -> Result<Plan> {
    let id = &container.id;
    let mut plan = Plan::default();
    plan.push(Step::Link { target: Path::new("../containers").join(id.as_str()), link: layout.name(name) });
    let own = Container { name: name.to_owned(), ..container.clone() };
    for changed in [&own].into_iter().chain(linked) {
        let mut changed = changed.clone();
        for link in changed.host_config.links.iter_mut().flatten() {
            *link = relinked(link, &container.name, name);
        }
        let beside = beside(layout, &changed);
        plan.push(Step::write(&beside, to_json(&changed)?));
        plan.push(Step::Rename { from: beside, to: layout.container_dir(&changed.id).container_json() });
    }
    plan.push(Step::RemoveFile(layout.name(&container.name)));
    Ok(plan)
}

/// A link, `/OTHER:/OWN/ALIAS`, when one of the two has another name.
fn relinked(link: &str, from: &str, to: &str) -> String {
    let Some((other, path)) = link.split_once(':') else { return link.to_owned() };
    let renamed = |name: &str| if name.strip_prefix('/') == Some(from) { format!("/{to}") } else { name.to_owned() };
    match path.rsplit_once('/') {
        Some((own, alias)) => format!("{}:{}/{alias}", renamed(other), renamed(own)),
        None => link.to_owned(),
    }
}

/// Those that are linked to a container, held so that nobody else changes them: only one that was there can be linked to, so no
/// two wait for each other.
fn linked_to(layout: &Layout, container: &Container) -> Result<Vec<(Container, Lock)>> {
    let start = format!("/{}:", container.name);
    let is_linked = |other: &Container| other.host_config.links.iter().flatten().any(|link| link.starts_with(&start));
    let mut found = Vec::new();
    for id in layout.container_ids()? {
        // One that is being removed needs no new link.
        let Ok(other) = layout.read_container(&id) else { continue };
        if is_linked(&other)
            && let Ok(held) = hold(layout, &other)
            && let Ok(other) = layout.read_container(&id)
        {
            found.push((other, held));
        }
    }
    Ok(found)
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
    let (linked, _held): (Vec<Container>, Vec<Lock>) = linked_to(layout, &container)?.into_iter().unzip();
    let plan = rename_plan(layout, &container, name, &linked)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_follows_either_name() {
        assert_eq!(relinked("/db:/web/db", "db", "data"), "/data:/web/db");
        assert_eq!(relinked("/db:/web/db", "web", "www"), "/db:/www/db");
        assert_eq!(relinked("/dbs:/webs/db", "db", "data"), "/dbs:/webs/db");
    }
}
