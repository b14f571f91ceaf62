//! Ledger: what each end meant to say in each stream, and what the other has heard.

use std::collections::BTreeMap;

/// One message on its way.
#[derive(Debug, Default, Clone)]
pub(crate) struct Line {
    /// Bytes of the body.
    pub length: usize,
    /// Fields come after the body.
    pub trailers: bool,
    /// Bytes that the sender's trunk has taken.
    pub sent: usize,
    /// The head was sent.
    pub begun: bool,
    /// All of it was sent.
    pub done: bool,
    /// The receiver has heard the head.
    pub heard_head: bool,
    /// Bytes that the receiver has heard.
    pub heard: usize,
    /// The receiver has heard all of it.
    pub whole: bool,
}

/// A stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Account {
    /// What the client says, and what the server says.
    pub said: [Line; 2],
    /// Bytes heard by each end, client first, that it has not passed on.
    pub held: [usize; 2],
    /// An end has reset it, or refused it.
    pub reset: bool,
    /// Each end has let it go.
    pub released: [bool; 2],
    /// The server has it.
    pub served: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger(pub BTreeMap<u32, Account>);

impl Ledger {
    pub(crate) fn of(&mut self, stream: u32) -> &mut Account {
        self.0.get_mut(&stream).unwrap_or_else(|| panic!("nobody opened {stream}"))
    }

    /// The byte that a body has at a place.
    pub(crate) fn byte(stream: u32, at: usize) -> u8 {
        (stream as usize * 31 + at * 7) as u8
    }

    pub(crate) fn bytes(stream: u32, from: usize, to: usize) -> Vec<u8> {
        (from..to).map(|at| Self::byte(stream, at)).collect()
    }
}
