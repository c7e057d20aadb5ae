//! Times for people, in docker's words: `About a minute ago`.

use jiff::{SignedDuration, Timestamp};

/// How long ago a time was: `2 minutes ago`. A time that is none gives the empty string.
pub fn ago(time: &str) -> String {
    since(time).map_or(String::new(), |duration| format!("{} ago", words(duration)))
}

/// How long it is since a time: `2 minutes`.
pub fn elapsed(time: &str) -> String {
    since(time).map_or(String::new(), words)
}

/// A time as Go prints it, where we are: `2006-01-02 15:04:05 +0100 CET`.
pub fn local(time: &str) -> String {
    let zoned = layout::time::parse(time).map(|then| then.to_zoned(jiff::tz::TimeZone::system()));
    zoned.map_or("N/A".to_owned(), |zoned| zoned.strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string())
}

fn since(time: &str) -> Option<SignedDuration> {
    let then = layout::time::parse(time)?;
    // The clock may have been set back meanwhile; nothing is in the future.
    Some(Timestamp::now().duration_since(then).max(SignedDuration::ZERO))
}

fn words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_dockers_words() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (3600, "About an hour"),
            (3 * 3600, "3 hours"),
            (3 * 86400, "3 days"),
            (21 * 86400, "3 weeks"),
            (90 * 86400, "3 months"),
            (1000 * 86400, "2 years"),
        ] {
            assert_eq!(words(SignedDuration::from_secs(seconds)), text);
        }
    }
}
