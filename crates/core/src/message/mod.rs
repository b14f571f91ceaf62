//! Message: a Head beside the bytes it was read from, the same in every version of HTTP.
//!
//! Codecs fill heads, rules and rewriting read them. Must never parse a version's syntax or move bytes.

mod field;
mod framing;
mod head;
mod method;

pub use field::{Field, Known};
pub use framing::{Framing, Persistence};
pub use head::{Head, Span};
pub use method::{Method, Version};

/// A head beside the bytes it was read from.
///
/// The field lines are contiguous: each begins where the one before it ends, and the last is followed by the
/// empty line. So runs of lines can be copied in one go; a codec that leaves a line out of `fields` breaks
/// it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The places of the head's parts.
    pub head: &'a Head,
    /// The bytes that the head was read from; `bytes[..head.length]` is the head.
    pub bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Makes a head and its bytes.
    pub fn new(head: &'a Head, bytes: &'a [u8]) -> Self {
        Self { head, bytes }
    }

    /// Returns the bytes of a span.
    #[inline]
    pub fn text(self, span: Span) -> &'a [u8] {
        span.of(self.bytes)
    }

    /// Returns a field's name.
    #[inline]
    pub fn name(self, field: &Field) -> &'a [u8] {
        self.text(field.name)
    }

    /// Returns the value of the first field called `name`, in any case.
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.head.fields.iter();
        let found = fields.find(|field| self.name(field).eq_ignore_ascii_case(name.as_bytes()));
        found.map(|field| self.text(field.value))
    }

    /// Returns the values of all fields with this name that are not for one hop only.
    pub fn values(self, known: Known) -> impl Iterator<Item = &'a [u8]> {
        let kept = move |field: &&Field| field.known == known && !field.hop_by_hop;
        let fields = if self.head.has(known) { &self.head.fields[..] } else { &[] };
        fields.iter().filter(kept).map(move |field| self.text(field.value))
    }

    /// Returns the path and query as the client sent them, in origin form or `*`; of CONNECT the authority.
    pub fn target(self) -> &'a [u8] {
        let target = self.text(self.head.target);
        match self.head.method {
            Method::Connect => self.text(self.head.authority),
            // An absolute target without a path: the whole server for OPTIONS (RFC 9112 section 3.2.4), else
            // the root.
            Method::Options if target.is_empty() => b"*",
            _ if target.is_empty() => b"/",
            _ => target,
        }
    }

    /// Returns the host that the client asked for, with the port if it gave one: an absolute target says it,
    /// else the Host field.
    pub fn host(self) -> &'a [u8] {
        let authority = self.text(self.head.authority);
        match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => &authority[at + 1..],
            None if authority.is_empty() => self.text(self.head.host),
            None => authority,
        }
    }
}
