//! The command line: words into types, and the help that teaches. No work is done here.

#[path = "cli/deferred.rs"]
mod deferred;
#[path = "cli/limits.rs"]
mod limits;

pub use deferred::Deferred;
pub use limits::{Cpus, DeviceFilter, DeviceRule, LimitArgs};

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;

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

const STATS_JSON: &str = "\
JSON, an object with these keys (times in nanoseconds, sizes in bytes):
  Name, Version      the group; v1, v2 or hybrid
  Cpu                UsageNs UserNs SystemNs PerCpuNs(v1) Periods ThrottledPeriods ThrottledNs Bursts BurstNs Pressure
  Cpuset             Cpus Mems (those that hold)
  Memory             Usage InactiveFile Cache Peak Limit Failures Swap SwapPeak SwapLimit SwapFailures OomEvents(v2)
                     OomKills Kernel KernelTcp Pressure Detail; Swap is swap alone, SwapLimit as well
                     MemorySwap: Usage Peak Limit Failures, of both together (v1)
                     Detail: all of memory.stat, as the kernel names it
  Pids               Current Limit Peak Failures
  Io                 ReadBytes WriteBytes Reads Writes Devices Pressure
                     Devices: [{Device: \"8:0\", ReadBytes WriteBytes DiscardBytes Reads Writes Discards}, ...]
  Hugetlb            {\"2MB\": {Usage Limit Peak Failures}, ...}
  Rdma               {\"mlx5_0\": {HcaHandles HcaObjects}, ...}
  Frozen             true or false
Pressure (where the kernel has PSI) is {Some: {Avg10 Avg60 Avg300 TotalNs}, Full: {...}}: the share of time, in per
cent, in which some or all of its tasks had to wait. null is what is not counted here, and a limit where there is none.";

const EVENTS: &str = "\
Events:
  oom             no memory was left to give
  oom_kill        a process was killed for want of memory
  low high max    memory went past memory.low, memory.high, memory.max, and was taken back (v2)
  pids_max        a fork failed at the limit of tasks
  frozen thawed   by `cgset freeze` and `cgset thaw`
  empty removed   the end

Example:
  cgset create demo --memory 20m
  cgset events demo &
  cgset exec demo -- python3 -c 'x = bytearray(100 << 20)'";

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
  cgset create lab --memory 1g --delegate 1000      user 1000 may make groups inside, and share that gigabyte out

limits.json is `linux.resources` of an OCI config.json. What no cgroup of this machine has (real-time limits on v2,
...) is passed over with a note; what fails is an error, and then nothing is left of the group.")]
    Create(Deferred<CreateArgs>),
    /// Change the limits of a group
    Set(Deferred<SetArgs>),
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
    /// List the processes of a group and of the groups inside it
    #[command(visible_alias = "ps")]
    Processes {
        /// The group
        name: String,
        /// Print JSON: `[4711, 4712]`
        #[arg(long)]
        json: bool,
    },
    /// Show what a group uses
    ///
    /// What the kernel does not count for this group is shown as `-`.
    #[command(after_help = STATS_JSON)]
    Stats {
        /// The group
        name: String,
        /// Print JSON: nanoseconds and bytes
        #[arg(long)]
        json: bool,
    },
    /// Wait, and print what happens to a group: out of memory, full, frozen, empty
    ///
    /// A line an event, until the last process of the group has ended or the group is removed. An empty group is waited
    /// for: begin to watch, then start the program. Many at once may become one line; the number is the
    /// kernel's count since the group was made.
    #[command(after_help = EVENTS)]
    Events {
        /// The group
        name: String,
        /// Print JSON, an object a line: `{"Event":"oom_kill","Count":1}`
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
    /// Print the folders of a group, and the files that hold its limits with what they hold
    ///
    /// Only the files with another value than a new group has: those that were written, by whomever.
    #[command(after_help = "\
Examples:
  cgset where demo
  ls $(cgset where --folders demo)
  cat $(cgset where --file memory.max demo)   (memory.limit_in_bytes on v1: either name does)")]
    Where {
        /// The group
        name: String,
        /// Print only the folders
        #[arg(long, conflicts_with_all = ["all", "file"])]
        folders: bool,
        /// Print all files that hold limits
        #[arg(long)]
        all: bool,
        /// Print only the path of this file, by its name on v1 or on v2
        #[arg(long, value_name = "FILE", conflicts_with = "all")]
        file: Option<String>,
        /// Print JSON
        #[arg(long, conflicts_with_all = ["folders", "file"])]
        json: bool,
    },
}

/// The words after `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The group
    pub name: String,
    /// The limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// A process to put in; may be given several times
    #[arg(long = "pid", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pids: Vec<i32>,
    /// Let this user (and group) have it: make groups inside it, and move processes between them
    ///
    /// The folder and the files that the kernel names for this (/sys/kernel/cgroup/delegate) become the user's; those
    /// of the limits stay yours, so that what you give is shared out, and not exceeded.
    #[arg(long, value_name = "UID[:GID]", value_parser = parse_owner)]
    pub delegate: Option<(u32, Option<u32>)>,
    /// On v2: move processes out of the way that are in a group above, into a group `init` inside that one
    ///
    /// A v2 group either holds processes or has groups inside it that are given controllers. This is what a
    /// container engine inside a container needs, where the top of the tree holds the shell that you type in.
    #[arg(long)]
    pub make_room: bool,
    /// Print the group's folders as JSON
    #[arg(long)]
    pub json: bool,
}

/// The words after `set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The group
    pub name: String,
    /// The limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// A process to put in; may be given several times
    #[arg(long = "pid", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pids: Vec<i32>,
}

/// Reads `1000` or `1000:100`.
fn parse_owner(text: &str) -> Result<(u32, Option<u32>), String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text:?} is no number of a user or group"));
    match text.split_once(':') {
        Some((user, group)) => Ok((number(user)?, Some(number(group)?))),
        None => Ok((number(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        let mut all = Cli::command();
        all.build();
        let create = all.find_subcommand_mut("create").unwrap();
        let help = create.render_long_help().to_string();
        for part in ["Make a group, set its limits", "--memory-swap", "--delegate", "linux.resources"] {
            assert!(help.contains(part), "{help}");
        }
    }

    #[test]
    fn the_limit_of_processes_is_no_process() {
        let cli = Cli::try_parse_from(["cgset", "create", "demo", "--pids", "20", "--pid", "7", "--pid", "8"]).unwrap();
        let Command::Create(Deferred(CreateArgs { limits, pids, .. })) = cli.command else { panic!("not create") };
        assert_eq!((limits.pids_limit, pids), (Some(20), vec![7, 8]));
        assert!(Cli::try_parse_from(["cgset", "add", "demo", "0"]).is_err());
    }

    #[test]
    fn owners_are_numbers() {
        assert_eq!(parse_owner("1000"), Ok((1000, None)));
        assert_eq!(parse_owner("1000:100"), Ok((1000, Some(100))));
        for bad in ["", "you", "1000:", "-1"] {
            assert!(parse_owner(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn docker_flags_are_known_by_dockers_names() {
        let line = "cgset create demo -m 64m --memory-swap -1 --memory-reservation 32m --memory-swappiness 0 \
            --oom-kill-disable --cpu-shares 512 --cpu-quota -1 --cpu-period 50000 --cpuset-cpus 0 --cpuset-mems 0 \
            --pids-limit -1 --blkio-weight 500 --blkio-weight-device /dev/sda:20 --device-read-bps /dev/sda:1mb \
            --device-write-iops /dev/sda:7 --cpu-rt-runtime 950000 --cpu-rt-period 1000000";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Create(Deferred(CreateArgs { limits, .. })) = cli.command else { panic!("not create") };
        assert_eq!((limits.memory_swap, limits.oom_kill_disable, limits.cpu_quota), (Some(-1), Some(true), Some(-1)));
        assert!(Cli::try_parse_from(["cgset", "create", "demo", "--cpus", "1", "--cpu-quota", "5"]).is_err());
        assert!(Cli::try_parse_from(["cgset", "create", "demo", "--blkio-weight", "5"]).is_err());
    }
}
