//! Said: what a client said in the head of its request, copied for as long as the exchange lasts.
//!
//! ```text
//!   text   [GET][shop.example.com:8080][/cart?item=1][text/html][value of a field]
//! ```
//!
//! The memory serves exchange after exchange, so that none of it is allocated per request. Must never judge
//! what was said.

use crate::host::write_name;
use crate::message::{Framing, Head, Known, Message, Span};

/// Words of a client: what the head of its request said.
#[derive(Debug, Default)]
pub struct Said {
    text: Vec<u8>,
    name: String,
    method: Span,
    host: Span,
    target: Span,
    accept: Span,
    key: Span,
    /// The length of the body, where the head says it.
    pub(super) length: Option<u64>,
    /// The request's id; empty while it has none.
    pub id: Vec<u8>,
}

/// Capacity that a cleared Said keeps for its texts.
const MODEST: usize = 8 * 1024;

impl Said {
    /// Forgets everything but a modest part of its memory.
    pub fn clear(&mut self) {
        let Self { text, name, method, host, target, accept, key, length, id } = self;
        name.clear();
        for text in [text, id] {
            text.clear();
            if text.capacity() > MODEST {
                text.shrink_to(MODEST);
            }
        }
        // No range may outlive its text: a connection without a request is recorded, too.
        (*method, *host, *target, *accept, *key, *length) = Default::default();
    }

    /// Copies what will be needed from a head.
    pub(super) fn fill(&mut self, message: Message<'_>) {
        self.text.clear();
        self.name.clear();
        self.id.clear();
        self.length = match message.head.framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        self.key = Span::default();
        let Message { head, bytes } = message;
        self.method = self.keep(head.method_span.of(bytes));
        self.host = self.keep(message.host());
        self.target = self.keep(message.target());
        self.accept = self.keep(value(head, bytes, Known::Accept));
        write_name(&mut self.name, message.host());
    }

    /// Remembers the value of the field that servers are chosen by.
    pub(super) fn fill_key(&mut self, value: &[u8]) {
        self.key = self.keep(value);
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span::new(start, self.text.len())
    }

    /// Returns the method.
    pub fn method(&self) -> &[u8] {
        self.method.of(&self.text)
    }

    /// Returns the host as sent, with its port.
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.text)
    }

    /// Returns the host without its port, in lower case and without a trailing dot; None when there is none.
    pub fn name(&self) -> Option<&str> {
        (!self.name.is_empty()).then_some(&self.name)
    }

    /// Returns path and query; `*` for the whole server.
    pub fn target(&self) -> &[u8] {
        self.target.of(&self.text)
    }

    /// Returns the value of the Accept field.
    pub fn accept(&self) -> &[u8] {
        self.accept.of(&self.text)
    }

    /// Returns the value of the field that servers are chosen by; None when it is absent or not asked for.
    pub fn key(&self) -> Option<&[u8]> {
        (!self.key.is_empty()).then(|| self.key.of(&self.text))
    }
}

fn value<'b>(head: &Head, bytes: &'b [u8], known: Known) -> &'b [u8] {
    head.field(known).map_or(b"", |field| field.value.of(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{self, Limits, Parsed};

    #[test]
    fn what_is_cleared_has_said_nothing() {
        let (mut head, mut said) = (Head::default(), Said::default());
        let limits = Limits { head: 1_000, fields: 10, line: 100 };
        let bytes = b"GET /path HTTP/1.1\r\nHost: a.example\r\nAccept: text/html\r\n\r\n";
        assert_eq!(http1::request(bytes, &limits, &mut head), Parsed::Complete);
        said.fill(Message::new(&head, bytes));
        assert_eq!((said.host(), said.target()), (&b"a.example"[..], &b"/path"[..]));
        said.fill_key(b"key");
        said.clear();
        assert!(said.text.is_empty() && said.name.is_empty() && said.id.is_empty());
        for text in [said.method(), said.host(), said.target(), said.accept()] {
            assert_eq!(text, b"");
        }
        assert_eq!((said.name(), said.key()), (None, None));
    }
}
