//! The states of an exchange, each with the values that mean something in it, and the one deadline that each has.
//!
//! Two rules. A state says what is waited for, and nothing else does: there is no flag beside it that changes its meaning.
//! And what is known only in some states is held by them, so that nothing can be asked of an exchange that has no answer.

use crate::spec::{BackendSpec, TimeoutsSpec};
use crate::time::Millis;

/// Where an exchange stands.
///
/// ```text
///   Ruling -> [InLine] -> Connecting -> Asking -> Awaiting -> Answering -> Over
///      |          |           |            |          |   \-> Tunnel ---/
///      \__________|___________|____________|__________|----> Told -----/
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// The rules have not been asked yet, or the request is being written.
    #[default]
    Ruling,
    /// A place at a server is waited for.
    InLine,
    /// A server's connection is being opened.
    Connecting,
    /// The request is on its way.
    Asking(Attempt),
    /// All of the request is on its way; the head of the response is waited for.
    Awaiting(Attempt),
    /// The head of the response was written; more of it may come.
    Answering(Attempt),
    /// Both sides speak another protocol.
    Tunnel(Ends),
    /// An answer of our own was written.
    Told,
    /// Nothing follows.
    Over,
}

/// One server that is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Parts of the body were passed on that are not at hand any more.
    pub gone: bool,
    /// The server takes no more of the request: what it still says is its answer.
    pub deaf: bool,
    /// The server's socket was full when it was last offered bytes.
    pub full: bool,
}

/// The sides of a tunnel that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// The client has, and the server was told.
    pub client: bool,
    /// The server has, and the client was told.
    pub server: bool,
}

/// What an exchange waits for: every state has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A place at a server: `queue_timeout`.
    Place,
    /// A server's answer to our connect: `connect_timeout`.
    Connect,
    /// More of the request from its client: `body_timeout`.
    Body,
    /// The server: to take more of the request, or to answer. `response_timeout`.
    Response,
    /// A byte of the response, either way: `idle`.
    Idle,
    /// A byte of a tunnel, either way: `tunnel_timeout`.
    Tunnel,
}

/// Where the limits of a wait are configured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits<'a> {
    pub(super) timeouts: &'a TimeoutsSpec,
    pub(super) backend: Option<&'a BackendSpec>,
}

impl State {
    /// What is waited for; None when nothing is.
    pub(super) fn wait(self) -> Option<Wait> {
        Some(match self {
            Self::Ruling | Self::Over => return None,
            Self::InLine => Wait::Place,
            Self::Connecting => Wait::Connect,
            Self::Asking(attempt) if attempt.full => Wait::Response,
            Self::Asking(_) => Wait::Body,
            Self::Awaiting(_) => Wait::Response,
            Self::Answering(_) | Self::Told => Wait::Idle,
            Self::Tunnel(_) => Wait::Tunnel,
        })
    }

    /// The server that is asked.
    pub(super) fn attempt(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::Asking(attempt) | Self::Awaiting(attempt) | Self::Answering(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// The word in lists of connections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ruling => "head",
            Self::InLine => "queued",
            Self::Connecting => "connecting",
            Self::Asking(_) => "asking",
            Self::Awaiting(_) => "awaiting",
            Self::Answering(_) | Self::Told => "answering",
            Self::Tunnel(_) => "tunnel",
            Self::Over => "over",
        }
    }
}

impl Limits<'_> {
    /// How long a wait may take.
    pub(super) fn of(self, wait: Wait) -> Millis {
        let backend = |limit: fn(&BackendSpec) -> Millis| self.backend.map_or(self.timeouts.idle, limit);
        match wait {
            Wait::Place => backend(|spec| spec.queue_timeout),
            Wait::Connect => backend(|spec| spec.connect_timeout),
            Wait::Body => self.timeouts.body,
            Wait::Response => backend(|spec| spec.response_timeout),
            Wait::Idle => self.timeouts.idle,
            Wait::Tunnel => self.timeouts.tunnel,
        }
    }
}
