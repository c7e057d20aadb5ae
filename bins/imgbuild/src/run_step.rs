//! RUN: a command in a container on the image so far; what it changed is the new layer.

use crate::build::build_failed;
use crate::bundle::Bundle;
use crate::metadata::get_env;
use crate::mount_points::MountPoints;
use crate::tools::Tools;
use anyhow::{Context, Result};
use layout::oci::defaults;
use layout::oci::image::RunConfig;
use layout::oci::runtime::{Linux, Mount, NamespaceKind, ProcessUser, Spec};
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout, exit, publish, rootfs};
use std::fs::{self, File};
use std::path::Path;

/// What RUN runs.
pub struct RunStep<'a> {
    /// The container's id.
    pub id: &'a ContainerId,
    /// Program and arguments.
    pub argv: &'a [String],
    /// The image's configuration: environment, user, working folder.
    pub config: &'a RunConfig,
    /// Variables beside the image's.
    pub env: &'a [(String, String)],
}

impl RunStep<'_> {
    /// Runs the command on a mounted image. Afterwards its changes are in the bundle's upper folder, and the image
    /// is not mounted any more. Gives the command's exit code.
    ///
    /// # Errors
    /// It could not be run: no such user, no such program.
    pub fn run(&self, layout: &Layout, tools: &Tools, bundle: &mut Bundle, output: &File) -> Result<u8> {
        let spec = self.spec(bundle)?;
        let points = MountPoints::make(&bundle.rootfs(), &spec.mounts)?;
        publish::json(layout, &bundle.path().join("config.json"), &spec)?;
        let runtime = |command: &str| Call::new(Tool::UnshareRun).arg("--root").arg(layout.runtime_root()).arg(command);
        let id = self.id.as_str();
        let run = runtime("run").arg("--bundle").arg(bundle.path()).arg(id);
        let stop = || tools.try_quietly(&runtime("kill").args([id, "KILL"]));
        let ended = tools.run(&run, output, stop);
        // A runtime that was ended itself has not cleaned up.
        if tools.signals.check().is_err() || !ended.as_ref().is_ok_and(|status| status.code().is_some()) {
            tools.clean_up(&runtime("delete").args(["--force", id]));
        }
        tools.signals.check()?;
        let code = exit::from_status(ended?);
        bundle.unmount()?;
        points.remove(&bundle.upper())?;
        Ok(code)
    }

    /// The container: docker's defaults, on the host's network, with the host's idea of names.
    fn spec(&self, bundle: &Bundle) -> Result<Spec> {
        let mut spec = defaults::spec();
        let user = rootfs::find_user(&bundle.rootfs(), &self.config.user).map_err(build_failed)?;
        spec.hostname = self.id.short().to_owned();
        if let Some(process) = &mut spec.process {
            process.args = self.argv.to_vec();
            process.env = self.environment(&user.home);
            process.cwd = if self.config.working_dir.is_empty() { "/" } else { &self.config.working_dir }.into();
            process.user =
                ProcessUser { uid: user.uid, gid: user.gid, additional_gids: user.additional_gids, umask: None };
        }
        spec.root.get_or_insert_default().path = bundle.rootfs();
        let linux = spec.linux.get_or_insert_with(Linux::default);
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
        linux.cgroups_path = format!("/ctr/{}", self.id);
        for name in ["hosts", "resolv.conf"] {
            spec.mounts.push(copy_of_host_file(bundle.path(), name)?);
        }
        Ok(spec)
    }

    fn environment(&self, home: &str) -> Vec<String> {
        let mut env = self.config.env.clone().unwrap_or_default();
        let mut add = |name: &str, value: &str| {
            if get_env(&Some(env.clone()), name).is_none() {
                env.push(format!("{name}={value}"));
            }
        };
        for (name, value) in self.env {
            add(name, value);
        }
        add("HOSTNAME", self.id.short());
        add("HOME", home);
        env
    }
}

/// A mount of the host's `/etc/NAME`: of a copy, so that the command may write to it and the host does not notice.
fn copy_of_host_file(bundle: &Path, name: &str) -> Result<Mount> {
    let host = Path::new("/etc").join(name);
    let content = match fs::read(&host) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("read {}", host.display())),
    };
    let copy = bundle.join(name);
    fs::write(&copy, content).with_context(|| format!("write {}", copy.display()))?;
    Ok(Mount {
        destination: host,
        kind: "bind".to_owned(),
        source: copy.to_string_lossy().into_owned(),
        options: ["rbind", "rprivate"].map(str::to_owned).to_vec(),
        ..Mount::default()
    })
}
