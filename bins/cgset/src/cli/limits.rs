//! The flags for limits, with docker's names and units where docker has them.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The limits that a group can be given.
#[derive(Debug, Default, Args)]
pub struct LimitArgs {
    /// Memory limit: bytes, or with b, k, m, g (64m); `max` is no limit
    #[arg(short, long, value_name = "BYTES", value_parser = parse_memory, allow_negative_numbers = true)]
    pub memory: Option<i64>,
    /// Memory and swap together; as docker, twice the memory limit unless given
    #[arg(long, value_name = "BYTES", value_parser = parse_memory, allow_negative_numbers = true)]
    pub memory_swap: Option<i64>,
    /// What it is pushed back to when the machine is short of memory
    #[arg(long, value_name = "BYTES", value_parser = parse_memory, allow_negative_numbers = true)]
    pub memory_reservation: Option<i64>,
    /// How readily its memory is swapped out: 0 to 100 (v1 alone)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=100))]
    pub memory_swappiness: Option<u64>,
    /// Out of memory it waits, instead of being killed (v1 alone)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub oom_kill_disable: Option<bool>,
    /// Processors' worth of time: 0.5 is half of one; `max` is no limit
    #[arg(long, value_name = "N", value_parser = parse_cpus, conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<Cpus>,
    /// Microseconds of processor time in each period; -1 is no limit
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// The period in microseconds: 1000 to 1000000
    #[arg(long, value_name = "US")]
    pub cpu_period: Option<u64>,
    /// Microseconds of unused quota that may be saved up
    #[arg(long, value_name = "US")]
    pub cpu_burst: Option<u64>,
    /// Share of the processors when they are short: 1024 is the usual, 512 half as much
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=262_144))]
    pub cpu_shares: Option<u64>,
    /// 1: it runs only when nobody else wants to
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(i64).range(0..=1))]
    pub cpu_idle: Option<i64>,
    /// Microseconds for real-time tasks in each real-time period (v1 alone)
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// The real-time period in microseconds (v1 alone)
    #[arg(long, value_name = "US")]
    pub cpu_rt_period: Option<u64>,
    /// Which processors: 0-2,4
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Which memory nodes: 0,1
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// How many tasks (processes and threads); `max` is no limit
    #[arg(long = "pids", visible_alias = "pids-limit", value_name = "N", value_parser = parse_pids)]
    #[arg(allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Share of the disks when they are busy: 10 to 1000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(10..=1000))]
    pub blkio_weight: Option<u16>,
    /// Share of one disk: /dev/sda:500; may be given several times
    #[arg(long, value_name = "DISK:N", value_parser = parse_disk_weight)]
    pub blkio_weight_device: Vec<(PathBuf, u64)>,
    /// Bytes a second from a disk: /dev/sda:1m; 0 is no limit; may be given several times
    #[arg(long, value_name = "DISK:BYTES", value_parser = parse_disk_bytes)]
    pub device_read_bps: Vec<(PathBuf, u64)>,
    /// Bytes a second to a disk
    #[arg(long, value_name = "DISK:BYTES", value_parser = parse_disk_bytes)]
    pub device_write_bps: Vec<(PathBuf, u64)>,
    /// Reads a second from a disk: /dev/sda:100
    #[arg(long, value_name = "DISK:N", value_parser = parse_disk_count)]
    pub device_read_iops: Vec<(PathBuf, u64)>,
    /// Writes a second to a disk
    #[arg(long, value_name = "DISK:N", value_parser = parse_disk_count)]
    pub device_write_iops: Vec<(PathBuf, u64)>,
    /// Huge pages of one size: 2MB=64m; may be given several times
    #[arg(long, value_name = "SIZE=BYTES", value_parser = parse_hugetlb)]
    pub hugetlb: Vec<(String, u64)>,
    /// A rule of the device list, as `c 1:3 rwm`, after which other devices are denied; may be given several times
    #[arg(long, value_name = "RULE", value_parser = parse_device_rule)]
    pub device_cgroup_rule: Vec<DeviceRule>,
    /// The mark of its packets, as tc(8) writes it: 0x100001 (v1 alone)
    #[arg(long, value_name = "ID", value_parser = parse_class)]
    pub net_class: Option<u32>,
    /// The priority of its packets on an interface: eth0=5 (v1 alone); may be given several times
    #[arg(long, value_name = "INTERFACE=N", value_parser = parse_key_number)]
    pub net_prio: Vec<(String, u32)>,
    /// A file of the v2 tree and its value: memory.high=64M; may be given several times
    #[arg(long, value_name = "FILE=VALUE", visible_alias = "cgroup-conf", value_parser = parse_key_value)]
    pub unified: Vec<(String, String)>,
    /// A file with `linux.resources` of an OCI config.json, `-` for standard input; the flags override it
    #[arg(long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// What enforces the device list
    #[arg(long, value_enum, default_value_t = DeviceFilter::Auto)]
    pub devices_by: DeviceFilter,
}

