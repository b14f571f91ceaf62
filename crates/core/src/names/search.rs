//! A search: one name that somebody wants the addresses of, from what was written to the endpoints.
//!
//! Literal addresses answer themselves; then the file of hosts, then `localhost`, then nameservers. A name
//! that is not absolute is tried in the domains of the search list; both families are asked side by side,
//! and so are all hosts of a service, and one that fails does not lose the others. Whoever drives a search
//! answers its [`open`](Search::open) queries by [`settle`](Search::settle), then asks for its
//! [`outcome`](Search::outcome), which may open others.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::cache::Kept;
use super::domain::Domain;
use super::hosts::HostsFile;
use super::message::{Found, Query, QueryType, Service};
use super::resolver_conf::ResolverConf;
use super::{FAILURE_KEPT, Unresolved};
use crate::time::{DAY, Millis};

/// Hosts of a service that are looked at.
const MOST_HOSTS: usize = 256;
/// Time for which a literal address is what it is.
const LITERAL_FRESH: Millis = DAY * 1_000;
/// Time for which the file of hosts is believed: so soon it is looked at again.
const FILE_FRESH: Millis = 1_000;
const LOOPBACK: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];

/// The families of addresses that are wanted, and in which order they are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Families {
    /// Both, one IPv6 and one IPv4 address after the other (RFC 8305 section 4).
    #[default]
    Both,
    /// IPv4 only.
    Ipv4Only,
    /// IPv6 only.
    Ipv6Only,
    /// Both, IPv4 before IPv6.
    Ipv4First,
    /// Both, IPv6 before IPv4.
    Ipv6First,
}

impl Families {
    fn query_types(self) -> &'static [QueryType] {
        match self {
            Self::Ipv4Only => &[QueryType::A],
            Self::Ipv6Only => &[QueryType::Aaaa],
            _ => &[QueryType::A, QueryType::Aaaa],
        }
    }

    /// Leaves out what is not wanted, and puts the others in order.
    fn arrange(self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv4());
        match self {
            Self::Ipv4Only => v4,
            Self::Ipv6Only => v6,
            Self::Ipv4First => v4.into_iter().chain(v6).collect(),
            Self::Ipv6First => v6.into_iter().chain(v4).collect(),
            Self::Both => {
                let longest = v4.len().max(v6.len());
                (0..longest).flat_map(|n| v6.get(n).into_iter().chain(v4.get(n)).copied()).collect()
            }
        }
    }
}

/// The kind of what is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SoughtKind {
    /// Addresses of a host.
    Addresses(Families),
    /// Addresses and ports of the hosts of a service (RFC 2782).
    Service(Families),
}

impl SoughtKind {
    fn families(self) -> Families {
        match self {
            Self::Addresses(families) | Self::Service(families) => families,
        }
    }
}

/// A name, and what of it is sought.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sought {
    /// The name as it was written: a literal address, a host, a service.
    pub name: Box<str>,
    /// The kind.
    pub kind: SoughtKind,
}

/// One address that a name resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port. None: addresses were sought, and have none.
    pub port: Option<u16>,
    /// Endpoints of the lowest priority are used, others wait; 0 for addresses.
    pub priority: u16,
    /// Share among endpoints of the same priority; 0 for addresses.
    pub weight: u16,
    /// The host that has the address.
    pub host: Box<str>,
}

/// Endpoints that a name resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// At least one endpoint, in the order in which they are to be tried.
    pub endpoints: Vec<Endpoint>,
    /// Time after which the name is to be asked for again.
    pub fresh_for: Millis,
    /// Time for which part of it holds no longer, for no nameserver answers. None: it holds.
    pub stale_since: Option<Millis>,
}

impl Resolution {
    /// Returns what an address with its port comes to.
    pub fn of_address(to: SocketAddr) -> Self {
        let endpoint = Endpoint {
            address: to.ip(),
            port: Some(to.port()),
            priority: 0,
            weight: 0,
            host: Box::default(),
        };
        Self { endpoints: vec![endpoint], fresh_for: LITERAL_FRESH, stale_since: None }
    }
}

impl Sought {
    /// Returns what it comes to if it is a literal address; None: it is a name.
    pub fn literal(&self) -> Option<Result<Resolution, Unresolved>> {
        let bare = self.name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&self.name);
        let address: IpAddr = bare.parse().ok()?;
        let SoughtKind::Addresses(families) = self.kind else { return Some(Err(Unresolved::BadName)) };
        let addresses = families.arrange(&[address]);
        Some(resolution(
            endpoints(&addresses, bare),
            Freshest { fresh_for: LITERAL_FRESH, ..Freshest::default() },
        ))
    }
}

/// A query that is part of a search.
#[derive(Debug)]
struct Part {
    query: Query,
    outcome: Option<Result<Kept, Unresolved>>,
}

