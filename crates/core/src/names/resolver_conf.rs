//! The configuration of the system's resolver, as `/etc/resolv.conf` is written (resolv.conf(5)). Must never
//! fail: a line or a word that says nothing is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::domain::Domain;
use crate::time::Millis;

/// The port of nameservers.
const PORT: u16 = 53;
/// Nameservers that are asked; more only make failures longer.
const MOST_NAMESERVERS: usize = 8;
/// Domains that are searched.
const MOST_DOMAINS: usize = 32;
/// Bounds of the options, as the C library has them.
const MOST_DOTS: u64 = 15;
const LONGEST_TIMEOUT: u64 = 30;
const MOST_ATTEMPTS: u64 = 5;

/// Content of the file, or what holds without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverConf {
    /// Nameservers in the order in which they are asked.
    pub nameservers: Vec<SocketAddr>,
    /// Domains in which names that are not absolute are searched.
    pub search: Vec<Domain>,
    /// Dots that make a name be asked for as it is before it is searched in domains.
    pub dots: usize,
    /// Time that a nameserver has, if the file says so.
    pub timeout: Option<Millis>,
    /// Times that each nameserver is asked, if the file says so.
    pub attempts: Option<usize>,
}

impl Default for ResolverConf {
    fn default() -> Self {
        Self {
            nameservers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))],
            search: Vec::new(),
            dots: 1,
            timeout: None,
            attempts: None,
        }
    }
}

impl ResolverConf {
    /// Reads the content of the file.
    pub fn read(content: &[u8]) -> Self {
        let mut conf = Self::default();
        let mut nameservers = Vec::new();
        for line in content.split(|byte| *byte == b'\n') {
            let said = line.split(|byte| matches!(byte, b'#' | b';')).next().unwrap_or_default();
            let Ok(said) = std::str::from_utf8(said) else { continue };
            let mut words = said.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if nameservers.len() < MOST_NAMESERVERS => {
                    nameservers.extend(words.next().and_then(read_nameserver));
                }
                // The last of these lines holds.
                Some("search" | "domain") => {
                    conf.search = words.filter_map(Domain::new).take(MOST_DOMAINS).collect();
                }
                Some("options") => words.for_each(|word| conf.take_option(word)),
                _ => {}
            }
        }
        if !nameservers.is_empty() {
            conf.nameservers = nameservers;
        }
        conf
    }

    fn take_option(&mut self, word: &str) {
        let Some((name, Ok(value))) = word.split_once(':').map(|(name, value)| (name, value.parse::<u64>()))
        else {
            return;
        };
        match name {
            "ndots" => self.dots = value.min(MOST_DOTS) as usize,
            "timeout" => self.timeout = Some(value.clamp(1, LONGEST_TIMEOUT) * 1_000),
            "attempts" => self.attempts = Some(value.clamp(1, MOST_ATTEMPTS) as usize),
            _ => {}
        }
    }
}

/// Reads an address, which may name a zone by its number: `fe80::1%2`.
fn read_nameserver(word: &str) -> Option<SocketAddr> {
    match word.split_once('%') {
        Some((address, zone)) => {
            let (address, zone): (Ipv6Addr, u32) = (address.parse().ok()?, zone.parse().ok()?);
            Some(SocketAddrV6::new(address, PORT, 0, zone).into())
        }
        None => Some(SocketAddr::from((word.parse::<IpAddr>().ok()?, PORT))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_usual_kind() {
        let conf = ResolverConf::read(
            b"# made by hand\ndomain old\nnameserver 192.0.2.53 ; first\nnameserver 2001:db8::53\n\
              nameserver fe80::1%2\nnameserver fe80::1%eth0\nnameserver nonsense\n\
              search svc.cluster.local cluster.local bad..name\n\
              options ndots:5 timeout:3 attempts:4 rotate edns0\n",
        );
        assert_eq!(
            conf.nameservers.iter().map(SocketAddr::to_string).collect::<Vec<_>>(),
            ["192.0.2.53:53", "[2001:db8::53]:53", "[fe80::1%2]:53"]
        );
        assert_eq!(
            conf.search,
            ["svc.cluster.local", "cluster.local"].map(|name| Domain::new(name).unwrap())
        );
        assert_eq!((conf.dots, conf.timeout, conf.attempts), (5, Some(3_000), Some(4)));
    }

    #[test]
    fn without_a_file_the_nameserver_is_here() {
        let conf = ResolverConf::read(b"");
        assert_eq!(conf, ResolverConf::default());
        assert_eq!(conf.nameservers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn options_are_bounded() {
        let conf = ResolverConf::read(b"options ndots:99 timeout:0 attempts:999 timeout: ndots:x :1\n\xff");
        assert_eq!((conf.dots, conf.timeout, conf.attempts), (15, Some(1_000), Some(5)));
    }

    #[test]
    fn no_more_nameservers_than_are_asked() {
        let many = "nameserver 192.0.2.1\n".repeat(100);
        assert_eq!(ResolverConf::read(many.as_bytes()).nameservers.len(), MOST_NAMESERVERS);
    }
}
