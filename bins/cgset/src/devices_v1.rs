//! The device list on v1: lines written to `devices.deny` and `devices.allow`.
//!
//! The kernel keeps a default (allow or deny everything) and a list of exceptions. `a` sets the default and empties
//! the list; `c 1:3 rw` adds an exception, or takes one away that reads just so. A part of an exception cannot be
//! taken away, and asking for that is silently nothing (cgroup-v1/devices.rst): here it is an error.

use crate::devices::{ALL, Kind, MAKE, READ, Rule, WRITE};
use crate::limits::Setting;
use anyhow::{Result, bail};

/// The lines for a list of rules, in order.
pub fn settings(rules: &[Rule]) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    let mut default_allow = true;
    let mut exceptions: Vec<Rule> = Vec::new();
    for rule in rules {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        if rule.is_total() {
            settings.push(Setting::new(file, "a"));
            default_allow = rule.allow;
            exceptions.clear();
            continue;
        }
        // `a` with anything but `*:* rwm` after it would still be everything: name both kinds instead.
        for kind in rule.kind.map_or(vec![Kind::Block, Kind::Char], |kind| vec![kind]) {
            let rule = Rule { kind: Some(kind), ..*rule };
            if rule.allow == default_allow {
                take_away(&mut exceptions, &rule)?;
            } else {
                exceptions.push(rule);
            }
            settings.push(Setting::new(file, line(&rule)));
        }
    }
    Ok(settings)
}

/// Takes the accesses of `rule` out of the exceptions, which must be about the very same devices or others altogether.
fn take_away(exceptions: &mut Vec<Rule>, rule: &Rule) -> Result<()> {
    let meets = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    for exception in exceptions.iter_mut() {
        let same = exception.kind == rule.kind && exception.major == rule.major && exception.minor == rule.minor;
        let overlaps = exception.kind == rule.kind
            && meets(exception.major, rule.major)
            && meets(exception.minor, rule.minor)
            && exception.access & rule.access != 0;
        if same {
            exception.access &= !rule.access;
        } else if overlaps {
            bail!(
                "limit devices: cgroup v1 cannot except {:?} from {:?}; write the list without that overlap",
                line(rule),
                line(exception)
            );
        }
    }
    exceptions.retain(|exception| exception.access != 0);
    Ok(())
}

/// `c 1:3 rwm`
fn line(rule: &Rule) -> String {
    let kind = match rule.kind {
        None => 'a',
        Some(Kind::Block) => 'b',
        Some(Kind::Char) => 'c',
    };
    let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
    let access: String = [(READ, 'r'), (WRITE, 'w'), (MAKE, 'm')]
        .into_iter()
        .filter(|(bit, _)| rule.access & ALL & bit != 0)
        .map(|(_, letter)| letter)
        .collect();
    format!("{kind} {}:{} {access}", number(rule.major), number(rule.minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::parse_rules;
    use layout::oci::defaults::device_rules;

    fn rule(allow: bool, kind: Option<Kind>, major: Option<u32>, minor: Option<u32>, access: u8) -> Rule {
        Rule { allow, kind, major, minor, access }
    }

    #[test]
    fn a_containers_list_denies_all_and_then_allows() {
        let lines = settings(&parse_rules(&device_rules()).unwrap()).unwrap();
        assert_eq!(lines[0], Setting::new("devices.deny", "a"));
        assert_eq!(lines[1], Setting::new("devices.allow", "c *:* m"));
        assert_eq!(lines[3], Setting::new("devices.allow", "c 1:3 rwm"));
        assert_eq!(lines.last().unwrap(), &Setting::new("devices.allow", "c 136:* rwm"));
    }

    #[test]
    fn a_rule_for_both_kinds_is_two_lines() {
        let lines = settings(&[rule(false, None, None, None, WRITE)]).unwrap();
        assert_eq!(lines, [Setting::new("devices.deny", "b *:* w"), Setting::new("devices.deny", "c *:* w")]);
    }

    #[test]
    fn what_v1_would_silently_not_do_is_refused() {
        let all = rule(false, None, None, None, ALL);
        let memory = rule(true, Some(Kind::Char), Some(1), None, ALL);
        let null = rule(false, Some(Kind::Char), Some(1), Some(3), WRITE);
        assert!(settings(&[all, memory, null]).is_err());
        let same = rule(false, Some(Kind::Char), Some(1), None, WRITE);
        assert_eq!(settings(&[all, memory, same]).unwrap().len(), 3);
    }
}
