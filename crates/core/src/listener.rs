//! Listener: addresses, a Protocol, where to route, AcceptFlags and limits; ListenerState: what changes while running.
//!
//! Decides whether a client is admitted. Must never accept: that is the engine's.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use hashbrown::HashMap;

pub use crate::analyze::HeaderRule;

use crate::address::Address;
use crate::analyze::{Attached, NoProxyHeader, ProxyHeader};
use crate::close::CloseReason;
use crate::http::listener::HttpListener;
use crate::lock::lock;
use crate::networks::Networks;
use crate::protocol::Protocol;
use crate::table::{AnswerIndex, BackendIndex};
use crate::tally::Tally;
use crate::time::Millis;
use crate::tls::{Termination, TlsTally};

/// A listener of a Plan.
#[derive(Debug)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Where it is bound.
    pub bind: Vec<Address>,
    /// What it speaks.
    pub protocol: &'static dyn Protocol,
    /// What looks at the bytes of its connections before they are passed on, in order.
    pub analyzers: Box<[Attached]>,
    /// Where its connections go.
    pub route: Route,
    /// Backend when no name is found or nothing matches.
    pub fallback: Option<BackendIndex>,
    /// What accept must learn and set.
    pub flags: AcceptFlags,
    /// Networks admitted; empty admits all.
    pub allow: Networks,
    /// Networks refused.
    pub deny: Networks,
    /// Bytes held at most before a decision.
    pub first_bytes_limit: usize,
    /// Its deadlines.
    pub timeouts: Timeouts,
    /// Open connections at most.
    pub max_connections: u32,
    /// Open connections at most from one address.
    pub max_connections_per_client: Option<u32>,
    /// Counts and counters, carried over reloads.
    pub state: Arc<ListenerState>,
    /// Its HTTP side; the default where it speaks something else.
    pub http: HttpListener,
    /// Its TLS side, where TLS ends here.
    pub tls: Option<Termination>,
}

/// What looks at a connection: for PROXY headers, where some sources send them, then for what the protocol asks.
pub fn analyzers(protocol: &dyn Protocol, flags: &AcceptFlags) -> Box<[Attached]> {
    let header = Attached { rule: Some(HeaderRule::Required), ..Attached::new(&ProxyHeader) };
    // A server that speaks first may do so while it is not known yet that no header comes.
    let no_header =
        Attached { rule: Some(HeaderRule::Forbidden), awaited: false, ..Attached::new(&NoProxyHeader) };
    let headers = [header, no_header].into_iter().filter(|_| !flags.proxy_from.is_empty());
    headers.chain(protocol.analyzers().iter().map(|analyzer| Attached::new(*analyzer))).collect()
}

/// Where connections go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To one backend.
    Backend(BackendIndex),
    /// By name, through the table with this index.
    Table(u32),
    /// Nowhere: every request gets this answer.
    Answer(AnswerIndex),
}

/// What accept must learn (the original addresses from a PROXY header) and which socket options it sets.
#[derive(Debug, Clone, Default)]
pub struct AcceptFlags {
    /// Sources that must begin with a PROXY header; from others one is refused.
    pub proxy_from: Networks,
    /// TCP keep-alive probes.
    pub keepalive: bool,
    /// An IPv6 socket takes IPv6 only.
    pub ipv6_only: bool,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// Permission bits of a unix socket.
    pub unix_mode: u32,
}

/// Deadlines of a listener, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// First bytes complete, from accept.
    pub first_bytes: Millis,
    /// No byte either way.
    pub idle: Millis,
    /// No byte in the one direction left.
    pub half_close: Millis,
}

/// What changes while running, shared by all workers.
#[derive(Debug)]
pub struct ListenerState {
    active: AtomicU32,
    clients: Mutex<HashMap<IpAddr, u32>>,
    /// Counters.
    pub tally: Tally,
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
    /// What this source must do about a PROXY header.
    pub fn header_rule(&self, source: Option<SocketAddr>) -> HeaderRule {
        match source {
            _ if self.flags.proxy_from.is_empty() => HeaderRule::Unknown,
            Some(address) if self.flags.proxy_from.contains(address.ip()) => HeaderRule::Required,
            _ => HeaderRule::Forbidden,
        }
    }

    /// Whether the access lists admit this address; a unix client has none and is admitted unless `allow` is given.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        match client {
            Some(address) => {
                !self.deny.contains(address) && (self.allow.is_empty() || self.allow.contains(address))
            }
            None => self.allow.is_empty(),
        }
    }

    /// Why a client is turned away under this listener that was, or was not, under the one before a reload.
    pub fn readmit(&self, client: Option<IpAddr>, turned_away: Option<CloseReason>) -> Option<CloseReason> {
        match (turned_away, self.admits(client)) {
            (None, false) => Some(CloseReason::Denied),
            (Some(CloseReason::Denied), true) => None,
            (kept, _) => kept,
        }
    }

    /// Takes a place for one connection.
    pub fn enter(&self) -> Result<Permit, CloseReason> {
        let permit = Permit { state: Arc::clone(&self.state), client: None };
        // The permit gives its place back when this one is refused.
        match self.state.active.fetch_add(1, Relaxed) < self.max_connections {
            true => Ok(permit),
            false => Err(CloseReason::LimitReached),
        }
    }

    /// Counts this connection for its client's address, once that is known.
    pub fn enter_client(&self, permit: &mut Permit, client: Option<IpAddr>) -> Result<(), CloseReason> {
        let (Some(limit), Some(client)) = (self.max_connections_per_client, client) else {
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
    /// State with counters for `shards` workers.
    pub fn new(shards: usize) -> Self {
        Self {
            active: AtomicU32::new(0),
            clients: Mutex::default(),
            tally: Tally::new(shards),
            tls: TlsTally::new(shards),
        }
    }

    /// Open connections.
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
