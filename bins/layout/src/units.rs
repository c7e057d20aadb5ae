//! Sizes as docker's command line reads and prints them.

use anyhow::{Result, bail};

/// Reads a number of bytes: `64m`, `1.5g`, `4MB`, `512`. Units are powers of 1024, as for docker's `--memory`.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let exponent = match unit.trim().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => bail!("{text:?} is no size: a number with b, k, m, g or t after it (64m, 1.5g)"),
    };
    let Ok(number) = number.parse::<f64>() else {
        bail!("{text:?} is no size: a number with b, k, m, g or t after it (64m, 1.5g)");
    };
    let bytes = number * 1024f64.powi(exponent);
    if !bytes.is_finite() || bytes >= i64::MAX as f64 {
        bail!("{text:?} is more bytes than the kernel can count");
    }
    Ok(bytes as u64)
}

/// A size for people, in powers of 1000 with three significant digits, as docker's tables print it: `0B`, `7.97MB`, `194MB`.
pub fn human_size(bytes: u64) -> String {
    human_size_with(bytes, 3)
}

/// A size for people, in powers of 1000 with `digits` significant digits (four in docker's progress lines: `4.608kB`).
pub fn human_size_with(bytes: u64, digits: usize) -> String {
    scaled(bytes, 1000.0, digits, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// A size for people in powers of 1024 with four significant digits, as `docker stats` prints it: `64MiB`.
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

fn scaled(bytes: u64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// C's `%.{digits}g` for values below 10,000, where it needs no exponent: trailing zeros removed.
fn significant(value: f64, digits: usize) -> String {
    let before_point = format!("{}", value.trunc()).len();
    let decimals = if value == 0.0 { 0 } else { digits.saturating_sub(before_point) };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in
            [("64m", 64 << 20), ("4MB", 4 << 20), ("512", 512), ("1.5g", 3 << 29), ("10kib", 10 << 10), ("7b", 7)]
        {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "m", "-1", "1x", "1e9g", "99999999p", "1.2.3k"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_printed_as_docker_prints_them() {
        for (bytes, text) in
            [(0, "0B"), (124, "124B"), (7_970_000, "7.97MB"), (194_000_000, "194MB"), (88_900_000, "88.9MB")]
        {
            assert_eq!(human_size(bytes), text);
        }
        assert_eq!(human_size_with(4608, 4), "4.608kB");
        assert_eq!(human_size_with(3072, 4), "3.072kB");
        assert_eq!(human_size_with(9728, 4), "9.728kB");
        assert_eq!(human_size_with(9_999_900, 4), "10MB");
        assert_eq!(binary_size(64 << 20), "64MiB");
    }
}
