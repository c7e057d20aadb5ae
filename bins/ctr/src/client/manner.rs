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
    /// The outputs that are not shown here: standard output, standard error (`run --attach`).
    pub hides: [bool; 2],
}

impl Manner {
    /// Reads the options; `keys` is what `--detach-keys` says.
    pub fn new(interactive: bool, sig_proxy: bool, keys: &str) -> Result<Manner> {
        let detach_keys = DetachKeys::parse(keys).map_err(|error| exit::coded(1, error.to_string()))?;
        Ok(Manner { interactive, sig_proxy, detach_keys, hides: [false; 2] })
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
        let hidden = ["stdout", "stderr"].into_iter().zip(self.hides).filter(|(_, hides)| *hides);
        args.extend(hidden.map(|(stream, _)| format!("--hide={stream}")));
        args
    }

    /// The same, but for outputs that are not to be shown, by name.
    pub fn hiding(self, streams: &[String]) -> Manner {
        Manner { hides: ["stdout", "stderr"].map(|name| streams.iter().any(|stream| stream == name)), ..self }
    }
}
