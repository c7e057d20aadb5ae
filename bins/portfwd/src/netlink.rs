//! rtnetlink(7): asking the kernel for links, addresses and routes, and telling it to change them.
//!
//! A netlink socket carries datagrams of messages: a header (length, type, flags, number), a fixed part (which
//! interface, which family) and attributes (name, address, ...). Each request here asks for an acknowledgement,
//! which is an error number with 0 for "done". What `ip(8)` does is this and nothing else: try
//! `strace -e trace=sendmsg,recvmsg ip link`.
//!
//! A netlink socket talks to the network namespace that it was *made* in, wherever its process is later.

use ipnet::Ipv4Net;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, State,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The kernel fills at most 32 KiB for one datagram of a dump.
const RECEIVE_BUFFER: usize = 64 << 10;
/// The most that an interface's alias can hold (IFALIASZ - 1).
const LONGEST_ALIAS: usize = 255;

/// What is asked for here of a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// A text that somebody left on it.
    pub alias: String,
    /// Whether it is up and its other end is too, so that what is sent over it goes somewhere (RFC 2863's "up").
    pub is_operational: bool,
    /// The group that it is in; 0 is where all are that nobody has put elsewhere.
    pub group: u32,
}

/// A new veth pair.
#[derive(Debug)]
pub struct VethPair<'a> {
    /// The name of the end that stays here.
    pub here: &'a str,
    /// The number of the bridge that this end is plugged into.
    pub bridge: u32,
    /// The group that this end is in.
    pub group: u32,
    /// The namespace that the other end is made in.
    pub namespace: BorrowedFd<'a>,
    /// The name of the other end.
    pub there: &'a str,
    /// The hardware address of the other end.
    pub hardware_address: [u8; 6],
}

