//! The options of `ctr run`: each has its effect, and a row in the lessons.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

mod options;

use ctr_tests::Sandbox;
use std::collections::BTreeSet;

/// What `docker run --help` of version 20.10 lists.
const DOCKERS: &str = "
    add-host attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cidfile cpu-period cpu-quota
    cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys device
    device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust
    dns dns-option dns-search domainname entrypoint env env-file expose gpus group-add health-cmd
    health-interval health-retries health-start-period health-timeout help hostname init interactive ip ip6 ipc
    isolation kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory
    memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck
    oom-kill-disable oom-score-adj pid pids-limit privileged publish publish-all read-only restart rm runtime
    security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit user userns uts
    volume volume-driver volumes-from workdir";

/// What docker has got since.
const NEWER: [&str; 4] = ["cgroupns", "platform", "pull", "quiet"];

#[test]
fn the_table_has_a_row_for_each_option_and_for_nothing_else() {
    let rows: Vec<&str> = TABLE.lines().filter_map(|line| line.strip_prefix("| `--")?.split('`').next()).collect();
    let table: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(table.len(), rows.len(), "an option has two rows");
    let dockers: BTreeSet<&str> = DOCKERS.split_whitespace().chain(NEWER).collect();
    assert_eq!(dockers.len(), 93 + NEWER.len());
    assert_eq!(table.symmetric_difference(&dockers).collect::<Vec<_>>(), Vec::<&&str>::new());
    let ours = options_of_run();
    let unknown: Vec<&String> = ours.iter().filter(|name| !table.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "options without a row: {unknown:?}");
    let missing: Vec<&&str> = table.iter().filter(|name| !ours.contains(**name)).collect();
    assert!(missing.is_empty(), "rows without an option: {missing:?}");
    for line in TABLE.lines().filter(|line| line.starts_with("| `--")) {
        assert_eq!(line.matches(" | ").count(), 2, "three columns: {line}");
    }
}

const TABLE: &str = include_str!("../../lessons/RUN-OPTIONS.md");

#[test]
fn every_option_is_covered_by_a_test_and_none_twice() {
    let options = options_of_run();
    let mut seen = BTreeSet::new();
    for name in options::covered() {
        assert!(options.contains(name), "--{name} is no option of ctr run");
        assert!(seen.insert(name), "--{name} is covered twice");
    }
    let missed: Vec<&String> = options.iter().filter(|name| !seen.contains(name.as_str())).collect();
    assert!(missed.is_empty(), "no test covers {missed:?}");
}

/// The long names of all options that `ctr run --help` lists.
fn options_of_run() -> BTreeSet<String> {
    let sandbox = Sandbox::new();
    let help = sandbox.ctr(["run", "--help"]).ok();
    let names = help.stdout.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.get(4..).filter(|_| line.starts_with('-') && line.get(2..4) == Some(", ")).unwrap_or(line);
        let name = line.strip_prefix("--")?;
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(name.len());
        Some(name[..end].to_owned())
    });
    names.collect()
}
