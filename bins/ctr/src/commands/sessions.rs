//! `exec` and `attach`: somebody connects to a container that runs.

use super::{Engine, ends_with_one, reads_only};
use crate::cli::{Attach, Exec};
use crate::plan::{Plan, Step};
use crate::{client, exec};
use anyhow::Result;
use layout::exit;

impl Engine {
    pub(super) fn exec(&self, args: &Exec) -> Result<u8> {
        let id = self.layout.find_container(args.container()).map_err(ends_with_one)?;
        let container = self.layout.read_container(&id)?;
        if self.explain {
            let mut plan = Plan::default();
            plan.push(Step::Foreground(exec::call(&self.layout, &container, args)?));
            return self.explained(&plan);
        }
        exec::exec(&self.layout, &container, args)
    }

    pub(super) fn attach(&self, args: &Attach) -> Result<u8> {
        let id = self.layout.find_container(&args.container).map_err(ends_with_one)?;
        if self.explain {
            return reads_only();
        }
        let container = self.layout.read_container(&id)?;
        if self.is_down(&container)? {
            return Err(exit::coded(1, "you cannot attach to a stopped container, start it first"));
        }
        client::attach(&self.layout, &container, !args.no_stdin)
    }
}
