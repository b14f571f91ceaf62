//! Client: the connection of an HTTP client: what it waits for, and what is known of who asks.
//!
//! An idle client owns neither buffers nor a stream. Passive: must never touch a stream, decide what a
//! request is worth, or know its server.

use headworks_core::close::CloseReason;
use headworks_core::http::facts::ClientFacts;
use headworks_core::http::listener::HttpListener;
use headworks_core::listener::{HeaderRule, Listener};
use headworks_core::pool::Backend;
use headworks_core::session::Entrance;
use headworks_core::time::Millis;
use headworks_core::wire::proxy_protocol::{self, Announced};

use crate::arrival::Arrival;

/// One accepted client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The client's arrival, with its socket and the Plan in force for the present exchange.
    pub(crate) who: Arrival,
    /// The phase, which says what is waited for.
    pub(crate) phase: Phase,
    /// The rule of its listener on PROXY headers, until that has been kept.
    pub(super) rule: HeaderRule,
    /// How many of the bytes that nobody has acted on (`who.held`) cannot end a head.
    pub(super) seen: usize,
    /// Requests it has made.
    pub(super) requests: u32,
    /// When the present wait began.
    pub(crate) since: Millis,
    /// Why it may not be served at all; sent with the answer to the first request.
    pub(super) turned_away: Option<CloseReason>,
}

/// The work that a client's connection is busy with: every phase has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The PROXY header is read.
    Header,
    /// The head of a request is read; the deadline counts from accept or from its first byte.
    Head,
    /// The first byte of the next request is waited for.
    Kept,
    /// An exchange is under way: the place of its stream, which has the deadline.
    Exchange(usize),
    /// The last answer was given, and the client may still read it.
    Lingering,
}

impl Phase {
    /// Returns its word in lists of connections.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Head => "head",
            Self::Kept => "kept",
            Self::Exchange(_) => "exchange",
            Self::Lingering => "lingering",
        }
    }
}

impl Client {
    /// Makes a client whose first request is waited for. Its PROXY header comes first, where there is one.
    pub(super) fn new(who: Arrival, now: Millis) -> Self {
        let rule = match who.entrance {
            Entrance::Accepted => who.owner().header_rule(who.address),
            Entrance::PassedThrough | Entrance::Secured => HeaderRule::Unknown,
        };
        let phase = if rule == HeaderRule::Unknown { Phase::Head } else { Phase::Header };
        Self { who, phase, rule, seen: 0, requests: 0, since: now, turned_away: None }
    }

    /// Whether its address is known, so that it can be asked whether it may be served.
    pub(super) fn is_known(&self) -> bool {
        self.rule != HeaderRule::Required
    }

    /// Asks whether it may be served; a refusal waits for its first request.
    pub(super) fn admit(&mut self) {
        let Arrival { plan, listener, permit, address, .. } = &mut self.who;
        let owner = &plan.listeners[*listener as usize];
        let address = address.map(|address| address.ip());
        self.turned_away = match permit {
            _ if !owner.admits(address) => Some(CloseReason::Denied),
            Some(permit) => owner.enter_client(permit, address).err(),
            None => None,
        };
    }

    /// Returns its listener.
    pub(crate) fn owner(&self) -> &Listener {
        self.who.owner()
    }

    /// Returns what its listener demands of requests.
    pub(crate) fn http(&self) -> &HttpListener {
        &self.owner().http
    }

    /// Returns the place of the stream under way.
    pub(crate) fn stream(&self) -> Option<usize> {
        if let Phase::Exchange(at) = self.phase { Some(at) } else { None }
    }

    /// Returns when its present wait is over; None while its stream has the deadline.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let limit = match self.phase {
            Phase::Header | Phase::Head => self.owner().spec.timeouts.first_bytes,
            Phase::Kept => self.owner().spec.timeouts.keep_alive,
            Phase::Exchange(_) => return None,
            Phase::Lingering => self.owner().spec.timeouts.linger,
        };
        Some(self.since.saturating_add(limit))
    }

    /// Whether no request of it is under way and nothing of the next one has come.
    pub(super) fn is_silent(&self) -> bool {
        match self.phase {
            Phase::Kept => true,
            Phase::Head => self.who.held.is_empty(),
            _ => false,
        }
    }

    /// Returns what is known of this client, for rewriting.
    pub(crate) fn facts(&self) -> ClientFacts<'_> {
        let tls = self.who.socket.tls();
        ClientFacts {
            address: self.who.address,
            local: self.who.local,
            secure: tls.is_some(),
            tls: self.who.socket.tls_facts(),
            early: tls.is_some_and(|tls| tls.is_early() && tls.is_shaking()),
        }
    }

    /// Appends the PROXY header that the backend wants: before the request, or where TLS is spoken before all
    /// of it.
    pub(super) fn announce(&self, backend: &Backend, out: &mut Vec<u8>) {
        if let Some(version) = backend.proxy_header {
            let announced = Announced {
                client: self.who.address,
                local: self.who.local,
                tls: self.who.socket.tls_facts(),
            };
            proxy_protocol::write(version, announced, out);
        }
    }
}
