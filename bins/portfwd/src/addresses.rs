//! Which subnet a network gets, and which address in it a container gets: choices as pure functions.

use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// A route this wide (`0.0.0.0/0`, or the halves that a VPN puts before it) says where everything else goes,
/// not that the addresses are in use.
const WIDEST_ROUTE_THAT_COUNTS: u8 = 8;

/// The private subnets (RFC 1918) that networks are given, in order: 172.18.0.0/16 to 172.31.0.0/16, then
/// 192.168.0.0/20 to 192.168.240.0/20. Docker draws from the same; 172.17.0.0/16 is its own bridge's.
pub fn pool() -> impl Iterator<Item = Ipv4Net> {
    let large = (18..=31).map(|second| Ipv4Net::new_assert(Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (0..16).map(|sixteenth| Ipv4Net::new_assert(Ipv4Addr::new(192, 168, sixteenth * 16, 0), 20));
    large.chain(small)
}

/// The first subnet of the pool that nothing in `taken` touches; `None` when all are taken.
pub fn choose_subnet(taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    pool().find(|candidate| is_free(candidate, taken))
}

/// Whether no subnet in `taken` shares an address with `candidate`.
pub fn is_free(candidate: &Ipv4Net, taken: &[Ipv4Net]) -> bool {
    taken
        .iter()
        .filter(|other| other.prefix_len() >= WIDEST_ROUTE_THAT_COUNTS)
        .all(|other| !candidate.contains(other) && !other.contains(candidate))
}

/// The bridge's own address: the first of its subnet.
pub fn gateway(subnet: &Ipv4Net) -> Option<Ipv4Addr> {
    subnet.hosts().next()
}

/// The lowest address that nobody has, or `preferred` when it is free: a container that comes back keeps its
/// address if it can. `None` when the subnet is full.
pub fn choose_address(
    subnet: &Ipv4Net,
    gateway: Ipv4Addr,
    taken: &BTreeSet<Ipv4Addr>,
    preferred: Option<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    let usable = |address: Ipv4Addr| {
        subnet.contains(&address)
            && address != subnet.network()
            && address != subnet.broadcast()
            && address != gateway
            && !taken.contains(&address)
    };
    preferred.filter(|address| usable(*address)).or_else(|| subnet.hosts().find(|address| usable(*address)))
}

/// The hardware address that goes with an address, as docker makes them: `02:42` and the four bytes. The bit of
/// value 2 says "locally administered". One address, one hardware address: when a container comes back with its old
/// address, what the neighbours remember (ARP) is still true.
pub fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// A hardware address as people write it.
pub fn format_hardware_address(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_subnet_that_no_route_touches_is_chosen() {
        assert_eq!(choose_subnet(&[]), Some(net("172.18.0.0/16")));
        // A route inside of a candidate takes it, and so does one around several.
        assert_eq!(choose_subnet(&[net("172.18.7.0/24")]), Some(net("172.19.0.0/16")));
        assert_eq!(choose_subnet(&[net("172.16.0.0/12")]), Some(net("192.168.0.0/20")));
        assert_eq!(choose_subnet(&[net("172.16.0.0/12"), net("192.168.1.0/24")]), Some(net("192.168.16.0/20")));
        assert_eq!(choose_subnet(&[net("172.16.0.0/12"), net("192.168.0.0/16")]), None);
    }

    #[test]
    fn the_way_out_takes_no_subnet() {
        let vpn = [net("0.0.0.0/0"), net("0.0.0.0/1"), net("128.0.0.0/1")];
        assert_eq!(choose_subnet(&vpn), Some(net("172.18.0.0/16")));
    }

    #[test]
    fn the_lowest_free_address_is_chosen_and_an_old_one_kept() {
        let subnet = net("10.1.0.0/29");
        let gateway = gateway(&subnet).unwrap();
        assert_eq!(gateway, Ipv4Addr::new(10, 1, 0, 1));
        let mut taken = BTreeSet::new();
        let mut given = Vec::new();
        while let Some(address) = choose_address(&subnet, gateway, &taken, None) {
            taken.insert(address);
            given.push(address.octets()[3]);
        }
        assert_eq!(given, [2, 3, 4, 5, 6]);
        taken.remove(&Ipv4Addr::new(10, 1, 0, 4));
        taken.remove(&Ipv4Addr::new(10, 1, 0, 6));
        let with = |preferred: [u8; 4]| choose_address(&subnet, gateway, &taken, Some(preferred.into())).unwrap();
        assert_eq!(with([10, 1, 0, 6]), Ipv4Addr::new(10, 1, 0, 6));
        // Taken, the gateway's, the broadcast address, of another subnet: the lowest instead.
        for unusable in [[10, 1, 0, 5], [10, 1, 0, 1], [10, 1, 0, 7], [10, 2, 0, 6]] {
            assert_eq!(with(unusable), Ipv4Addr::new(10, 1, 0, 4));
        }
    }

    #[test]
    fn hardware_addresses_are_dockers() {
        assert_eq!(format_hardware_address(hardware_address(Ipv4Addr::new(172, 18, 0, 2))), "02:42:ac:12:00:02");
    }
}
