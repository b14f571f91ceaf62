//! Socket: one non-blocking stream socket, what is known of its readiness, and its registration with the
//! poll.
//!
//! Registration is edge-triggered and changes at most once: readable first; writable too from the first time
//! that something did not fit. `readable` and `writable` are what the last event or call said, so that no
//! call is made that is known to fail. Must never decide what to do with bytes.
//!
//! `connect.rs` makes sockets to servers, `watch.rs` has the registration, `secure.rs` the TLS side; reading,
//! writing and closing are here.

mod connect;
mod secure;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use socket2::Socket as System;

pub(crate) use self::connect::Dial;
use self::watch::Watched;
use crate::hops::Hop;
use crate::outcome::{Read, Written};
use crate::sys;
use crate::tls::Records;

/// A stream socket of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    system: System,
    /// Whether a read may give something.
    pub(crate) readable: bool,
    /// Whether a write may take something.
    pub(crate) writable: bool,
    /// Whether the other end has ended its sending: after what is queued, a read gives the end.
    pub(crate) ending: bool,
    /// Whether the socket is in error: after what is queued, a read gives no end but the error.
    pub(crate) broken: bool,
    watched: Watched,
    prompt: Prompt,
    /// The TLS side: what is read and written is plaintext then.
    tls: Option<Box<Records>>,
    /// Our socket leads back to a listener of ours.
    hop: Option<Box<Hop>>,
}

/// The state of TCP_NODELAY, by which small writes go out at once. It matters from the second write on: a
/// first one never waits, and many connections have no second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// Nothing was written yet.
    Unused,
    /// The next write needs the option.
    Wanted,
    /// The option is set, or does not apply.
    Set,
}

impl Socket {
    /// Makes one of a socket that was just accepted: its first bytes are likely to be there.
    pub(crate) fn accepted(fd: OwnedFd) -> Self {
        Self {
            system: fd.into(),
            readable: true,
            writable: true,
            ending: false,
            broken: false,
            watched: Watched::Nothing,
            prompt: Prompt::Set,
            tls: None,
            hop: None,
        }
    }

    /// Takes note of what the poll says.
    pub(crate) fn became(&mut self, readiness: &mio::event::Event) {
        let broken = readiness.is_error();
        self.ending |= readiness.is_read_closed() || broken;
        self.broken |= broken;
        let (readable, writable) = (readiness.is_readable() || broken, readiness.is_writable() || broken);
        let (fd, ending) = (self.fd(), self.ending);
        match &mut self.tls {
            None => {
                self.readable |= readable;
                self.writable |= writable;
            }
            Some(tls) => {
                tls.became(fd, readable, writable, ending);
                self.follow_tls();
            }
        }
    }

    /// Whether the other end has ended its sending, behind what is read already. Before the socket is watched
    /// nothing but a look at it tells.
    pub(crate) fn has_ended(&self) -> bool {
        self.ending
            || self.tls.as_ref().is_some_and(|tls| tls.has_ended())
            || (self.watched == Watched::Nothing
                && !self.readable
                && self.system.peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok_and(|n| n == 0))
    }

    /// Returns the descriptor.
    #[inline]
    pub(crate) fn fd(&self) -> RawFd {
        self.system.as_raw_fd()
    }

    /// Reads what is there. After a short read nothing is left, unless the end is.
    #[inline]
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Read {
        if self.tls.is_some() {
            return self.read_secured(into);
        }
        match sys::receive(self.fd(), into) {
            Ok(0) => {
                self.readable = false;
                Read::End
            }
            Ok(n) => {
                self.readable = n == into.len() || self.ending;
                Read::Bytes(n)
            }
            Err(error) => self.read_failed(&error),
        }
    }

