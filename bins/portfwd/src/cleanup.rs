//! Taking apart goes on: what fails is remembered and reported at the end, and the rest is still done.

use anyhow::{Result, anyhow};

/// The failures of one piece of cleaning up.
#[derive(Debug, Default)]
pub struct Cleanup(Vec<anyhow::Error>);

impl Cleanup {
    /// Takes note of how one step went.
    pub fn attempt(&mut self, step: Result<()>) {
        self.0.extend(step.err());
    }

    /// Cleaning up after something that failed.
    pub fn after(failure: anyhow::Error) -> Cleanup {
        Cleanup(vec![failure])
    }

    /// Success when every step succeeded, else all failures in one line.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    /// All failures in one line.
    pub fn into_error(mut self) -> anyhow::Error {
        match self.0.len() {
            1 => self.0.remove(0),
            _ => anyhow!(self.0.iter().map(|error| format!("{error:#}")).collect::<Vec<_>>().join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn every_failure_is_reported() {
        let mut cleanup = Cleanup::default();
        cleanup.attempt((|| bail!("remove bridge: busy"))());
        cleanup.attempt(Ok(()));
        cleanup.attempt((|| bail!("remove table: no nft"))());
        assert_eq!(cleanup.finish().unwrap_err().to_string(), "remove bridge: busy; remove table: no nft");
        Cleanup::default().finish().unwrap();
    }
}
