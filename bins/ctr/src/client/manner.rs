//! How somebody is connected to a container.

use super::DetachKeys;
use anyhow::Result;
use layout::exit;

/// What of ours goes to the container, and how we leave it.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Whether our input goes there.
    pub interactive: bool,
    /// Whether the signals that we get are passed on.
    pub sig_proxy: bool,
    /// What is typed to leave.
    pub detach_keys: DetachKeys,
}

impl Manner {
    /// Reads the options; `keys` is what `--detach-keys` says.
    pub fn new(interactive: bool, sig_proxy: bool, keys: &str) -> Result<Manner> {
        let detach_keys = DetachKeys::parse(keys).map_err(|error| exit::coded(1, error.to_string()))?;
        Ok(Manner { interactive, sig_proxy, detach_keys })
    }

    /// The options of `ctr shim start` and `ctr shim exec` that say the same.
    pub fn to_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        if self.interactive {
            args.push("--interactive".to_owned());
        }
        if !self.sig_proxy {
            args.push("--no-sig-proxy".to_owned());
        }
        if self.detach_keys != DetachKeys::default() {
            args.push(format!("--detach-keys={}", self.detach_keys));
        }
        args
    }
}
