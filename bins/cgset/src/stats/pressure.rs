//! Pressure: for how much of the time tasks had to wait (kernel: accounting/psi.rst). v2 alone, and not in every kernel.

use crate::group::errno;
use anyhow::Result;
use serde::Serialize;
use std::path::Path;

/// Waiting for one resource.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pressure {
    /// While at least one task waited.
    pub some: Waiting,
    /// While all did that had something to do.
    pub full: Waiting,
}

/// How much of the time, in per cent of the last seconds, and all in all.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Waiting {
    /// Of the last 10 seconds.
    pub avg10: f64,
    /// Of the last minute.
    pub avg60: f64,
    /// Of the last five minutes.
    pub avg300: f64,
    /// Since the group was made.
    pub total_ns: u64,
}

impl Pressure {
    /// Reads `cpu.pressure`, `memory.pressure` or `io.pressure`; `None` where the kernel does not count it.
    pub fn read(file: &Path) -> Result<Option<Pressure>> {
        match crate::group::read_optional(file) {
            Ok(text) => Ok(text.map(|text| Self::parse(&text))),
            // The files are there, and reading them fails, when the kernel was booted with psi=0.
            Err(error) if errno(&error) == Some(libc::EOPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` (microseconds).
    fn parse(text: &str) -> Pressure {
        let mut found = Pressure::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let waiting = match words.next() {
                Some("some") => &mut found.some,
                Some("full") => &mut found.full,
                _ => continue,
            };
            for (key, value) in words.filter_map(|word| word.split_once('=')) {
                match key {
                    "avg10" => waiting.avg10 = value.parse().unwrap_or(0.0),
                    "avg60" => waiting.avg60 = value.parse().unwrap_or(0.0),
                    "avg300" => waiting.avg300 = value.parse().unwrap_or(0.0),
                    "total" => waiting.total_ns = value.parse::<u64>().unwrap_or(0).saturating_mul(1000),
                    _ => {}
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_two_lines() {
        let text =
            "some avg10=1.50 avg60=0.20 avg300=0.10 total=2000\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=7\n";
        let found = Pressure::parse(text);
        assert_eq!(found.some, Waiting { avg10: 1.5, avg60: 0.2, avg300: 0.1, total_ns: 2_000_000 });
        assert_eq!((found.full.avg10, found.full.total_ns), (0.5, 7000));
    }
}
