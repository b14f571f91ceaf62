//! The TLS side of a socket, between the wire and everybody else.
//!
//! Owns that the socket's readiness is that of its TLS side. Must never look into records.

use headworks_core::address::Address;
use headworks_core::close::Fault;
use headworks_core::tls::TlsFacts;

use super::{Prompt, Socket};
use crate::outcome::{Read, Written};
use crate::tls::{Connector, Records};

impl Socket {
    /// Puts TLS between the wire and everybody else. What is read and written from now on is plaintext; until
    /// its handshake is complete nothing is written.
    pub(crate) fn secure(&mut self, stream: Records) {
        // A handshake is many small messages.
        if self.prompt != Prompt::Set {
            let _ = self.system.set_tcp_nodelay(true);
            self.prompt = Prompt::Set;
        }
        self.tls = Some(Box::new(stream));
    }

    /// Puts TLS between a fresh socket to the server at `address` and everybody else. `preface` goes out
    /// before it, in the clear.
    pub(crate) fn secure_to(
        &mut self,
        connector: &Connector,
        address: &Address,
        preface: &[u8],
    ) -> Result<(), Fault> {
        let machine = connector.begin(address).map_err(|_| Fault::Handshake)?;
        self.secure(Records::to_server(machine, preface));
        Ok(())
    }

    /// Returns the TLS side.
    pub(crate) fn tls(&self) -> Option<&Records> {
        self.tls.as_deref()
    }

    /// Returns the terms that the handshake agreed on.
    #[inline]
    pub(crate) fn tls_facts(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()?.facts.as_deref()
    }

    /// Returns the TLS side.
    pub(crate) fn tls_mut(&mut self) -> Option<&mut Records> {
        self.tls.as_deref_mut()
    }

    /// Takes its handshake as far as it goes without waiting.
    pub(crate) fn shake(&mut self) {
        let (fd, ending) = (self.fd(), self.ending);
        if let Some(tls) = &mut self.tls {
            tls.shake(fd, ending);
        }
        self.follow_tls();
    }

    /// Whether bytes can move through it unseen.
    pub(crate) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Takes over the readiness of the TLS side.
    pub(super) fn follow_tls(&mut self) {
        if let Some(tls) = &self.tls {
            self.readable = tls.is_readable();
            self.writable = tls.is_writable();
            self.broken |= tls.failure().is_some();
        }
    }

    pub(super) fn read_secured(&mut self, into: &mut [u8]) -> Read {
        let (fd, ending) = (self.fd(), self.ending);
        let read = self.tls.as_mut().map_or(Read::Broken, |tls| tls.read(fd, ending, into));
        self.follow_tls();
        read
    }

    pub(super) fn write_secured(&mut self, bytes: &[u8], more: bool) -> Written {
        let fd = self.fd();
        let written = self.tls.as_mut().map_or(Written::Broken, |tls| tls.write(fd, bytes, more));
        self.follow_tls();
        written
    }

    /// Whether bytes that it took are not on the wire yet.
    #[inline]
    pub(crate) fn owes(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.owes())
    }

    /// Whether it ended without saying so: what came may not be all there was.
    pub(crate) fn was_truncated(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.was_truncated())
    }
}
