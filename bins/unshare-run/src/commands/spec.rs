//! `spec`: a configuration to start from.

use crate::by_hand;
use crate::cli::{Hand, SpecOptions};
use anyhow::{Context, Result};
use layout::oci::defaults;
use std::fs::File;
use std::io::Write;

/// `spec`: the configuration that the flags stand for; without flags, docker's defaults. Says nothing if it goes to a file.
pub fn spec(options: &SpecOptions) -> Result<String> {
    let text = text(&asked_for(options))?;
    let Some(bundle) = &options.bundle else { return Ok(text) };
    let path = bundle.join("config.json");
    let mut file = File::create_new(&path).with_context(|| format!("make {}", path.display()))?;
    writeln!(file, "{text}").with_context(|| format!("write {}", path.display()))?;
    Ok(String::new())
}

/// The flags, and what `--rootless` stands for.
fn asked_for(options: &SpecOptions) -> Hand {
    let mut hand = options.hand.clone();
    if options.rootless {
        let new = &mut hand.namespaces;
        new.map_root_user = true;
        for namespace in [&mut new.pid, &mut new.mount, &mut new.uts, &mut new.ipc] {
            namespace.get_or_insert(None);
        }
        hand.files.rootfs.get_or_insert_with(|| "rootfs".into());
    }
    hand
}

fn text(hand: &Hand) -> Result<String> {
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
