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

use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;

use headworks_core::buffer::Buffer;
use headworks_core::tls::TlsFacts;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{CommonState, InvalidMessage, PeerMisbehaved};

use super::machine::{Failure, Heard, Machine, Turn, Words};
use crate::outcome::{Read, Written};
use crate::sys;

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
    /// Reading the wire may give something.
    wire_readable: bool,
    /// The word of the other end about its end.
    heard: Heard,
    /// Whether the reader was told of that.
    told: bool,
    /// Our close_notify is on its way; after it nothing is written.
    said_end: bool,
    /// The wire's end follows as soon as nothing is owed.
    finishing: bool,
    /// Plaintext came before the handshake was complete.
    early: bool,
    failure: Option<Failure>,
    /// The wire takes nothing any more, and why. What it still holds can be read: the last words of whoever
    /// has gone.
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
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { incoming: Vec::new(), outgoing: Vec::new() }) };
}

/// Bytes read from the wire at once.
const READ: usize = 64 * 1024;
/// Plaintext made into records at once.
const WRITE: usize = 64 * 1024;
/// Bytes that records add to [`WRITE`] bytes at most: header, nonce, tag and type for each.
const OVERHEAD: usize = 1024;
/// Ciphertext that waits to become a record or a handshake message: a message of 64 KiB in its records, and
/// one more.
const MOST_PARTIAL: usize = 96 * 1024;
/// Reads of the wire in one go that may give no plaintext: who sends so much that says nothing wants to keep
/// us busy.
const MOST_BARREN: usize = 16;

impl Records {
    /// The TLS side of a client whose first bytes are `held`.
    pub(crate) fn of_client(machine: UnbufferedServerConnection, held: &[u8]) -> Self {
        let mut stream = Self::new(Machine::Server(Box::new(machine)));
        stream.partial.extend_from_slice(held);
        stream
    }

    /// The TLS side of a socket to a server; `preface` goes before all of it, as it is.
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

    /// Bytes of ciphertext that wait for the wire.
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

    /// Reads plaintext. `ending`: the wire's end has come, behind what it still holds.
    pub(crate) fn read(&mut self, fd: RawFd, ending: bool, into: &mut [u8]) -> Read {
        for reads in 1.. {
            if !self.plain.is_empty() {
                let n = self.plain.len().min(into.len());
                into[..n].copy_from_slice(&self.plain.pending()[..n]);
                self.plain.take(n);
                return Read::Bytes(n);
            }
            match (&self.failure, self.heard) {
                (Some(_), _) => {
                    self.told = true;
                    return Read::Broken;
                }
                (None, Heard::End | Heard::Truncation) => {
                    (self.wire_readable, self.told) = (false, true);
                    return Read::End;
                }
                (None, Heard::Nothing) if !self.wire_readable => return Read::Nothing,
                (None, Heard::Nothing) => {}
            }
            let filled = self.fill(fd, ending, into);
            self.flush(fd);
            if let Filled::Plain(n) = filled {
                return Read::Bytes(n);
            }
            self.limit_barren_reads(reads);
        }
        Read::Nothing
    }

    /// Fails the connection after too many reads in a row that gave no plaintext.
    fn limit_barren_reads(&mut self, reads: usize) {
        if reads >= MOST_BARREN {
            self.failure.get_or_insert(Failure::Tls(PeerMisbehaved::TooManyEmptyFragments.into()));
        }
    }

