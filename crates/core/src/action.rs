//! Event, Action, Side: the language between a Session and the engine.
//!
//! The engine reports Events, a [`Session`](crate::session::Session) answers each with one Action. Nothing
//! else crosses: must never carry sockets, owned bytes or engine types.

use crate::close::{ConsultFault, Fault};
use crate::consult::{Advice, ConsultantIndex};
use crate::names::{Resolution, Unresolved};
use crate::spec::Hook;
use crate::table::BackendIndex;

/// A side of a connection, the other end of a socket: the one who connected to us, or the one we connected
/// to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Side {
    /// The one who connected to us.
    Client = 0,
    /// The one we connected to.
    Server = 1,
}

impl Side {
    /// Returns the opposite side.
    #[inline]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// An event in the life of a connection.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The client was accepted.
    Accepted,
    /// A held flow grew: all that this side has sent and is held, oldest first.
    Held(Side, &'a [u8]),
    /// The name that the client asks for was resolved, or could not be.
    Resolved(Result<&'a Resolution, Unresolved>),
    /// The server socket is connected.
    Connected,
    /// The server socket cannot be connected.
    ConnectFailed(Fault),
    /// The side named has ended its sending, and all it sent has been passed on.
    Ended(Side),
    /// The side named has reset the connection.
    Reset(Side),
    /// The side named has closed without the close_notify that ends TLS (RFC 8446 section 6.1): something may
    /// be missing.
    Truncated(Side),
    /// An analyzer has answered.
    Advised(&'a Advice),
    /// An analyzer cannot be asked.
    Unadvised(ConsultFault),
    /// The current deadline (see [`Wait`]) has passed.
    Expired,
}

/// The engine's next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Do nothing until the next event.
    Wait,
    /// Open a socket to this server (see [`Attempts::server`](crate::pool::Attempts::server)) and pass on
    /// what is held.
    Connect(Choice),
    /// Resolve the name that the client asks for, as [`AskedFor`](crate::pool::AskedFor) of this backend
    /// has it.
    Resolve(BackendIndex),
    /// Autonomous mode: move bytes of every flow that is not held, both ways.
    Relay,
    /// Show what is held of this side again, as [`Event::Held`]: the turn of another analyzer has come.
    Show(Side),
    /// Ask an analyzer about what is held of the client.
    Consult {
        /// The analyzer's number in the Plan.
        analyzer: ConsultantIndex,
        /// The moment about which it is asked.
        hook: Hook,
    },
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
    /// Identity of the server; the Session's Attempts have it as a value.
    pub server: u64,
}

/// A connection's reason to wait: every state has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The first bytes, complete. Counted from accept.
    FirstBytes,
    /// The verdict of an analyzer on what this side says. Counted from the beginning of its turn
    /// ([`Flow::since`]).
    ///
    /// [`Flow::since`]: crate::flow::Flow::since
    Verdict(Side),
    /// The server's answer to our connect.
    Connect,
    /// The wait for any byte, either way. Counted from the last byte.
    Idle,
    /// The wait for any byte in the one direction that is left. Counted from the last byte.
    HalfClose,
    /// The client's end after a refusal.
    Linger,
}
