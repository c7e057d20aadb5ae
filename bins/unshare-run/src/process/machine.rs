//! What machine it thinks that it is on, and which memory of it it gets: `personality`, `memoryPolicy`.

use super::numbers;
use crate::narrate::narrate;
use crate::sys;
use anyhow::{Context, Result, bail};
use layout::oci::runtime::{Linux, MemoryPolicy, Personality};

/// The modes, each at its number (linux/mempolicy.h).
const MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// The flags, and their bits beside the mode.
const FLAGS: [(&str, i32); 3] =
    [("MPOL_F_STATIC_NODES", 1 << 15), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_NUMA_BALANCING", 1 << 13)];

/// More nodes than any kernel knows (MAX_NUMNODES).
const MOST_NODES: usize = 1024;

/// Checks what a configuration says of it.
pub fn check(linux: &Linux) -> Result<()> {
    linux.personality.as_ref().map(domain).transpose()?;
    linux.memory_policy.as_ref().map(policy).transpose()?;
    Ok(())
}

/// Takes it on.
pub fn apply(linux: &Linux) -> Result<()> {
    if let Some(personality) = &linux.personality {
        narrate!("which machine it sees", "personality({})", personality.domain);
        sys::personality(domain(personality)?).with_context(|| format!("set personality {}", personality.domain))?;
    }
    if let Some(wanted) = &linux.memory_policy {
        narrate!("where its memory comes from", "set_mempolicy({}, {})", wanted.mode, wanted.nodes);
        let (mode, nodes) = policy(wanted)?;
        sys::set_mempolicy(mode, &nodes)
            .with_context(|| format!("set memoryPolicy {} {}", wanted.mode, wanted.nodes))?;
    }
    Ok(())
}

/// The number of a personality (linux/personality.h).
fn domain(personality: &Personality) -> Result<u32> {
    if let Some(flag) = personality.flags.first() {
        bail!("linux.personality.flags {flag:?}: the specification defines none");
    }
    match personality.domain.as_str() {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(8),
        other => bail!("linux.personality.domain {other:?}: it must be LINUX or LINUX32"),
    }
}

/// Mode with flags, and a bit for each node.
fn policy(wanted: &MemoryPolicy) -> Result<(i32, Vec<u64>)> {
    let MemoryPolicy { mode, nodes, flags } = wanted;
    let Some(number) = MODES.iter().position(|known| known == mode) else {
        bail!("linux.memoryPolicy.mode {mode:?}: it must be one of {}", MODES.join(", "));
    };
    let mut bits = number as i32;
    for flag in flags {
        let Some((_, bit)) = FLAGS.iter().find(|(known, _)| known == flag) else {
            bail!("linux.memoryPolicy.flags {flag:?}: it must be one of {}", FLAGS.map(|(name, _)| name).join(", "));
        };
        bits |= bit;
    }
    let mut mask = Vec::new();
    if !nodes.is_empty() {
        for node in numbers::parse(nodes, MOST_NODES).context("linux.memoryPolicy.nodes")? {
            mask.resize(mask.len().max(node / 64 + 1), 0);
            mask[node / 64] |= 1 << (node % 64);
        }
    }
    Ok((bits, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_the_kernels_numbers() {
        let policy = |text: &str| policy(&serde_json::from_str(text).unwrap()).map_err(|error| error.to_string());
        assert_eq!(policy(r#"{"mode": "MPOL_LOCAL"}"#), Ok((4, vec![])));
        let text = r#"{"mode": "MPOL_BIND", "nodes": "0,2,65", "flags": ["MPOL_F_STATIC_NODES"]}"#;
        assert_eq!(policy(text), Ok((0x8002, vec![0b101, 0b10])));
        for bad in [r#"{"mode": "BIND"}"#, r#"{"mode": "MPOL_BIND", "nodes": "x"}"#, "{}"] {
            assert!(policy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn personalities_are_two() {
        let number = |text: &str| domain(&serde_json::from_str(text).unwrap()).ok();
        assert_eq!(number(r#"{"domain": "LINUX"}"#), Some(0));
        assert_eq!(number(r#"{"domain": "LINUX32"}"#), Some(8));
        assert_eq!(number(r#"{"domain": "BSD"}"#), None);
        assert_eq!(number(r#"{"domain": "LINUX", "flags": ["X"]}"#), None);
    }
}
