//! Client: the record of one accepted HTTP client: its socket, what it said and what it has still to be told, and the
//! exchange under way. An idle one owns neither buffers nor an exchange.
//!
//! Passive: the Exchanges drive it. Must never decide what an exchange does.

use std::net::SocketAddr;

use headworks_core::buffer::Buffer;
use headworks_core::close::CloseReason;
use headworks_core::http::listener::HttpListener;
use headworks_core::listener::{HeaderRule, Listener, Permit};
use headworks_core::time::Millis;

use super::running::Running;
use crate::connection::LocalPlan;
use crate::socket::Socket;

/// One accepted client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Told apart from earlier clients in the same place.
    pub(crate) generation: u32,
    /// What it waits for.
    pub(crate) phase: Phase,
    /// The rule of its listener on PROXY headers, until that has been kept.
    pub(crate) rule: HeaderRule,
    /// It stands in the list of those with more to do.
    pub(crate) queued: bool,
    /// The Plan in force for the present exchange.
    pub(crate) plan: LocalPlan,
    /// Its listener in the Plan.
    pub(crate) listener: u32,
    /// Its place at the listener.
    pub(crate) permit: Permit,
    /// Its socket.
    pub(crate) socket: Socket,
    /// Its address: as accepted, or from a PROXY header. None for a unix client.
    pub(crate) address: Option<SocketAddr>,
    /// Where it connected to, from a PROXY header.
    pub(crate) local: Option<SocketAddr>,
    /// Bytes from it that nobody has acted on.
    pub(crate) inbound: Buffer,
    /// How many of them cannot end a head.
    pub(crate) seen: usize,
    /// The exchange under way.
    pub(crate) running: Option<Box<Running>>,
    /// Requests it has made.
    pub(crate) requests: u32,
    /// When it was accepted.
    pub(crate) accepted: Millis,
    /// When the present wait began.
    pub(crate) since: Millis,
    /// When its timer fires; 0: it has none.
    pub(crate) armed: Millis,
    /// Why it may not be served at all; told when it asks.
    pub(crate) turned_away: Option<CloseReason>,
}

/// What a client waits for: every phase has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its PROXY header, complete.
    Header,
    /// The head of a request, complete; counted from accept or from its first byte.
    Head,
    /// The first byte of its next request.
    Kept,
    /// A place at a server.
    Queued,
    /// A server's answer to our connect.
    Connecting,
    /// The rest of its request.
    Asking,
    /// The head of the response.
    Awaiting,
    /// The rest of the response.
    Answering,
    /// Any byte, either way: the exchange has become a tunnel.
    Tunnel,
    /// Its end, after an answer that is the last.
    Lingering,
}

impl Phase {
    /// Its word in lists of connections.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Head => "head",
            Self::Kept => "kept",
            Self::Queued => "queued",
            Self::Connecting => "connecting",
            Self::Asking => "asking",
            Self::Awaiting => "awaiting",
            Self::Answering => "answering",
            Self::Tunnel => "tunnel",
            Self::Lingering => "lingering",
        }
    }
}

impl Client {
    /// One of which nothing is known yet but its socket; it waits for its first request.
    pub(crate) fn new(plan: LocalPlan, listener: u32, permit: Permit, socket: Socket) -> Self {
        Self {
            generation: 0,
            phase: Phase::Head,
            rule: HeaderRule::Unknown,
            queued: false,
            plan,
            listener,
            permit,
            socket,
            address: None,
            local: None,
            inbound: Buffer::default(),
            seen: 0,
            running: None,
            requests: 0,
            accepted: 0,
            since: 0,
            armed: 0,
            turned_away: None,
        }
    }

    /// Its listener.
    pub(crate) fn owner(&self) -> &Listener {
        &self.plan.listeners[self.listener as usize]
    }

    /// What its listener demands of requests.
    pub(crate) fn http(&self) -> &HttpListener {
        &self.owner().http
    }

    /// When its present wait is over.
    pub(crate) fn deadline(&self) -> Millis {
        let timeouts = &self.owner().timeouts;
        let http = self.http();
        let limit = match self.phase {
            Phase::Header | Phase::Head => timeouts.first_bytes,
            Phase::Kept => http.keep_alive_timeout,
            Phase::Asking if self.is_held_up() => self.server_limit(),
            Phase::Asking => http.body_timeout,
            Phase::Answering => timeouts.idle,
            Phase::Tunnel => http.tunnel_timeout,
            Phase::Lingering => LINGER,
            Phase::Queued | Phase::Connecting | Phase::Awaiting => self.server_limit(),
        };
        self.since.saturating_add(limit)
    }

    /// Whether its request does not get on because of the server.
    pub(crate) fn is_held_up(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.full || !running.is_sent())
    }

    /// How long its backend lets it wait.
    fn server_limit(&self) -> Millis {
        let backend = self.running.as_ref().and_then(|running| running.choice);
        let Some(backend) = backend.map(|choice| &self.plan.backends[choice.backend as usize]) else {
            return self.owner().timeouts.idle;
        };
        match self.phase {
            Phase::Queued => backend.http.queue_timeout,
            Phase::Connecting => backend.connect_timeout,
            _ => backend.http.response_timeout,
        }
    }
}

/// How long a client may take to read its last answer and close, milliseconds.
const LINGER: Millis = 2_000;
