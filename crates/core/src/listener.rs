//! Listener: its Spec and what was compiled of it; ListenerState: what changes while running.
//!
//! Owns no copy of a plain value: those are read from the Spec. Decides whether a client is admitted. Must
//! never accept: that is the engine's.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use hashbrown::HashMap;

pub use crate::analyze::HeaderRule;

use crate::address::Address;
use crate::analyze::{Attached, KindFound, Kinds, NoProxyHeader, ProxyHeader};
use crate::bandwidth::Bandwidth;
use crate::close::CloseReason;
use crate::connection_rate::ConnectionRate;
use crate::consult::Consultants;
use crate::http::listener::HttpListener;
use crate::http::rules::Rule;
use crate::lock::lock;
use crate::networks::Networks;
use crate::program::Programs;
use crate::protocol::Protocol;
use crate::spec::ListenerSpec;
use crate::table::{AnswerIndex, BackendIndex};
use crate::tally::{EndTally, Tally};
use crate::time::Millis;
use crate::tls::{self, Termination, TlsTally};

/// A listener of a Plan.
#[derive(Debug)]
pub struct Listener {
    /// Name in the configuration.
    pub name: Box<str>,
    /// Settings as they were written; plain values are read from here.
    pub spec: Arc<ListenerSpec>,
    /// Addresses where the listener is bound.
    pub bind: Vec<Address>,
    /// Protocol that the listener speaks.
    pub protocol: &'static dyn Protocol,
    /// Analyzers that look at the bytes of its connections before they are passed on, in order.
    pub analyzers: Box<[Attached]>,
    /// Route of its connections.
    pub route: Route,
    /// Backend when no name is found or nothing matches.
    pub fallback: Option<BackendIndex>,
    /// Kinds of clients that are told apart; none where it does not tell any.
    pub kinds: Kinds,
    /// The ways of those kinds.
    pub kind_ways: KindWays,
    /// Sources that must begin with a PROXY header; from others one is refused.
    pub proxy_from: Networks,
    /// Networks admitted; empty admits all.
    pub allow: Networks,
    /// Networks refused.
    pub deny: Networks,
    /// Limits of bytes in a time.
    pub bandwidth: Option<Bandwidth>,
    /// Limit of connections in a time.
    pub connection_rate: Option<ConnectionRate>,
    /// Counts and counters, carried over reloads.
    pub state: Arc<ListenerState>,
    /// The HTTP side; the default where the listener speaks something else.
    pub http: HttpListener,
    /// Rules that can do anything but pass on its requests, in their order.
    pub rules: Box<[&'static dyn Rule]>,
    /// The TLS side, where TLS ends here.
    pub tls: Option<Arc<Termination>>,
    /// Rules that people wrote.
    pub programs: Programs,
    /// Analyzers that people wrote.
    pub consultants: Consultants,
}

/// Returns the analyzers that look at a connection: for PROXY headers, where some sources send them, then for
/// what the protocol asks.
pub fn analyzers(protocol: &dyn Protocol, proxy_from: &Networks) -> Box<[Attached]> {
    let header = Attached { rule: Some(HeaderRule::Required), ..Attached::new(&ProxyHeader) };
    // A server that speaks first may do so while it is not known yet that no header comes.
    let no_header =
        Attached { rule: Some(HeaderRule::Forbidden), awaited: false, ..Attached::new(&NoProxyHeader) };
    let headers = [header, no_header].into_iter().filter(|_| !proxy_from.is_empty());
    headers.chain(protocol.analyzers().iter().map(|analyzer| Attached::new(*analyzer))).collect()
}

/// The route of connections: where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Connections go to one backend.
    Backend(BackendIndex),
    /// Connections are routed by name, through the table with this index.
    Table(u32),
    /// Nowhere: every request gets this answer.
    Answer(AnswerIndex),
    /// Each kind of clients has a way of its own; this is that of none of them.
    Kinds,
}

/// The way of some connections: their route, and the backend for those that it leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The route.
    pub route: Route,
    /// Backend when no name is found or nothing matches.
    pub fallback: Option<BackendIndex>,
}

/// The ways of the kinds that a listener tells apart.
#[derive(Debug, Clone, Default)]
pub struct KindWays {
    /// The ways, in the order of [`Kinds`].
    pub ways: Box<[Way]>,
    /// The way of clients that say nothing.
    pub silent: Option<Silent>,
}

/// The way of clients that say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent {
    /// The backend, whose servers speak first.
    pub backend: BackendIndex,
    /// Time after which a client says nothing.
    pub after: Millis,
}

/// The state of a listener that changes while running, shared by all workers.
#[derive(Debug)]
pub struct ListenerState {
    active: AtomicU32,
    clients: Mutex<HashMap<IpAddr, u32>>,
    /// Counters.
    pub tally: Tally,
    /// Ends of its connections and exchanges, by reason.
    pub ends: EndTally,
    /// Counters of handshakes, where TLS ends here.
    pub tls: TlsTally,
}

/// A place among a listener's `max_connections`, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    state: Arc<ListenerState>,
    client: Option<IpAddr>,
}

