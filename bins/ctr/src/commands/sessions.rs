//! `exec` and `attach`: somebody connects to a container that runs.

use super::{Engine, ends_with_one, reads_only};
use crate::cli::{Attach, Exec};
use crate::client::{End, Manner};
use crate::{client, defaults, exec, life};
use anyhow::Result;
use layout::container::Status;
use layout::exit;

impl Engine {
    pub(super) fn exec(&self, args: &Exec) -> Result<u8> {
        if !args.detach && args.interactive && !self.explain {
            needs_a_terminal(args.tty)?;
        }
        let id = self.layout.find_container(args.container()).map_err(ends_with_one)?;
        let container = self.layout.read_container(&id)?;
        if self.explain {
            return self.explained(&exec::plan(&self.layout, &container, args)?);
        }
        let status = life::settled(&self.layout, &container).map_err(ends_with_one)?.status;
        exec::check_that_it_runs(&container, status).map_err(ends_with_one)?;
        exec::exec(&self.layout, &container, args)
    }

    pub(super) fn attach(&self, args: &Attach) -> Result<u8> {
        let id = self.layout.find_container(&args.container).map_err(ends_with_one)?;
        if self.explain {
            return reads_only();
        }
        let container = self.layout.read_container(&id)?;
        let refused = |why: &str| Err(exit::coded(1, format!("You cannot attach to a {why}")));
        match life::state(&self.layout, &id)?.status {
            Status::Running => {}
            Status::Paused => return refused("paused container, unpause it first"),
            Status::Restarting => return refused("restarting container, wait until it is running"),
            _ => return refused("stopped container, start it first"),
        }
        let interactive = !args.no_stdin && container.config.open_stdin;
        if interactive {
            needs_a_terminal(container.config.tty)?;
        }
        // A terminal makes signals of keys by itself.
        let sig_proxy = args.sig_proxy && !container.config.tty;
        let manner = Manner::new(interactive, sig_proxy, &defaults::detach_keys(args.detach_keys.as_deref()))?;
        client::attach(&self.layout, &container, &manner).and_then(End::or_failure)
    }
}

/// Keys for a terminal come from a terminal.
pub fn needs_a_terminal(tty: bool) -> Result<()> {
    match tty && !rustix::termios::isatty(std::io::stdin()) {
        true => Err(exit::coded(1, "the input device is not a TTY")),
        false => Ok(()),
    }
}
