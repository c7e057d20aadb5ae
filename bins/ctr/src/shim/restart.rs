//! When a container that ended is started again: docker's policies, and its back-off.

use layout::container::RestartPolicy;
use std::time::Duration;

/// The wait before the first restart. Each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Who ran that long is well: the next wait is the first again.
const WELL: Duration = Duration::from_secs(10);

/// Whether a container that ended with `code` is started again. `restarts` is how often it was already.
pub fn is_wanted(policy: &RestartPolicy, code: i32, stopped_on_purpose: bool, restarts: u32) -> bool {
    match policy.name.as_str() {
        "always" => true,
        "unless-stopped" => !stopped_on_purpose,
        "on-failure" => {
            let most = policy.maximum_retry_count;
            code != 0 && (most == 0 || restarts < most)
        }
        _ => false,
    }
}

/// How long a container waits for its next start.
#[derive(Debug, Default)]
pub struct BackOff(Duration);

impl BackOff {
    /// The wait after a run that took so long.
    pub fn after(&mut self, ran: Duration) -> Duration {
        self.0 = match self.0 {
            Duration::ZERO => FIRST_WAIT,
            _ if ran >= WELL => FIRST_WAIT,
            before => (before * 2).min(LONGEST_WAIT),
        };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, most: u32) -> RestartPolicy {
        RestartPolicy { name: name.to_owned(), maximum_retry_count: most }
    }

    #[test]
    fn policies_are_dockers() {
        assert!(!is_wanted(&policy("no", 0), 1, false, 0));
        assert!(is_wanted(&policy("always", 0), 0, true, 99));
        assert!(is_wanted(&policy("unless-stopped", 0), 0, false, 0));
        assert!(!is_wanted(&policy("unless-stopped", 0), 0, true, 0));
        assert!(is_wanted(&policy("on-failure", 0), 1, false, 99));
        assert!(!is_wanted(&policy("on-failure", 0), 0, false, 0));
        assert!(is_wanted(&policy("on-failure", 2), 1, false, 1));
        assert!(!is_wanted(&policy("on-failure", 2), 1, false, 2));
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_good_run() {
        let mut back_off = BackOff::default();
        let short = Duration::from_millis(5);
        let waits: Vec<u128> = (0..12).map(|_| back_off.after(short).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(back_off.after(WELL), FIRST_WAIT);
        assert_eq!(back_off.after(short), FIRST_WAIT * 2);
    }
}
