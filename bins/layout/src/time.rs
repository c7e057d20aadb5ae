//! Timestamps as docker and OCI write them: RFC 3339 in UTC with nanoseconds.

use std::time::SystemTime;

/// What docker writes for "never": Go's zero time.
pub const ZERO: &str = "0001-01-01T00:00:00Z";

/// The current time, `2006-01-02T15:04:05.000000000Z`.
pub fn now() -> String {
    format(SystemTime::now())
}

/// A time in the same form. Times before 1970 or beyond the year 9999 become [`ZERO`].
pub fn format(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(stamp) => format!("{stamp:.9}"),
        Err(_) => ZERO.to_owned(),
    }
}

/// The time that was so many nanoseconds ago, in the same form.
pub fn before_now(nanoseconds: i64) -> String {
    let ago = std::time::Duration::from_nanos(nanoseconds.max(0).unsigned_abs());
    SystemTime::now().checked_sub(ago).map_or_else(|| ZERO.to_owned(), format)
}

/// Reads such a time back; `None` for [`ZERO`] and for what is no time.
pub fn parse(text: &str) -> Option<jiff::Timestamp> {
    if text == ZERO {
        return None;
    }
    text.parse().ok()
}

/// Reads a date as mails and Debian's archives have it (`Sat, 11 Jul 2026 10:16:37 UTC`): seconds since 1970.
pub fn parse_mail_date(text: &str) -> Option<i64> {
    // The zone of that name is none of RFC 2822.
    let text = text.trim().replace(" UTC", " +0000");
    jiff::fmt::rfc2822::parse(&text).ok().map(|time| time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    #[test]
    fn nanoseconds_are_always_nine_digits() {
        let text = super::now();
        assert_eq!(text.len(), "2006-01-02T15:04:05.000000000Z".len(), "{text}");
        assert!(super::parse(&text).is_some() && super::parse(super::ZERO).is_none());
    }

    #[test]
    fn the_date_of_an_archive_is_read() {
        assert_eq!(super::parse_mail_date(" Sat, 11 Jul 2026 10:16:37 UTC"), Some(1_783_764_997));
        assert_eq!(super::parse_mail_date("yesterday"), None);
    }
}
