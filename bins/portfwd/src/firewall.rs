//! The rules of a bridge: one table of nftables, loaded as one batch and removed whole (nft(8)).
//!
//! - *postrouting*: what leaves the subnet by another interface gets the host's address (masquerading, which is NAT
//!   with an address looked up for each connection). The containers' own mean nothing outside.
//! - *forward*: containers may speak to anybody, and be answered. New connections to them from elsewhere are dropped,
//!   be it from another network or from a neighbour of the host: a port that is not published is not reachable.

use crate::nfnetlink;
use anyhow::{Context, Result, bail};
use ipnet::Ipv4Net;
use std::io::{ErrorKind, Write};
use std::process::{Child, Command, Output, Stdio};

/// Loads the rules of a bridge.
pub fn open(bridge: &str, subnet: &Ipv4Net) -> Result<()> {
    let chains = nft(&rules(bridge, subnet)).with_context(|| format!("load the firewall rules of {bridge}"))?;
    if forwarding_is_dropped(&chains) {
        for rule in exceptions(bridge) {
            if !iptables("--check", &rule)?.status.success() {
                expect_success(iptables("--insert", &rule)?).with_context(|| except(bridge))?;
            }
        }
    }
    Ok(())
}

/// Whether the rules of a bridge are loaded. Where that cannot be asked they count as not loaded: nft says why.
pub fn is_open(bridge: &str) -> bool {
    nfnetlink::has_table(&table(bridge)).unwrap_or(false)
}

fn table(bridge: &str) -> String {
    format!("ctr_{bridge}")
}

/// Removes the rules of a bridge. None there is success.
pub fn close(bridge: &str) -> Result<()> {
    Closing::begin(bridge)?.finish()
}

/// Rules on their way out. The kernel takes its time to free them, in which something else may be done.
pub struct Closing<'a> {
    bridge: &'a str,
    nft: Child,
}

impl<'a> Closing<'a> {
    /// Begins to remove the rules of a bridge. This goes on whatever becomes of this process.
    pub fn begin(bridge: &'a str) -> Result<Closing<'a>> {
        let nft = begin_nft(&removal(bridge)).with_context(|| format!("remove the firewall rules of {bridge}"))?;
        Ok(Closing { bridge, nft })
    }

    /// Waits until they are gone.
    pub fn finish(self) -> Result<()> {
        let bridge = self.bridge;
        let chains = finish_nft(self.nft).with_context(|| format!("remove the firewall rules of {bridge}"))?;
        if forwarding_is_dropped(&chains) {
            for rule in exceptions(bridge) {
                if iptables("--check", &rule)?.status.success() {
                    expect_success(iptables("--delete", &rule)?).with_context(|| except(bridge))?;
                }
            }
        }
        Ok(())
    }
}

/// The batch. Rules that were left over in a table of the same name are flushed; to delete the table first would do
/// as well, but the kernel takes 10 ms to free one.
fn rules(bridge: &str, subnet: &Ipv4Net) -> String {
    let table = table(bridge);
    format!(
        r#"add table ip {table}
flush table ip {table}
table ip {table} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} oifname != "{bridge}" masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{bridge}" accept
        oifname "{bridge}" ct state established,related accept
        oifname "{bridge}" drop
    }}
}}
list chains ip
"#
    )
}

/// `add` before `delete`, because deleting what is not there would be an error.
fn removal(bridge: &str) -> String {
    let table = table(bridge);
    format!("add table ip {table}\ndelete table ip {table}\nlist chains ip\n")
}

/// Whether iptables' own chain drops what is forwarded, as docker sets it. In nftables a packet must be accepted by
/// the chains of *every* table, so a table of ours cannot help: the exception has to be made in that chain.
fn forwarding_is_dropped(chains: &str) -> bool {
    let mut place = ("", "");
    for line in chains.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix("table ") {
            place = (table.trim_end_matches(" {"), "");
        } else if let Some(chain) = line.strip_prefix("chain ") {
            place.1 = chain.trim_end_matches(" {");
        } else if place == ("ip filter", "FORWARD") && line.contains("policy drop") {
            return true;
        }
    }
    false
}

/// What iptables' chain must let through: the same as ours does.
fn exceptions(bridge: &str) -> [Vec<&str>; 2] {
    let answers = ["-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
    [vec!["-i", bridge, "-j", "ACCEPT"], answers.to_vec()]
}

fn except(bridge: &str) -> String {
    format!("except {bridge} from iptables' policy to drop what is forwarded")
}

/// Runs one batch and gives what it printed.
fn nft(batch: &str) -> Result<String> {
    finish_nft(begin_nft(batch)?)
}

fn begin_nft(batch: &str) -> Result<Child> {
    let mut command = Command::new("nft");
    command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("run nft: it is not in PATH: install the package nftables")
        }
        other => other.context("run nft")?,
    };
    if let Some(mut stdin) = nft.stdin.take() {
        match stdin.write_all(batch.as_bytes()) {
            // It has ended already, and says itself why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            other => other.context("write to nft")?,
        }
    }
    Ok(nft)
}

fn finish_nft(nft: Child) -> Result<String> {
    expect_success(nft.wait_with_output().context("wait for nft")?)
}

fn iptables(command: &str, rule: &[&str]) -> Result<Output> {
    let mut iptables = Command::new("iptables");
    iptables.args(["--wait", command, "FORWARD"]).args(rule).stdin(Stdio::null());
    iptables.output().context("run iptables")
}

fn expect_success(output: Output) -> Result<String> {
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_iptables_own_chain_is_seen() {
        let docker = "table ip nat {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n\
            table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n\
            \tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n";
        assert!(!forwarding_is_dropped(docker));
        let dropping = docker.replace(
            "FORWARD {\n\t\ttype filter hook forward priority filter; policy accept",
            "FORWARD {\n\t\ttype filter hook forward priority filter; policy drop",
        );
        assert!(forwarding_is_dropped(&dropping));
        assert!(!forwarding_is_dropped(""));
    }
}
