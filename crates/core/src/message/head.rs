//! Head: a version-neutral message head: where things are in the bytes it was read from, never copies of
//! them.
//!
//! One Head is reused for message after message, so that reading one allocates nothing once its list of
//! fields has grown. A codec fills it; a Head is of use only beside the very bytes it was filled from. Must
//! never be kept while those change.

use super::{Field, Framing, Known, Method, Version};

/// A range of the bytes that a Head was read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Makes a range of `bytes` that begins at `start` and ends before `end`.
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// Returns the bytes it stands for.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// Returns the number of bytes.
    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it is empty, which stands for absent.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A message head.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The version it was sent in.
    pub version: Version,
    /// Bytes it takes, with the empty line.
    pub length: usize,
    /// The fields, in order. [`push`](Self::push) adds one.
    pub fields: Vec<Field>,
    /// The known names among them: bit `n` stands for the one whose number is `n`. [`push`](Self::push) keeps
    /// it.
    pub seen: u32,
    /// The way in which the body ends.
    pub framing: Framing,
    /// Whether its sender wants the connection kept (RFC 9112 section 9.3).
    pub persistent: bool,
    /// Request: Connection names `upgrade` and there is an Upgrade field. Response: what follows the head is
    /// no HTTP (101, or 2xx to CONNECT).
    pub upgrade: bool,

    /// Request: the method.
    pub method: Method,
    /// Request: the method's bytes.
    pub method_span: Span,
    /// Request: authority of an absolute-form or authority-form target; empty for other forms.
    pub authority: Span,
    /// Request: scheme of an absolute-form target; empty for other forms.
    pub scheme: Span,
    /// Request: path and query, or `*`; of an absolute target without a path it is empty and means `/`.
    pub target: Span,
    /// Request: the value of the one Host field; empty when it is absent or empty.
    pub host: Span,
    /// Request: `Expect: 100-continue` was sent.
    pub expects_continue: bool,

    /// Response: the status.
    pub status: u16,
    /// Response: the reason phrase, which may be empty.
    pub reason: Span,
}

impl Head {
    /// Adds a field.
    #[inline]
    pub fn push(&mut self, field: Field) {
        self.seen |= 1 << field.known as u32;
        self.fields.push(field);
    }

    /// Whether there is a field with this name.
    #[inline]
    pub fn has(&self, known: Known) -> bool {
        self.seen >> (known as u32) & 1 != 0
    }

    /// Returns the first field with this name.
    #[inline]
    pub fn field(&self, known: Known) -> Option<&Field> {
        if self.has(known) { self.fields.iter().find(|field| field.known == known) } else { None }
    }

    /// Whether a request that came as early data may be acted on (RFC 8470 section 4): an attacker who
    /// recorded it can send it again, so that it may change nothing, on any way there is. Others get 425.
    pub fn may_be_early(&self) -> bool {
        let bodiless = matches!(self.framing, Framing::None | Framing::Length(0));
        self.method.is_safe() && bodiless && !self.upgrade
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_nothing_may_be_early() {
        use Framing::{Chunked, Length, None};
        for (method, framing, upgrade, may) in [
            (Method::Get, None, false, true),
            (Method::Head, Length(0), false, true),
            (Method::Options, None, false, true),
            (Method::Trace, None, false, true),
            (Method::Get, Length(1), false, false),
            (Method::Get, Chunked, false, false),
            (Method::Get, None, true, false),
            (Method::Post, None, false, false),
            (Method::Put, None, false, false),
            (Method::Delete, None, false, false),
            (Method::Patch, None, false, false),
            (Method::Connect, None, false, false),
            (Method::Other, None, false, false),
        ] {
            let head = Head { method, framing, upgrade, ..Head::default() };
            assert_eq!(head.may_be_early(), may, "{method:?} {framing:?} {upgrade}");
        }
    }
}
