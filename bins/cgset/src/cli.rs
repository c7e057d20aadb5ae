//! The command line: words into types, and the help that teaches. No work is done here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Control groups: how much of the machine a process may use.
///
/// A cgroup is a folder in /sys/fs/cgroup. Making the folder makes the group, writing a process id into its
/// `cgroup.procs` puts the process in, writing a number into a file such as `memory.max` sets a limit, and
/// removing the folder ends it. cgset does that on all three kinds of machine: v1 (one tree of folders for each
/// resource), v2 (one tree for all) and hybrid (v1 with an empty v2 tree beside it).
#[derive(Debug, Parser)]
#[command(name = "cgset", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Show each folder that is made and each value that is written, as a line of shell on standard error
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cgset create demo --memory 64m --pids 20          make a group with two limits
  cgset exec demo -- sh -c 'cat /proc/self/cgroup'  run a program in it

NAME is the path of the group from the top of the tree: `demo`, or `/ctr/ID` for a container.
Read on: cgroups(7).";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a group, set its limits, put processes in
    ///
    /// A group that is there already is taken as it is, unless processes are in it.
    ///
    /// Moving a process that runs already is slow (--pid, `cgset add`): the kernel waits until no processor can
    /// be in the middle of a fork, about 10 ms. A runtime that is yet to make its process can do without: with
    /// --json it is told the folders. It opens `Unified` and has the process born there (clone3(2) with
    /// CLONE_INTO_CGROUP), which then, still with one thread, writes `0` to `tasks` in each folder of `V1`.
    #[command(after_help = "\
Examples:
  cgset create demo --memory 64m --cpus 0.5 --pids 20
  cgset create /ctr/ID --resources limits.json --pid 4711

limits.json is `linux.resources` of an OCI config.json.")]
    Create {
        /// The group
        name: String,
        /// The limits.
        #[command(flatten)]
        limits: LimitArgs,
        /// A process to put in; may be given several times
        #[arg(long = "pid", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
        pids: Vec<i32>,
        /// Print the group's folders as JSON
        #[arg(long)]
        json: bool,
    },
    /// Change the limits of a group
    Set {
        /// The group
        name: String,
        /// The limits.
        #[command(flatten)]
        limits: LimitArgs,
        /// A process to put in; may be given several times
        #[arg(long = "pid", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
        pids: Vec<i32>,
    },
    /// Show the limits as the kernel reports them
    ///
    /// The kernel rounds (memory to whole pages) and clamps; what it reports is what holds.
    Show {
        /// The group
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put processes into a group
    ///
    /// Children that a process makes from then on are born into its group; those it has already stay where they are.
    Add {
        /// The group
        name: String,
        /// The processes
        #[arg(required = true, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
        pids: Vec<i32>,
    },
    /// Run a program in a group
    ///
    /// cgset puts itself in and becomes the program, so that the limits hold from its first instruction.
    #[command(after_help = "\
Examples:
  cgset exec demo -- sh
  cgset exec demo -- python3 -c 'x = bytearray(100 << 20)'    (killed, if demo has 64m)")]
    Exec {
        /// The group
        name: String,
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Show what a group uses
    Stats {
        /// The group
        name: String,
        /// Print JSON: nanoseconds and bytes
        #[arg(long)]
        json: bool,
    },
    /// Stop every process of a group in its tracks
    ///
    /// Unlike SIGSTOP nobody notices: no parent is told, and no process can catch or undo it.
    Freeze {
        /// The group
        name: String,
    },
    /// Let a frozen group go on
    Thaw {
        /// The group
        name: String,
    },
    /// Send a signal to every process of a group and of the groups inside it
    ///
    /// SIGKILL (the default) leaves nobody: a process that forks faster than it can be killed does not escape.
    Kill {
        /// The group
        name: String,
        /// The signal, by name or number
        #[arg(short, long, default_value = "KILL")]
        signal: String,
    },
    /// Remove a group and the groups inside it
    ///
    /// A group that is not there is no error, and the groups above it stay, with their limits, unless you say
    /// otherwise. Processes that are about to end are waited for, for two seconds.
    Delete {
        /// The group
        name: String,
        /// Kill what runs in it first, as `cgset kill` does
        #[arg(short, long)]
        kill: bool,
        /// Remove the groups above as well, as long as nothing is in them (as rmdir --parents)
        #[arg(short, long)]
        parents: bool,
    },
    /// Print the folders of a group and the files that hold its limits
    #[command(after_help = "\
Examples:
  cgset where demo
  ls $(cgset where --folders demo)")]
    Where {
        /// The group
        name: String,
        /// Print only the folders
        #[arg(long)]
        folders: bool,
        /// Print the folders as JSON
        #[arg(long, conflicts_with = "folders")]
        json: bool,
    },
}

/// The limits that a group can be given.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Memory limit: bytes, or with b, k, m, g (64m); `max` is no limit
    #[arg(short, long, value_name = "BYTES", value_parser = parse_memory)]
    pub memory: Option<i64>,
    /// Memory and swap together; as docker, twice the memory limit unless given
    #[arg(long, value_name = "BYTES", value_parser = parse_memory)]
    pub memory_swap: Option<i64>,
    /// Processors' worth of time: 0.5 is half of one; `max` is no limit
    #[arg(long, value_name = "N", value_parser = parse_cpus)]
    pub cpus: Option<Cpus>,
    /// Share of the processors when they are short: 1024 is the usual, 512 half as much
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=262_144))]
    pub cpu_shares: Option<u64>,
    /// Which processors: 0-2,4
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// How many tasks (processes and threads); `max` is no limit
    #[arg(long = "pids", visible_alias = "pids-limit", value_name = "N", value_parser = parse_pids)]
    pub pids_limit: Option<i64>,
    /// A file with `linux.resources` of an OCI config.json, `-` for standard input; the flags override it
    #[arg(long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// What enforces the device list
    #[arg(long, value_enum, default_value_t = DeviceFilter::Auto)]
    pub devices_by: DeviceFilter,
}

/// What enforces the device list of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceFilter {
    /// The v1 devices controller where it is mounted, else eBPF
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

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
    fn the_limit_of_processes_is_no_process() {
        let cli = Cli::try_parse_from(["cgset", "create", "demo", "--pids", "20", "--pid", "7", "--pid", "8"]).unwrap();
        let Command::Create { limits, pids, .. } = cli.command else { panic!("not create") };
        assert_eq!((limits.pids_limit, pids), (Some(20), vec![7, 8]));
        assert!(Cli::try_parse_from(["cgset", "add", "demo", "0"]).is_err());
    }
}
