//! Connection: the record of one accepted client: its sockets, buffers, times and its Session.
//!
//! Passive: the supervisor feeds the Session and performs its Actions, the relay moves the bytes.

use headworks_core::action::Side;
use headworks_core::bandwidth::Throttle;
use headworks_core::pool::{Backend, Server};
use headworks_core::session::{Session, State};
use headworks_core::time::Millis;

use crate::arrival::Arrival;
use crate::consult::Asked;
use crate::io::{Lane, Socket};

/// One accepted client and the server found for it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The arrival, with the client's socket.
    pub(crate) who: Arrival,
    /// The Session, which decides.
    pub(crate) session: Session,
    /// The server's socket, once one is being connected.
    pub(crate) server: Option<Socket>,
    /// The two directions, by the side that sends.
    pub(crate) lanes: [Lane; 2],
    /// Times at which things happened to it.
    pub(crate) times: ConnectionTimes,
    /// A side that is broken; what it had sent is still being delivered to the other.
    pub(crate) lost: Option<Side>,
    /// Whether the PROXY header was put in front of what the server gets.
    pub(crate) announced: bool,
    /// The limits of what it may move in a time.
    pub(crate) throttle: Option<Box<Throttle>>,
    /// The question that is waited for.
    pub(crate) asked: Option<Asked>,
}

/// Times at which things happened, by the engine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionTimes {
    /// Time of the decision where to route, or to refuse.
    pub(crate) decided: Option<Millis>,
    /// Time at which the last server was connected.
    pub(crate) connected: Option<Millis>,
    /// Time at which the state began that the present deadline belongs to.
    pub(crate) since: Millis,
    /// Time of the last byte, either way.
    pub(crate) active: Millis,
    /// Bytes on their way to either side when the connection last seemed idle.
    pub(crate) in_flight: usize,
}

impl Connection {
    /// Returns the backend and server that it was last given.
    pub(crate) fn chosen(&self) -> Option<(&Backend, &Server)> {
        let attempts = self.session.attempts();
        Some((&self.who.plan.backends[attempts.backend()? as usize], attempts.server()?))
    }

    /// Returns the socket on one side.
    pub(crate) fn socket(&mut self, side: Side) -> Option<&mut Socket> {
        match side {
            Side::Client => Some(&mut self.who.socket),
            Side::Server => self.server.as_mut(),
        }
    }

    /// Returns the side whose socket is in error, while what it had sent is still being delivered.
    pub(crate) fn broken_side(&self) -> Option<Side> {
        if self.who.socket.broken {
            return Some(Side::Client);
        }
        self.server.as_ref().filter(|server| server.broken).map(|_| Side::Server)
    }

    /// Returns when it may move more, where it waits for that.
    pub(crate) fn resumes(&self) -> Option<Millis> {
        self.throttle.as_ref()?.next()
    }

    /// Whether bytes that we handed to the kernel still move, so that a connection that seems idle is not: a
    /// slow reader takes from megabytes there without our seeing it. Called when it seems idle for as long as
    /// it may.
    pub(crate) fn still_delivers(&mut self, now: Millis) -> bool {
        if !matches!(self.session.state(), State::Relaying | State::HalfClosed(_)) {
            return false;
        }
        let in_flight =
            self.who.socket.unacknowledged() + self.server.as_ref().map_or(0, Socket::unacknowledged);
        let moves = in_flight != 0 && in_flight != std::mem::replace(&mut self.times.in_flight, in_flight);
        if moves {
            self.times.active = now;
        }
        moves
    }
}
