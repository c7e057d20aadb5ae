//! What a registry's refusal means, and what to do about it.

use super::http::Answer;
use serde::Deserialize;
use std::fmt;

/// A registry answered, and the answer was no.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// What was refused: `pull localhost:5000/app:1`.
    pub what: String,
    /// The registry's own word for it (`MANIFEST_UNKNOWN`), or nothing.
    pub code: String,
    /// The registry's own sentence, or nothing.
    pub message: String,
}

/// The body of a refusal: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Refused {
    /// Reads a refusal.
    pub fn new(what: String, answer: Answer) -> Refused {
        let status = answer.status;
        let body = answer.bytes(64 << 10).unwrap_or_default();
        let entry = serde_json::from_slice::<Body>(&body).ok().and_then(|body| body.errors.into_iter().next());
        let (code, message) = entry.map_or_else(Default::default, |entry| (entry.code, entry.message));
        Refused { status, what, code, message }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the registry answered {} {} {}", self.what, self.status, self.code, self.message)
    }
}