/// A conversation with the kernel about one network namespace. All errors are the kernel's own: `EEXIST` for a name
/// that is taken, `EPERM` without CAP_NET_ADMIN in the namespace's user namespace.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket to the network namespace that this thread is in.
    pub fn open() -> io::Result<Netlink> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// The interface of a name, if there is one.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        // Counters are of no interest, and their form changes between kernels.
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        match self.request(NLM_F_ACK, RouteNetlinkMessage::GetLink(message)) {
            Ok(answers) => Ok(answers.into_iter().find_map(as_link)),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All interfaces of the namespace.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        let answers = self.request(NLM_F_DUMP, RouteNetlinkMessage::GetLink(message))?;
        Ok(answers.into_iter().filter_map(as_link).collect())
    }

    /// All IPv4 subnets that a route of the namespace leads to, whatever table it is in.
    pub fn routed_subnets(&mut self) -> io::Result<Vec<Ipv4Net>> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        let answers = self.request(NLM_F_DUMP, RouteNetlinkMessage::GetRoute(message))?;
        Ok(answers.into_iter().filter_map(as_subnet).collect())
    }

    /// The first IPv4 address of an interface.
    pub fn address_of(&mut self, link: &Link) -> io::Result<Option<Ipv4Addr>> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        let answers = self.request(NLM_F_DUMP, RouteNetlinkMessage::GetAddress(message))?;
        Ok(answers.into_iter().find_map(|answer| as_address(answer, link.index)))
    }

    /// Makes a bridge, which is down and has no address yet. Fails with `EEXIST` when the name is taken.
    pub fn make_bridge(&mut self, name: &str, group: u32, hardware_address: [u8; 6]) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Group(group),
            // A bridge without an address of its own takes the lowest of its ports', and changes with them.
            LinkAttribute::Address(hardware_address.to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                // No spanning tree runs here, so there is nothing to wait for before a port forwards.
                LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::ForwardDelay(0)])),
            ]),
        ];
        self.request(NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(message)).map(drop)
    }

    /// Gives an interface an address and sets it up: one batch.
    pub fn set_up(&mut self, index: u32, address: Ipv4Addr, prefix_len: u8) -> io::Result<()> {
        self.batch(vec![
            (NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewAddress(address_message(index, address, prefix_len))),
            (0, RouteNetlinkMessage::SetLink(up(index))),
        ])
    }

    /// Leaves a text on an interface, cut off where it is longer than the kernel keeps it.
    pub fn set_alias(&mut self, index: u32, alias: &str) -> io::Result<()> {
        let mut alias = alias.to_owned();
        while alias.len() > LONGEST_ALIAS {
            alias.pop();
        }
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes.push(LinkAttribute::IfAlias(alias));
        self.batch(vec![(0, RouteNetlinkMessage::SetLink(message))])
    }

    /// Makes a veth pair in one request: this end up and plugged into a bridge, the other made right inside of another
    /// namespace, and down, because it is made first and cannot be up without a peer. Fails with `EEXIST` when either
    /// name is taken in its namespace.
    pub fn make_veth(&mut self, pair: &VethPair) -> io::Result<()> {
        let mut there = LinkMessage::default();
        there.attributes = vec![
            LinkAttribute::IfName(pair.there.to_owned()),
            LinkAttribute::Address(pair.hardware_address.to_vec()),
            LinkAttribute::NetNsFd(pair.namespace.as_raw_fd()),
        ];
        let mut here = up(0);
        here.attributes = vec![
            LinkAttribute::IfName(pair.here.to_owned()),
            LinkAttribute::Group(pair.group),
            LinkAttribute::Controller(pair.bridge),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(there))),
            ]),
        ];
        self.request(NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(here)).map(drop)
    }

    /// Sets the loopback and an interface up, and gives the latter an address and a default route: one batch.
    pub fn configure(&mut self, link: u32, address: Ipv4Addr, prefix_len: u8, gateway: Ipv4Addr) -> io::Result<()> {
        // The loopback is the first interface of every namespace (LOOPBACK_IFINDEX).
        let loopback = 1;
        self.batch(vec![
            (0, RouteNetlinkMessage::SetLink(up(loopback))),
            (0, RouteNetlinkMessage::SetLink(up(link))),
            (NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewAddress(address_message(link, address, prefix_len))),
            (NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRoute(default_route(link, gateway))),
        ])
    }

    /// Removes an interface. One that is not there is removed already.
    pub fn delete_link(&mut self, index: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.delete(message)
    }

    /// Removes all interfaces of a group, which takes the kernel no longer than one.
    pub fn delete_group(&mut self, group: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        self.delete(message)
    }

    fn delete(&mut self, message: LinkMessage) -> io::Result<()> {
        match self.request(NLM_F_ACK, RouteNetlinkMessage::DelLink(message)) {
            Err(error) if error.raw_os_error() != Some(libc::ENODEV) => Err(error),
            _ => Ok(()),
        }
    }

    fn request(&mut self, flags: u16, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let last = self.send(vec![(flags, message)])?;
        self.receive(last, 1)
    }

    /// Sends several requests as one datagram. The kernel carries out each, whatever became of those before.
    fn batch(&mut self, requests: Vec<(u16, RouteNetlinkMessage)>) -> io::Result<()> {
        let expected = requests.len();
        let last = self.send(requests.into_iter().map(|(flags, message)| (flags | NLM_F_ACK, message)).collect())?;
        self.receive(last, expected).map(drop)
    }

    /// Sends requests and gives the number of the last.
    fn send(&mut self, requests: Vec<(u16, RouteNetlinkMessage)>) -> io::Result<u32> {
        let mut datagram = Vec::new();
        for (flags, message) in requests {
            self.sequence += 1;
            let mut header = NetlinkHeader::default();
            header.flags = NLM_F_REQUEST | flags;
            header.sequence_number = self.sequence;
            let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
            message.finalize();
            let start = datagram.len();
            datagram.resize(start + align(message.buffer_len()), 0);
            message.serialize(&mut datagram[start..]);
        }
        self.socket.send(&datagram, 0)?;
        Ok(self.sequence)
    }

    /// Receives until `expected` requests, the last of them of number `last`, are acknowledged (or their dump is
    /// done). Gives what else was answered, or the first error.
    fn receive(&mut self, last: u32, expected: usize) -> io::Result<Vec<RouteNetlinkMessage>> {
        let first = last + 1 - expected as u32;
        let (mut answers, mut failure, mut pending) = (Vec::new(), None, expected);
        let mut buffer = vec![0u8; RECEIVE_BUFFER];
        while pending > 0 {
            let size = self.socket.recv(&mut &mut buffer[..], 0)?;
            let mut rest = &buffer[..size];
            while !rest.is_empty() {
                let packet = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?;
                let length = align(packet.length() as usize).min(rest.len());
                // An answer to a request that was given up earlier is nobody's.
                if (first..=last).contains(&packet.sequence_number()) {
                    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map(NetlinkMessage::into_parts) {
                        Ok((_, NetlinkPayload::Error(error))) => {
                            pending -= 1;
                            if error.code.is_some() {
                                failure = failure.or(Some(error.to_io()));
                            }
                        }
                        Ok((_, NetlinkPayload::Done(_))) => pending -= 1,
                        Ok((_, NetlinkPayload::InnerMessage(message))) => answers.push(message),
                        // Some exotic interface or route that this library cannot read: it is none of ours.
                        Ok(_) | Err(_) => {}
                    }
                }
                rest = &rest[length..];
            }
        }
        failure.map_or(Ok(answers), Err)
    }
}

/// Messages begin at multiples of four bytes (NLMSG_ALIGN).
fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A message that sets an interface up (or makes it up from the start).
fn up(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message
}

fn address_message(link: u32, address: Ipv4Addr, prefix_len: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = prefix_len;
    message.header.index = link;
    let mask = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    let broadcast = Ipv4Addr::from(u32::from(address) | mask);
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(address)),
        AddressAttribute::Address(IpAddr::V4(address)),
        AddressAttribute::Broadcast(broadcast),
    ];
    message
}

fn default_route(link: u32, gateway: Ipv4Addr) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway)), RouteAttribute::Oif(link)];
    message
}

fn as_link(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let mut link = Link { index: message.header.index, ..Link::default() };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::IfAlias(alias) => link.alias = alias,
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::OperState(state) => link.is_operational = state == State::Up,
            _ => {}
        }
    }
    Some(link)
}

fn as_subnet(message: RouteNetlinkMessage) -> Option<Ipv4Net> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let destination = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    });
    // The default route has no destination.
    let destination = destination.unwrap_or(Ipv4Addr::UNSPECIFIED);
    Ipv4Net::new(destination, message.header.destination_prefix_length).ok()
}

fn as_address(message: RouteNetlinkMessage, link: u32) -> Option<Ipv4Addr> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    if message.header.index != link {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })
}