    /// Writes what fits. `more`: further bytes or the end follow at once, so that a short packet may wait for
    /// them.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8], more: bool) -> Written {
        if self.tls.is_some() {
            return self.write_secured(bytes, more);
        }
        self.be_prompt();
        match sys::send(self.fd(), bytes, more) {
            Ok(n) => {
                self.writable = n == bytes.len();
                Written::Bytes(n)
            }
            Err(error) => self.write_failed(&error),
        }
    }

    /// Reads the wire and forgets it, ciphertext or not.
    pub(crate) fn discard(&mut self, scratch: &mut [u8]) -> Read {
        match sys::receive(self.fd(), scratch) {
            Ok(0) => Read::End,
            Ok(n) => Read::Bytes(n),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Read::Nothing,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted) => Read::Bytes(0),
            Err(_) => Read::Broken,
        }
    }

    /// Moves what is there into a pipe; of plain sockets only.
    pub(crate) fn read_into_pipe(&mut self, pipe: RawFd, length: usize) -> Read {
        match sys::splice(self.fd(), pipe, length) {
            Ok(0) => {
                self.readable = false;
                Read::End
            }
            // A short move may mean a full pipe as well as an empty socket: only EAGAIN tells.
            Ok(n) => Read::Bytes(n),
            Err(error) => self.read_failed(&error),
        }
    }

    /// Moves what fits out of a pipe.
    pub(crate) fn write_from_pipe(&mut self, pipe: RawFd, length: usize) -> Written {
        self.be_prompt();
        match sys::splice(pipe, self.fd(), length) {
            // A short move is no proof of a full socket: the next call gives EAGAIN if it is.
            Ok(n) => Written::Bytes(n),
            Err(error) => self.write_failed(&error),
        }
    }

    #[inline]
    fn be_prompt(&mut self) {
        match self.prompt {
            Prompt::Set => {}
            Prompt::Unused => self.prompt = Prompt::Wanted,
            Prompt::Wanted => {
                // A socket that is gone says so when it is written to.
                let _ = self.system.set_tcp_nodelay(true);
                self.prompt = Prompt::Set;
            }
        }
    }

    /// Ends our sending; what was sent is still delivered.
    pub(crate) fn end_sending(&mut self) {
        let fd = self.fd();
        match &mut self.tls {
            Some(tls) => tls.end_sending(fd),
            None => sys::end_sending(fd),
        }
    }

    /// Announces a close in good order where that must be said; returns whether nothing is left to be sent.
    pub(crate) fn close(&mut self) -> bool {
        let fd = self.fd();
        self.tls.as_mut().is_none_or(|tls| tls.close(fd))
    }

    /// Returns the number of bytes written that the other end has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        sys::unacknowledged(self.fd()) + self.tls.as_ref().map_or(0, |tls| tls.owed())
    }

    /// Makes closing a reset, unless bytes are still on their way: those are delivered and then ended.
    pub(crate) fn abort(&mut self) {
        if self.unacknowledged() == 0 {
            self.reset();
        }
    }

    /// Makes closing a reset, whatever is still on its way.
    pub(crate) fn reset(&mut self) {
        // No word that would make it look like an end.
        self.tls = None;
        // Fails only when the connection is gone already.
        let _ = self.system.set_linger(Some(std::time::Duration::ZERO));
    }

    /// Returns our own address.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        let address = self.system.local_addr().ok()?.as_socket()?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// Returns the address that the client of this socket connected to before it was redirected here, or our
    /// own where that is it. `transparent`: we accept for the addresses of others. None: it was not
    /// redirected, and our own address is no destination.
    pub(crate) fn original_destination(&self, transparent: bool) -> Option<SocketAddr> {
        let local = self.local()?;
        if transparent {
            return Some(local);
        }
        let original =
            if local.is_ipv4() { self.system.original_dst_v4() } else { self.system.original_dst_v6() };
        let original = original.ok()?.as_socket()?;
        let original = SocketAddr::new(original.ip().to_canonical(), original.port());
        (original != local).then_some(original)
    }

    fn read_failed(&mut self, error: &io::Error) -> Read {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.readable = false;
                Read::Nothing
            }
            io::ErrorKind::Interrupted => Read::Nothing,
            _ => Read::Broken,
        }
    }

    fn write_failed(&mut self, error: &io::Error) -> Written {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.writable = false;
                Written::Bytes(0)
            }
            io::ErrorKind::Interrupted => Written::Bytes(0),
            _ => Written::Broken,
        }
    }
}

impl Drop for Socket {
    /// Says the end of a TLS side that stands, so that nobody takes a close for a truncation.
    fn drop(&mut self) {
        // What the wire does not take now is lost: whoever cares has called it before.
        self.close();
    }
}
