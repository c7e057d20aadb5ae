//! Volumes: making them, removing them, and what is mounted in them.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`local`] | the local driver's options: what is mounted at a volume's folder |
//! | [`list`] | `ls`, `inspect`, and their filters |

pub mod list;
pub mod local;

use crate::cli::VolumeCreate;
use crate::life;
use crate::plan::{Plan, Step};
use crate::show::disk;
use anyhow::{Context, Result, bail};
use layout::container::Container;
use layout::events::{self, About};
use layout::lock::Lock;
use layout::tool::{Call, Tool};
use layout::volume::{self, ANONYMOUS, DRIVER, Volume};
use layout::{ContainerId, Layout, id};
use std::collections::BTreeMap;
use std::path::Path;

/// A call of `ctr volume`.
pub fn call(command: &str) -> Call {
    Call::new(Tool::Ctr).args(["volume", command])
}

/// The volume that the options describe.
///
/// # Errors
/// Docker's words for a driver, an option or a name that cannot be.
pub fn describe(layout: &Layout, args: &VolumeCreate) -> Result<Volume> {
    let random = || id::random_hex(32);
    let name = args.volume.as_ref().or(args.old_name.as_ref()).filter(|name| !name.is_empty());
    let name = name.map_or_else(random, |name| Ok(name.clone()))?;
    let failed = || format!("create {name}");
    check_driver(&args.driver).with_context(failed)?;
    volume::check_name(&name).with_context(failed)?;
    let options = pairs(&args.opt);
    local::check(&options).with_context(failed)?;
    let labels = pairs(&args.label);
    let some = |map: BTreeMap<String, String>| (!args.implicit || !map.is_empty()).then_some(map);
    Ok(Volume {
        // Docker's file has whole seconds.
        created_at: layout::time::now().split('.').next().unwrap_or_default().to_owned() + "Z",
        driver: DRIVER.to_owned(),
        labels: some(labels),
        mountpoint: layout.volume_data(&name).to_string_lossy().into_owned(),
        options: some(options),
        scope: "local".to_owned(),
        name,
    })
}

/// Docker's words for a driver that is not there: all but `local` are programs of other people.
pub fn check_driver(driver: &str) -> Result<()> {
    if !matches!(driver, "" | DRIVER) {
        bail!("error looking up volume plugin {driver}: plugin \"{driver}\" not found");
    }
    Ok(())
}

/// `KEY=VALUE` or `KEY`, as a map.
pub fn pairs(list: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    list.iter().map(pair).collect()
}

/// The steps that make a volume: its folder is made in `tmp/` and renamed into place, so of two that are made at once one stays.
pub fn create_plan(layout: &Layout, volume: &Volume) -> Result<Plan> {
    let made = layout.tmp().join(format!("volume-{}-{}", volume.name, std::process::id()));
    let mut plan = Plan::default();
    plan.push(Step::MakeDir { path: made.clone(), mode: 0o701 });
    plan.push(Step::make_dir(made.join("_data")));
    plan.push(Step::write_json(made.join("volume.json"), volume)?);
    plan.push(Step::Rename { from: made, to: layout.volume(&volume.name) });
    Ok(plan)
}

/// Makes a volume; one of that name that is there already is as good, as with docker.
pub fn create(layout: &Layout, volume: &Volume) -> Result<()> {
    let _guard = Lock::shared(&layout.volumes_lock())?;
    if layout.read_volume(&volume.name).is_ok() {
        return Ok(());
    }
    let plan = create_plan(layout, volume)?;
    if let Err(error) = plan.execute(layout) {
        // Somebody else was faster: a rename does not replace a folder that has something in it.
        if let Some(Step::MakeDir { path, .. }) = plan.steps.first() {
            Step::RemoveTree(path.clone()).execute(layout)?;
        }
        return layout.read_volume(&volume.name).map(drop).map_err(|_| error);
    }
    events::note(layout, About::Volume, "create", &volume.name, &[("driver", DRIVER)]);
    Ok(())
}

/// The steps that remove a volume that nobody uses.
pub fn remove_plan(layout: &Layout, name: &str) -> Plan {
    let rubbish = layout.tmp().join(format!("volume-{name}-{}", std::process::id()));
    let data = layout.volume_data(name);
    let mut plan = Plan::default();
    // Else the files would be removed of what is mounted.
    if life::is_mount_point(&data) {
        plan.call(Call::new(Tool::Layerfs).arg("umount").arg(&data));
    }
    plan.push(Step::Rename { from: layout.volume(name), to: rubbish.clone() });
    plan.push(Step::RemoveTree(rubbish));
    plan
}

