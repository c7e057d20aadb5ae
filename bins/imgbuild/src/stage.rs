//! Where a build stands: the image that the last step made, and what the next one starts from.

use crate::args::BuildArgs;
use crate::metadata::get_env;
use crate::variables;
use anyhow::{Result, anyhow};
use layout::Digest;
use layout::oci::image::RunConfig;

/// The state between two steps.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// The image so far; `None` on `scratch`.
    pub image: Option<Digest>,
    /// Its configuration.
    pub config: RunConfig,
    /// The variables of the build.
    pub args: BuildArgs,
    /// Whether this Dockerfile has set CMD, so that ENTRYPOINT leaves it.
    pub cmd_is_ours: bool,
    /// What MAINTAINER said.
    pub author: Option<String>,
}

impl Stage {
    /// What a variable stands for at this point: ENV first, then ARG.
    pub fn variable(&self, name: &str) -> Option<String> {
        get_env(&self.config.env, name).or_else(|| self.args.get(name))
    }

    /// A word of the Dockerfile with its variables replaced.
    pub fn expand(&self, word: &str, escape: char) -> Result<String> {
        variables::expand(word, escape, &|name| self.variable(name)).map_err(|why| anyhow!(why))
    }
}
