//! The command line: docker's words, and nothing but the words. What they do is elsewhere.
//!
//! Here are the commands, their options are in the files below. The paths are spelled out because the
//! generator of man pages and completions includes this file from another folder.

#[path = "cli/containers.rs"]
mod containers;
#[path = "cli/create/mod.rs"]
mod create;
#[path = "cli/deferred.rs"]
mod deferred;
#[path = "cli/exec.rs"]
mod exec;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/groups.rs"]
mod groups;
#[path = "cli/images.rs"]
mod images;
#[path = "cli/pflag.rs"]
mod pflag;
#[path = "cli/registry.rs"]
mod registry;
#[path = "cli/system.rs"]
mod system;
#[path = "cli/update.rs"]
mod update;
#[path = "cli/volumes.rs"]
mod volumes;

pub use containers::*;
pub use create::*;
pub use deferred::Deferred;
pub use exec::*;
pub use files::*;
pub use groups::grouped;
pub use images::*;
pub use pflag::{as_pflag, boolean};
pub use registry::*;
pub use system::*;
pub use update::*;
pub use volumes::*;

use clap::{Parser, Subcommand};

/// A container engine you can take apart.
///
/// A container is an ordinary process that was started with care: with a root filesystem of its own
/// (layerfs), its own view of the machine (unshare-run), a share of it (cgset) and a network (portfwd).
/// ctr calls these tools in the right order, and stays out of the way. Put --explain before any command to
/// see the calls as a shell script instead of having them made.
#[derive(Debug, Parser)]
#[command(
    name = "ctr",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  ctr run --rm -it python:3-slim sh          a shell in a new container
  ctr --explain run -p 4000:80 pythonweb     what ctr would do, as a script that does it"
)]
pub struct Cli {
    /// Print what would be done, as a shell script that does it, and do nothing
    #[arg(long)]
    pub explain: bool,
    /// Print version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// All commands, by docker's short names. Those of a group whose name in the group is another (`ps`, `container ls`) stand here
/// and in the group; the others are one list for both.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Commands about containers
    #[command(flatten)]
    Container(ContainerCommand),
    /// Remove containers
    Rm(Rm),
    /// List containers
    Ps(Ps),
    /// Commands about images
    #[command(flatten)]
    Image(ImageCommand),
    /// List images
    Images(Images),
    /// Remove images
    Rmi(Rmi),
    /// Give this machine a name and a password for a registry
    Login(Login),
    /// Forget them
    Logout(Logout),
    /// Show everything that is known of containers and images, as JSON
    Inspect(Inspect),
    /// The same commands about containers, by docker's long names
    #[command(subcommand, name = "container")]
    ContainerGroup(Deferred<ContainerGroup>),
    /// The same commands about images, by docker's long names
    #[command(subcommand, name = "image")]
    ImageGroup(Deferred<ImageGroup>),
    /// Commands about volumes: folders that outlive containers
    #[command(subcommand)]
    Volume(VolumeGroup),
    /// Commands about the engine as a whole
    #[command(subcommand, name = "system")]
    SystemGroup(SystemGroup),
    /// Show what happens, as it happens
    Events(Events),
    /// Show what the engine has and what the machine can do
    Info(Info),
    /// Show the versions of ctr and of the tools that it calls
    Version(Version),
    /// Show each path that belongs to something, who made it, and where docker keeps the same
    Where(Where),
    /// Check whether this machine can run containers, and say what to do where it cannot
    Doctor,
}

/// Commands about containers: `ctr run` and `ctr container run` are one.
#[derive(Debug, Subcommand)]
pub enum ContainerCommand {
    /// Make a container of an image and run a command in it
    #[command(override_usage = "ctr run [OPTIONS] IMAGE [COMMAND] [ARG...]")]
    Run(Deferred<Run>),
    /// Make a container of an image, without running it
    #[command(override_usage = "ctr create [OPTIONS] IMAGE [COMMAND] [ARG...]")]
    Create(Deferred<Create>),
    /// Start containers that are not running
    Start(Start),
    /// Stop containers: a polite signal, then after a while SIGKILL
    Stop(Stop),
    /// Stop containers and start them again
    Restart(Stop),
    /// Send a signal to containers
    Kill(Kill),
    /// Freeze all processes of containers
    Pause(Names),
    /// Let the processes of frozen containers go on
    Unpause(Names),
    /// Give a container another name
    Rename(Rename),
    /// Show what a container wrote
    Logs(Logs),
    /// Run another command in a running container
    Exec(Exec),
    /// Connect this terminal to a running container
    Attach(Attach),
    /// Wait until containers stop, and print their exit codes
    Wait(Names),
    /// Make an image of what a container changed
    Commit(Commit),
    /// Write a container's files as a tar archive
    Export(Export),
    /// Copy files between a container and this machine
    Cp(Cp),
    /// Show what a container has changed in its files
    Diff(Diff),
    /// Show which ports of this machine lead into a container
    Port(Port),
    /// Give containers other limits, or another restart policy
    Update(Update),
    /// Show the processes of a container
    Top(Top),
    /// Show what containers use: processor, memory, network, disks
    Stats(Stats),
}

