//! AskedFor: servers that clients choose themselves, by a name or by the address that they connected to:
//! which names and addresses they may lead to.
//!
//! What is judged is the address that is connected to, whatever name led there and however it is written: a
//! name of a stranger may resolve to our own network. Must never let an address through that means this
//! machine or its neighbours unless a network within theirs was listed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};

use super::{Locator, Server, ServerSettings, ServerState};
use crate::address::Address;
use crate::close::CloseReason;
use crate::lock::lock;
use crate::names::{Domain, Families, Resolution, Sought, SoughtKind};
use crate::networks::Networks;

/// Addresses whose state is kept; beyond, all but those in use are forgotten.
const MOST_KNOWN: usize = 4_096;
/// Addresses of one name that are tried.
const MOST_TRIED: usize = 8;

/// Networks that mean this machine, its neighbours or nobody (RFC 6890 and the registries that it began).
const SPECIAL: [&str; 25] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001:2::/48",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/9",
    "ff00::/8",
];

/// The servers that clients may name.
#[derive(Debug)]
pub struct AskedFor {
    written: Locator,
    /// Port of every server; None: that of the address found.
    port: Option<u16>,
    max_connections: u32,
    /// Destinations that were listed: of networks and of names, none means all but special ones.
    allowed: Destinations,
    /// The networks among them that lie within special ones.
    special: Networks,
    /// Destinations that are refused, whatever allows them.
    denied: Destinations,
    shards: usize,
    known: Arc<Mutex<HashMap<Address, Arc<Server>>>>,
}

/// Networks and names, as people list them.
#[derive(Debug, Clone)]
struct Destinations {
    networks: Networks,
    names: Box<[NamePattern]>,
}

/// A name, or every name below one.
#[derive(Debug, Clone)]
struct NamePattern {
    name: Box<str>,
    below: bool,
}

impl AskedFor {
    /// Compiles it for what is `written`, with networks and names. The errors are `(key, index, reason)`.
    pub(crate) fn compile(
        written: &Locator,
        max_connections: u32,
        allowed: &[String],
        denied: &[String],
    ) -> Result<Self, Vec<(&'static str, usize, String)>> {
        let mut errors = Vec::new();
        let is_original = *written == Locator::Original;
        let mut read = |key, listed| {
            let (destinations, wrong) = Destinations::read(listed, !is_original);
            errors.extend(wrong.into_iter().map(|(index, reason)| (key, index, reason)));
            destinations
        };
        let destinations = read("allow_destinations", allowed);
        let denied = read("deny_destinations", denied);
        if !errors.is_empty() {
            return Err(errors);
        }
        let within: Vec<_> = allowed.iter().filter(|text| is_within_special(text)).cloned().collect();
        Ok(Self {
            written: written.clone(),
            port: if let Locator::Asked(port) = written { Some(*port) } else { None },
            max_connections,
            allowed: destinations,
            special: Networks::parse(&within).unwrap_or_default(),
            denied,
            shards: 1,
            known: Arc::default(),
        })
    }