    /// Reads the wire once, and records with it. Plaintext goes to `into` as far as it fits, the rest waits.
    fn fill(&mut self, fd: RawFd, ending: bool, into: &mut [u8]) -> Filled {
        SCRATCH.with_borrow_mut(|scratch| {
            let held = self.partial.len();
            let incoming = &mut scratch.incoming;
            if incoming.len() < held + READ {
                incoming.resize(held + READ, 0);
            }
            match sys::receive(fd, &mut incoming[held..held + READ]) {
                Ok(0) => {
                    self.wire_readable = false;
                    self.heard = if self.heard == Heard::End { Heard::End } else { Heard::Truncation };
                    if self.is_shaking() {
                        self.failure = Some(Failure::Wire);
                    }
                    Filled::Over
                }
                Ok(n) => {
                    self.wire_readable = n == READ || ending;
                    incoming[..held].copy_from_slice(&self.partial);
                    self.partial = Vec::new();
                    self.decrypt(&mut incoming[..held + n], into)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wire_readable = false;
                    Filled::Over
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Filled::Nothing,
                Err(_) => {
                    self.failure = Some(Failure::Wire);
                    Filled::Over
                }
            }
        })
    }

    /// Reads the records in `incoming`; what makes none yet is kept.
    fn decrypt(&mut self, incoming: &mut [u8], into: &mut [u8]) -> Filled {
        let (mut given, mut rest) = (0, Buffer::default());
        let used = self.digest(incoming, &mut |plain| {
            let n = plain.len().min(into.len() - given);
            into[given..given + n].copy_from_slice(&plain[..n]);
            given += n;
            rest.push(&plain[n..]);
        });
        self.plain = rest;
        self.keep(&incoming[used..]);
        if given > 0 { Filled::Plain(given) } else { Filled::Nothing }
    }

    /// Reads records that were held before; plaintext among them waits.
    fn swallow(&mut self, incoming: &mut [u8]) {
        let mut plain = Buffer::default();
        let used = self.digest(incoming, &mut |bytes| plain.push(bytes));
        self.plain.push(plain.pending());
        self.keep(&incoming[used..]);
    }

    fn keep(&mut self, partial: &[u8]) {
        // Behind an end or a failure nothing counts.
        if self.heard != Heard::Nothing || self.failure.is_some() {
            return;
        }
        self.partial.extend_from_slice(partial);
        if self.partial.len() > MOST_PARTIAL {
            self.failure = Some(Failure::Tls(InvalidMessage::HandshakePayloadTooLarge.into()));
        }
    }

    /// Feeds ciphertext to the machine until it wants more; how much of it is of no more use.
    fn digest(&mut self, incoming: &mut [u8], give: &mut dyn FnMut(&[u8])) -> usize {
        let Self { machine, owed, heard, early, failure, .. } = self;
        let mut turn = Turn { owed, heard, early, failure, give };
        machine.feed(&mut turn, incoming)
    }

    /// Writes plaintext: all of it is taken, unless the stream cannot take any now. `more`: further bytes or
    /// the end follow at once.
    pub(crate) fn write(&mut self, fd: RawFd, bytes: &[u8], more: bool) -> Written {
        self.flush(fd);
        if self.failure.is_some() || self.mute.is_some() || self.said_end {
            return Written::Broken;
        }
        if !self.is_writable() {
            return Written::Bytes(0);
        }
        let mut taken = 0;
        for part in bytes.chunks(WRITE) {
            let last = taken + part.len() == bytes.len();
            if !self.send(fd, part, more || !last) {
                return Written::Broken;
            }
            taken += part.len();
            if self.owes() {
                break;
            }
        }
        Written::Bytes(taken)
    }

    /// Makes records of `part` and sends what fits of them; whether the stream still stands.
    fn send(&mut self, fd: RawFd, part: &[u8], more: bool) -> bool {
        SCRATCH.with_borrow_mut(|scratch| {
            let made = self.speak(&mut scratch.outgoing, Words::Plain(part));
            let Some(made) = made else { return false };
            // Records that the machine itself made meanwhile come first.
            if self.owes() {
                self.owed.push(&scratch.outgoing[..made]);
                self.flush(fd);
                return self.mute.is_none();
            }
            match sys::send(fd, &scratch.outgoing[..made], more) {
                Ok(n) => self.owed.push(&scratch.outgoing[n..made]),
                Err(error) if is_full(&error) => self.owed.push(&scratch.outgoing[..made]),
                Err(error) => self.fall_silent(&error),
            }
            self.mute.is_none()
        })
    }

    /// Takes note that the wire takes nothing any more.
    fn fall_silent(&mut self, error: &io::Error) {
        self.owed.clear();
        // What broke it may have come behind last words that no event has told of yet.
        self.wire_readable = true;
        self.mute = Some(error.raw_os_error().unwrap_or(0));
    }

    /// Makes records of `words` in `out`; how long they are. None: it cannot, any more.
    fn speak(&mut self, out: &mut Vec<u8>, words: Words<'_>) -> Option<usize> {
        if out.len() < WRITE + OVERHEAD {
            out.resize(WRITE + OVERHEAD, 0);
        }
        let Self { machine, owed, heard, early, failure, plain, partial, .. } = self;
        // Nothing new is fed, so there is nothing to be read but what the machine had before.
        let mut turn = Turn { owed, heard, early, failure, give: &mut |bytes| plain.push(bytes) };
        machine.say(&mut turn, words, (partial, out))
    }

    /// Sends what is owed; whether nothing is any more.
    pub(crate) fn flush(&mut self, fd: RawFd) -> bool {
        while !self.owed.is_empty() {
            match sys::send(fd, self.owed.pending(), self.finishing) {
                Ok(n) => self.owed.take(n),
                Err(error) if is_full(&error) => return false,
                Err(error) => self.fall_silent(&error),
            }
        }
        if self.finishing && self.owed.is_empty() {
            self.finishing = false;
            sys::end_sending(fd);
        }
        self.owed.is_empty()
    }

    /// Says that we have ended, and ends the wire's sending behind it.
    pub(crate) fn end_sending(&mut self, fd: RawFd) {
        self.say_end();
        self.finishing = true;
        self.flush(fd);
    }

    /// The socket is about to be closed in good order: says so as far as the wire takes it now. Whether it
    /// took all.
    pub(crate) fn close(&mut self, fd: RawFd) -> bool {
        if self.failure.is_none() && !self.is_shaking() {
            self.say_end();
        }
        self.flush(fd)
    }

    fn say_end(&mut self) {
        if std::mem::replace(&mut self.said_end, true) || self.failure.is_some() || !self.speaks() {
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let made = self.speak(&mut scratch.outgoing, Words::End);
            self.owed.push(&scratch.outgoing[..made.unwrap_or(0)]);
        });
    }
}

/// The result of one read of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// So much plaintext, in the reader's bytes.
    Plain(usize),
    /// Records without plaintext, or part of one.
    Nothing,
    /// The wire gives no more, now or ever.
    Over,
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