/// `ctr container ...`
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is passed on once")]
pub enum ContainerGroup {
    /// The commands whose short names are the same
    #[command(flatten)]
    Same(ContainerCommand),
    /// Remove containers
    #[command(alias = "remove")]
    Rm(Rm),
    /// List containers
    #[command(aliases = ["list", "ps"])]
    Ls(Ps),
    /// Show everything that is known of containers, as JSON
    Inspect(ContainerInspect),
    /// Remove all containers that do not run
    Prune(ContainerPrune),
}

/// Commands about images: `ctr build` and `ctr image build` are one.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(Build),
    /// Show how an image came to be, step by step
    History(History),
    /// Give an image another name
    Tag(Tag),
    /// Make an image of the files in a tar archive
    Import(Import),
    /// Get an image from a registry
    Pull(Pull),
    /// Send an image to a registry
    Push(Push),
    /// Write images into an archive
    Save(Save),
    /// Store the images of an archive
    Load(Load),
}

/// `ctr image ...`
#[derive(Debug, Subcommand)]
pub enum ImageGroup {
    /// The commands whose short names are the same
    #[command(flatten)]
    Same(ImageCommand),
    /// List images
    #[command(alias = "list")]
    Ls(Images),
    /// Remove images
    #[command(alias = "remove")]
    Rm(Rmi),
    /// Remove images that nobody needs
    Prune(ImagePrune),
    /// Show everything that is known of images, as JSON
    Inspect(ImageInspect),
}

/// The parent of a container: keeps its output, its exit code and its lock. Used by start and exec, which `--explain` shows.
///
/// It is described by itself: one stays beside each container, and would keep in memory what clap knows of all other commands.
#[derive(Debug, Parser)]
#[command(name = "ctr shim")]
pub struct Shim {
    /// What is asked of it
    #[command(subcommand)]
    pub command: ShimCommand,
}

/// What start and exec ask of the shim.
#[derive(Debug, Subcommand)]
pub enum ShimCommand {
    /// Become the parent of a container: run COMMAND with the container's streams, and stay
    Create {
        /// The container's id
        id: String,
        /// The runtime's create
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Run COMMAND, which makes another process in a container, and stay with that process as its parent
    Exec {
        /// Leave it alone as soon as it runs
        #[arg(long)]
        detach: bool,
        /// Connect to its input too
        #[arg(long)]
        interactive: bool,
        /// Nothing is passed on
        #[arg(long)]
        no_sig_proxy: bool,
        /// It has a terminal
        #[arg(long)]
        tty: bool,
        /// What is typed to leave
        #[arg(long, default_value = "", hide_default_value = true)]
        detach_keys: String,
        /// The container's id
        id: String,
        /// The process's id
        exec: String,
        /// The runtime's exec
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Compress the older files of a log
    Compress {
        /// The file that is written to
        log: std::path::PathBuf,
    },
    /// Have the shim run COMMAND, and note what it means for the container
    Tell {
        /// The container's id
        id: String,
        /// What it means: pause, unpause or kill
        what: String,
        /// The runtime's command
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Have the shim run COMMAND, and note that the container runs
    Start {
        /// Connect to the container's output, and end with its exit code
        #[arg(long)]
        attach: bool,
        /// Connect to its input too
        #[arg(long)]
        interactive: bool,
        /// Do not pass signals on
        #[arg(long)]
        no_sig_proxy: bool,
        /// What is typed to leave
        #[arg(long, default_value = "", hide_default_value = true)]
        detach_keys: String,
        /// Do not show this output: stdout, stderr
        #[arg(long)]
        hide: Vec<String>,
        /// The container's id
        id: String,
        /// The runtime's start
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}
