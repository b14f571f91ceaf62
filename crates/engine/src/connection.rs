//! Connection: the record of one accepted client: its sockets, buffers, times and its Session.
//!
//! Passive: the supervisor feeds the Session and performs its Actions, the relay moves the bytes.

use std::rc::Rc;
use std::sync::Arc;

use headworks_core::action::Side;
use headworks_core::buffer::Buffer;
use headworks_core::session::{Session, State};
use headworks_core::time::Millis;
use mio::Token;

use crate::pipes::Pipe;
use crate::socket::Socket;
use crate::tls::Deployment;

/// A Plan as one worker shares it among its connections: counted without locked instructions.
pub(crate) type LocalPlan = Rc<Arc<Deployment>>;

/// One accepted client and the server found for it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Told apart from earlier connections in the same place.
    pub(crate) generation: u32,
    /// The Plan it was accepted under.
    pub(crate) plan: LocalPlan,
    /// Its supervisor.
    pub(crate) session: Session,
    /// The client's socket.
    pub(crate) client: Socket,
    /// The server's socket, once one is being connected.
    pub(crate) server: Option<Socket>,
    /// The two directions, by the side that sends.
    pub(crate) lanes: [Lane; 2],
    /// Times.
    pub(crate) times: Times,
    /// When its timer fires; 0: it has none.
    pub(crate) armed: Millis,
    /// This side is broken; what it had sent is still being delivered to the other.
    pub(crate) lost: Option<Side>,
    /// The PROXY header was put in front of what the server gets.
    pub(crate) announced: bool,
    /// It stands in the supervisor's list of those with more to do this turn.
    pub(crate) queued: bool,
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Bytes that wait: for a verdict, or for room.
    pub(crate) buffer: Buffer,
    /// The pipe, while much is moved.
    pub(crate) pipe: Option<Pipe>,
    /// The sender's end was read.
    pub(crate) ended: bool,
    /// Bytes moved since the lane last ran dry; many in a row are worth a pipe.
    pub(crate) run: u64,
    /// Bytes already added to the counters.
    pub(crate) tallied: u64,
}

impl Lane {
    /// Bytes read and not yet written.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len() + self.pipe.as_ref().map_or(0, |pipe| pipe.held)
    }
}

/// When things happened, engine clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Accepted.
    pub(crate) accepted: Millis,
    /// The decision where to route (or that it is refused).
    pub(crate) decided: Option<Millis>,
    /// The last server was connected.
    pub(crate) connected: Option<Millis>,
    /// The state that the current deadline belongs to began.
    pub(crate) since: Millis,
    /// The last byte, either way.
    pub(crate) active: Millis,
    /// Bytes on their way to either side when the connection last seemed idle.
    pub(crate) in_flight: usize,
}

impl Connection {
    /// The socket on one side.
    pub(crate) fn socket(&mut self, side: Side) -> Option<&mut Socket> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Server => self.server.as_mut(),
        }
    }

    /// The side whose socket is in error, while what it had sent is still being delivered.
    pub(crate) fn broken_side(&self) -> Option<Side> {
        if self.client.broken {
            return Some(Side::Client);
        }
        self.server.as_ref().filter(|server| server.broken).map(|_| Side::Server)
    }

    /// Whether bytes that we handed to the kernel still move, so that a connection that seems idle is not: a slow
    /// reader takes from megabytes there without our seeing it. Called when it seems idle for as long as it may.
    pub(crate) fn still_delivers(&mut self, now: Millis) -> bool {
        if !matches!(self.session.state(), State::Relaying | State::HalfClosed(_)) {
            return false;
        }
        let in_flight = self.client.unacknowledged() + self.server.as_ref().map_or(0, Socket::unacknowledged);
        let moves = in_flight != 0 && in_flight != std::mem::replace(&mut self.times.in_flight, in_flight);
        if moves {
            self.times.active = now;
        }
        moves
    }
}

/// Poll tokens: `kind | generation | place << 1 | side`, the kind in the two highest bits; the highest values are listeners and the mailbox.
pub(crate) mod token {
    use super::{Side, Token};

    /// The mailbox.
    pub(crate) const MAIL: Token = Token(usize::MAX);
    const LISTENERS: usize = usize::MAX - (1 << 20);
    /// Marks sockets of exchanges.
    const HTTP: usize = 1 << 62;
    /// Marks sockets of clients in their handshakes. Never both: such tokens would reach the listeners' range.
    const HANDSHAKE: usize = 1 << 63;
    /// Bits of a generation: so few that no token reaches the listeners' range.
    pub(crate) const GENERATIONS: u32 = 0x3fff_ffff;

    /// A connection's socket.
    pub(crate) fn connection(generation: u32, place: usize, side: Side) -> Token {
        Token(((generation & GENERATIONS) as usize) << 32 | (place & 0x7fff_ffff) << 1 | side as usize)
    }

    /// The socket of an HTTP client, or of a server that answers several of them; places are counted by side.
    pub(crate) fn http(generation: u32, place: usize, side: Side) -> Token {
        Token(connection(generation, place, side).0 | HTTP)
    }

    /// The socket of a client in its handshake.
    pub(crate) fn handshake(generation: u32, place: usize) -> Token {
        Token(connection(generation, place, Side::Client).0 | HANDSHAKE)
    }

    /// A listening socket, by its slot.
    pub(crate) fn listener(slot: usize) -> Token {
        Token(LISTENERS + slot)
    }

    /// What a token stands for.
    pub(crate) enum Meaning {
        /// Letters wait.
        Mail,
        /// Clients wait at this slot.
        Listener(usize),
        /// A connection's socket: generation, place, side.
        Connection(u32, usize, Side),
        /// A socket of exchanges: generation, place, side.
        Http(u32, usize, Side),
        /// A client in its handshake: generation, place.
        Handshake(u32, usize),
    }

    /// Reads a token.
    pub(crate) fn read(token: Token) -> Meaning {
        match token.0 {
            usize::MAX => Meaning::Mail,
            n if n >= LISTENERS => Meaning::Listener(n - LISTENERS),
            n => {
                let side = if n & 1 == 0 { Side::Client } else { Side::Server };
                let (generation, place) = ((n >> 32) as u32 & GENERATIONS, (n & 0xffff_ffff) >> 1);
                match n & (HTTP | HANDSHAKE) {
                    0 => Meaning::Connection(generation, place, side),
                    HTTP => Meaning::Http(generation, place, side),
                    _ => Meaning::Handshake(generation, place),
                }
            }
        }
    }
}
