//! The list of devices that a group may use, as OCI writes it.
//!
//! A rule allows or denies some accesses (`r`ead, `w`rite, `m`ake the node) to some devices (`c`haracter or
//! `b`lock, by major and minor number). Rules are read in order and a later one wins, access by access. What no
//! rule speaks of is allowed, as in a new v1 group; runtimes therefore begin with one that denies everything.

use anyhow::{Result, bail};
use layout::oci::runtime::DeviceRule;

/// Making a node with mknod(2). The bits are the kernel's (`BPF_DEVCG_ACC_MKNOD` in linux/bpf.h).
pub const MAKE: u8 = 1;
/// Opening for reading.
pub const READ: u8 = 2;
/// Opening for writing.
pub const WRITE: u8 = 4;
/// Everything.
pub const ALL: u8 = MAKE | READ | WRITE;

/// The two kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Block: disks.
    Block,
    /// Character: terminals, null, random.
    Char,
}

/// One rule, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether it allows or denies.
    pub allow: bool,
    /// Which kind; `None` is both.
    pub kind: Option<Kind>,
    /// Which major number; `None` is any.
    pub major: Option<u32>,
    /// Which minor number; `None` is any.
    pub minor: Option<u32>,
    /// Which accesses.
    pub access: u8,
}

impl Rule {
    /// Whether it speaks of every access to every device.
    pub fn is_total(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.access == ALL
    }
}

/// Reads a device list. What stands before the last rule about everything has no effect and is left out.
pub fn parse_rules(list: &[DeviceRule]) -> Result<Vec<Rule>> {
    let mut rules = list.iter().map(parse_rule).collect::<Result<Vec<_>>>()?;
    if let Some(last) = rules.iter().rposition(Rule::is_total) {
        rules.drain(..last);
    }
    Ok(rules)
}

fn parse_rule(rule: &DeviceRule) -> Result<Rule> {
    let kind = match rule.kind.as_deref() {
        None | Some("" | "a") => None,
        Some("b") => Some(Kind::Block),
        Some("c" | "u") => Some(Kind::Char),
        Some(other) => bail!("read device rule: type {other:?} is none of a, b, c"),
    };
    let number = |what: &str, value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        Some(n) => match u32::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => bail!("read device rule: {what} number {n} is not one the kernel has"),
        },
    };
    let mut access = 0;
    for letter in rule.access.as_deref().filter(|a| !a.is_empty()).unwrap_or("rwm").chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MAKE,
            _ => bail!("read device rule: access {letter:?} is none of r, w, m"),
        };
    }
    Ok(Rule {
        allow: rule.allow,
        kind,
        major: number("major", rule.major)?,
        minor: number("minor", rule.minor)?,
        access,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(value: serde_json::Value) -> Result<Vec<Rule>> {
        parse_rules(&serde_json::from_value::<Vec<DeviceRule>>(value).unwrap())
    }

    #[test]
    fn a_rule_about_everything_ends_all_before_it() {
        let list = rules(serde_json::json!([
            {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"},
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": -1, "access": "rw"}
        ]))
        .unwrap();
        let everything = Rule { allow: false, kind: None, major: None, minor: None, access: ALL };
        let memory = Rule { allow: true, kind: Some(Kind::Char), major: Some(1), minor: None, access: READ | WRITE };
        assert_eq!(list, [everything, memory]);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        for bad in [
            serde_json::json!([{"allow": true, "type": "x"}]),
            serde_json::json!([{"allow": true, "access": "q"}]),
            serde_json::json!([{"allow": true, "major": -7}]),
        ] {
            assert!(rules(bad).is_err());
        }
    }
}
