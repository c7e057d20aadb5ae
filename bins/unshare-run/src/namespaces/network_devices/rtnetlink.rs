//! As much of rtnetlink(7) as moving a device takes. A message is a header, a fixed part and attributes, each of which is
//! a length, a type and a value, filled up to four bytes; numbers are in the machine's own byte order.

use anyhow::{Context, Result, bail};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// Longer than any answer of the kernel's.
const LONGEST: usize = 64 << 10;
const HEADER: usize = 16;
/// The fixed parts: `struct ifinfomsg` and `struct ifaddrmsg`.
const LINK: usize = 16;
const ADDRESS: usize = 8;

/// A socket to the kernel's side of one network namespace.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// An address as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    family: u8,
    prefix: u8,
    /// `IFA_ADDRESS`, `IFA_LOCAL` and `IFA_BROADCAST`, whichever it has.
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Socket {
    /// Makes one in the network namespace that we are in.
    pub fn open() -> Result<Socket> {
        // Protocol 0 of this family is NETLINK_ROUTE.
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map(Socket)
            .context("make a netlink socket")
    }

    /// The number of a device, if there is one of that name.
    pub fn find(&self, name: &str) -> Result<Option<u32>> {
        let request = Request::new(libc::RTM_GETLINK, 0, &link(0, 0)).with(libc::IFLA_IFNAME, &text(name));
        match self.ask(request, false) {
            Ok(answers) => Ok(answers.first().and_then(|answer| number(answer, 4))),
            Err(error) if error.downcast_ref::<Errno>() == Some(&Errno::NODEV) => Ok(None),
            Err(error) => Err(error.context(format!("look for {name}"))),
        }
    }

    /// The numbers of all devices.
    pub fn devices(&self) -> Result<Vec<u32>> {
        let answers = self.ask(Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link(0, 0)), true);
        Ok(answers.context("list the devices")?.iter().filter_map(|answer| number(answer, 4)).collect())
    }

    /// The addresses of a device that are permanent and not for its link alone.
    pub fn lasting_addresses(&self, device: u32) -> Result<Vec<Address>> {
        let answers = self.ask(Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; ADDRESS]), true)?;
        Ok(answers.iter().filter_map(|answer| lasting(answer, device)).collect())
    }

    /// Moves a device into another namespace, under another name.
    pub fn move_device(&self, device: u32, name: &str, target: &OwnedFd) -> Result<()> {
        let target = (target.as_raw_fd() as u32).to_ne_bytes();
        let request = Request::new(libc::RTM_NEWLINK, 0, &link(device, 0))
            .with(libc::IFLA_NET_NS_FD, &target)
            .with(libc::IFLA_IFNAME, &text(name));
        self.ask(request, false).map(drop)
    }

    /// Sets a device up.
    pub fn bring_up(&self, device: u32) -> Result<()> {
        self.ask(Request::new(libc::RTM_NEWLINK, 0, &link(device, libc::IFF_UP as u32)), false).map(drop)
    }

    /// Gives a device an address.
    pub fn add_address(&self, device: u32, address: &Address) -> Result<()> {
        let mut fixed = [address.family, address.prefix, 0, 0, 0, 0, 0, 0];
        fixed[4..].copy_from_slice(&device.to_ne_bytes());
        let mut request = Request::new(libc::RTM_NEWADDR, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &fixed);
        for (kind, value) in &address.attributes {
            request = request.with(*kind, value);
        }
        self.ask(request, false).map(drop)
    }

    /// Sends a request and gives the answers without their headers; after a dump, all of them.
    fn ask(&self, request: Request, dump: bool) -> Result<Vec<Vec<u8>>> {
        send(&self.0, &request.finish(), SendFlags::empty()).context("ask the kernel")?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; LONGEST];
        loop {
            let (length, _) = match recv(&self.0, buffer.as_mut_slice(), RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                other => other.context("hear the kernel's answer")?,
            };
            let mut rest = &buffer[..length];
            while let Some((kind, body, next)) = split_message(rest) {
                rest = next;
                match i32::from(kind) {
                    libc::NLMSG_DONE => return Ok(answers),
                    libc::NLMSG_ERROR => match number(body, 0).map_or(0, |code| code as i32) {
                        0 => return Ok(answers),
                        code => return Err(Errno::from_raw_os_error(-code).into()),
                    },
                    _ => answers.push(body.to_vec()),
                }
            }
            if length == 0 || (dump && answers.len() > 1 << 20) {
                bail!("hear the kernel's answer: it makes no sense");
            }
        }
    }
}

