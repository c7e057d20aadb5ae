//! `portfwd publish`: hold all ports or none, then forward in the background until the container ends.

use crate::cli::PublishArgs;
use crate::daemonize::{self, Parent};
use crate::forward::{Forwarder, Target};
use crate::listen::{self, Listener, Spec};
use crate::netlink::Netlink;
use crate::netns::ContainerNet;
use crate::{sys, veth};
use anyhow::{Context, Result, bail};
use layout::container::PublishedPort;
use layout::lock::Lock;
use layout::{ContainerId, Layout};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is asked for.
#[derive(Debug)]
pub struct Config {
    /// Whose ports.
    pub container: ContainerId,
    /// The file with the pid of the container's first process.
    pub pid_file: PathBuf,
    /// Which ports, as they were typed.
    pub ports: Vec<String>,
}

impl From<PublishArgs> for Config {
    fn from(args: PublishArgs) -> Self {
        Config { container: args.container, pid_file: args.pid_file, ports: args.ports }
    }
}

/// `portfwd publish`.
pub fn run(layout: &Layout, config: &Config) -> Result<()> {
    // What a caller forgot to close is not kept open for as long as the container runs.
    sys::close_files_from(3).context("close inherited files")?;
    let specs = config.ports.iter().map(|text| text.parse()).collect::<Result<Vec<Spec>>>()?;
    let net = ContainerNet::of_pid_file(&config.pid_file)?;
    let claim = PortsFile::claim(layout, &config.container)?;
    let mut listeners = Vec::new();
    for spec in &specs {
        match listen::hold(spec) {
            Ok(held) => listeners.extend(held),
            Err(error) => {
                claim.give_up();
                return Err(error);
            }
        }
    }
    let Some(parent) = daemonize::go_to_background()? else { return Ok(()) };
    // From here on this is the background process, and its parent is the one who speaks.
    match prepare(&claim, listeners, &net) {
        Ok(forwarder) => forward(claim, forwarder, parent, &net),
        Err(error) => {
            claim.give_up();
            parent.failed(&error);
            Ok(())
        }
    }
}

fn prepare(claim: &PortsFile, listeners: Vec<Listener>, net: &ContainerNet) -> Result<Forwarder> {
    // The listeners stay the host's. All sockets from here on are the container's.
    net.enter()?;
    let target = Target { address: own_address()? };
    let ports: Vec<_> = listeners.iter().map(|listener| listener.port.clone()).collect();
    let forwarder = Forwarder::new(listeners, target)?;
    claim.publish(&ports)?;
    Ok(forwarder)
}

fn forward(claim: PortsFile, forwarder: Forwarder, parent: Parent, net: &ContainerNet) -> Result<()> {
    parent.ready()?;
    let result = forwarder.run(net.process());
    claim.remove();
    result
}

/// The address at which the container's own programs listen for the outside: that of `eth0`, or the loopback's where
/// there is no `eth0`.
fn own_address() -> Result<Ipv4Addr> {
    let mut netlink = Netlink::open().context("open a netlink socket in the container's namespace")?;
    let link = netlink.link(veth::INSIDE).with_context(|| format!("look for {} in the container", veth::INSIDE))?;
    let address = match &link {
        Some(link) => netlink.address_of(link).with_context(|| format!("list the addresses of {}", veth::INSIDE))?,
        None => None,
    };
    Ok(address.unwrap_or(Ipv4Addr::LOCALHOST))
}

/// `ports.json`, and the lock on it: while it is held, the ports in the file are.
///
/// The file is made and locked under another name, and appears when the ports are held: nobody sees it half-written
/// or not locked. The lock is that of the open file, so it passes to the background process with the fork.
#[derive(Debug)]
pub struct PortsFile {
    file: File,
    unpublished: PathBuf,
    published: PathBuf,
    pid_file: PathBuf,
}

impl PortsFile {
    /// Takes the right to publish the ports of a container.
    ///
    /// # Errors
    /// When somebody has it already.
    fn claim(layout: &Layout, container: &ContainerId) -> Result<PortsFile> {
        let dir = layout.run_dir(container);
        fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let published = layout.ports_file(container);
        let unpublished = published.with_extension("json.new");
        let failed = || format!("lock {}", unpublished.display());
        let taken =
            || format!("publish ports of {}: some are published already: unpublish them first", container.short());
        let file = File::options().create(true).write(true).truncate(false).open(&unpublished).with_context(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => bail!(taken()),
            other => other.with_context(failed)?,
        }
        let claim = PortsFile { file, unpublished, published, pid_file: layout.forwarder_pid_file(container) };
        // Somebody may have published between our opening the file and our locking it.
        if !is_at(&claim.file, &claim.unpublished) || Lock::is_held(&claim.published)? {
            claim.give_up();
            bail!(taken());
        }
        Ok(claim)
    }

    /// Lets the file appear.
    fn publish(&self, ports: &[PublishedPort]) -> Result<()> {
        let failed = || format!("write {}", self.published.display());
        let content = serde_json::to_vec(ports).context("encode the ports")?;
        self.file.set_len(0).with_context(failed)?;
        (&self.file).write_all(&content).with_context(failed)?;
        fs::write(&self.pid_file, std::process::id().to_string())
            .with_context(|| format!("write {}", self.pid_file.display()))?;
        fs::rename(&self.unpublished, &self.published).with_context(failed)
    }

    /// Removes what was made before anything was published.
    fn give_up(self) {
        remove_own(&self.file, &self.unpublished);
    }

    /// Removes the published file, while it is still locked.
    fn remove(self) {
        if is_at(&self.file, &self.published) {
            remove_own(&self.file, &self.published);
            // A stale pid file misleads nobody: it counts only while the lock is held.
            let _ = fs::remove_file(&self.pid_file);
        }
    }
}

/// Removes a file if it is this one. A failure leaves a file that nobody has locked, which is what a killed
/// forwarder leaves too: it is taken for what it is.
fn remove_own(file: &File, path: &Path) {
    if is_at(file, path) {
        let _ = fs::remove_file(path);
    }
}

/// Whether an open file is the one that is at a path.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Removes files, and takes it well when they are gone.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