    /// Copies it for an engine with `shards` workers; what is known of servers goes on.
    pub(super) fn adopt(&self, previous: Option<&Self>, shards: usize) -> Self {
        let known = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.known));
        Self {
            written: self.written.clone(),
            allowed: self.allowed.clone(),
            special: self.special.clone(),
            denied: self.denied.clone(),
            shards,
            known,
            ..*self
        }
    }

    /// Returns the locator that it was written as.
    pub fn locator(&self) -> &Locator {
        &self.written
    }

    /// Whether the server is the address that the client connected to before it was redirected here.
    pub fn is_original(&self) -> bool {
        self.written == Locator::Original
    }

    /// Whether a client may ask for `name`, or why not.
    pub fn admits(&self, name: Option<&str>) -> Result<Domain, CloseReason> {
        let domain = Domain::new(name.ok_or(CloseReason::NoName)?).ok_or(CloseReason::DestinationDenied)?;
        let name = domain.as_str();
        let listed = self.allowed.names.is_empty() || self.allowed.has_name(name);
        if listed && !self.denied.has_name(name) { Ok(domain) } else { Err(CloseReason::DestinationDenied) }
    }

    /// Returns what is to be resolved for a client that asks for `name`, or why nothing is.
    pub fn sought(&self, name: Option<&str>, families: Families) -> Result<Sought, CloseReason> {
        let domain = self.admits(name)?;
        // Absolute: a client's name is not looked for in our own domains.
        let name = format!("{domain}.").into();
        Ok(Sought { name, kind: SoughtKind::Addresses(families) })
    }

    /// Returns the servers that a name leads to, in the order in which they are tried, or why there is none.
    pub fn servers(&self, found: &Resolution) -> Result<Vec<Arc<Server>>, CloseReason> {
        let ends = found.endpoints.iter().filter(|endpoint| self.allows(endpoint.address));
        let ends = ends.filter_map(|endpoint| {
            let port = self.port.or(endpoint.port).filter(|port| *port != 0)?;
            Some(SocketAddr::new(endpoint.address, port))
        });
        let allowed: Vec<_> = ends.take(MOST_TRIED).collect();
        if allowed.is_empty() {
            return Err(CloseReason::DestinationDenied);
        }
        Ok(allowed.into_iter().map(|address| self.server(address)).collect())
    }

    /// Whether an address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        let written = address.to_canonical();
        let inner = [Some(written)].into_iter().chain(embedded(written)).flatten();
        let allowed = &self.allowed.networks;
        let is_free = |address: IpAddr| {
            let is_special = special().contains(address) && !self.special.contains(address);
            !is_special && !self.denied.networks.contains(address)
        };
        (allowed.is_empty() || allowed.contains(written)) && inner.into_iter().all(is_free)
    }

    /// Returns the address at which a client gets to `address`, or the word for its refusal.
    pub fn reached(&self, address: IpAddr) -> Result<Address, &'static str> {
        let place = Address::Ip((address, self.port.unwrap_or(0)).into());
        if self.allows(address) { Ok(place) } else { Err(CloseReason::DestinationDenied.as_str()) }
    }

    fn server(&self, address: SocketAddr) -> Arc<Server> {
        let address = Address::Ip(address);
        let mut known = lock(&self.known);
        let state = match known.get(&address) {
            Some(server) if server.max_connections == self.max_connections => return Arc::clone(server),
            // A reload has changed how many it may hold.
            Some(server) => Arc::clone(&server.state),
            None => Arc::new(ServerState::new(self.shards)),
        };
        if known.len() >= MOST_KNOWN {
            known.retain(|_, server| server.state.active() > 0);
        }
        let settings = ServerSettings {
            address: address.clone(),
            weight: 1,
            backup: false,
            max_connections: self.max_connections,
        };
        let server = Arc::new(Server::new(settings, state));
        if known.len() < MOST_KNOWN {
            known.insert(address, Arc::clone(&server));
        }
        server
    }
}

impl Destinations {
    /// Reads a list; also returns what is neither a network nor a name that may be there, as `(index,
    /// reason)`.
    fn read(listed: &[String], takes_names: bool) -> (Self, Vec<(usize, String)>) {
        let (mut networks, mut names, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (index, text) in listed.iter().enumerate() {
            let bare = text.strip_prefix("*.").unwrap_or(text);
            match Domain::new(bare) {
                Some(_) if !takes_names => {
                    let reason = format!("\"{text}\" is no network, and an original destination has no name");
                    errors.push((index, reason));
                }
                Some(name) => {
                    let below = bare.len() < text.len();
                    names.push(NamePattern { name: name.as_str().into(), below });
                }
                None => match Networks::parse(std::slice::from_ref(text)) {
                    Ok(_) => networks.push(text.clone()),
                    Err(found) => errors.extend(found.into_iter().map(|(_, reason)| (index, reason))),
                },
            }
        }
        let networks = Networks::parse(&networks).unwrap_or_default();
        (Self { networks, names: names.into() }, errors)
    }

    fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.takes(name))
    }
}

