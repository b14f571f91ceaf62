//! Misdirected requests: whether the connection that a request came by was opened for the host that it asks
//! for.
//!
//! A connection vouches for the name its client asked for in the handshake and for the names of the
//! certificate it was shown; a request for another host on it is misdirected (RFC 9110 section 7.4). Must
//! never allocate: every request is asked.

use super::{Termination, TlsFacts};
use crate::host::{bare, covers};

impl Termination {
    /// Whether a request for `host` (its Host field; empty where it names none) came by a connection that was
    /// opened for another host, so that it gets 421.
    pub fn misdirected(&self, tls: &TlsFacts, host: &[u8]) -> bool {
        // Without a host nothing is asked of another one: the table decides.
        if !self.check_host || host.is_empty() {
            return false;
        }
        let name = tls.name.as_deref();
        if name.is_some_and(|name| bare(host).eq_ignore_ascii_case(bare(name.as_bytes()))) {
            return false;
        }
        match &tls.certificate {
            Some(names) => !covers(names, host),
            None => !self.could_be_for(name, host),
        }
    }

    /// Returns the certificate for a client that asks for `name` (lower case) or for none. None: the client
    /// is refused, because `strict_sni` is on. Where several are as good, which of them the client can verify
    /// decides; this is the first.
    pub fn presented(&self, name: Option<&str>) -> Option<u32> {
        self.names.for_client(name, self.spec.strict_sni).into_iter().flatten().next().copied()
    }

    /// Whether a certificate that a client which asks for `name` could be shown is for `host`. That is what
    /// is left to ask where a session was resumed: no certificate was shown then.
    fn could_be_for(&self, name: Option<&str>, host: &[u8]) -> bool {
        let mut shown = self.names.for_client(name, self.spec.strict_sni).into_iter().flatten();
        shown.any(|index| covers(&self.certificates[*index as usize].names, host))
    }
}
