//! What a pull or a push shows while it goes on: a line a layer, changed in place on a terminal; elsewhere a line for each
//! change of state, and no counting bytes.
//!
//! On a terminal the cursor goes up to the layer's line, writes it anew, and comes back down (console_codes(4)).

use crate::output;
use anyhow::Result;
use layout::units::human_size_with;
use rustix::termios::{isatty, tcgetwinsize};
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A count of bytes is shown anew this often.
const EVERY: Duration = Duration::from_millis(100);
/// Terminals that are narrower have no room for a bar; how long the bar is elsewhere.
const WIDE: usize = 110;
const BAR: usize = 50;

/// Where the lines go to. Shared by the threads that transfer.
pub struct Progress {
    form: Form,
    lines: Mutex<Vec<Line>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Nothing,
    Lines,
    Terminal,
}

/// The line of one layer.
struct Line {
    id: String,
    text: String,
    counted: Option<Instant>,
}

impl Progress {
    /// For standard output, whatever that is; nothing at all if `quiet`.
    pub fn new(quiet: bool) -> Progress {
        let form = match quiet {
            true => Form::Nothing,
            false if isatty(std::io::stdout()) => Form::Terminal,
            false => Form::Lines,
        };
        Progress { form, lines: Mutex::default() }
    }

    /// A line that stays, below those of the layers, which stay as they are from now on.
    pub fn message(&self, text: impl Display) -> Result<()> {
        if self.form == Form::Nothing {
            return Ok(());
        }
        let mut lines = self.lines();
        lines.clear();
        output::line(text)
    }

    /// What a layer has come to: `Pull complete`.
    pub fn state(&self, id: &str, text: &str) {
        self.show(&mut self.lines(), id, text, None);
    }

    /// How many of its bytes have been dealt with; only on a terminal, and a few times a second.
    pub fn count(&self, id: &str, doing: &str, done: u64, total: u64) {
        if self.form != Form::Terminal {
            return;
        }
        let mut lines = self.lines();
        let recent = |line: &Line| line.id == id && line.counted.is_some_and(|shown| shown.elapsed() < EVERY);
        if lines.iter().any(recent) && done < total {
            return;
        }
        let columns = tcgetwinsize(std::io::stdout()).map_or(80, |size| size.ws_col.into());
        let text = format!("{doing} {}", amount(done, total, columns));
        self.show(&mut lines, id, &text, Some(Instant::now()));
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        // Whoever panicked with it in hand has at worst left half a line.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, lines: &mut Vec<Line>, id: &str, text: &str, counted: Option<Instant>) {
        let known = lines.iter().position(|line| line.id == id);
        let at = known.unwrap_or(lines.len());
        if known.is_none() {
            lines.push(Line { id: id.to_owned(), text: String::new(), counted });
        }
        let up = lines.len() - at;
        let line = &mut lines[at];
        line.counted = counted;
        if line.text == text {
            return;
        }
        line.text = text.to_owned();
        let written = match self.form {
            Form::Nothing => Ok(()),
            Form::Lines => output::line(format!("{id}: {text}")),
            Form::Terminal if known.is_none() => output::line(format!("{id}: {text}")),
            Form::Terminal => {
                let rows = tcgetwinsize(std::io::stdout()).map_or(24, |size| usize::from(size.ws_row));
                // A line that has been scrolled away cannot be reached.
                if up < rows.max(1) { output::print(&in_place(up, &format!("{id}: {text}"))) } else { Ok(()) }
            }
        };
        // What cannot be shown does not keep the work from being done; the last line, which is the result, reports it.
        drop(written);
    }
}

/// Writes over the line that is so many lines above the cursor.
fn in_place(up: usize, text: &str) -> String {
    format!("\x1b[{up}A\x1b[2K\r{text}\r\x1b[{up}B")
}

/// `[=====>      ]  1.2MB/3MB`, and where there is little room only the figures.
fn amount(done: u64, total: u64, columns: usize) -> String {
    let figures = format!("{:>8}/{}", human_size_with(done, 4), human_size_with(total, 4));
    if columns <= WIDE {
        return figures;
    }
    let filled = (done.min(total) as f64 / total.max(1) as f64 * BAR as f64) as usize;
    format!("[{}>{}] {figures}", "=".repeat(filled), " ".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_from_left_to_right() {
        assert_eq!(amount(0, 3_000_000, 80), "      0B/3MB");
        assert_eq!(amount(1_234_567, 3_000_000, 80), " 1.235MB/3MB");
        for (done, filled) in [(0, 0), (50, 25), (100, 50), (200, 50)] {
            let text = amount(done, 100, 120);
            assert_eq!(text.matches('=').count(), filled, "{text}");
            assert_eq!(text.find(']').unwrap(), 52, "{text}");
        }
        assert!(amount(0, 0, 120).starts_with("[>"));
    }

    #[test]
    fn a_line_is_written_over_and_the_cursor_comes_back() {
        assert_eq!(in_place(3, "abc: Waiting"), "\x1b[3A\x1b[2K\rabc: Waiting\r\x1b[3B");
    }
}
