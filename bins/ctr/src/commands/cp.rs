//! `ctr cp`: `layerfs cp` does it, on the container's root and with the container's volumes bound into it.

use super::Engine;
use crate::cli::Cp;
use crate::life;
use crate::plan::{Plan, Step};
use anyhow::{Result, bail};
use layout::container::Container;
use layout::oci::runtime::Spec;
use layout::publish;
use layout::tool::{Call, Tool};
use std::path::Path;

/// One side of a copy.
enum Side<'a> {
    /// A container by name, and a path in it.
    Container(&'a str, &'a str),
    /// A path of this machine, or `-`.
    Here(&'a str),
}

/// What comes before the first colon is a container, unless the path begins in a way that says it is one of this machine.
fn side(text: &str) -> Side<'_> {
    match text.split_once(':') {
        Some((name, path)) if !text.starts_with(['/', '.']) && !name.is_empty() => Side::Container(name, path),
        _ => Side::Here(text),
    }
}

impl Engine {
    pub(super) fn cp(&self, args: &Cp) -> Result<u8> {
        self.copy(args).map_err(super::ends_with_one)
    }

    fn copy(&self, args: &Cp) -> Result<u8> {
        let (action, name, path, source, target) = match (side(&args.source), side(&args.target)) {
            (Side::Container(..), Side::Container(..)) => bail!("copying between containers is not supported"),
            (Side::Container(name, path), Side::Here(target)) => {
                ("archive-path", name, path, format!(":{path}"), target.to_owned())
            }
            (Side::Here(source), Side::Container(name, path)) => {
                ("extract-to-dir", name, path, source.to_owned(), format!(":{path}"))
            }
            (Side::Here(_), Side::Here(_)) => bail!("must specify at least one container source"),
        };
        if path.is_empty() {
            bail!("bad parameter: path cannot be empty");
        }
        let Ok(id) = self.layout.find_container(name) else { bail!("No such container:path: {name}:{path}") };
        let container = self.layout.read_container(&id)?;
        // Nobody starts or removes it meanwhile; one that runs is mounted as long as it does.
        let _operation = self.hold(&container)?;
        let is_up = life::state(&self.layout, &id)?.status.is_up();
        let copy = self.copy_call(&container, name, args)?.arg("--").arg(source).arg(target);
        if is_up {
            return self.pass_on(copy).inspect(|code| self.note(&container, action, *code));
        }
        if !self.explain {
            life::recover(&self.layout, &id)?;
        }
        let mut plan = Plan::default();
        plan.note("it does not run, so its root is mounted for as long as this takes");
        plan.call(life::mount_call(&self.layout, &container));
        let umount = Call::new(Tool::Layerfs).arg("umount").arg(self.layout.container_dir(&id).rootfs());
        plan.push(Step::Between { work: copy, after: vec![Step::Call(umount)] });
        self.as_docker_ends(&plan).inspect(|code| self.note(&container, action, *code))
    }

    fn copy_call(&self, container: &Container, name: &str, args: &Cp) -> Result<Call> {
        let dir = self.layout.container_dir(&container.id);
        let spec: Spec = publish::read_json(&dir.config_json())?;
        let mut call = Call::new(Tool::Layerfs).arg("cp").args(["--name", name, "--root"]).arg(dir.rootfs());
        // What it has mounted, but for the kernel's own filesystems, which nobody copies from.
        for mount in spec.mounts.iter().filter(|mount| mount.kind == "bind" && Path::new(&mount.source).exists()) {
            let read_only = mount.options.iter().any(|option| option == "ro");
            let flag = if read_only { "--bind-ro" } else { "--bind" };
            call = call.arg(flag).arg(&mount.source).arg(&mount.destination);
        }
        if container.host_config.readonly_rootfs {
            call = call.arg("--read-only");
        }
        if args.follow_link {
            call = call.arg("--follow-link");
        }
        if args.archive
            && !container.config.run.user.is_empty()
            && let Some(process) = &spec.process
        {
            call = call.arg("--owner").arg(format!("{}:{}", process.user.uid, process.user.gid));
        }
        Ok(call)
    }
}
