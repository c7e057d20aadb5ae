//! A container's life, command by command.

use super::sessions::needs_a_terminal;
use super::{Engine, reads_only};
use crate::cli::{Kill, Rename, Rm, Start, Stop};
use crate::client::Manner;
use crate::plan::{Plan, Step};
use crate::protocol::Deed;
use crate::{client, defaults, life, runtime, signal};
use anyhow::{Context, Result, bail};
use layout::container::{Container, Status};
use layout::exit;

impl Engine {
    pub(super) fn start(&self, args: &Start) -> Result<u8> {
        let attach = match args.attach || args.interactive {
            true => Some(defaults::detach_keys(args.detach_keys.as_deref())),
            false => None,
        };
        if attach.is_some() && args.containers.len() > 1 {
            return Err(exit::coded(1, "you cannot start and attach multiple containers at once"));
        }
        let (mut code, mut failed) = (0, Vec::new());
        let all = self.each_name(&args.containers, |name| {
            failed.push(name.to_owned());
            let container = &self.find(name)?;
            // A terminal makes signals of keys by itself.
            let manner = |keys: &String| Manner::new(args.interactive, !container.config.tty, keys);
            let attach = attach.as_ref().map(manner).transpose()?;
            if self.explain {
                failed.pop();
                return self.explained(&life::start_plan(&self.layout, container, attach.as_ref())?).map(|_| false);
            }
            if args.interactive && container.config.open_stdin {
                needs_a_terminal(container.config.tty)?;
            }
            code = life::start(&self.layout, container, attach.as_ref())?.code();
            failed.pop();
            Ok(attach.is_none())
        })?;
        if all != 0 && attach.is_none() {
            return Err(exit::coded(all, format!("failed to start containers: {}", failed.join(", "))));
        }
        Ok(if all == 0 { code } else { all })
    }

    pub(super) fn stop(&self, container: &Container, args: &Stop) -> Result<bool> {
        let (signal, grace) = (args.signal.as_deref(), life::grace(container, args.time));
        if !self.explain {
            return life::stop(&self.layout, container, signal, grace).map(|()| true);
        }
        let plan = match self.is_down(container)? {
            true => Plan::default(),
            false => life::stop_plan(&self.layout, container, signal, grace)?,
        };
        self.explained(&plan).map(|_| false)
    }

    pub(super) fn restart(&self, container: &Container, args: &Stop) -> Result<bool> {
        let (signal, grace) = (args.signal.as_deref(), life::grace(container, args.time));
        if !self.explain {
            return life::restart(&self.layout, container, signal, grace).map(|()| true);
        }
        let plan = match self.is_down(container)? {
            true => life::start_plan(&self.layout, container, None)?,
            false => life::restart_plan(&self.layout, container, signal, grace)?,
        };
        self.explained(&plan).map(|_| false)
    }

    pub(super) fn kill(&self, args: &Kill) -> Result<u8> {
        let signal = if args.signal.is_empty() { "KILL" } else { &args.signal };
        self.each_name(&args.containers, |name| {
            // What is no signal at all is said first, and alone.
            let number = signal::number(signal)?;
            let container = self.find(name).and_then(|container| match number {
                1..=64 => Ok(container),
                _ => bail!("The linux daemon does not support signal {signal}"),
            });
            let killed = container.and_then(|container| self.send(&container, number));
            killed.with_context(|| format!("Cannot kill container: {name}"))
        })
    }

    fn send(&self, container: &Container, signal: i32) -> Result<bool> {
        if self.is_down(container)? {
            return Err(not_running(container));
        }
        let mut plan = Plan::default();
        plan.push(life::signal_step(&self.layout, &container.id, &signal::word(signal)));
        if signal == libc::SIGKILL {
            plan.push(Step::WaitEnd { id: container.id.clone(), within: None, otherwise: None });
        }
        self.carry_out(&plan)
    }

    pub(super) fn pause(&self, container: &Container, what: Deed) -> Result<bool> {
        let (id, status) = (&container.id, life::settled(&self.layout, container)?.status);
        match (what, status) {
            (Deed::Pause, Status::Running | Status::Paused) | (Deed::Unpause, Status::Paused) => {}
            (Deed::Pause, _) => return Err(not_running(container)),
            _ => bail!("Container {id} is not paused"),
        }
        let call = match what {
            Deed::Pause => runtime::pause(&self.layout, id),
            _ => runtime::resume(&self.layout, id),
        };
        let mut plan = Plan::default();
        plan.push(Step::Tell { id: id.clone(), what, call });
        self.carry_out(&plan)
    }

    pub(super) fn rename(&self, args: &Rename) -> Result<u8> {
        if args.container.is_empty() || args.name.is_empty() {
            return Err(exit::coded(1, "Neither old nor new names may be empty"));
        }
        let renamed = self
            .find(&args.container)
            .and_then(|container| life::rename(&self.layout, &container, &args.name, self.explain));
        match renamed {
            Ok(plan) if self.explain => self.explained(&plan),
            Ok(_) => Ok(0),
            Err(error) => {
                eprintln!("ctr: {error:#}");
                Err(exit::coded(1, format!("failed to rename container named {}", args.container)))
            }
        }
    }

    pub(super) fn rm(&self, args: &Rm) -> Result<u8> {
        let mut code = 0;
        for name in &args.containers {
            match self.remove(name, args) {
                Ok(true) => println!("{name}"),
                Ok(false) => {}
                Err(error) => {
                    eprintln!("ctr: {error:#}");
                    // What is not there need not be removed; docker says so, and is content.
                    let gone = self.layout.find_container(name).is_err();
                    code = if args.force && gone { code } else { 1 };
                }
            }
        }
        Ok(code)
    }

    fn remove(&self, name: &str, args: &Rm) -> Result<bool> {
        let container = self.find(name)?;
        if args.link {
            bail!("Conflict, cannot remove the default link name of the container");
        }
        if !self.explain {
            life::remove(&self.layout, &container, args.force, args.volumes)?;
            return Ok(true);
        }
        let mut plan = Plan::default();
        if !self.is_down(&container)? {
            if !args.force {
                bail!(life::still_up(&self.layout, &container)?);
            }
            plan.extend(life::kill_plan(&self.layout, &container.id));
        }
        plan.extend(life::remove_plan(&self.layout, &container, args.volumes));
        self.explained(&plan).map(|_| false)
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
        Ok(!life::settled(&self.layout, container)?.status.is_up())
    }
}

/// Docker's words for a container that would have to run.
fn not_running(container: &Container) -> anyhow::Error {
    anyhow::anyhow!("Container {} is not running", container.id)
}
