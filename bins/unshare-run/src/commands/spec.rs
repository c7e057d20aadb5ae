//! `spec`: a configuration to start from.

use crate::by_hand;
use crate::cli::Hand;
use anyhow::{Context, Result};
use layout::oci::defaults;

/// `spec`: the configuration that the flags stand for; without flags, docker's defaults.
pub fn spec(hand: &Hand) -> Result<String> {
    let mut spec = match *hand == (Hand { command: hand.command.clone(), ..Hand::default() }) {
        true => defaults::spec(),
        false => by_hand::spec(hand, &by_hand::Caller::this()?)?,
    };
    if let Some(process) = &mut spec.process {
        if process.args.is_empty() {
            process.args.clone_from(&hand.command);
        }
        if process.args.is_empty() {
            process.args.push("sh".to_owned());
        }
    }
    serde_json::to_string_pretty(&spec).context("encode the configuration")
}
