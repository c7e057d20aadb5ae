//! `run` and `create`.

use super::sessions::needs_a_terminal;
use super::{Engine, ends_with_one};
use crate::cli::{Create, Run};
use crate::client::{End, Manner};
use crate::plan::Step;
use crate::{create, defaults, life, registry};
use anyhow::Result;
use layout::container::{State, Status};
use layout::exit;

/// The outputs that `--attach` leaves out.
fn hidden(attach: &[String]) -> Vec<String> {
    let is_named = |stream: &str| attach.is_empty() || attach.iter().any(|named| named.eq_ignore_ascii_case(stream));
    ["stdout", "stderr"].into_iter().filter(|stream| !is_named(stream)).map(str::to_owned).collect()
}

impl Engine {
    pub(super) fn run(&self, args: &Run) -> Result<u8> {
        let attach = match args.detach {
            true => None,
            false => Some(
                Manner::new(
                    args.create.process.interactive,
                    args.sig_proxy,
                    &defaults::detach_keys(args.detach_keys.as_deref()),
                )?
                .hiding(&hidden(&args.create.process.attach)),
            ),
        };
        // Who sees nothing of what it writes learns its id, as of one in the background.
        let names_itself = attach.as_ref().is_some_and(|manner| manner.hides == [true; 2]);
        if attach.as_ref().is_some_and(|manner| manner.interactive) && !self.explain {
            needs_a_terminal(args.create.process.tty)?;
        }
        let mut plan = registry::provide(&self.layout, &args.create, self.explain)?;
        if self.explain {
            let (container, made) = create::prepare(&self.layout, &args.create, args.detach, 0)?;
            plan.extend(made);
            if names_itself {
                plan.push(Step::Print(container.id.to_string()));
            }
            plan.extend(life::start_plan(&self.layout, &container, attach.as_ref())?);
            if args.detach {
                plan.push(Step::Print(container.id.to_string()));
            }
            return self.explained(&plan);
        }
        plan.execute(&self.layout)?;
        let container = create::create(&self.layout, &args.create, args.detach)?;
        if names_itself {
            println!("{}", container.id);
        }
        let started = life::start(&self.layout, &container, attach.as_ref());
        // One that could not be started. If it was, its shim removes it, whatever became of us.
        let is_left = |state: State| state.status == Status::Created;
        if started.is_err() && args.create.life.rm && self.layout.read_state(&container.id).is_ok_and(is_left) {
            life::remove(&self.layout, &container, true, true)?;
        }
        if args.detach {
            println!("{}", container.id);
        }
        started.map(End::code)
    }

    pub(super) fn create(&self, args: &Create) -> Result<u8> {
        let mut plan = registry::provide(&self.layout, args, self.explain).map_err(ends_with_one)?;
        if self.explain {
            let (container, made) = create::prepare(&self.layout, args, false, 0)?;
            plan.extend(made);
            plan.push(Step::Print(container.id.to_string()));
            return self.explained(&plan);
        }
        if let Err(error) = plan.execute(&self.layout) {
            return Err(if exit::is_silent(&error) { exit::silent(1) } else { error });
        }
        println!("{}", create::create(&self.layout, args, false).map_err(ends_with_one)?.id);
        Ok(0)
    }
}