/// Docker's words for a volume that cannot be removed.
pub fn in_use(name: &str, users: &[ContainerId]) -> String {
    let users: Vec<&str> = users.iter().map(ContainerId::as_str).collect();
    format!("remove {name}: volume is in use - [{}]", users.join(", "))
}

/// Removes a volume; the caller holds the lock of the volumes, alone.
fn remove_locked(layout: &Layout, name: &str) -> Result<()> {
    remove_plan(layout, name).execute(layout)?;
    events::note(layout, About::Volume, "destroy", name, &[("driver", DRIVER)]);
    Ok(())
}

/// Removes a volume that no container uses.
pub fn remove(layout: &Layout, name: &str) -> Result<()> {
    let _guard = Lock::exclusive(&layout.volumes_lock())?;
    layout.read_volume(name)?;
    match layout.volume_users()?.get(name) {
        Some(users) => bail!(in_use(name, users)),
        None => remove_locked(layout, name),
    }
}

/// Removes all that match and that no container uses; gives their names and the bytes that they had.
pub fn prune(layout: &Layout, takes: impl Fn(&Volume) -> bool) -> Result<(Vec<String>, u64)> {
    let _guard = Lock::exclusive(&layout.volumes_lock())?;
    let (mut removed, mut bytes) = (Vec::new(), 0);
    for volume in unused(layout)?.into_iter().filter(takes) {
        bytes += if volume.is_mounted() { 0 } else { disk::used(Path::new(&volume.mountpoint)) };
        remove_locked(layout, &volume.name)?;
        removed.push(volume.name);
    }
    events::note(layout, About::Volume, "prune", "", &[("reclaimed", &bytes.to_string())]);
    Ok((removed, bytes))
}

/// The volumes that no container names.
pub fn unused(layout: &Layout) -> Result<Vec<Volume>> {
    let users = layout.volume_users()?;
    Ok(layout.volumes_by_name()?.into_iter().filter(|volume| !users.contains_key(&volume.name)).collect())
}

/// Removes those of the volumes that are anonymous, and that no container uses any more.
pub fn discard(layout: &Layout, names: &[String]) -> Result<()> {
    let _guard = Lock::exclusive(&layout.volumes_lock())?;
    let users = layout.volume_users()?;
    for name in names.iter().filter(|name| !users.contains_key(*name)) {
        if layout.read_volume(name).is_ok_and(|volume| volume.is_anonymous()) {
            remove_locked(layout, name)?;
        }
    }
    Ok(())
}

/// The step that removes a container's anonymous volumes after it is gone itself, if it has any. What it asked for by name stays,
/// even if another container got the name at random.
pub fn discard_step(layout: &Layout, container: &Container) -> Option<Step> {
    let host = &container.host_config;
    let bound = host.binds.iter().flatten().filter_map(|bind| bind.split(':').next());
    let mounted = host.mounts.iter().map(|mount| mount.source.as_str());
    let named: Vec<&str> = bound.chain(mounted).collect();
    let is_anonymous = |name: &str| layout.read_volume(name).is_ok_and(|volume| volume.is_anonymous());
    let names = container.mounts.iter().map(|mount| mount.name.as_str());
    let names: Vec<&str> =
        names.filter(|name| !name.is_empty() && !named.contains(name) && is_anonymous(name)).collect();
    (!names.is_empty()).then(|| Step::Call(call("discard").args(names)))
}

/// The call that makes a volume for a container, by name; a random one is marked as anonymous.
pub fn create_call(
    name: &str,
    anonymous: bool,
    labels: &BTreeMap<String, String>,
    options: &BTreeMap<String, String>,
) -> Call {
    let marks = anonymous.then(|| ["--label".to_owned(), format!("{ANONYMOUS}=")]).into_iter().flatten();
    let option =
        |flag: &'static str| move |(key, value): (&String, &String)| [flag.to_owned(), format!("{key}={value}")];
    call("create")
        .arg("--implicit")
        .args(marks)
        .args(labels.iter().flat_map(option("--label")))
        .args(options.iter().flat_map(option("--opt")))
        .arg(name)
}
