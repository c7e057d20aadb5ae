//! A container's life, command by command.

use super::sessions::needs_a_terminal;
use super::{Engine, reads_only};
use crate::cli::{Start, Stop};
use crate::client::Manner;
use crate::plan::{Plan, Step};
use crate::{client, life};
use anyhow::{Result, bail};
use layout::container::Container;
use layout::exit;

impl Engine {
    pub(super) fn start(&self, args: &Start) -> Result<u8> {
        let attach = match args.attach || args.interactive {
            true => Some(args.detach_keys.as_deref().unwrap_or_default()),
            false => None,
        };
        if attach.is_some() && args.containers.len() > 1 {
            return Err(exit::coded(1, "you cannot start and attach multiple containers at once"));
        }
        let mut code = 0;
        let failed = self.each(&args.containers, |container| {
            // A terminal makes signals of keys by itself.
            let manner = |keys| Manner::new(args.interactive, !container.config.tty, keys);
            let attach = attach.map(manner).transpose()?;
            if self.explain {
                self.explained(&life::start_plan(&self.layout, container, attach.as_ref())?)?;
                return Ok(false);
            }
            if args.interactive && container.config.open_stdin {
                needs_a_terminal(container.config.tty)?;
            }
            code = life::start(&self.layout, container, attach.as_ref())?.code();
            Ok(attach.is_none())
        })?;
        Ok(if failed == 0 { code } else { failed })
    }

    pub(super) fn stop(&self, container: &Container, args: &Stop) -> Result<bool> {
        if self.is_down(container)? {
            return Ok(!self.explain);
        }
        let plan = life::stop_plan(&self.layout, container, args.signal.as_deref(), args.time);
        if self.explain {
            self.explained(&plan)?;
            return Ok(false);
        }
        match plan.execute(&self.layout) {
            // It ended by itself before the signal came.
            Err(_) if !life::has_shim(&self.layout, &container.id)? => Ok(true),
            other => other.map(|_| true),
        }
    }

    pub(super) fn kill(&self, container: &Container, signal: &str) -> Result<bool> {
        if self.is_down(container)? {
            bail!("cannot kill container: {}: container {} is not running", container.name, container.id);
        }
        let mut plan = Plan::default();
        plan.push(life::signal_step(&self.layout, &container.id, signal));
        if matches!(signal.trim_start_matches("SIG"), "KILL" | "9") {
            plan.push(Step::WaitEnd { id: container.id.clone(), within: None, otherwise: None });
        }
        self.carry_out(&plan)
    }

    pub(super) fn remove(&self, container: &Container, force: bool, volumes: bool) -> Result<bool> {
        if !self.explain {
            life::remove(&self.layout, container, force, volumes)?;
            return Ok(true);
        }
        let mut plan = Plan::default();
        if !self.is_down(container)? {
            if !force {
                bail!(life::still_up(&self.layout, container)?);
            }
            plan.extend(life::kill_plan(&self.layout, &container.id));
        }
        plan.extend(life::remove_plan(&self.layout, container, volumes));
        self.explained(&plan)?;
        Ok(false)
    }

    pub(super) fn wait(&self, names: &[String]) -> Result<u8> {
        self.each(names, |container| {
            if self.explain {
                return reads_only().map(|_| false);
            }
            println!("{}", client::wait(&self.layout, &container.id)?);
            Ok(false)
        })
    }

    /// Whether the container does not run.
    pub(super) fn is_down(&self, container: &Container) -> Result<bool> {
        Ok(!life::state(&self.layout, &container.id)?.status.is_up())
    }
}
