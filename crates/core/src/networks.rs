//! Networks: a set of IP networks that answers "is this address inside?".
//!
//! Owns the two families as sorted, disjoint ranges: a question is one binary search, about 17 steps for
//! 100,000 networks. IPv4-mapped IPv6 addresses (`::ffff:192.0.2.7`, RFC 4291, 2.5.5.2) are IPv4 here, in
//! networks and in questions alike, because a dual-stack socket reports IPv4 clients that way. Must never
//! resolve a name.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// A set of networks.
///
/// Worked example: `10.0.0.0/8` and `10.1.0.0/16` are one range, 10.0.0.0 to 10.255.255.255.
#[derive(Debug, Default, Clone)]
pub struct Networks {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl Networks {
    /// Parses `10.0.0.0/8`, `::1`, `192.0.2.7`; the errors are `(index, reason)`.
    ///
    /// Bits set after the prefix (`10.0.0.1/8`) are an error: the user may have meant the one address.
    pub fn parse(written: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let (mut v4, mut v6, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (index, text) in written.iter().enumerate() {
            match parse_one(text) {
                Ok(IpNet::V4(net)) => v4.push((u32::from(net.network()), u32::from(net.broadcast()))),
                Ok(IpNet::V6(net)) => v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
                Err(reason) => errors.push((index, reason)),
            }
        }
        let networks = Self { v4: Ranges::of(v4), v6: Ranges::of(v6) };
        if errors.is_empty() { Ok(networks) } else { Err(errors) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// Whether `address` is inside. An IPv4-mapped IPv6 address is looked up as IPv4, so `::/0` does not
    /// contain it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(u32::from(address)),
            IpAddr::V6(address) => self.v6.contains(u128::from(address)),
        }
    }
}

/// First and last address of each range, ascending and disjoint.
#[derive(Debug, Default, Clone)]
struct Ranges<T>(Box<[(T, T)]>);

impl<T: Ord + Copy> Ranges<T> {
    fn of(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut disjoint: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match disjoint.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => disjoint.push((first, last)),
            }
        }
        Self(disjoint.into())
    }

    fn contains(&self, address: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after > 0 && address <= self.0[after - 1].1
    }
}

fn parse_one(text: &str) -> Result<IpNet, String> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text
            .parse::<IpAddr>()
            .map(|address| IpNet::from(address.to_canonical()))
            .map_err(|_| no_network(text));
    };
    let address: IpAddr = address.parse().map_err(|_| no_network(text))?;
    let (most, family) = if address.is_ipv4() { (32, "IPv4") } else { (128, "IPv6") };
    let net = prefix
        .parse::<u8>()
        .ok()
        .and_then(|prefix| IpNet::new(address, prefix).ok())
        .ok_or_else(|| format!("the prefix of an {family} network is 0 to {most}, not \"{prefix}\""))?;
    if net.trunc() != net {
        let network = net.trunc();
        return Err(format!("\"{text}\" has bits set after its prefix: write {network}, or {address} alone"));
    }
    Ok(unmapped(net))
}

/// Turns `::ffff:10.0.0.0/104` into `10.0.0.0/8`.
fn unmapped(net: IpNet) -> IpNet {
    let (IpAddr::V4(address), Some(prefix)) = (net.addr().to_canonical(), net.prefix_len().checked_sub(96))
    else {
        return net;
    };
    Ipv4Net::new(address, prefix).map_or(net, IpNet::V4)
}

fn no_network(text: &str) -> String {
    let no_port = match text.parse::<std::net::SocketAddr>() {
        Ok(address) => format!(": write {} without a port", address.ip()),
        Err(_) => String::new(),
    };
    format!("\"{text}\" is not a network such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7{no_port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(written: &[&str]) -> Result<Networks, Vec<(usize, String)>> {
        Networks::parse(&written.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    fn inside(networks: &Networks, address: &str) -> bool {
        networks.contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_at_the_edges_of_networks() {
        let networks = parse(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "10.1.0.0/16"]).unwrap();
        for (address, expected) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.1.2.3", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("192.0.2.6", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:11.0.0.0", false),
            ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:db8::", true),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db9::", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(inside(&networks, address), expected, "{address}");
        }
    }

    #[test]
    fn everything_and_nothing() {
        let all = parse(&["0.0.0.0/0", "::/0"]).unwrap();
        for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::", "::ffff:1.2.3.4"] {
            assert!(inside(&all, address), "{address}");
        }
        assert!(!inside(&parse(&["::/0"]).unwrap(), "::ffff:1.2.3.4"));
        let none = parse(&[]).unwrap();
        assert!(none.is_empty() && !inside(&none, "::") && !all.is_empty());
    }

    #[test]
    fn mapped_networks_are_ipv4() {
        let networks = parse(&["::ffff:10.0.0.0/104", "::ffff:192.0.2.7"]).unwrap();
        assert!(inside(&networks, "10.9.9.9") && inside(&networks, "192.0.2.7"));
        assert!(!inside(&networks, "11.0.0.0") && !inside(&networks, "192.0.2.8"));
    }

    #[test]
    fn every_error_is_said_with_its_index() {
        let written =
            ["10.0.0.1/8", "::1", "2001:db8::1/32", "10.0.0.0/33", "host", "10.0.0.0/", "", "10.0.0.1:80"];
        let errors = parse(&written).unwrap_err();
        let at: Vec<_> = errors.iter().map(|(index, _)| *index).collect();
        assert_eq!(at, [0, 2, 3, 4, 5, 6, 7]);
        for ((_, reason), part) in errors.iter().zip([
            "write 10.0.0.0/8, or 10.0.0.1 alone",
            "write 2001:db8::/32, or 2001:db8::1 alone",
            "0 to 32, not \"33\"",
            "\"host\" is not a network",
            "not \"\"",
            "\"\" is not a network",
            "write 10.0.0.1 without a port",
        ]) {
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn ranges_agree_with_each_network_alone() {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        let nets: Vec<Ipv4Net> = (0..200)
            .map(|_| Ipv4Net::new((next() & 0xffff).into(), 20 + (next() % 13) as u8).unwrap().trunc())
            .collect();
        let networks = Networks::parse(&nets.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        for address in (0..0x1_0000).map(std::net::Ipv4Addr::from) {
            let expected = nets.iter().any(|net| net.contains(&address));
            assert_eq!(networks.contains(address.into()), expected, "{address}");
        }
    }
}
