//! By hand: `unshare-run --pid ... -- COMMAND`.

use super::create::prepare;
use crate::by_hand::{Caller, spec};
use crate::cli::Hand;
use crate::create::{self, Console, Request};
use crate::run::{self, Forward, Signals};
use anyhow::{Result, bail};
use std::path::Path;

/// `unshare-run --pid ... -- COMMAND`.
pub fn by_hand(root: &Path, hand: &Hand) -> Result<u8> {
    if hand.command.is_empty() {
        bail!("read the command line: give a command after `--`, or a subcommand (see --help)");
    }
    prepare(0)?;
    let caller = Caller::this()?;
    let spec = spec(hand, &caller)?;
    let signals = Signals::take()?;
    let created = create::create(&Request {
        state_root: root,
        id: &caller.name,
        spec: &spec,
        bundle: Path::new("/"),
        pid_file: None,
        console: if hand.process.tty { Console::Ours } else { Console::None },
        preserve_fds: 0,
        wait_for_start: false,
        // Without a terminal of its own it shares ours, job control included, as with unshare(1).
        own_session: hand.process.tty,
        own_keyring: hand.process.tty,
    })?;
    run::foreground(created, &signals, if hand.process.tty { Forward::All } else { Forward::NotKeyboard }, false)
}
