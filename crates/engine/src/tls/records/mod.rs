//! Records: the TLS side of one socket: records in and out, with plaintext on our side and ciphertext on the
//! wire's.
//!
//! ```text
//!   wire --recv--> scratch (partial first) --decrypt--> into the reader's bytes, the rest waits in `plain`
//!   wire <--send-- scratch, the rest waits in `owed` <--encrypt-- the writer's bytes
//! ```
//!
//! An idle stream owns no buffers: what is read and written passes through scratch memory of its thread. A
//! writer's bytes are taken whole or not at all, and while `owed` is not empty nothing more is taken. Must
//! never decide what an end or an error means.
//!
//! `reading.rs` has the way in, `writing.rs` the way out; what both share is here.

mod reading;
mod writing;

use std::cell::RefCell;
use std::os::fd::RawFd;

use headworks_core::buffer::Buffer;
use headworks_core::tls::TlsFacts;
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;

use self::reading::Filled;
use super::machine::{Failure, Heard, Machine, Run};

/// The TLS side of a socket.
#[derive(Debug)]
pub(crate) struct Records {
    machine: Machine,
    /// Ciphertext read that does not make a record yet.
    partial: Vec<u8>,
    /// Plaintext that nobody took yet.
    plain: Buffer,
    /// Ciphertext (and what goes before all of it) that the wire did not take yet.
    owed: Buffer,
    /// Whether reading the wire may give something.
    wire_readable: bool,
    /// The word of the other end about its end.
    heard: Heard,
    /// Whether the reader was told of that.
    told: bool,
    /// Whether our close_notify is on its way; after it nothing is written.
    said_end: bool,
    /// Whether the wire's end follows as soon as nothing is owed.
    finishing: bool,
    /// Whether plaintext came before the handshake was complete.
    early: bool,
    failure: Option<Failure>,
    /// The error by which the wire takes nothing any more. Bytes that it still holds can be read: the last
    /// words of whoever has gone.
    mute: Option<i32>,
    /// The terms that the handshake agreed on, for those that are told.
    pub(crate) facts: Option<Box<TlsFacts>>,
}

/// Scratch memory of one thread; nothing stays in it between calls.
struct Scratch {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

thread_local! {
    // A worker's thread serves all of its streams in turn: one scratch instead of two buffers a connection,
    // and instead of two more arguments of every read and write.
    static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { incoming: Vec::new(), outgoing: Vec::new() }) };
}

impl Records {
    /// Makes the TLS side of a client whose first bytes are `held`.
    pub(crate) fn of_client(machine: UnbufferedServerConnection, held: &[u8]) -> Self {
        let mut stream = Self::new(Machine::Server(Box::new(machine)));
        stream.partial.extend_from_slice(held);
        stream
    }

    /// Makes the TLS side of a socket to a server; `preface` goes before all of it, as it is.
    pub(crate) fn to_server(machine: UnbufferedClientConnection, preface: &[u8]) -> Self {
        let mut stream = Self::new(Machine::Client(Box::new(machine)));
        stream.owed.push(preface);
        stream.digest(&mut [], &mut |_| {});
        stream
    }

    fn new(machine: Machine) -> Self {
        Self {
            machine,
            partial: Vec::new(),
            plain: Buffer::default(),
            owed: Buffer::default(),
            wire_readable: true,
            heard: Heard::Nothing,
            told: false,
            said_end: false,
            finishing: false,
            early: false,
            failure: None,
            mute: None,
            facts: None,
        }
    }

    /// Returns what was agreed on so far.
    pub(crate) fn state(&self) -> &CommonState {
        self.machine.state()
    }

    /// Whether the handshake is not complete.
    pub(crate) fn is_shaking(&self) -> bool {
        self.state().is_handshaking()
    }

    /// Whether plaintext came before the handshake was complete.
    pub(crate) fn is_early(&self) -> bool {
        self.early
    }

    /// Returns why the TLS side is of no use any more.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Returns why the wire takes nothing any more.
    pub(crate) fn mute(&self) -> Option<i32> {
        self.mute
    }

    /// Whether the wire ended without a close_notify.
    pub(crate) fn was_truncated(&self) -> bool {
        self.heard == Heard::Truncation
    }

    /// Whether the other end said that it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.heard == Heard::End
    }

    /// Whether a read may give something.
    pub(crate) fn is_readable(&self) -> bool {
        let news = !self.told && (self.failure.is_some() || self.heard != Heard::Nothing);
        news || !self.plain.is_empty() || (self.wire_readable && self.failure.is_none())
    }

    /// Whether a write may take something.
    pub(crate) fn is_writable(&self) -> bool {
        self.failure.is_some() || self.mute.is_some() || (self.owed.is_empty() && self.speaks())
    }

    /// Whether ciphertext waits for the wire.
    pub(crate) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Returns the number of bytes of ciphertext that wait for the wire.
    pub(crate) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Whether plaintext may be written as far as the handshake goes: a server may answer early data before
    /// its end.
    fn speaks(&self) -> bool {
        !self.is_shaking() || self.early
    }

    /// Takes note that the wire became ready: sends what is owed and goes on with a handshake. `ending`: the
    /// wire's end has come.
    pub(crate) fn became(&mut self, fd: RawFd, readable: bool, writable: bool, ending: bool) {
        self.wire_readable |= readable;
        if writable {
            self.flush(fd);
        }
        if self.is_shaking() {
            self.shake(fd, ending);
        }
    }

    /// Takes the handshake as far as it goes without waiting.
    pub(crate) fn shake(&mut self, fd: RawFd, ending: bool) {
        // Bytes of the client's may have been held before there was a stream.
        if !self.partial.is_empty() {
            let mut held = std::mem::take(&mut self.partial);
            self.swallow(&mut held);
        }
        let mut reads = 0;
        while self.is_shaking() && !self.early && self.failure.is_none() && self.wire_readable {
            if self.fill(fd, ending, &mut []) == Filled::Over {
                break;
            }
            reads += 1;
            self.limit_barren_reads(reads);
        }
        self.flush(fd);
    }

    /// Feeds ciphertext to the machine until it wants more; returns how much of it is of no more use.
    fn digest(&mut self, incoming: &mut [u8], give: &mut dyn FnMut(&[u8])) -> usize {
        let Self { machine, owed, heard, early, failure, .. } = self;
        let mut run = Run { owed, heard, early, failure, give };
        machine.feed(&mut run, incoming)
    }
}
