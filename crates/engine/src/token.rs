//! Tokens: what a poll says of which socket, in the 64 bits that the kernel gives back.
//!
//! ```text
//!   63      60 59                    32 31               1    0
//!   [ kind  ] [      generation      ] [     place      ] [side]
//! ```
//!
//! Must never be read but here: a stale one names a generation that is gone.

use headworks_core::action::Side;
use mio::Token;

/// The kinds of what can become ready: 4 bits, so that there is room for 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    /// The mailbox.
    Mail = 0,
    /// A listening socket.
    Listener = 1,
    /// A socket of a connection that is passed through.
    Connection = 2,
    /// A client in its handshake.
    Handshake = 3,
    /// An HTTP client, or a connection to a server that answers requests.
    Http = 4,
    /// A client that waits to be let in; its socket is not watched.
    Lobby = 5,
}

/// The meaning of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Kind of the record that it belongs to.
    pub(crate) kind: Kind,
    /// Generation that tells it from earlier ones in the same place.
    pub(crate) generation: u32,
    /// The record's place among those of its kind and side.
    pub(crate) place: usize,
    /// The side that is at the other end.
    pub(crate) side: Side,
}

/// Bits of a generation.
pub(crate) const GENERATIONS: u32 = (1 << 28) - 1;
/// Bits of a place.
const PLACES: usize = (1 << 31) - 1;
/// The mailbox.
pub(crate) const MAIL: Token = Token(Kind::Mail as usize);

/// Makes the token of a listening socket, by its slot.
pub(crate) fn listener(slot: usize) -> Token {
    make(Kind::Listener, 0, slot, Side::Client)
}

/// Makes the token of a socket of `kind`.
#[inline]
pub(crate) fn make(kind: Kind, generation: u32, place: usize, side: Side) -> Token {
    Token(
        (kind as usize) << 60
            | ((generation & GENERATIONS) as usize) << 32
            | (place & PLACES) << 1
            | side as usize,
    )
}

/// Reads a token; None: no kind has this number.
#[inline]
pub(crate) fn read(token: Token) -> Option<Meaning> {
    let kind = match token.0 >> 60 {
        0 => Kind::Mail,
        1 => Kind::Listener,
        2 => Kind::Connection,
        3 => Kind::Handshake,
        4 => Kind::Http,
        5 => Kind::Lobby,
        _ => return None,
    };
    let generation = (token.0 >> 32) as u32 & GENERATIONS;
    let side = if token.0 & 1 == 0 { Side::Client } else { Side::Server };
    Some(Meaning { kind, generation, place: token.0 >> 1 & PLACES, side })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_read_and_no_two_are_the_same() {
        let mut seen = std::collections::HashSet::new();
        for kind in [Kind::Listener, Kind::Connection, Kind::Handshake, Kind::Http, Kind::Lobby] {
            for generation in [0, 1, GENERATIONS] {
                for place in [0, 1, PLACES] {
                    for side in [Side::Client, Side::Server] {
                        let token = make(kind, generation, place, side);
                        assert_eq!(read(token), Some(Meaning { kind, generation, place, side }));
                        assert!(token != MAIL && seen.insert(token));
                    }
                }
            }
        }
        assert_eq!(read(MAIL).map(|meaning| meaning.kind), Some(Kind::Mail));
        assert!((6..16).all(|kind| read(Token(kind << 60)).is_none()));
    }
}
