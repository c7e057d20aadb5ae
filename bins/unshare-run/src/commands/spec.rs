//! `spec`: a configuration to start from.

use crate::cli::Hand;
use crate::spec_from_flags;
use anyhow::{Context, Result};
use layout::oci::defaults;

/// `spec`: the configuration that the flags stand for; without flags, docker's defaults.
pub fn spec(hand: &Hand) -> Result<String> {
    let mut spec = match *hand == (Hand { command: hand.command.clone(), ..Hand::default() }) {
        true => defaults::spec(),
        false => spec_from_flags::spec(hand, &spec_from_flags::Caller::this()?)?,
    };
    if let Some(process) = &mut spec.process {
        process.args.clone_from(&hand.command);
        if process.args.is_empty() {
            process.args.push("sh".to_owned());
        }
    }
    serde_json::to_string_pretty(&spec).context("encode the configuration")
}
