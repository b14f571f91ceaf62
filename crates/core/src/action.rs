//! Event, Action, Side, Fault, CloseReason: the whole language between core and engine.
//!
//! The engine reports Events, a [`Session`](crate::session::Session) answers each with one Action. Nothing else
//! crosses: must never carry sockets, owned bytes or engine types.

use serde::Serialize;

use crate::table::BackendIndex;

/// Who is at the other end of a socket: the one who connected to us, or the one we connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Side {
    /// Connected to us.
    Client = 0,
    /// We connected to it.
    Server = 1,
}

impl Side {
    /// The opposite side.
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The client was accepted.
    Accepted,
    /// A held flow grew: all that this side has sent and is held, oldest first.
    Held(Side, &'a [u8]),
    /// The server socket is connected.
    Connected,
    /// The server socket cannot be connected.
    ConnectFailed(Fault),
    /// This side has ended its sending, and all it sent has been passed on.
    Ended(Side),
    /// This side has reset the connection.
    Reset(Side),
    /// The current deadline (see [`Wait`]) has passed.
    Expired,
}

/// What the engine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing until the next event.
    Wait,
    /// Open a socket to this server and pass on what is held.
    Connect(Choice),
    /// Autonomous mode: move bytes of every flow that is not held, both ways.
    Relay,
    /// Pass the end of one side on: shut down our sending towards this side once all is delivered.
    Finish(Side),
    /// Send these bytes to the client, finish sending, and close when the client has closed too.
    Refuse(&'static [u8]),
    /// Close both sockets.
    Close,
}

/// The server chosen for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Index of the backend in the Plan.
    pub backend: BackendIndex,
    /// Index of the server in the backend.
    pub server: u16,
}

/// What a connection is waiting for: every state has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The first bytes, complete. Counted from accept.
    FirstBytes,
    /// The server's answer to our connect.
    Connect,
    /// Any byte, either way. Counted from the last byte.
    Idle,
    /// Any byte in the one direction that is left. Counted from the last byte.
    HalfClose,
    /// The client's end after a refusal.
    Linger,
}

/// Why a connect failed: whose fault, and whether another server may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The server refused or the path does not exist.
    Refused,
    /// No answer within `connect_timeout`.
    TimedOut,
    /// No route to it.
    Unreachable,
    /// It reset the connection while it was opened.
    Reset,
    /// We lack descriptors, ports or memory: not the server's fault.
    Exhausted,
}

impl Fault {
    /// Whether the server is to blame, so that repeated faults eject it.
    pub fn blames_server(self) -> bool {
        self != Self::Exhausted
    }

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::TimedOut => "no answer in time",
            Self::Unreachable => "unreachable",
            Self::Reset => "connection reset",
            Self::Exhausted => "out of descriptors, ports or memory",
        }
    }
}

/// Why a connection ended: the `end` of its access record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Both sides ended, the client first.
    ClientClosed,
    /// Both sides ended, the server first.
    ServerClosed,
    /// The client reset the connection.
    ClientReset,
    /// The server reset the connection.
    ServerReset,
    /// No byte in either direction for `idle`.
    IdleTimeout,
    /// One side had ended and nothing moved in the other direction for `half_close`.
    HalfCloseTimeout,
    /// The first bytes were not complete within `first_bytes`.
    FirstBytesTimeout,
    /// The first bytes exceeded `first_bytes_limit`.
    TooLarge,
    /// The client gave a name that no entry matches.
    NoMatch,
    /// The client gave no name and there is no fallback.
    NoName,
    /// No server could be reached.
    NoServer,
    /// The first bytes are not what the protocol demands.
    BadRequest,
    /// The client's address is not allowed.
    Denied,
    /// `max_connections` or `max_connections_per_client` was reached.
    LimitReached,
    /// Cut off at the end of `drain`.
    Drained,
}

impl CloseReason {
    /// The word in logs, metrics and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ServerClosed => "server_closed",
            Self::ClientReset => "client_reset",
            Self::ServerReset => "server_reset",
            Self::IdleTimeout => "idle_timeout",
            Self::HalfCloseTimeout => "half_close_timeout",
            Self::FirstBytesTimeout => "first_bytes_timeout",
            Self::TooLarge => "too_large",
            Self::NoMatch => "no_match",
            Self::NoName => "no_name",
            Self::NoServer => "no_server",
            Self::BadRequest => "bad_request",
            Self::Denied => "denied",
            Self::LimitReached => "limit_reached",
            Self::Drained => "drained",
        }
    }

    /// Whether the connection failed, as against having been used and ended.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::ClientClosed | Self::ServerClosed | Self::IdleTimeout | Self::Drained)
    }
}
