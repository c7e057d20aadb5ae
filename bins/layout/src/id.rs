//! Container ids.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A container's id: 64 hexadecimal digits, drawn at random, as docker's are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// A new id. Docker's rule is kept: the first twelve digits are never all decimal, because they
    /// become the host name and a name that reads as a number confuses programs.
    pub fn random() -> Result<ContainerId> {
        loop {
            let id = random_hex(32)?;
            if id[..12].parse::<u64>().is_err() {
                return Ok(ContainerId(id));
            }
        }
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: what tables show, and the container's host name.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// `bytes` random bytes as lower-case hexadecimal digits.
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0u8; bytes];
    getrandom::fill(&mut buffer).map_err(|error| anyhow::anyhow!("draw random bytes: {error}"))?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl TryFrom<String> for ContainerId {
    type Error = anyhow::Error;
    fn try_from(text: String) -> Result<Self> {
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            bail!("{text:?} is no container id (64 hexadecimal digits)");
        }
        Ok(ContainerId(text))
    }
}

impl std::str::FromStr for ContainerId {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        text.to_owned().try_into()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> String {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_64_hex_digits_and_nothing_else() {
        let id = ContainerId::random().unwrap();
        assert_eq!(id.as_str().parse::<ContainerId>().unwrap(), id);
        for bad in ["", "abc", &"g".repeat(64), &"A".repeat(64), "../../../../etc/passwd"] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad}");
        }
    }
}
