//! Reading records: ciphertext from the wire, plaintext to whoever reads.
//!
//! Owns how much is read at once, and how much may wait or come to nothing. Must never write.

use std::io;
use std::os::fd::RawFd;

use headworks_core::buffer::Buffer;
use rustls::{InvalidMessage, PeerMisbehaved};

use super::{Failure, Heard, Records, SCRATCH};
use crate::outcome::Read;
use crate::sys;

/// Bytes read from the wire at once.
const READ: usize = 64 * 1024;
/// Bytes of ciphertext that may wait to become a record or a handshake message: a message of 64 KiB in its
/// records, and one more.
const MOST_PARTIAL: usize = 96 * 1024;
/// Reads of the wire in one go that may give no plaintext: whoever sends so much that says nothing wants to
/// keep us busy.
const MOST_BARREN: usize = 16;

/// The result of one read of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// Number of bytes of plaintext, which are in the reader's memory.
    Plain(usize),
    /// Records without plaintext, or part of one.
    Nothing,
    /// The wire gives no more, now or ever.
    Over,
}

impl Records {
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
    pub(super) fn limit_barren_reads(&mut self, reads: usize) {
        if reads >= MOST_BARREN {
            self.failure.get_or_insert(Failure::Tls(PeerMisbehaved::TooManyEmptyFragments.into()));
        }
    }

    /// Reads the wire once, and records with it. Plaintext goes to `into` as far as it fits, the rest waits.
    pub(super) fn fill(&mut self, fd: RawFd, ending: bool, into: &mut [u8]) -> Filled {
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
    pub(super) fn swallow(&mut self, incoming: &mut [u8]) {
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
}
