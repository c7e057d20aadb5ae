//! The command line. Self-contained (std, clap, layout): completions and man pages are made from this file.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

#[path = "cli/options.rs"]
mod options;
pub use options::*;

const EXAMPLES: &str = "\
Examples:
  A host name of one's own, and nothing else changed:
    unshare-run --uts --hostname box -- sh -c hostname

  A container by hand, each step told with its system call:
    unshare-run --verbose --pid --mount --uts --ipc --net --rootfs ./rootfs --hostname box -- sh

  The same without root (you are root inside, yourself outside):
    unshare-run --user --map-root-user --pid --mount --rootfs ./rootfs -- id

  What runc does with an OCI bundle:
    unshare-run run --bundle ./bundle web";

/// Start a process that sees another machine.
///
/// A container is no thing that the kernel knows: it is an ordinary process in namespaces of its own (its
/// own process numbers, mounts, host name, network, ...), with another root folder and fewer capabilities.
/// By hand, each flag asks for one of these. With a subcommand it is an OCI runtime with runc's command line.
#[derive(Debug, Parser)]
#[command(name = "unshare-run", version, after_help = EXAMPLES, subcommand_negates_reqs = true)]
#[command(override_usage = "unshare-run [OPTIONS] -- COMMAND [ARG]...\n       unshare-run [OPTIONS] SUBCOMMAND ...")]
pub struct Cli {
    /// Options of every subcommand.
    #[command(flatten)]
    pub global: Global,
    /// What to run by hand.
    #[command(flatten)]
    pub hand: Hand,
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every subcommand.
#[derive(Debug, Args)]
pub struct Global {
    /// Folder of the containers' state [default: $CTR_RUN/runtime]
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Append errors and warnings to this file as well
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Form of the lines in the log file
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Tell each step with its system call, in the log file or on standard error
    #[arg(long, global = true)]
    pub debug: bool,
    /// Tell each step with its system call on standard error
    #[arg(long, global = true)]
    pub verbose: bool,
}

/// Form of the lines in the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `error: MESSAGE`
    Text,
    /// `{"level":"error","msg":"MESSAGE","time":"..."}`
    Json,
}

/// A container by hand: flags that become an OCI configuration (`unshare-run spec` prints it).
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Hand {
    /// New process numbers: the command is process 1 and sees only its children
    #[arg(long)]
    pub pid: bool,
    /// A mount table of its own
    #[arg(long)]
    pub mount: bool,
    /// A host name of its own
    #[arg(long)]
    pub uts: bool,
    /// System V IPC and POSIX message queues of its own
    #[arg(long)]
    pub ipc: bool,
    /// Network devices, addresses, routes and ports of its own: only a loopback device, which is up
    #[arg(long)]
    pub net: bool,
    /// Sees its own cgroup as the root of the cgroup tree
    #[arg(long)]
    pub cgroup: bool,
    /// User ids of its own (needs --map-root-user)
    #[arg(long, requires = "map_root_user")]
    pub user: bool,
    /// Root inside is you outside
    #[arg(long, requires = "user")]
    pub map_root_user: bool,
    /// Folder that becomes `/`, with docker's default mounts, devices and capabilities [default: the host's root, as it is]
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Host name (needs --uts)
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Set an environment variable; with --rootfs the environment starts empty but for PATH
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Folder to start in [default: / with --rootfs, else the current one]
    #[arg(long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Run as this user and group, in numbers
    #[arg(long = "user-id", short = 'u', value_name = "UID[:GID]")]
    pub user_id: Option<String>,
    /// Give it a terminal of its own
    #[arg(long, short = 't')]
    pub tty: bool,
    /// The root cannot be written to (needs --rootfs)
    #[arg(long, requires = "rootfs")]
    pub read_only: bool,
    /// Memory limit: 64m, 1.5g
    #[arg(long, short = 'm', value_name = "BYTES")]
    pub memory: Option<String>,
    /// Processors it may use: 0.5, 2
    #[arg(long, value_name = "NUMBER")]
    pub cpus: Option<f64>,
    /// How many tasks it may have
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
    /// Command and arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// The OCI runtime command line, as runc's.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a container: namespaces, root, everything but the program, which waits for `start`
    #[command(
        after_help = "Examples:\n  unshare-run create --bundle ./bundle --pid-file ./pid web\n  unshare-run start web"
    )]
    Create(Create),
    /// Start the program of a created container
    Start(Id),
    /// Create and start, wait, and exit with the program's exit code
    #[command(after_help = "Examples:\n  unshare-run run --bundle ./bundle web\n  unshare-run run --detach web")]
    Run(Run),
    /// Print what is known of a container, as JSON
    State(Id),
    /// Send a signal to a container's first process
    Kill(Kill),
    /// Remove what is left of a stopped container
    Delete(Delete),
    /// Run another process in a running container
    #[command(after_help = "Examples:\n  unshare-run exec web ps\n  unshare-run exec --tty --env TERM=xterm web sh")]
    Exec(Exec),
    /// List the containers
    List(List),
    /// Print the OCI configuration that the flags by hand stand for (without flags: docker's defaults)
    #[command(
        after_help = "Examples:\n  unshare-run spec > config.json\n  unshare-run spec --pid --mount --rootfs ./rootfs -- sh"
    )]
    Spec(Box<Hand>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn runcs_command_lines_are_read() {
        for line in [
            "unshare-run --root /r create --bundle /b --pid-file /p --console-socket /s --preserve-fds 2 web",
            "unshare-run --root /r --log /l --log-format json --debug start web",
            "unshare-run kill web 9",
            "unshare-run delete --force web",
            "unshare-run exec -t -d -u 1:2 --cwd /x -e A=b -e C=d web ls -l --root",
            "unshare-run run --detach --bundle /b web",
            "unshare-run --pid --mount --rootfs /r -m 4m -- sh -c true",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn what_follows_execs_id_is_the_command_whatever_it_looks_like() {
        let cli = Cli::try_parse_from(["unshare-run", "exec", "web", "ls", "-t", "--root", "x"]).unwrap();
        let Some(Command::Exec(exec)) = cli.command else { panic!() };
        assert_eq!(exec.command, ["ls", "-t", "--root", "x"]);
        assert!(!exec.tty && cli.global.root.is_none());
    }
}
