//! nftables without nft(8): whether a table is there.
//!
//! To run nft takes longer than all else that is done for a container that comes. What it does is to send messages like
//! those of rtnetlink (see `netlink.rs`) to another part of the kernel (linux/netfilter/nfnetlink.h, nf_tables.h), and to
//! ask for one table is short enough to be written by hand.

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::io;

/// The part of the kernel that a message is for is the upper byte of its type.
const NFTABLES: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
const NEW_TABLE: u16 = NFTABLES | libc::NFT_MSG_NEWTABLE as u16;
const GET_TABLE: u16 = NFTABLES | libc::NFT_MSG_GETTABLE as u16;
/// The attribute that is a table's name (NFTA_TABLE_NAME).
const NAME: u16 = 1;
/// The header of every netlink message: length, type, flags, number, sender.
const HEADER: usize = 16;

/// Whether there is a table of this name for IPv4.
pub fn has_table(name: &str) -> io::Result<bool> {
    let socket = Socket::new(NETLINK_NETFILTER)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&question(name), 0)?;
    let mut answer = Vec::with_capacity(4096);
    socket.recv(&mut answer, 0)?;
    // The table, or else an error message.
    Ok(answer.get(4..6) == Some(&NEW_TABLE.to_ne_bytes()))
}

fn question(table: &str) -> Vec<u8> {
    let mut message = vec![0; HEADER];
    // Family, version, and a number that tables have no use for.
    message.extend([libc::AF_INET as u8, 0, 0, 0]);
    // The text ends with a zero; its length counts that and its own header, and not what fills up to a multiple of four.
    message.extend((table.len() as u16 + 5).to_ne_bytes());
    message.extend(NAME.to_ne_bytes());
    message.extend(table.as_bytes());
    message.push(0);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = message.len() as u32;
    message[0..4].copy_from_slice(&length.to_ne_bytes());
    message[4..6].copy_from_slice(&GET_TABLE.to_ne_bytes());
    message[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_as_long_as_it_says() {
        for name in ["ctr_ctr0", "ctr_ctr10", "x"] {
            let message = question(name);
            assert_eq!(message[0..4], (message.len() as u32).to_ne_bytes());
            assert_eq!(message.len() % 4, 0);
            assert_eq!(usize::from(u16::from_ne_bytes([message[20], message[21]])), 4 + name.len() + 1);
        }
    }
}
