//! The states of an exchange, each with the values that mean something in it, and the one deadline that each
//! has.
//!
//! Two rules. A state says what is waited for, and nothing else does: there is no flag beside it that changes
//! its meaning. A value that is known only in some states is held by them, so that an exchange is never asked
//! for what it does not have.

use crate::consult::ConsultantIndex;
use crate::spec::{BackendSpec, Hook, TimeoutsSpec};
use crate::time::Millis;

/// The state of an exchange.
///
/// ```text
///   Ruling -> [InLine] -> Connecting -> Asking -> Awaiting -> Answering -> Over
///      |          |           |            |          |   \-> Tunnel ---/
///      \__________|___________|____________|__________|----> Told -----/
/// ```
///
/// From Ruling, Asking and Awaiting it goes to Consulting and back while an analyzer is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExchangeState {
    /// The rules have not been asked yet, or the request is being written.
    #[default]
    Ruling,
    /// The head just read is held until an analyzer has answered.
    Consulting(Consultation),
    /// The body of the request is held until all of it is there: an analyzer wants to see it.
    Collecting(Consultation),
    /// A place at a server is waited for.
    InLine,
    /// A server's connection is being opened.
    Connecting,
    /// The request is on its way.
    Asking(Attempt),
    /// The whole request is on its way; the head of the response is waited for.
    Awaiting(Attempt),
    /// The head of the response was written; more of it may come.
    Answering(Attempt),
    /// The client and the server speak another protocol.
    Tunnel(Ends),
    /// An answer of our own was written.
    Told,
    /// The exchange is over: nothing follows.
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

/// An analyzer that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consultation {
    /// The analyzer's number in the Plan.
    pub analyzer: ConsultantIndex,
    /// The moment about which it is asked.
    pub hook: Hook,
    /// The server whose response it is asked about.
    pub attempt: Attempt,
    /// The request is still on its way to that server.
    pub asking: bool,
    /// The whole body of the request is shown.
    pub whole: bool,
}

/// The sides of a tunnel that have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// The client has, and the server was told.
    pub client: bool,
    /// The server has, and the client was told.
    pub server: bool,
}

/// An exchange's reason to wait: every state has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeWait {
    /// An analyzer's answer: its `deadline`.
    Answer,
    /// A place at a server: `queue_timeout`.
    Place,
    /// A server's answer to our connect: `connect_timeout`.
    Connect,
    /// The wait for more of the request from its client: `body_timeout`.
    Body,
    /// The server: to take more of the request, or to answer. `response_timeout`.
    Response,
    /// A byte of the response, either way: `idle`.
    Idle,
    /// A byte of a tunnel, either way: `tunnel_timeout`.
    Tunnel,
}

/// The configured limits of every wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) timeouts: &'a TimeoutsSpec,
    pub(super) backend: Option<&'a BackendSpec>,
    /// The deadline of the analyzer that is asked.
    pub(super) answer: Millis,
}

impl Attempt {
    /// Whether the request does not get on because of the server.
    pub(super) fn is_held_up(self) -> bool {
        self.full || self.deaf
    }
}

impl ExchangeState {
    /// Returns what is waited for; None when nothing is.
    pub(super) fn wait(self) -> Option<ExchangeWait> {
        Some(match self {
            Self::Ruling | Self::Over => return None,
            Self::Consulting(_) => ExchangeWait::Answer,
            Self::Collecting(_) => ExchangeWait::Body,
            Self::InLine => ExchangeWait::Place,
            Self::Connecting => ExchangeWait::Connect,
            Self::Asking(attempt) if attempt.is_held_up() => ExchangeWait::Response,
            Self::Asking(_) => ExchangeWait::Body,
            Self::Awaiting(_) => ExchangeWait::Response,
            Self::Answering(_) | Self::Told => ExchangeWait::Idle,
            Self::Tunnel(_) => ExchangeWait::Tunnel,
        })
    }

    /// Returns the server that is asked.
    pub(super) fn attempt(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::Asking(attempt) | Self::Awaiting(attempt) | Self::Answering(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// Returns the word in lists of connections.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ruling => "head",
            Self::Consulting(_) => "consulting",
            Self::Collecting(_) => "body",
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

impl Bounds<'_> {
    /// Returns how long a wait may take.
    pub(super) fn of(self, wait: ExchangeWait) -> Millis {
        let backend = |limit: fn(&BackendSpec) -> Millis| self.backend.map_or(self.timeouts.idle, limit);
        match wait {
            ExchangeWait::Answer => self.answer,
            ExchangeWait::Place => backend(|spec| spec.queue_timeout),
            ExchangeWait::Connect => backend(|spec| spec.connect_timeout),
            ExchangeWait::Body => self.timeouts.body,
            ExchangeWait::Response => backend(|spec| spec.response_timeout),
            ExchangeWait::Idle => self.timeouts.idle,
            ExchangeWait::Tunnel => self.timeouts.tunnel,
        }
    }
}
