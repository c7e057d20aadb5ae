//! Signals as docker's users write them: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`.

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

/// The first and the last of the real-time signals as the C library counts them: the kernel's first two are its own.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// A signal's number.
///
/// # Errors
/// `Invalid signal: X`, docker's words. A number is taken as it is, as docker does: Linux has 1 to 64.
pub fn number(text: &str) -> Result<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return if number == 0 { bail!("Invalid signal: {text}") } else { Ok(number) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match by_name(name) {
        Some(number) => Ok(number),
        None => bail!("Invalid signal: {text}"),
    }
}

fn by_name(name: &str) -> Option<i32> {
    match name {
        "CLD" => return Some(libc::SIGCHLD),
        "POLL" => return Some(libc::SIGPOLL),
        _ => {}
    }
    if let Ok(signal) = format!("SIG{name}").parse::<Signal>() {
        return Some(signal as i32);
    }
    let (from, offset) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(offset), _) => (*REAL_TIME.start(), offset),
        (_, Some(offset)) => (*REAL_TIME.end(), offset),
        _ => return None,
    };
    let offset = if offset.is_empty() { 0 } else { offset.parse::<i32>().ok()? };
    Some(from.checked_add(offset)?).filter(|number| REAL_TIME.contains(number))
}

/// The word by which every runtime knows a signal: its name without `SIG`, or its number where it has none.
pub fn word(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| number.to_string(), |s| s.as_str().trim_start_matches("SIG").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_as_docker_reads_them() {
        for (text, expected) in
            [("TERM", 15), ("SIGTERM", 15), ("sigkill", 9), ("15", 15), ("64", 64), ("RTMIN", 34), ("SIGRTMAX-1", 63)]
        {
            assert_eq!(number(text).unwrap(), expected, "{text}");
        }
        for bad in ["FOO", "0", "", "RTMIN+40", "SIG", "RTMIN+x"] {
            assert_eq!(number(bad).unwrap_err().to_string(), format!("Invalid signal: {bad}"));
        }
        assert_eq!((word(15), word(35)), ("TERM".to_owned(), "35".to_owned()));
    }
}
