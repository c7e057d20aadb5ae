//! The command line: what can be asked for, and what `--help` teaches.

use clap::{Args, Parser, Subcommand};
use layout::ContainerId;
use std::path::PathBuf;

/// Networks for containers, and host ports that lead into them.
///
/// A new network namespace is empty: no address, no route, nobody to talk to. portfwd gives it what a machine
/// gets when it is carried into an office: a cable (a veth pair) into a switch (a bridge), an address, a
/// default route, and names for the neighbours (/etc/hosts). The host masquerades what leaves the subnet (NAT),
/// and a published port is a listener on the host that copies bytes into the container.
#[derive(Debug, Parser)]
#[command(
    name = "portfwd",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  portfwd attach bridge --container ID --name web --pid-file /run/ctr/ID/pid
  portfwd publish --container ID --pid-file /run/ctr/ID/pid --publish 127.0.0.1:4000:80/tcp

State: networks/NAME.json in $CTR_ROOT (who has which address), ID/ports.json in $CTR_RUN (which ports are held).
Look at it with: ip -d link; nft list ruleset; ss -lntp; cat /proc/PID/net/route"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a network: its bridge, its subnet and its firewall rules
    Bridge(BridgeArgs),
    /// Connect a container to a network
    Attach(AttachArgs),
    /// Take a container out of a network
    Detach(DetachArgs),
    /// Remove a network that nobody is attached to
    Remove(RemoveArgs),
    /// List networks and who is attached
    Ls(LsArgs),
    /// Hold host ports and forward them into a container, in the background
    Publish(PublishArgs),
    /// Let go of a container's host ports
    Unpublish(UnpublishArgs),
}

/// Make a network.
///
/// The bridge is a switch in the kernel: whatever is plugged into it is one Ethernet segment. The first free name
/// of ctr0, ctr1, ... is taken, and the first subnet of 172.18.0.0/16 to 172.31.0.0/16 and 192.168.0.0/20 to
/// 192.168.240.0/20 that no route of the host touches. One table of nftables rules lets its containers out
/// (masquerading) and strangers not in. Forwarding of IPv4 (net.ipv4.ip_forward) is switched on when it is off, and
/// stays on, as with docker.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd bridge bridge
  portfwd bridge backend --subnet 10.10.0.0/24

By hand:
  ip link add ctr0 type bridge && ip addr add 172.18.0.1/16 dev ctr0 && ip link set ctr0 up")]
pub struct BridgeArgs {
    /// The network's name; `bridge` is the default one of ctr
    pub network: String,
    /// Its subnet; left out, a free one is chosen
    #[arg(long, value_name = "CIDR")]
    pub subnet: Option<String>,
}

/// Connect a container to a network.
///
/// A veth pair is a cable: what goes in at one end comes out at the other. One end is put into the network's
/// bridge, the other is made right inside of the container's network namespace as eth0, with an address of the
/// subnet and a default route to the bridge. Prints the endpoint as JSON. Attaching again (a restart) replaces
/// what was there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd attach bridge --container ID --name web --pid-file /run/ctr/ID/pid --hosts /var/lib/ctr/containers/ID/hosts
  ip -n box -br addr        # what the container sees, from outside

By hand:
  ip link add veth0 type veth peer name eth0 netns PID && ip link set veth0 master ctr0 up
  nsenter -t PID -n ip addr add 172.18.0.2/16 dev eth0")]
pub struct AttachArgs {
    /// The network
    pub network: String,
    /// The container's id (64 hexadecimal digits)
    #[arg(long, value_name = "ID")]
    pub container: ContainerId,
    /// The container's name, by which its neighbours know it; left out, the short id
    #[arg(long)]
    pub name: Option<String>,
    /// The hardware address in the container; left out, one that is made of its address
    #[arg(long, value_name = "MAC", value_parser = parse_hardware_address)]
    pub mac: Option<[u8; 6]>,
    /// The file that holds the pid of the container's first process
    #[arg(long, value_name = "FILE")]
    pub pid_file: PathBuf,
    /// Its hosts file, when it is not the one in the container's folder of $CTR_ROOT
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,
}

/// Take a container out of a network.
///
/// Its cable is cut, its address is free again and its neighbours forget its name. The bridge and its rules stay,
/// for the next one who comes, until `portfwd remove`. Nothing there to remove is success.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd detach bridge --container ID
  portfwd ls")]
pub struct DetachArgs {
    /// The network
    pub network: String,
    /// The container's id
    #[arg(long, value_name = "ID")]
    pub container: ContainerId,
}

/// Remove a network that nobody is attached to.
///
/// The bridge, its rules and the network's file are removed: after `portfwd remove bridge` nothing of the default
/// network is left, and the next container makes it anew. Nothing there to remove is success.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd remove bridge
  portfwd detach backend --container ID && portfwd remove backend")]
pub struct RemoveArgs {
    /// The network
    pub network: String,
}

/// List networks and who is attached.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd ls
  portfwd ls --json")]
pub struct LsArgs {
    /// Print the networks' files as one JSON array
    #[arg(long)]
    pub json: bool,
}

/// Hold host ports and forward them into a container.
///
/// All ports are bound, or none. Then portfwd goes to the background, steps into the container's network namespace
/// (a listening socket belongs to the namespace that it was made in, and stays there) and connects from inside of it
/// for each client that comes to the host's port. The kernel moves the bytes (splice(2)). It ends, and the ports are
/// free, when the container's first process ends or at `portfwd unpublish`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd publish --container ID --pid-file /run/ctr/ID/pid --publish 0.0.0.0:4000:80/tcp
  portfwd publish --container ID --pid-file /run/ctr/ID/pid --publish 80 --publish 127.0.0.1:5353:53/udp")]
pub struct PublishArgs {
    /// The container's id
    #[arg(long, value_name = "ID")]
    pub container: ContainerId,
    /// The file that holds the pid of the container's first process
    #[arg(long, value_name = "FILE")]
    pub pid_file: PathBuf,
    /// [[IP:]HOST:]CONTAINER[/tcp|udp]: no IP is every address of the host, no HOST is any free port
    #[arg(long = "publish", short = 'p', value_name = "SPEC", required = true)]
    pub ports: Vec<String>,
}

/// Let go of a container's host ports.
///
/// The forwarder in the background is told to end, and this waits until it has. Nothing published is success.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portfwd unpublish --container ID
  cat /run/ctr/ID/ports.json        # what is published")]
pub struct UnpublishArgs {
    /// The container's id
    #[arg(long, value_name = "ID")]
    pub container: ContainerId,
}

fn parse_hardware_address(text: &str) -> Result<[u8; 6], String> {
    let parts: Vec<u8> = text.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
    // The lowest bit of the first byte is for groups: no single card has it.
    match <[u8; 6]>::try_from(parts) {
        Ok(bytes) if bytes[0] & 1 == 0 && text.len() == 17 => Ok(bytes),
        _ => Err(format!("{text:?} is no hardware address of one card, as in 02:42:ac:11:00:02")),
    }
}
