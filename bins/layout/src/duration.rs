//! Lengths of time as Go and docker write them: `1m30s`, `500ms`, `1.5h`. In nanoseconds.

use anyhow::{Result, bail};

/// The units, the longest first, with their nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

/// Reads such a length; a bare number has no unit, and only `0` needs none.
///
/// # Errors
/// In Go's words: `time: invalid duration "x"`.
pub fn parse(text: &str) -> Result<i64> {
    match read(text) {
        Some(nanoseconds) => Ok(nanoseconds),
        None => bail!("time: invalid duration {text:?}"),
    }
}

fn read(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, nanoseconds) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
        total += number * *nanoseconds as f64;
        rest = &rest[end..];
    }
    (total < i64::MAX as f64).then_some(if negative { -(total as i64) } else { total as i64 })
}

/// Writes such a length as Go does: `1m30s`, `500ms`, `1h0m0s`, `0s`.
pub fn format(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let part = |unit: u64| {
        let (whole, rest) = (all / unit, all % unit);
        let digits = unit.to_string().len() - 1;
        let fraction = format!("{rest:0digits$}");
        match fraction.trim_end_matches('0') {
            "" => whole.to_string(),
            fraction => format!("{whole}.{fraction}"),
        }
    };
    let text = match all {
        0 => "0s".to_owned(),
        1..1_000 => format!("{all}ns"),
        1_000..1_000_000 => format!("{}µs", part(1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", part(1_000_000)),
        _ => {
            let (minutes, seconds) = (all / 60_000_000_000, all % 60_000_000_000);
            let fraction = format!("{:09}", seconds % 1_000_000_000);
            let seconds = match fraction.trim_end_matches('0') {
                "" => format!("{}s", seconds / 1_000_000_000),
                fraction => format!("{}.{fraction}s", seconds / 1_000_000_000),
            };
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written_as_go_does() {
        for (text, nanoseconds, again) in [
            ("1s", 1_000_000_000, "1s"),
            ("500ms", 500_000_000, "500ms"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("2h", 7_200_000_000_000, "2h0m0s"),
            ("1500us", 1_500_000, "1.5ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            ("0", 0, "0s"),
            ("-1s", -1_000_000_000, "-1s"),
            ("12ns", 12, "12ns"),
        ] {
            assert_eq!(parse(text).unwrap(), nanoseconds, "{text}");
            assert_eq!(format(nanoseconds), again, "{text}");
        }
        for bad in ["", "1", "x", "1x", "s", "1s2", "-", "1.2.3s"] {
            assert_eq!(parse(bad).unwrap_err().to_string(), format!("time: invalid duration {bad:?}"));
        }
    }
}
