//! The command line. Self-contained (std, clap, layout): completions and man pages are made from this file.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

#[path = "cli/hand.rs"]
mod hand;
pub use hand::*;

#[path = "cli/options.rs"]
mod options;
pub use options::*;

const EXAMPLES: &str = "\
Examples:
  A host name of one's own, and nothing else changed:
    unshare-run --uts --hostname box -- hostname

  A container by hand, each step told with its system call:
    unshare-run --verbose --pid --mount --uts --ipc --net --rootfs ./rootfs --hostname box -- sh

  The same without being root (you are root inside, yourself outside):
    unshare-run --map-root-user --pid --mount --rootfs ./rootfs -- id

  Root that may do nothing but change owners:
    unshare-run --cap-drop all --cap-add chown -- grep Cap /proc/self/status

  The configuration that flags stand for, and a container from it:
    unshare-run spec --pid --mount --rootfs ./rootfs -- echo hello > ./config.json
    unshare-run run --bundle . hello";

/// As runc's: docker and podman read it.
const LONG_VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"), "\nspec: 1.2.0");

/// Start a process that sees another machine.
///
/// A container is no thing that the kernel knows: it is an ordinary process in namespaces of its own (its
/// own process numbers, mounts, host name, network, ...), with another root folder and fewer capabilities.
/// By hand, each flag asks for one of these. With a subcommand it is an OCI runtime with runc's command line.
#[derive(Debug, Parser)]
#[command(name = "unshare-run", version, long_version = LONG_VERSION, after_help = EXAMPLES)]
#[command(subcommand_negates_reqs = true, disable_version_flag = true)]
#[command(override_usage = "unshare-run [OPTIONS] -- COMMAND [ARG]...\n       unshare-run [OPTIONS] SUBCOMMAND ...")]
pub struct Cli {
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
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
    /// Have systemd make the cgroup: not supported, refused when a container is made
    #[arg(long, global = true)]
    pub systemd_cgroup: bool,
    /// Taken for runc's callers; who calls is found out
    #[arg(long, value_name = "WHETHER")]
    pub rootless: Option<String>,
    /// Taken for runc's callers; there is no checkpoint
    #[arg(long, value_name = "PROGRAM")]
    pub criu: Option<String>,
}

/// Form of the lines in the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `error: MESSAGE`
    Text,
    /// `{"level":"error","msg":"MESSAGE","time":"..."}`
    Json,
}

/// `spec`.
#[derive(Debug, Clone, Args)]
pub struct SpecOptions {
    /// Write it to config.json in this folder, which must not have one yet
    #[arg(long, short = 'b', value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// For who is not root: --user --map-root-user --pid --mount --uts --ipc
    #[arg(long)]
    pub rootless: bool,
    /// What it is to say.
    #[command(flatten)]
    pub hand: Hand,
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
    /// Be process 1 for a program: start it, pass signals on to it, reap whoever has lost his parent, end as it ends
    ///
    /// A pid namespace ends with its process 1, and signals that this one has not asked for do not reach it. Most
    /// programs know nothing of that. In a container this program can stand at /sbin/docker-init, as docker's does.
    #[command(after_help = "Example:\n  unshare-run --pid -- unshare-run init -- sleep 100")]
    Init {
        /// Program and arguments, after `--`
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// List the processes of a container
    #[command(after_help = "Examples:\n  unshare-run ps web\n  unshare-run ps web -o pid,user,args")]
    Ps(Ps),
    /// Stop all processes of a container in their tracks
    Pause(Id),
    /// Let a paused container go on
    Resume(Id),
    /// Change the limits of a container
    #[command(
        after_help = "Examples:\n  unshare-run update --memory 64m --pids-limit 50 web\n  unshare-run update --resources limits.json web"
    )]
    Update(Update),
    /// Print what a container uses, as JSON, and tell when it runs out of memory
    Events(Events),
    /// Print what this runtime can do, as JSON
    Features,
    /// Not supported: save a running container to files
    Checkpoint(Unsupported),
    /// Not supported: a container from such files
    Restore(Unsupported),
    /// Print the OCI configuration that the flags by hand stand for (without flags: docker's defaults)
    #[command(
        after_help = "Examples:\n  unshare-run spec > config.json\n  unshare-run spec --pid --mount --rootfs ./rootfs -- sh"
    )]
    Spec(Box<SpecOptions>),
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
            "unshare-run --systemd-cgroup --rootless auto --criu criu --root /r kill --all web RTMIN+3",
            "unshare-run create --no-pivot --no-new-keyring --bundle /b web",
            "unshare-run run --no-subreaper --no-pivot --no-new-keyring --keep --preserve-fds 1 web",
            "unshare-run exec --process /p --console-socket /s --process-label l --apparmor a --ignore-paused web",
            "unshare-run exec --cgroup cpu:x --cgroup /y --no-new-privs --cap CAP_KILL -g 7 web true",
            "unshare-run ps --format json web -o pid,args",
            "unshare-run update --blkio-weight 10 --cpu-period 1 --cpu-quota -1 --cpu-burst 1 --cpu-share 2 --cpu-rt-period 1 \
             --cpu-rt-runtime 1 --cpuset-cpus 0 --cpuset-mems 0 --kernel-memory 1 --kernel-memory-tcp 1 --memory 64m \
             --memory-reservation 1 --memory-swap -1 --pids-limit -1 --l3-cache-schema x --mem-bw-schema y --cpu-idle 1 web",
            "unshare-run update --resources - web",
            "unshare-run events --stats --interval 5s web",
            "unshare-run checkpoint --image-path /i --leave-running web",
            "unshare-run restore --detach --bundle /b web",
            "unshare-run spec --bundle /b --rootless",
            "unshare-run run --detach --bundle /b web",
            "unshare-run --pid --mount --rootfs /r -m 4m -- sh -c true",
            "unshare-run --net=/run/netns/x --pid --boottime -5 --memory-swap -1 -m 1g -- sh",
            "unshare-run init -- sleep 1",
        ] {
            let words = line.split(' ').filter(|word| !word.is_empty());
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn the_version_is_told_in_the_form_that_docker_reads() {
        let text = Cli::command().render_long_version();
        let expected =
            format!("unshare-run version {}\nspec: {}\n", env!("CARGO_PKG_VERSION"), layout::oci::runtime::VERSION);
        assert_eq!(text, expected);
    }

    #[test]
    fn what_follows_execs_id_is_the_command_whatever_it_looks_like() {
        let cli = Cli::try_parse_from(["unshare-run", "exec", "web", "ls", "-t", "--root", "x"]).unwrap();
        let Some(Command::Exec(exec)) = cli.command else { panic!() };
        assert_eq!(exec.command, ["ls", "-t", "--root", "x"]);
        assert!(!exec.tty && cli.global.root.is_none());
    }
}
