//! `ctr stats`: what containers use, as their control groups and network namespaces count it.

use super::format::{Format, Listing, Row, TEMPLATE_ERROR};
use super::ps;
use crate::{cli, life, spec};
use anyhow::{Context, Result};
use layout::container::{Container, State};
use layout::tool::{Call, Tool};
use layout::{Layout, units};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

static LISTING: Listing = Listing {
    type_name: "*container.statsContext",
    columns: &[
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    words: TEMPLATE_ERROR,
};

/// How long processor time is measured; docker does it for as long.
const PERIOD: Duration = Duration::from_secs(1);

/// Prints what containers use: once, or every second.
pub fn stats(layout: &Layout, args: &cli::Stats) -> Result<u8> {
    let format = Format::choose(&LISTING, args.format.as_deref(), false)?;
    for name in &args.containers {
        layout.find_container(name)?;
    }
    let mut before = BTreeMap::new();
    sample_all(layout, args, &mut before)?;
    if !args.no_stream {
        print!("\x1b[2J");
    }
    loop {
        std::thread::sleep(PERIOD);
        let rows = sample_all(layout, args, &mut before)?;
        let shown = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];
        let text = format.render(&shown, &rows)?;
        if args.no_stream {
            print!("{text}");
            return Ok(0);
        }
        // Over what was there: home, each line to its end, and what is below.
        print!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"));
        std::io::stdout().flush().context("write to standard output")?;
    }
}

/// Processor time of a container, and when it was read.
type Before = BTreeMap<String, (u64, Instant)>;

/// A row for each container that is to be shown.
fn sample_all(layout: &Layout, args: &cli::Stats, before: &mut Before) -> Result<Vec<Row>> {
    let mut shown: Vec<(String, Container, State)> = Vec::new();
    if args.containers.is_empty() {
        let listed = ps::list::all(layout)?.into_iter().filter(|one| args.all || one.state.status.is_up());
        shown.extend(listed.map(|one| (one.container.id.short().to_owned(), one.container, one.state)));
    }
    for name in &args.containers {
        // One that is removed meanwhile is no longer shown.
        let Ok(id) = layout.find_container(name) else { continue };
        shown.push((name.clone(), layout.read_container(&id)?, life::state(layout, &id)?));
    }
    let host = host_memory();
    shown.iter().map(|(asked, container, state)| sample(asked, container, state, args, host, before)).collect()
}

fn sample(
    asked: &str,
    container: &Container,
    state: &State,
    args: &cli::Stats,
    host: u64,
    before: &mut Before,
) -> Result<Row> {
    let id = container.id.as_str();
    // It may end at any moment: then it uses nothing, and its group is gone.
    let counted = match state.status.is_up() {
        true => Call::new(Tool::Cgset).args(["stats", "--json", &spec::cgroup(container)]).output().ok(),
        false => None,
    };
    let now = Instant::now();
    let found: Value = match &counted {
        Some(text) => serde_json::from_slice(text).context("read what cgset prints")?,
        None => Value::Null,
    };
    let number = |group: &str, key: &str| found[group][key].as_u64().unwrap_or(0);
    let used = number("Cpu", "UsageNs");
    let cpu = match before.insert(id.to_owned(), (used, now)) {
        Some((then, when)) => used.saturating_sub(then) as f64 / now.duration_since(when).as_nanos().max(1) as f64,
        None => 0.0,
    };
    // The cache that can be given back at once does not count, as with docker.
    let memory = number("Memory", "Usage").saturating_sub(number("Memory", "InactiveFile"));
    let limit = if counted.is_some() { found["Memory"]["Limit"].as_u64().unwrap_or(host).min(host) } else { 0 };
    let (received, sent) = if counted.is_some() { network(container, state) } else { (0, 0) };
    let pair = |a: u64, b: u64| format!("{} / {}", units::human_size(a), units::human_size(b));
    Ok(Row::new(json!({
        "Container": asked,
        "ID": if args.no_trunc { id } else { container.id.short() },
        "Name": container.name,
        "CPUPerc": format!("{:.2}%", cpu * 100.0),
        "MemUsage": format!("{} / {}", units::binary_size(memory), units::binary_size(limit)),
        "MemPerc": format!("{:.2}%", memory as f64 * 100.0 / limit.max(1) as f64),
        "NetIO": pair(received, sent),
        "BlockIO": pair(number("Io", "ReadBytes"), number("Io", "WriteBytes")),
        "PIDs": number("Pids", "Current").to_string(),
    })))
}

/// Bytes that came into its network namespace and went out; the host's are not its own.
fn network(container: &Container, state: &State) -> (u64, u64) {
    if container.host_config.network_mode == "host" {
        return (0, 0);
    }
    let text = std::fs::read_to_string(format!("/proc/{}/net/dev", state.pid)).unwrap_or_default();
    sum_of_devices(&text)
}

/// The sums of /proc/PID/net/dev, but for the loopback device (proc_pid_net(5)).
fn sum_of_devices(text: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for (name, counts) in text.lines().filter_map(|line| line.split_once(':')) {
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|count| count.parse().ok()).collect();
        if let (false, [received, _, _, _, _, _, _, _, sent, ..]) = (name.trim() == "lo", &counts[..]) {
            sum = (sum.0 + received, sum.1 + sent);
        }
    }
    sum
}

/// The machine's memory, in bytes.
pub fn host_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_device_is_not_the_network() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 1320 14 0 0 0 0 0 0 70 1 0 0 0 0 0 0\n";
        assert_eq!(super::sum_of_devices(text), (1320, 70));
        assert!(super::host_memory() > 0);
    }
}
