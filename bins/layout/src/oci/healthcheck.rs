//! `HEALTHCHECK`: docker's key beyond the image specification, in the form that docker, podman and buildah share.

use super::image::RunConfig;
use serde::{Deserialize, Serialize};

/// How to find out whether a container is well. What is 0 or empty is not said: the image's holds, else docker's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", PROGRAM, ARG...]` or `["CMD-SHELL", COMMAND]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Nanoseconds from one check's end to the next one's begin.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Nanoseconds that a check may take.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Nanoseconds from the start in which a failure does not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// So many failures in a row make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// Docker's key for it.
const KEY: &str = "Healthcheck";

impl Healthcheck {
    /// That of a configuration, if it has one that can be read.
    pub fn of(config: &RunConfig) -> Option<Healthcheck> {
        serde_json::from_value(config.extra.get(KEY)?.clone()).ok()
    }

    /// Puts it into a configuration.
    pub fn put(&self, config: &mut RunConfig) {
        // Plain data, which always encodes.
        if let Ok(value) = serde_json::to_value(self) {
            config.extra.insert(KEY.to_owned(), value);
        }
    }

    /// This one, with what it does not say taken from another.
    pub fn or(self, other: &Healthcheck) -> Healthcheck {
        let number = |own: i64, others: i64| if own == 0 { others } else { own };
        Healthcheck {
            test: if self.test.is_empty() { other.test.clone() } else { self.test },
            interval: number(self.interval, other.interval),
            timeout: number(self.timeout, other.timeout),
            start_period: number(self.start_period, other.start_period),
            retries: number(self.retries, other.retries),
        }
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