impl NamePattern {
    fn takes(&self, name: &str) -> bool {
        if !self.below {
            return *self.name == *name;
        }
        name.strip_suffix(&*self.name).is_some_and(|rest| rest.ends_with('.'))
    }
}

fn special() -> &'static Networks {
    static NETWORKS: OnceLock<Networks> = OnceLock::new();
    NETWORKS.get_or_init(|| Networks::parse(&SPECIAL.map(str::to_owned)).unwrap_or_default())
}

/// Whether a network lies within one that is special.
fn is_within_special(text: &str) -> bool {
    let Ok(net) = text.parse::<ipnet::IpNet>().or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from))
    else {
        return false;
    };
    let is_outer = |special: &&str| special.parse::<ipnet::IpNet>().is_ok_and(|outer| outer.contains(&net));
    SPECIAL.iter().any(is_outer)
}

/// Returns the IPv4 addresses that an IPv6 address stands for or is reached by: NAT64 (RFC 6052), 6to4
/// (RFC 3056), Teredo (RFC 4380: the server, and the client behind it), and the compatible form that nobody
/// uses any more (RFC 4291).
fn embedded(address: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(address) = address else { return [None, None] };
    let words = address.segments();
    let v4 = |high: u16, low: u16| Some(IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))));
    match words {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [v4(high, low), None],
        [0x2002, high, low, ..] => [v4(high, low), None],
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [v4(high, low), v4(!client_high, !client_low)]
        }
        [0, 0, 0, 0, 0, 0, high, low] if address != Ipv6Addr::LOCALHOST => [v4(high, low), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Endpoint;

    fn asked_for(listed: &[&str]) -> AskedFor {
        let listed: Vec<_> = listed.iter().map(|text| (*text).to_owned()).collect();
        AskedFor::compile(&Locator::Asked(443), 9, &listed, &[]).unwrap()
    }

    fn allows(asked: &AskedFor, text: &str) -> bool {
        asked.allows(text.parse().unwrap())
    }

    /// Ways in that others have let through.
    const WAYS_IN: [&str; 44] = [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::a00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2001:2::1",
        "2002:7f00:1::1",
        "2002:a00:1::",
        "2002:c0a8:101::1",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "ff02::1",
    ];

    #[test]
    fn none_of_the_ways_in_leads_in() {
        for listed in [&["0.0.0.0/0", "::/0"][..], &[], &["*.example.com"]] {
            let asked = asked_for(listed);
            for text in WAYS_IN {
                assert!(!allows(&asked, text), "{text} with {listed:?}");
            }
            for text in
                ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
            {
                assert!(allows(&asked, text), "{text}");
            }
        }
    }

    #[test]
    fn a_network_within_a_special_one_lets_that_through_and_no_other() {
        let asked = asked_for(&["10.1.0.0/16", "127.0.0.1", "8.8.8.0/24"]);
        for (text, allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("8.8.8.8", true),
            ("9.9.9.9", false),
        ] {
            assert_eq!(allows(&asked, text), allowed, "{text}");
        }
    }

    #[test]
    fn destinations_that_are_denied_are_so_whatever_allows_them() {
        let all = ["*.example.com".to_owned(), "0.0.0.0/0".to_owned(), "10.0.0.0/8".to_owned()];
        let denied = ["secret.example.com", "*.dark.example.com", "8.8.0.0/16", "10.9.0.0/16"];
        let asked = AskedFor::compile(&Locator::Asked(443), 9, &all, &denied.map(str::to_owned)).unwrap();
        for (text, allowed) in [
            ("9.9.9.9", true),
            ("8.8.8.8", false),
            ("::ffff:8.8.8.8", false),
            ("10.1.1.1", true),
            ("10.9.1.1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(allows(&asked, text), allowed, "{text}");
        }
        for (name, admitted) in [
            ("a.example.com", true),
            ("secret.example.com", false),
            ("below.secret.example.com", true),
            ("dark.example.com", true),
            ("a.dark.example.com", false),
        ] {
            assert_eq!(asked.admits(Some(name)).is_ok(), admitted, "{name}");
        }
    }

    #[test]
    fn names_that_may_be_asked_for() {
        let asked = asked_for(&["example.com", "*.example.org"]);
        let sought = |name| asked.sought(Some(name), Families::default());
        for name in ["example.com", "a.example.org", "a.b.Example.org"] {
            assert!(sought(name).unwrap().name.ends_with('.'), "{name}");
        }
        for name in
            ["example.org", "a.example.com", "badexample.org", "10.0.0.1", "[::1]", "a..b", "127.1", ""]
        {
            assert_eq!(sought(name), Err(CloseReason::DestinationDenied), "{name}");
        }
        assert_eq!(asked.sought(None, Families::default()), Err(CloseReason::NoName));
        assert!(asked_for(&["0.0.0.0/0"]).sought(Some("anything.at.all"), Families::default()).is_ok());
    }

    #[test]
    fn servers_keep_their_state_and_few_are_tried() {
        let asked = asked_for(&["0.0.0.0/0"]);
        let endpoint = |number: u32| Endpoint {
            address: IpAddr::V4(Ipv4Addr::from(0x0808_0000 + number)),
            port: None,
            priority: 0,
            weight: 0,
            host: "h".into(),
        };
        let found = |range: std::ops::Range<u32>| Resolution {
            endpoints: range.map(endpoint).collect(),
            fresh_for: 1,
            stale_since: None,
        };
        let first = asked.servers(&found(1..100)).unwrap();
        assert_eq!((first.len(), &*first[0].name), (MOST_TRIED, "8.8.0.1:443"));
        let next = asked.adopt(Some(&asked), 2);
        assert!(Arc::ptr_eq(&first[0], &next.servers(&found(1..2)).unwrap()[0]), "over a reload, too");
        let fewer = AskedFor::compile(&Locator::Asked(443), 3, &["0.0.0.0/0".to_owned()], &[])
            .unwrap()
            .adopt(Some(&next), 2);
        let server = Arc::clone(&fewer.servers(&found(1..2)).unwrap()[0]);
        assert!(Arc::ptr_eq(&server.state, &first[0].state) && server.max_connections == 3);
        for number in 0..2 * MOST_KNOWN as u32 {
            asked.servers(&found(number..number + 1)).unwrap();
        }
        assert!(lock(&asked.known).len() <= MOST_KNOWN);
    }

    #[test]
    fn an_original_destination_keeps_its_port_and_has_no_name() {
        let listed = ["0.0.0.0/0".to_owned()];
        let asked = AskedFor::compile(&Locator::Original, 9, &listed, &[]).unwrap();
        let found = |address: &str| {
            let to: SocketAddr = address.parse().unwrap();
            let servers = asked.servers(&Resolution::of_address(to));
            servers.map(|servers| servers[0].name.to_string())
        };
        assert!(asked.is_original());
        assert_eq!(found("8.8.8.8:8443").as_deref(), Ok("8.8.8.8:8443"));
        for refused in ["127.0.0.1:80", "10.0.0.1:80", "8.8.8.8:0", "[2001:4860::1]:80"] {
            assert_eq!(found(refused), Err(CloseReason::DestinationDenied), "{refused}");
        }
        let named = ["example.com".to_owned()];
        assert_eq!(AskedFor::compile(&Locator::Original, 9, &named, &[]).unwrap_err()[0].1, 0);
    }

    #[test]
    fn what_is_neither_a_network_nor_a_name() {
        let listed = ["10.0.0.0/33".to_owned(), "a b".to_owned(), "*".to_owned()];
        let errors = AskedFor::compile(&Locator::Asked(1), 1, &listed, &listed[..1]).unwrap_err();
        let places: Vec<_> = errors.iter().map(|(key, index, _)| (*key, *index)).collect();
        let allowed = "allow_destinations";
        assert_eq!(places, [(allowed, 0), (allowed, 1), (allowed, 2), ("deny_destinations", 0)]);
    }
}