/// A host of a service, as far as its addresses are known without asking.
#[derive(Debug)]
struct Host {
    service: Service,
    known: Vec<IpAddr>,
}

/// The time for which all parts hold, and since when one of them does not.
#[derive(Debug, Clone, Copy)]
struct Freshest {
    fresh_for: Millis,
    stale_since: Option<Millis>,
}

impl Default for Freshest {
    fn default() -> Self {
        Self { fresh_for: Millis::MAX, stale_since: None }
    }
}

impl Freshest {
    fn add(&mut self, part: &Result<Kept, Unresolved>) {
        match part {
            Ok(kept) => {
                self.fresh_for = self.fresh_for.min(kept.fresh_for);
                self.stale_since = self.stale_since.max(kept.stale_since);
            }
            Err(_) => self.fresh_for = self.fresh_for.min(FAILURE_KEPT),
        }
    }
}

/// One name on its way to its endpoints.
#[derive(Debug)]
pub struct Search {
    kind: SoughtKind,
    /// The names that are tried, the first one now.
    names: VecDeque<Domain>,
    parts: Vec<Part>,
    /// Hosts of the service, once they are known.
    hosts: Option<Vec<Host>>,
    freshest: Freshest,
    /// Whether one of the names exists.
    exists: bool,
    /// Why one of the names is not known to exist.
    failure: Option<Unresolved>,
    settled: Option<Result<Resolution, Unresolved>>,
}

impl Search {
    /// Begins a search with what the system's files say.
    pub fn new(sought: &Sought, hosts: &HostsFile, conf: &ResolverConf) -> Self {
        let mut search = Self {
            kind: sought.kind,
            names: VecDeque::new(),
            parts: Vec::new(),
            hosts: None,
            freshest: Freshest::default(),
            exists: false,
            failure: None,
            settled: sought.literal(),
        };
        if search.settled.is_some() {
            return search;
        }
        let Some(name) = Domain::new(&sought.name) else {
            search.settled = Some(Err(Unresolved::BadName));
            return search;
        };
        if let SoughtKind::Addresses(families) = sought.kind
            && let Some(addresses) = known_here(&name, hosts, families)
        {
            let fresh = Freshest { fresh_for: FILE_FRESH, stale_since: None };
            search.settled = Some(resolution(endpoints(&addresses, name.as_str()), fresh));
            return search;
        }
        search.names = candidates(name, &sought.name, conf);
        search.open_name();
        search
    }

    /// Returns the queries that are to be answered.
    pub fn open(&self) -> impl Iterator<Item = &Query> {
        self.parts.iter().filter(|part| part.outcome.is_none()).map(|part| &part.query)
    }

    /// Answers a query, if it is one of those.
    pub fn settle(&mut self, query: &Query, outcome: &Result<Kept, Unresolved>) {
        for part in self.parts.iter_mut().filter(|part| part.outcome.is_none() && part.query == *query) {
            part.outcome = Some(outcome.clone());
        }
    }

    /// Whether something is found already, though queries are open.
    pub fn has_some(&self) -> bool {
        let found = |part: &Part| match &part.outcome {
            Some(Ok(kept)) => matches!(kept.answer.found, Found::Addresses(_)),
            _ => false,
        };
        let known = |hosts: &Vec<Host>| hosts.iter().any(|host| !host.known.is_empty());
        self.parts.iter().any(found) || self.hosts.as_ref().is_some_and(known)
    }

    /// Returns what came of it. None: queries are open, perhaps others than before.
    pub fn outcome(&mut self, hosts: &HostsFile) -> Option<Result<Resolution, Unresolved>> {
        while self.settled.is_none() {
            if self.parts.iter().any(|part| part.outcome.is_none()) {
                return None;
            }
            self.conclude(hosts);
        }
        self.settled.clone()
    }

    /// Draws the conclusion from all parts: it is settled, or there are new ones.
    fn conclude(&mut self, hosts: &HostsFile) {
        let parts = std::mem::take(&mut self.parts);
        let mut outcomes = parts.iter().filter_map(|part| part.outcome.as_ref());
        if let Some(of_service) = self.hosts.take() {
            outcomes.for_each(|outcome| self.freshest.add(outcome));
            self.settled = Some(self.gather(&of_service, &parts));
            return;
        }
        let mut addresses = Vec::new();
        let mut freshest = Freshest::default();
        for outcome in outcomes.by_ref() {
            freshest.add(outcome);
            match outcome {
                Ok(kept) => match &kept.answer.found {
                    Found::Addresses(found) => addresses.extend_from_slice(found),
                    Found::Services(services) => {
                        self.freshest = freshest;
                        self.open_hosts(services, hosts);
                        return;
                    }
                    Found::NoRecords => self.exists = true,
                    Found::NoSuchName => {}
                },
                Err(failure) => self.failure = Some(*failure),
            }
        }
        let addresses = self.kind.families().arrange(&addresses);
        if !addresses.is_empty() {
            let name = self.names.front().map_or("", Domain::as_str);
            self.settled = Some(resolution(endpoints(&addresses, name), freshest));
            return;
        }
        self.try_next();
    }