/// A message in the making.
struct Request(Vec<u8>);

impl Request {
    /// Each is acknowledged, so that its end is seen.
    fn new(kind: u16, flags: i32, fixed: &[u8]) -> Request {
        let flags = (flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]); // sequence number and sender: one question at a time needs none
        bytes.extend_from_slice(fixed);
        Request(bytes)
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Request {
        self.0.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[..4].copy_from_slice(&length);
        self.0
    }
}

/// `struct ifinfomsg` of a device, with flags to set.
fn link(device: u32, flags: u32) -> [u8; LINK] {
    let mut fixed = [0; LINK];
    fixed[4..8].copy_from_slice(&device.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

/// A text with the NUL that ends it.
fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The first message: its type, what follows its header, and the rest.
fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = number(bytes, 0)? as usize;
    let body = bytes.get(HEADER..length)?;
    Some((short(bytes, 4)?, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    while let (Some(length), Some(kind)) = (short(bytes, 0), short(bytes, 2)) {
        let Some(value) = bytes.get(4..length as usize) else { break };
        all.push((kind, value.to_vec()));
        bytes = bytes.get((length as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// Reads an address, if it is one of that device, permanent and of global scope.
fn lasting(answer: &[u8], device: u32) -> Option<Address> {
    let [family, prefix, flags, scope, ..] = *answer else { return None };
    let global = scope == libc::RT_SCOPE_UNIVERSE && u32::from(flags) & libc::IFA_F_PERMANENT != 0;
    if !global || number(answer, 4)? != device {
        return None;
    }
    let kept = [libc::IFA_ADDRESS, libc::IFA_LOCAL, libc::IFA_BROADCAST];
    let attributes = attributes(&answer[ADDRESS..]).into_iter().filter(|(kind, _)| kept.contains(kind)).collect();
    Some(Address { family, prefix, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let bytes = Request::new(libc::RTM_NEWLINK, 0, &link(7, 1)).with(libc::IFLA_IFNAME, &text("eth0")).finish();
        let (kind, body, rest) = split_message(&bytes).unwrap();
        assert_eq!((kind, number(body, 4), rest.len(), bytes.len() % 4), (libc::RTM_NEWLINK, Some(7), 0, 0));
        assert_eq!(attributes(&body[LINK..]), [(libc::IFLA_IFNAME, b"eth0\0".to_vec())]);
    }

    #[test]
    fn only_lasting_addresses_of_the_device_are_kept() {
        let address = |index: u32, scope: u8, flags: u8| {
            let mut fixed = vec![2, 24, flags, scope];
            fixed.extend_from_slice(&index.to_ne_bytes());
            let bytes = Request::new(libc::RTM_NEWADDR, 0, &fixed)
                .with(libc::IFA_LOCAL, &[10, 0, 0, 1])
                .with(libc::IFA_LABEL, &text("x"));
            lasting(&bytes.finish()[HEADER..], 7)
        };
        let kept = address(7, 0, 0x80).unwrap();
        assert_eq!((kept.family, kept.prefix, kept.attributes), (2, 24, vec![(libc::IFA_LOCAL, vec![10, 0, 0, 1])]));
        assert_eq!((address(8, 0, 0x80), address(7, 253, 0x80), address(7, 0, 0)), (None, None, None));
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        let bytes = Request::new(libc::RTM_NEWLINK, 0, &link(7, 1)).finish();
        for length in 0..bytes.len() {
            assert!(split_message(&bytes[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn the_kernel_knows_the_loopback_device() {
        let socket = Socket::open().unwrap();
        let lo = socket.find("lo").unwrap().unwrap();
        assert!(socket.devices().unwrap().contains(&lo));
        assert_eq!(socket.find("none-such").unwrap(), None);
        socket.lasting_addresses(lo).unwrap();
    }
}
