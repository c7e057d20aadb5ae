//! `events`: what a container uses, in the form of runc's events, each a line of JSON.
//!
//! `cgset stats` reads the numbers; here they only get runc's names. What the kernel does not count is left out.

use super::pause::{find, group};
use crate::cgroup;
use crate::cli::Events;
use crate::state::{Process, Status};
use anyhow::{Context, Result, bail};
use layout::exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// Prints the numbers once, or again and again until the container has ended.
pub fn events(root: &Path, options: &Events) -> Result<()> {
    let id = &options.id;
    let what = || format!("events of {id}");
    let interval = parse_interval(&options.interval).with_context(what)?;
    let (state, status) = find(root, id).with_context(what)?;
    let (Some(process), false) = (Process::find(&state), matches!(status, Status::Creating | Status::Stopped)) else {
        bail!("events of {id}: container with id {id} is not running");
    };
    let group = group(&state).with_context(what)?;
    exit::end_with_the_reader();
    let mut killed = None;
    loop {
        let stats = cgroup::stats(group).with_context(what)?;
        let kills = stats.pointer("/Memory/OomKills").and_then(Value::as_u64);
        if killed.is_some() && kills > killed {
            println!("{}", json!({"type": "oom", "id": id}));
        }
        killed = kills;
        println!("{}", json!({"type": "stats", "id": id, "data": data(&stats)}));
        if options.stats || ends_within(&process, interval).with_context(what)? {
            return Ok(());
        }
    }
}

/// Waits for so long; says whether the process has ended meanwhile.
fn ends_within(process: &Process, interval: Duration) -> Result<bool> {
    let time = Timespec { tv_sec: interval.as_secs() as i64, tv_nsec: interval.subsec_nanos().into() };
    match poll(&mut [PollFd::new(&process.pidfd, PollFlags::IN)], Some(&time)) {
        Err(Errno::INTR) => Ok(false),
        other => Ok(other.context("wait for the container")? > 0),
    }
}

/// cgset's numbers under runc's names.
fn data(stats: &Value) -> Value {
    let of = |names: &[(&str, &str)]| -> Value {
        let found = names.iter().filter_map(|(name, path)| Some(((*name).to_owned(), stats.pointer(path)?.clone())));
        Value::Object(found.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
    };
    json!({
        "cpu": {
            "usage": of(&[("total", "/Cpu/UsageNs"), ("kernel", "/Cpu/SystemNs"), ("user", "/Cpu/UserNs")]),
            "throttling": of(&[
                ("periods", "/Cpu/Periods"),
                ("throttledPeriods", "/Cpu/ThrottledPeriods"),
                ("throttledTime", "/Cpu/ThrottledNs"),
            ]),
        },
        "memory": {
            "cache": stats.pointer("/Memory/Cache").cloned().unwrap_or(json!(0)),
            "usage": of(&[("limit", "/Memory/Limit"), ("usage", "/Memory/Usage"), ("max", "/Memory/Peak")]),
            "swap": of(&[("usage", "/Memory/Swap")]),
            "raw": of(&[("total_inactive_file", "/Memory/InactiveFile"), ("inactive_file", "/Memory/InactiveFile")]),
        },
        "pids": of(&[("current", "/Pids/Current"), ("limit", "/Pids/Limit")]),
        "blkio": {},
        "hugetlb": {},
    })
}

/// Reads `500ms`, `5s`, `2m`, `1h`.
fn parse_interval(text: &str) -> Result<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)) {
        Some(total @ 1..) => Ok(Duration::from_millis(total)),
        _ => bail!("--interval {text:?}: it must be a time such as 500ms, 5s or 1m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_interval("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(parse_interval("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["", "5", "0s", "s", "-1s", "99999999999999999999s", "1d"] {
            assert!(parse_interval(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_counted_is_left_out() {
        let stats = json!({"Cpu": {"UsageNs": 7, "UserNs": null}, "Memory": {"Usage": 5}, "Pids": {"Current": 1}});
        let data = data(&stats);
        assert_eq!(data["cpu"]["usage"], json!({"total": 7}));
        assert_eq!((&data["memory"]["usage"], &data["pids"]), (&json!({"usage": 5}), &json!({"current": 1})));
    }
}