    /// Tries the next name. A nameserver that fails may fail for one domain only; silence is the same for
    /// all.
    fn try_next(&mut self) {
        self.names.pop_front();
        let goes_on = matches!(self.failure, None | Some(Unresolved::ServerFailure));
        if goes_on && !self.names.is_empty() {
            self.open_name();
            return;
        }
        let absent = if self.exists { Unresolved::NoAddresses } else { Unresolved::NoSuchName };
        self.settled = Some(Err(self.failure.unwrap_or(absent)));
    }

    fn open_name(&mut self) {
        let Some(name) = self.names.front() else { return };
        let query_types = match self.kind {
            SoughtKind::Addresses(families) => families.query_types(),
            SoughtKind::Service(_) => &[QueryType::Srv],
        };
        let part = |query_type: &QueryType| Part {
            query: Query { name: name.clone(), query_type: *query_type },
            outcome: None,
        };
        self.parts = query_types.iter().map(part).collect();
    }

    /// Opens queries for the addresses of a service's hosts that do not stand beside them.
    fn open_hosts(&mut self, services: &[Service], hosts: &HostsFile) {
        let mut ordered: Vec<&Service> = services.iter().collect();
        ordered.sort_by_key(|service| service.priority);
        ordered.truncate(MOST_HOSTS);
        let families = self.kind.families();
        let mut of_service = Vec::with_capacity(ordered.len());
        for service in ordered {
            let here = known_here(&service.target, hosts, families);
            let known = here.clone().unwrap_or_else(|| families.arrange(&service.addresses));
            for query_type in families.query_types().iter().filter(|_| here.is_none()) {
                let query = Query { name: service.target.clone(), query_type: *query_type };
                let has = known.iter().any(|address| address.is_ipv4() == (*query_type == QueryType::A));
                if !has && self.parts.iter().all(|part| part.query != query) {
                    self.parts.push(Part { query, outcome: None });
                }
            }
            of_service.push(Host { service: service.clone(), known });
        }
        self.hosts = Some(of_service);
    }

    fn gather(&self, hosts: &[Host], parts: &[Part]) -> Result<Resolution, Unresolved> {
        let mut gathered = Vec::new();
        for Host { service, known } in hosts {
            let mut addresses = known.clone();
            for part in parts.iter().filter(|part| part.query.name == service.target) {
                if let Some(Ok(kept)) = &part.outcome
                    && let Found::Addresses(found) = &kept.answer.found
                {
                    addresses.extend_from_slice(found);
                }
            }
            let addresses = self.kind.families().arrange(&addresses);
            gathered.extend(endpoints(&addresses, service.target.as_str()).map(|endpoint| Endpoint {
                port: Some(service.port),
                priority: service.priority,
                weight: service.weight,
                ..endpoint
            }));
        }
        let failure = parts.iter().find_map(|part| part.outcome.as_ref()?.as_ref().err());
        match failure {
            Some(failure) if gathered.is_empty() => Err(*failure),
            _ => resolution(gathered.into_iter(), self.freshest),
        }
    }
}

/// Returns the addresses that are known without a nameserver.
fn known_here(name: &Domain, hosts: &HostsFile, families: Families) -> Option<Vec<IpAddr>> {
    let mut known = families.arrange(hosts.addresses(name));
    if known.is_empty() && name.is_localhost() {
        known = families.arrange(&LOOPBACK);
    }
    (!known.is_empty()).then_some(known)
}

/// Lists the names that a name may stand for, in the order in which they are tried.
fn candidates(name: Domain, written: &str, conf: &ResolverConf) -> VecDeque<Domain> {
    if written.ends_with('.') {
        return [name].into();
    }
    let mut names: VecDeque<Domain> = conf.search.iter().filter_map(|domain| name.within(domain)).collect();
    let dots = written.bytes().filter(|byte| *byte == b'.').count();
    if dots >= conf.dots {
        names.push_front(name);
    } else {
        names.push_back(name);
    }
    names
}

fn endpoints(addresses: &[IpAddr], host: &str) -> impl Iterator<Item = Endpoint> {
    let endpoint = |address: &IpAddr| Endpoint {
        address: *address,
        port: None,
        priority: 0,
        weight: 0,
        host: host.into(),
    };
    addresses.iter().map(endpoint)
}

fn resolution(
    endpoints: impl Iterator<Item = Endpoint>,
    freshest: Freshest,
) -> Result<Resolution, Unresolved> {
    let endpoints: Vec<Endpoint> = endpoints.collect();
    if endpoints.is_empty() {
        return Err(Unresolved::NoAddresses);
    }
    let Freshest { fresh_for, stale_since } = freshest;
    Ok(Resolution { endpoints, fresh_for, stale_since })
}
