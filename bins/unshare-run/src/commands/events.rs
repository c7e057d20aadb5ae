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

/// What Go's runtimes tell where there is no limit.
const NO_LIMIT: u64 = u64::MAX;

/// cgset's numbers under runc's names.
fn data(stats: &Value) -> Value {
    let at = |path: &str| stats.pointer(path).cloned().unwrap_or_default();
    let memory = |path: &str| counter(&at(path));
    let usage = named(&[
        ("limit", at("/Memory/Limit").as_u64().unwrap_or(NO_LIMIT).into()),
        ("usage", at("/Memory/Usage")),
        ("max", at("/Memory/Peak")),
        ("failcnt", at("/Memory/Failures")),
    ]);
    json!({
        "cpu": {
            "usage": named(&[
                ("total", at("/Cpu/UsageNs")),
                ("percpu", at("/Cpu/PerCpuNs")),
                ("kernel", at("/Cpu/SystemNs")),
                ("user", at("/Cpu/UserNs")),
            ]),
            "throttling": named(&[
                ("periods", at("/Cpu/Periods")),
                ("throttledPeriods", at("/Cpu/ThrottledPeriods")),
                ("throttledTime", at("/Cpu/ThrottledNs")),
            ]),
            "psi": pressure(&at("/Cpu/Pressure")),
        },
        "cpuset": named(&[("cpus", numbers(&at("/Cpuset/Cpus"))), ("mems", numbers(&at("/Cpuset/Mems")))]),
        "memory": {
            "cache": at("/Memory/Cache").as_u64().unwrap_or(0),
            "usage": usage,
            "swap": match at("/Memory/MemorySwap") {
                Value::Null => named(&[("usage", at("/Memory/Swap")), ("limit", at("/Memory/SwapLimit"))]),
                _ => memory("/Memory/MemorySwap"),
            },
            "kernel": named(&[("usage", at("/Memory/Kernel"))]),
            "kernelTCP": named(&[("usage", at("/Memory/KernelTcp"))]),
            "raw": at("/Memory/Detail"),
            "psi": pressure(&at("/Memory/Pressure")),
        },
        "pids": named(&[("current", at("/Pids/Current")), ("limit", at("/Pids/Limit"))]),
        "blkio": {
            "ioServiceBytesRecursive": of_devices(&at("/Io/Devices"), "ReadBytes", "WriteBytes"),
            "ioServicedRecursive": of_devices(&at("/Io/Devices"), "Reads", "Writes"),
            "psi": pressure(&at("/Io/Pressure")),
        },
        "hugetlb": at("/Hugetlb").as_object().into_iter().flatten().map(|(size, found)| (size.clone(), counter(found))).collect::<Map<_, _>>(),
    })
}

/// An object of what is there.
fn named(fields: &[(&str, Value)]) -> Value {
    let there = fields.iter().filter(|(_, value)| !value.is_null());
    Value::Object(there.map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

fn counter(found: &Value) -> Value {
    named(&[
        ("limit", found["Limit"].clone()),
        ("usage", found["Usage"].clone()),
        ("max", found["Peak"].clone()),
        ("failcnt", found["Failures"].clone()),
    ])
}

/// How much of the time somebody, or all, had to wait (psi.rst).
fn pressure(found: &Value) -> Value {
    let of = |who: &str| {
        let waiting = &found[who];
        named(&[
            ("avg10", waiting["Avg10"].clone()),
            ("avg60", waiting["Avg60"].clone()),
            ("avg300", waiting["Avg300"].clone()),
            ("total", waiting["TotalNs"].clone()),
        ])
    };
    json!({"some": of("Some"), "full": of("Full")})
}

/// Two numbers of each device, `8:0`.
fn of_devices(devices: &Value, read: &str, write: &str) -> Value {
    let mut entries = Vec::new();
    for device in devices.as_array().into_iter().flatten() {
        let name = device["Device"].as_str().unwrap_or_default();
        let Some((Ok(major), Ok(minor))) = name.split_once(':').map(|(a, b)| (a.parse::<u64>(), b.parse::<u64>()))
        else {
            continue;
        };
        for (operation, key) in [("Read", read), ("Write", write)] {
            entries.push(json!({"major": major, "minor": minor, "op": operation, "value": device[key]}));
        }
    }
    entries.into()
}

/// The numbers of a list such as `0-2,4`.
fn numbers(list: &Value) -> Value {
    let mut found = Vec::new();
    for part in list.as_str().unwrap_or_default().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            found.extend(first..=last);
        }
    }
    found.into()
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
        let stats = json!({
            "Cpu": {"UsageNs": 7, "UserNs": null}, "Cpuset": {"Cpus": "0-2,4", "Mems": ""},
            "Memory": {"Usage": 5, "Limit": null, "Detail": {"anon": 3}}, "Pids": {"Current": 1},
            "Io": {"Devices": [{"Device": "8:16", "ReadBytes": 10, "WriteBytes": 20}]},
        });
        let data = data(&stats);
        assert_eq!(data["cpu"]["usage"], json!({"total": 7}));
        assert_eq!(data["cpuset"], json!({"cpus": [0, 1, 2, 4], "mems": []}));
        assert_eq!(data["memory"]["usage"], json!({"usage": 5, "limit": NO_LIMIT}));
        assert_eq!((&data["memory"]["raw"], &data["pids"]), (&json!({"anon": 3}), &json!({"current": 1})));
        let read = json!({"major": 8, "minor": 16, "op": "Read", "value": 10});
        assert_eq!(data["blkio"]["ioServiceBytesRecursive"][0], read);
    }
}