/// What enforces the device list of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DeviceFilter {
    /// The v1 devices controller where it is mounted, else eBPF
    #[default]
    Auto,
    /// The v1 devices controller: devices.deny and devices.allow
    V1,
    /// An eBPF program attached to the group in the v2 tree (works on hybrid machines too)
    Bpf,
}

/// A share of processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cpus {
    /// No limit.
    Max,
    /// Microseconds of processor time in each tenth of a second.
    Quota(i64),
}

/// `c 1:3 rwm`: a device that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    /// `a`, `b` or `c`.
    pub kind: String,
    /// `None` is any.
    pub major: Option<i64>,
    /// `None` is any.
    pub minor: Option<i64>,
    /// Some of `rwm`.
    pub access: String,
}

/// Reads `64m` or `max`; -1 is no limit.
fn parse_memory(text: &str) -> Result<i64, String> {
    if text == "max" || text == "-1" {
        return Ok(-1);
    }
    let bytes = layout::units::parse_bytes(text).map_err(|error| format!("{error:#}"))?;
    match i64::try_from(bytes) {
        Ok(0) => Err("nothing runs in no memory; `max` is no limit".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("more bytes than the kernel can count".to_owned()),
    }
}

/// Reads `0.5` or `max`. The kernel takes quotas of a millisecond and more.
fn parse_cpus(text: &str) -> Result<Cpus, String> {
    if text == "max" {
        return Ok(Cpus::Max);
    }
    let cpus: f64 = text.parse().map_err(|_| "not a number such as 0.5 or 2, nor `max`".to_owned())?;
    if !(0.01..=1_000_000.0).contains(&cpus) {
        return Err("must be 0.01 or more; `max` is no limit".to_owned());
    }
    Ok(Cpus::Quota((cpus * 100_000.0).round() as i64))
}

/// Reads `20` or `max`; -1 is no limit.
fn parse_pids(text: &str) -> Result<i64, String> {
    match text {
        "max" | "-1" => Ok(-1),
        _ => match text.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err("not a count of 1 or more, nor `max`".to_owned()),
        },
    }
}

/// Reads `/dev/sda:1m`.
fn parse_disk_bytes(text: &str) -> Result<(PathBuf, u64), String> {
    parse_disk(text, |rate| layout::units::parse_bytes(rate).map_err(|error| format!("{error:#}")))
}

/// Reads `/dev/sda:100`.
fn parse_disk_count(text: &str) -> Result<(PathBuf, u64), String> {
    parse_disk(text, |rate| rate.parse().map_err(|_| format!("{rate:?} is no count")))
}

/// Reads `/dev/sda:500`.
fn parse_disk_weight(text: &str) -> Result<(PathBuf, u64), String> {
    let (disk, weight) = parse_disk_count(text)?;
    if (10..=1000).contains(&weight) { Ok((disk, weight)) } else { Err("a weight is 10 to 1000".to_owned()) }
}

fn parse_disk(text: &str, rate: impl Fn(&str) -> Result<u64, String>) -> Result<(PathBuf, u64), String> {
    match text.rsplit_once(':') {
        Some((disk, number)) if disk.starts_with('/') => Ok((PathBuf::from(disk), rate(number)?)),
        _ => Err("must be the path of a disk, a colon and a number: /dev/sda:100".to_owned()),
    }
}

