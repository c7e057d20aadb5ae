//! Asking again: when the registry is busy (429, 5xx), and when the connection breaks.

use super::explain::Unreachable;
use super::http::{Answer, Request};
use anyhow::Result;
use std::time::Duration;
use ureq::http::header::RETRY_AFTER;

/// How often a busy registry is asked.
const BUSY: u32 = 5;
/// How often it is tried to get through.
const BROKEN: u32 = 3;
/// The pause before the second attempt; twice as long before the next.
const PAUSE: Duration = Duration::from_millis(250);
/// The registry may wish for longer pauses, up to this.
const LONGEST: Duration = Duration::from_secs(60);

/// Asks until there is an answer that a repetition would not change, as long as the request is whole.
pub fn patiently<'a>(
    request: &mut Request<'a>,
    mut ask: impl FnMut(&mut Request<'a>) -> Result<Answer>,
) -> Result<Answer> {
    let mut attempt = 1;
    loop {
        let outcome = ask(request);
        let backoff = PAUSE * 2u32.pow(attempt - 1);
        let pause = match &outcome {
            Ok(answer) if is_busy(answer.status) && attempt < BUSY => {
                backoff.max(wished(answer.header(RETRY_AFTER)).unwrap_or_default())
            }
            Err(error) if attempt < BROKEN && is_passing(error) => backoff,
            _ => return outcome,
        };
        if !request.is_whole() || pause > LONGEST {
            return outcome;
        }
        drop(outcome);
        std::thread::sleep(pause);
        attempt += 1;
    }
}

/// Too many requests, or the server's own trouble; not what it will never be able to do (501, 505).
fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

fn is_passing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Unreachable>().is_some_and(|unreachable| unreachable.is_passing)
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3). As a date it is not looked at: clocks differ.
fn wished(header: Option<&str>) -> Option<Duration> {
    header?.trim().parse().ok().map(Duration::from_secs)
}
