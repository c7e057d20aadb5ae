//! Points in time as the command line names them (`--since`, `--until`): a length of time before now, a date, or seconds
//! since 1970.

use anyhow::{Result, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads one; gives nanoseconds since 1970. A date without a zone is in the machine's.
///
/// # Errors
/// Docker's words for `--OPTION`.
pub fn parse(text: &str, option: &str, now: Timestamp) -> Result<i128> {
    match read(text, now, &TimeZone::system()) {
        Some(time) => Ok(time),
        None => bail!("invalid value for {option:?}: failed to parse value as time or duration: {text:?}"),
    }
}

fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Option<i128> {
    if text == "0" {
        return Some(0);
    }
    if let Ok(ago) = layout::duration::parse(text) {
        return Some(now.as_nanosecond() - i128::from(ago));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_nanosecond());
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !seconds.is_empty() && [seconds, fraction].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit())) {
        let fraction: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        return Some(i128::from(seconds.parse::<i64>().ok()?) * 1_000_000_000 + fraction);
    }
    // `2006-01-02`, `2006-01-02T15`, `2006-01-02T15:04` and so on; `Z` behind it is Greenwich.
    let (text, zone) = match text.strip_suffix('Z') {
        Some(text) => (text, &TimeZone::UTC),
        None => (text, zone),
    };
    // No shorter and no in-between ones, and nothing but `T` in the middle.
    let is_cut_well = matches!(text.len(), 10 | 13 | 16 | 19..) && text.as_bytes().get(10).is_none_or(|t| *t == b'T');
    let rest = "0000-01-01T00:00:00".get(text.len()..).unwrap_or_default();
    if !is_cut_well {
        return None;
    }
    let time: DateTime = format!("{text}{rest}").parse().ok()?;
    Some(time.to_zoned(zone.clone()).ok()?.timestamp().as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_of_dockers_forms() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_nanosecond();
        for (text, time) in [
            ("10m", at("2026-01-02T02:54:05Z")),
            ("2026-01-01T01:02:03.5Z", at("2026-01-01T01:02:03.5Z")),
            ("2026-01-01T01:02:03+01:00", at("2026-01-01T00:02:03Z")),
            ("2026-01-01", at("2026-01-01T00:00:00Z")),
            ("2026-01-01T07", at("2026-01-01T07:00:00Z")),
            ("2026-01-01T07:08", at("2026-01-01T07:08:00Z")),
            ("2026-01-01T07:08:09.25", at("2026-01-01T07:08:09.25Z")),
            ("0", 0),
            ("1136073845", 1_136_073_845_000_000_000),
            ("1136073845.000000001", 1_136_073_845_000_000_001),
        ] {
            assert_eq!(read(text, now, &TimeZone::UTC), Some(time), "{text}");
        }
        for bad in ["", "2026-01", "2026-01-01 07:08:09", "2026-01-01T7", "99999999999999999999", "1d", "-1"] {
            assert_eq!(read(bad, now, &TimeZone::UTC), None, "{bad}");
        }
        let said = parse("x", "since", now).unwrap_err().to_string();
        assert_eq!(said, "invalid value for \"since\": failed to parse value as time or duration: \"x\"");
    }
}
