//! `ctr volume`.

use super::images::confirmed;
use super::{Engine, ends_with_one};
use crate::cli::{VolumeCreate, VolumeGroup, VolumePrune, VolumeRm};
use crate::defaults;
use crate::plan::{Plan, Step};
use crate::volume::{self, list, local};
use anyhow::{Result, bail};
use layout::units;

impl Engine {
    pub(super) fn volume(&self, command: VolumeGroup) -> Result<u8> {
        use VolumeGroup as V;
        match command {
            V::Create(args) => self.create_volume(&args),
            V::Ls(mut args) => {
                args.format = defaults::format(args.format, args.quiet, |file| file.volumes_format);
                self.show(|layout| list::ls(layout, &args))
            }
            V::Inspect(args) => self.show(|layout| list::inspect(layout, &args)),
            V::Rm(args) => self.remove_volumes(&args),
            V::Prune(args) => self.prune_volumes(&args),
            V::Mount { name } if self.explain => self.explained(&local::mount_plan(&self.layout.read_volume(&name)?)),
            V::Mount { name } => local::mount_volume(&self.layout, &name).map(|()| 0),
            V::Unmount { name } if self.explain => self.explained(&local::unmount_plan(&self.layout, &name)?),
            V::Unmount { name } => local::unmount_volume(&self.layout, &name).map(|()| 0),
            V::Discard { names } if self.explain => {
                let unused = volume::unused(&self.layout)?;
                self.explain_removal(
                    unused.iter().filter(|v| v.is_anonymous() && names.contains(&v.name)).map(|v| v.name.as_str()),
                )
            }
            V::Discard { names } => volume::discard(&self.layout, &names).map(|()| 0),
        }
        .map_err(ends_with_one)
    }

    fn create_volume(&self, args: &VolumeCreate) -> Result<u8> {
        let volume = volume::describe(&self.layout, args)?;
        if self.explain {
            let mut plan = Plan::default();
            if self.layout.read_volume(&volume.name).is_err() {
                plan = volume::create_plan(&self.layout, &volume)?;
            }
            plan.push(Step::Print(volume.name));
            return self.explained(&plan);
        }
        volume::create(&self.layout, &volume)?;
        println!("{}", volume.name);
        Ok(0)
    }

    fn remove_volumes(&self, args: &VolumeRm) -> Result<u8> {
        let mut code = 0;
        for name in &args.volumes {
            let removed = match self.layout.read_volume(name) {
                Err(_) if args.force => Ok(()),
                Err(error) => Err(error),
                Ok(_) if self.explain => self.explain_removal([name.as_str()].into_iter()).map(drop),
                Ok(_) => volume::remove(&self.layout, name),
            };
            match removed {
                Ok(()) if self.explain => {}
                Ok(()) => println!("{name}"),
                Err(error) => {
                    eprintln!("ctr: {error:#}");
                    code = 1;
                }
            }
        }
        Ok(code)
    }

    fn explain_removal<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<u8> {
        let users = self.layout.volume_users()?;
        let mut plan = Plan::default();
        for name in names {
            if let Some(users) = users.get(name) {
                bail!(volume::in_use(name, users));
            }
            plan.extend(volume::remove_plan(&self.layout, name));
        }
        self.explained(&plan)
    }

    fn prune_volumes(&self, args: &VolumePrune) -> Result<u8> {
        let filter = list::Filter::parse(&args.filter, &["label", "label!"])?;
        if self.explain {
            let unused = volume::unused(&self.layout)?;
            return self.explain_removal(unused.iter().filter(|v| filter.takes(v)).map(|v| v.name.as_str()));
        }
        let warning = "WARNING! This will remove all local volumes not used by at least one container.";
        if !args.force && !confirmed(warning)? {
            println!("Total reclaimed space: 0B");
            return Ok(0);
        }
        let (removed, bytes) = volume::prune(&self.layout, |volume| filter.takes(volume))?;
        if !removed.is_empty() {
            println!("Deleted Volumes:\n{}\n", removed.join("\n"));
        }
        println!("Total reclaimed space: {}", units::human_size(bytes));
        Ok(0)
    }
}