impl Listener {
    /// Copies it for an engine with `shards` workers, with the live state of `previous`, if there is any.
    pub(crate) fn adopt(&self, previous: Option<&Self>, shards: usize) -> Self {
        let fresh = || Arc::new(ListenerState::new(shards));
        Self {
            name: self.name.clone(),
            spec: Arc::clone(&self.spec),
            bind: self.bind.clone(),
            protocol: self.protocol,
            analyzers: self.analyzers.clone(),
            route: self.route,
            fallback: self.fallback,
            kinds: self.kinds.clone(),
            kind_ways: self.kind_ways.clone(),
            proxy_from: self.proxy_from.clone(),
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            bandwidth: self
                .bandwidth
                .as_ref()
                .map(|limits| limits.adopt(previous.and_then(|previous| previous.bandwidth.as_ref()))),
            connection_rate: self
                .connection_rate
                .as_ref()
                .map(|rate| rate.adopt(previous.and_then(|previous| previous.connection_rate.as_ref()))),
            state: previous.map_or_else(fresh, |previous| Arc::clone(&previous.state)),
            http: self.http.adopt(previous.map(|previous| &previous.http)),
            rules: self.rules.clone(),
            tls: self.tls.clone(),
            programs: self.programs.adopt(previous.map(|previous| &previous.programs)),
            consultants: self.consultants.clone(),
        }
    }

    /// Returns the way of a client of this kind; None: of a listener that tells none apart.
    pub fn way(&self, kind: Option<KindFound>) -> Way {
        let to = |backend| Way { route: Route::Backend(backend), fallback: None };
        let own = Way { route: self.route, fallback: self.fallback };
        match kind {
            Some(KindFound::Of(number)) => {
                self.kind_ways.ways.get(usize::from(number)).copied().unwrap_or(own)
            }
            Some(KindFound::Silent) => self.kind_ways.silent.map_or(own, |silent| to(silent.backend)),
            Some(KindFound::Other) | None => own,
        }
    }

    /// Returns what this source must do about a PROXY header.
    pub fn header_rule(&self, source: Option<SocketAddr>) -> HeaderRule {
        match source {
            _ if self.proxy_from.is_empty() => HeaderRule::Unknown,
            Some(address) if self.proxy_from.contains(address.ip()) => HeaderRule::Required,
            _ => HeaderRule::Forbidden,
        }
    }

    /// Whether the access lists admit this address; a unix client has none and is admitted unless `allow` is
    /// given.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        match client {
            Some(address) => {
                !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
            }
            None => self.allow.is_empty(),
        }
    }

    /// Returns why a client is turned away under this listener that was, or was not, under the one before a
    /// reload.
    pub fn readmit(&self, client: Option<IpAddr>, turned_away: Option<CloseReason>) -> Option<CloseReason> {
        match (turned_away, self.admits(client)) {
            (None, false) => Some(CloseReason::Denied),
            (Some(CloseReason::Denied), true) => None,
            (kept, _) => kept,
        }
    }

    /// Counts one more connection of a client, once its address is known, against the limit of those in a
    /// time.
    #[inline]
    pub fn keeps_rate(&self, client: Option<IpAddr>, now: Millis) -> Result<(), CloseReason> {
        match &self.connection_rate {
            Some(rate) if !rate.admits(client, now) => Err(CloseReason::ConnectionRateLimited),
            _ => Ok(()),
        }
    }

    /// Takes a place for one connection.
    pub fn enter(&self) -> Result<Permit, CloseReason> {
        let permit = Permit { state: Arc::clone(&self.state), client: None };
        // The permit gives its place back when this one is refused.
        if self.state.active.fetch_add(1, Relaxed) < self.spec.max_connections.unwrap_or(u32::MAX) {
            Ok(permit)
        } else {
            Err(CloseReason::LimitReached)
        }
    }

    /// Returns what a client is told for whom there is no place: an alert where its TLS ends here, else
    /// nothing.
    pub fn farewell(&self) -> &'static [u8] {
        if self.tls.is_some() { tls::no_place() } else { b"" }
    }

    /// Counts this connection for its client's address, once that is known.
    pub fn enter_client(&self, permit: &mut Permit, client: Option<IpAddr>) -> Result<(), CloseReason> {
        let (Some(limit), Some(client)) = (self.spec.max_connections_per_client, client) else {
            return Ok(());
        };
        let client = client.to_canonical();
        let mut clients = lock(&self.state.clients);
        let count = clients.get(&client).copied().unwrap_or(0);
        if count >= limit {
            return Err(CloseReason::LimitReached);
        }
        clients.insert(client, count + 1);
        permit.client = Some(client);
        Ok(())
    }
}

impl ListenerState {
    /// Makes the state, with counters for `shards` workers.
    pub fn new(shards: usize) -> Self {
        Self {
            active: AtomicU32::new(0),
            clients: Mutex::default(),
            tally: Tally::new(shards),
            ends: EndTally::new(shards),
            tls: TlsTally::new(shards),
        }
    }

    /// Returns the number of open connections.
    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.state.active.fetch_sub(1, Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = lock(&self.state.clients);
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}
