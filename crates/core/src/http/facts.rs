//! ExchangeFacts: what is known of an exchange when a head is rewritten or a text with variables is filled
//! in.
//!
//! Owns nothing: all of it is borrowed from the connection, the plan and the bytes of the head. Must never be
//! made up: what is not known is empty.

use std::net::SocketAddr;

use crate::tls::TlsFacts;

/// Facts about the client of an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClientFacts<'a> {
    /// The client; None when it came by a unix socket.
    pub address: Option<SocketAddr>,
    /// Our end of the client's connection; None for unix sockets.
    pub local: Option<SocketAddr>,
    /// The client speaks TLS with us.
    pub secure: bool,
    /// Facts that the client's handshake agreed on; None without TLS, and before it is complete.
    pub tls: Option<&'a TlsFacts>,
    /// The request came as early data (RFC 8470), before the handshake was complete: it could be a
    /// repetition.
    pub early: bool,
}

/// Facts about an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExchangeFacts<'a> {
    /// The client; None when it came by a unix socket.
    pub client: Option<SocketAddr>,
    /// Our end of the client's connection; None for unix sockets.
    pub local: Option<SocketAddr>,
    /// `http` or `https`: what the client speaks with us.
    pub scheme: &'a str,
    /// Facts that the client's handshake agreed on; None without TLS.
    pub tls: Option<&'a TlsFacts>,
    /// The request came as early data (RFC 8470), before the handshake was complete: it could be a
    /// repetition.
    pub early: bool,
    /// The host as the client sent it, with its port: [`Message::host`].
    pub host: &'a [u8],
    /// The same as tables see it: lower case, without port and trailing dot.
    pub name: &'a str,
    /// The method.
    pub method: &'a [u8],
    /// Path and query as the client sent them: [`Message::target`].
    pub target: &'a [u8],
    /// The id that [`request_id`](super::request_id) chose.
    pub request_id: &'a [u8],
    /// The listener's name.
    pub listener: &'a str,
    /// The backend's name; empty while there is none.
    pub backend: &'a str,
    /// The server's address as text; empty while there is none.
    pub server: &'a str,
    /// The status of the response; 0 while there is none.
    pub status: u16,
}

impl<'a> ExchangeFacts<'a> {
    /// Returns the target without its query.
    pub fn path(&self) -> &'a [u8] {
        split(self.target).0
    }

    /// Returns the query without its question mark; empty when there is none.
    pub fn query(&self) -> &'a [u8] {
        split(self.target).1
    }
}

/// Splits path and query of a target in origin form.
pub(crate) fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_split_at_the_first_question_mark() {
        for (target, path, query) in
            [("/", "/", ""), ("/a?b", "/a", "b"), ("/a?", "/a", ""), ("/a?b?c", "/a", "b?c"), ("*", "*", "")]
        {
            let facts = ExchangeFacts { target: target.as_bytes(), ..ExchangeFacts::default() };
            assert_eq!((facts.path(), facts.query()), (path.as_bytes(), query.as_bytes()));
        }
    }
}