/// Reads `2MB=64m`.
fn parse_hugetlb(text: &str) -> Result<(String, u64), String> {
    let (size, bytes) = text.split_once('=').ok_or("must be a page size and a limit: 2MB=64m")?;
    let bytes = layout::units::parse_bytes(bytes).map_err(|error| format!("{error:#}"))?;
    Ok((size.to_ascii_uppercase(), bytes))
}

/// Reads `c 1:3 rwm`, in which a number may be `*`.
fn parse_device_rule(text: &str) -> Result<DeviceRule, String> {
    let wrong =
        || format!("{text:?} is no rule: a kind (a, b, c), numbers and accesses, as in `c 1:3 rwm` or `b 8:* r`");
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits.parse::<u32>().map(|n| Some(i64::from(n))).map_err(|_| wrong()),
    };
    let [kind, numbers, access] = text.split_whitespace().collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    if !["a", "b", "c"].contains(&kind) || !access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(wrong());
    }
    Ok(DeviceRule { kind: kind.to_owned(), major: number(major)?, minor: number(minor)?, access: access.to_owned() })
}

/// Reads `0x100001` or `1048577`.
fn parse_class(text: &str) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "not a number such as 0x100001 (class 10:1)".to_owned())
}

/// Reads `eth0=5`.
fn parse_key_number(text: &str) -> Result<(String, u32), String> {
    let (key, number) = parse_key_value(text)?;
    Ok((key, number.parse().map_err(|_| format!("{number:?} is no number"))?))
}

/// Reads `memory.high=64M`.
fn parse_key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be a name, an equals sign and a value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_people_write_them() {
        assert_eq!(parse_memory("64m"), Ok(64 << 20));
        assert_eq!(parse_memory("max"), Ok(-1));
        assert!(parse_memory("0").is_err());
        assert_eq!(parse_cpus("0.5"), Ok(Cpus::Quota(50_000)));
        assert_eq!(parse_cpus("max"), Ok(Cpus::Max));
        for bad in ["0", "-1", "x", "NaN", "0.001"] {
            assert!(parse_cpus(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_pids("max"), Ok(-1));
        assert!(parse_pids("0").is_err());
    }

    #[test]
    fn disks_are_named_by_path() {
        assert_eq!(parse_disk_bytes("/dev/sda:1m"), Ok((PathBuf::from("/dev/sda"), 1 << 20)));
        assert_eq!(parse_disk_bytes("/dev/by:id/x:0"), Ok((PathBuf::from("/dev/by:id/x"), 0)));
        assert_eq!(parse_disk_count("/dev/sda:100"), Ok((PathBuf::from("/dev/sda"), 100)));
        for bad in ["/dev/sda", "sda:100", "/dev/sda:x", "/dev/sda:-1", ""] {
            assert!(parse_disk_count(bad).is_err(), "{bad}");
        }
        assert!(parse_disk_weight("/dev/sda:5").is_err());
        assert_eq!(parse_hugetlb("2mb=64m"), Ok(("2MB".to_owned(), 64 << 20)));
        assert!(parse_hugetlb("2MB").is_err());
    }

    #[test]
    fn device_rules_are_dockers() {
        let (kind, access) = ("c".to_owned(), "rw".to_owned());
        assert_eq!(parse_device_rule("c 1:* rw"), Ok(DeviceRule { kind, major: Some(1), minor: None, access }));
        for bad in ["", "c 1:3", "x 1:3 rw", "c 1 rw", "c 1:3 rwx", "c a:3 r", "c 1:-3 r"] {
            assert!(parse_device_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_have_values() {
        assert_eq!(parse_key_number("eth0=5"), Ok(("eth0".to_owned(), 5)));
        assert_eq!(parse_key_value("io.max=8:0 rbps=5"), Ok(("io.max".to_owned(), "8:0 rbps=5".to_owned())));
        assert!(parse_key_value("=5").is_err() && parse_key_number("eth0=x").is_err());
        assert_eq!(parse_class("0x100001"), Ok(1_048_577));
        assert!(parse_class("10:1").is_err());
    }
}
