//! The user's terminal: raw while attached, and afterwards as it was.

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{Stdin, stdin};

/// A terminal in raw mode: each key goes to the container as it is, Ctrl-C too. Dropping it restores the terminal.
pub struct RawTerminal {
    stdin: Stdin,
    before: Termios,
}

impl RawTerminal {
    /// Makes standard input raw, if it is a terminal.
    pub fn enter() -> Result<Option<RawTerminal>> {
        let stdin = stdin();
        if !isatty(&stdin) {
            return Ok(None);
        }
        let before = tcgetattr(&stdin).context("read the terminal's settings")?;
        restore_in_a_panic(before.clone());
        let mut raw = before.clone();
        raw.make_raw();
        // Now, and not Flush: what was typed ahead is for the container too.
        tcsetattr(&stdin, OptionalActions::Now, &raw).context("make the terminal raw")?;
        Ok(Some(RawTerminal { stdin, before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal may have gone away; then there is nothing to restore. Now, because a terminal that is held (Ctrl-S)
        // would never be drained.
        let _ = tcsetattr(&self.stdin, OptionalActions::Now, &self.before);
    }
}

/// A panic ends this program without dropping anything.
fn restore_in_a_panic(before: Termios) {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
        say(panic);
    }));
}

/// The size of the user's terminal, lines and characters; `None` where there is no terminal.
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout()).or_else(|_| tcgetwinsize(stdin())).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
