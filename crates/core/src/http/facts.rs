//! Facts: what is known of an exchange when a head is rewritten or a text with variables is filled in.
//!
//! Owns nothing: all of it is borrowed from the connection, the plan and the bytes of the head. Must never be made up: what
//! is not known is empty.

use std::net::SocketAddr;

use crate::tls::TlsFacts;

use super::head::{Field, Head, Known, Method, Span};

/// A head beside the bytes it was read from.
///
/// The field lines are contiguous: each begins where the one before it ends, and the last is followed by the empty line.
/// That is what lets runs of lines be copied in one go; a codec that leaves a line out of `fields` breaks it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Where things are.
    pub head: &'a Head,
    /// What they are; `bytes[..head.length]` is the head.
    pub bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// A head and its bytes.
    pub fn new(head: &'a Head, bytes: &'a [u8]) -> Self {
        Self { head, bytes }
    }

    /// The bytes of a span.
    #[inline]
    pub fn text(self, span: Span) -> &'a [u8] {
        span.of(self.bytes)
    }

    /// A field's name.
    #[inline]
    pub fn name(self, field: &Field) -> &'a [u8] {
        self.text(field.name)
    }

    /// The value of the first field called `name`, in any case.
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.head.fields.iter();
        let found = fields.find(|field| self.name(field).eq_ignore_ascii_case(name.as_bytes()));
        found.map(|field| self.text(field.value))
    }

    /// The values of all fields with this name that are not for one hop only.
    pub(super) fn values(self, known: Known) -> impl Iterator<Item = &'a [u8]> {
        let kept = move |field: &&Field| field.known == known && !field.hop_by_hop;
        self.head.fields.iter().filter(kept).map(move |field| self.text(field.value))
    }

    /// The path and query as the client sent them, in origin form or `*`; of CONNECT the authority.
    pub fn target(self) -> &'a [u8] {
        let target = self.text(self.head.target);
        match self.head.method {
            Method::Connect => self.text(self.head.authority),
            // An absolute target without a path: the whole server for OPTIONS (RFC 9112 section 3.2.4), else the root.
            Method::Options if target.is_empty() => b"*",
            _ if target.is_empty() => b"/",
            _ => target,
        }
    }

    /// The host that the client asked for, with the port if it gave one: an absolute target says it, else the Host field.
    pub fn host(self) -> &'a [u8] {
        let authority = self.text(self.head.authority);
        match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => &authority[at + 1..],
            None if authority.is_empty() => self.text(self.head.host),
            None => authority,
        }
    }
}

/// What is known of an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The client; None when it came by a unix socket.
    pub client: Option<SocketAddr>,
    /// Our end of the client's connection; None for unix sockets.
    pub local: Option<SocketAddr>,
    /// `http` or `https`: what the client speaks with us.
    pub scheme: &'a str,
    /// What the client's handshake agreed on; None without TLS.
    pub tls: Option<&'a TlsFacts>,
    /// The request came as early data (RFC 8470), before the handshake was complete: it could be a repetition.
    pub early: bool,
    /// The host as the client sent it, with its port: [`Message::host`].
    pub host: &'a [u8],
    /// The same as tables see it: lower case, without port and trailing dot.
    pub name: &'a str,
    /// The method.
    pub method: &'a [u8],
    /// Path and query as the client sent them: [`Message::target`].
    pub target: &'a [u8],
    /// What [`request_id`](super::request_id) chose.
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

impl<'a> Facts<'a> {
    /// The target without its query.
    pub fn path(&self) -> &'a [u8] {
        split(self.target).0
    }

    /// The query without its question mark; empty when there is none.
    pub fn query(&self) -> &'a [u8] {
        split(self.target).1
    }
}

/// Path and query of a target in origin form.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, b""),
    }
}

/// A host without its port: `[::1]:80` is `[::1]`.
pub fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| matches!(byte, b':' | b']')) {
        Some(at) if host[at] == b':' => &host[..at],
        _ => host,
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
            let facts = Facts { target: target.as_bytes(), ..Facts::default() };
            assert_eq!((facts.path(), facts.query()), (path.as_bytes(), query.as_bytes()));
        }
    }

    #[test]
    fn ports_are_taken_off() {
        for (host, bare) in [
            ("a.example:80", "a.example"),
            ("a.example", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(without_port(host.as_bytes()), bare.as_bytes());
        }
    }
}
