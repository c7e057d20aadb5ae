//! What happens to a group, as it happens.
//!
//! Files such as `memory.events` change when something happens, and the kernel wakes whoever waits for that with poll(2),
//! asking for POLLPRI (cgroup-v2.rst, "memory.events"). v1 has an eventfd(2) instead, which is registered by a line in
//! `cgroup.event_control` and is told of each time that memory ran out (cgroup-v1/memory.rst, "OOM Control").
//!
//! A group that is removed wakes the waiting too, and reading its files then fails.

mod watch;

use crate::group::Group;
use crate::processes;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use watch::Watch;

/// How long to wait at most before looking: v1 has nothing that tells of the last process's end.
const LOOK: Duration = Duration::from_millis(500);
/// How long to wait for a kill to be counted, after memory ran out on v1.
const SOON: Duration = Duration::from_millis(20);

/// One line of output.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// `oom_kill`, `frozen`, ...
    pub event: &'static str,
    /// How often so far, for those that are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// What can be seen of a group at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    counts: BTreeMap<&'static str, u64>,
    frozen: bool,
}

/// Prints events until the group is empty, after somebody was in it, or removed.
pub fn print(group: &Group, json: bool) -> Result<()> {
    group.require()?;
    let mut watch = Watch::new(group)?;
    let mut seen = watch.look(group)?.unwrap_or_default();
    let mut was_populated = false;
    let mut rounds_soon = 0u32;
    loop {
        let populated = !processes::in_tree(group)?.is_empty();
        let Some(now) = watch.look(group)? else {
            return tell(&Event { event: "removed", count: None }, json);
        };
        for event in between(&seen, &now) {
            tell(&event, json)?;
        }
        seen = now;
        if was_populated && !populated {
            return tell(&Event { event: "empty", count: None }, json);
        }
        was_populated |= populated;
        rounds_soon = rounds_soon.saturating_sub(1);
        if watch.wait(if rounds_soon > 0 { SOON } else { LOOK })? {
            rounds_soon = 50;
        }
    }
}

/// What must have happened from one look to the next.
fn between(before: &Seen, after: &Seen) -> Vec<Event> {
    let grown = |(name, count): (&&'static str, &u64)| {
        let more = *count > before.counts.get(name).copied().unwrap_or(0);
        more.then_some(Event { event: name, count: Some(*count) })
    };
    let mut events: Vec<Event> = after.counts.iter().filter_map(grown).collect();
    match (before.frozen, after.frozen) {
        (false, true) => events.push(Event { event: "frozen", count: None }),
        (true, false) => events.push(Event { event: "thawed", count: None }),
        _ => {}
    }
    events
}

fn tell(event: &Event, json: bool) -> Result<()> {
    let line = match (json, event.count) {
        (true, _) => serde_json::to_string(event).context("encode JSON")?,
        (false, Some(count)) => format!("{} {count}", event.event),
        (false, None) => event.event.to_owned(),
    };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_difference_of_two_looks() {
        let before = Seen { counts: BTreeMap::from([("oom", 1), ("max", 7)]), frozen: false };
        let after = Seen { counts: BTreeMap::from([("oom", 1), ("oom_kill", 1), ("max", 9)]), frozen: true };
        let event = |event, count| Event { event, count };
        assert_eq!(
            between(&before, &after),
            [event("max", Some(9)), event("oom_kill", Some(1)), event("frozen", None)]
        );
        assert_eq!(between(&after, &before), [event("thawed", None)]);
    }
}
