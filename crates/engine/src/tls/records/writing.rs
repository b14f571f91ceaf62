//! Writing records: plaintext from whoever writes, ciphertext to the wire, and our end.
//!
//! Owns what is owed to the wire. Must never take plaintext while anything is owed.

use std::io;
use std::os::fd::RawFd;

use super::{Records, SCRATCH};
use crate::outcome::Written;
use crate::sys;
use crate::tls::machine::{Run, Words};

/// Plaintext made into records at once.
const WRITE: usize = 64 * 1024;
/// Bytes that records add to [`WRITE`] bytes at most: header, nonce, tag and type for each.
const OVERHEAD: usize = 1024;

impl Records {
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

    /// Makes records of `part` and sends what fits of them; returns whether the wire still takes any.
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

    /// Makes records of `words` in `out`; returns how long they are. None: it cannot, any more.
    fn speak(&mut self, out: &mut Vec<u8>, words: Words<'_>) -> Option<usize> {
        if out.len() < WRITE + OVERHEAD {
            out.resize(WRITE + OVERHEAD, 0);
        }
        let Self { machine, owed, heard, early, failure, plain, partial, .. } = self;
        // Nothing new is fed, so there is nothing to be read but what the machine had before.
        let mut run = Run { owed, heard, early, failure, give: &mut |bytes| plain.push(bytes) };
        machine.say(&mut run, words, partial, out)
    }

    /// Sends what is owed; returns whether nothing is any more.
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

    /// Says our end before the socket is closed in good order, as far as the wire takes it now. Returns
    /// whether it took all.
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

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
