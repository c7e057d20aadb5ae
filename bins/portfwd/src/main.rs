//! `portfwd`: a container's way to the world: a bridge, a cable, an address, a name, and published ports.
//!
//! | file | the mechanism |
//! | --- | --- |
//! | `addresses.rs` | which subnet, which address: the choices, as pure functions |
//! | `netlink.rs` | rtnetlink(7): asking the kernel for links, addresses and routes |
//! | `netns.rs` | stepping into a container's network namespace and back |
//! | `bridge.rs` | the virtual switch of a network, made with the first container, there until the network is removed |
//! | `firewall.rs` | NAT and isolation: one batch of nftables rules a bridge |
//! | `nfnetlink.rs` | nftables without nft(8): whether a table is there |
//! | `veth.rs` | the cable: one end in the bridge, the other in the container |
//! | `delete_link.rs` | removing interfaces without waiting until the kernel has freed them |
//! | `attach.rs`, `detach.rs` | a container comes, a container goes |
//! | `hosts_file.rs` | names: each container's `/etc/hosts`, rewritten in place |
//! | `publish.rs`, `listen.rs`, `unpublish.rs` | holding host ports for a container |
//! | `daemonize.rs` | leaving the terminal: fork, setsid, and telling the parent how it went |
//! | `forward.rs`, `forward_tcp.rs`, `forward_udp.rs`, `splice.rs` | moving the bytes: epoll and splice(2) |

#![deny(unsafe_code)]

mod addresses;
mod attach;
mod bridge;
mod cleanup;
mod cli;
mod daemonize;
mod delete_link;
mod detach;
mod firewall;
mod forward;
mod forward_tcp;
mod forward_udp;
mod hosts_file;
mod listen;
mod ls;
mod netlink;
mod netns;
mod network_file;
mod nfnetlink;
mod publish;
mod splice;
#[allow(unsafe_code)]
mod sys;
mod unpublish;
mod veth;

use anyhow::Result;
use clap::Parser;
use cli::{Cli, Command};
use layout::Layout;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { layout::exit::TOOL } else { 0 };
            // Nowhere is left to say that it cannot be said.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    layout::exit::report("portfwd", run(cli.command).map(|()| 0))
}

fn run(command: Command) -> Result<()> {
    let layout = Layout::from_env()?;
    layout.open()?;
    match command {
        Command::Bridge(args) => bridge::run(&layout, &args.try_into()?),
        Command::Attach(args) => attach::run(&layout, &args.into()),
        Command::Detach(args) => detach::run(&layout, &args.network, &args.container),
        Command::Remove(args) => detach::remove(&layout, &args.network),
        Command::Ls(args) => {
            layout::exit::end_with_the_reader();
            ls::run(&layout, args.json)
        }
        Command::Publish(args) => publish::run(&layout, &args.into()),
        Command::Unpublish(args) => unpublish::run(&layout, &args.container),
    }
}
