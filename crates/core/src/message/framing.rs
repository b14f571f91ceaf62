//! Framing: how the end of a message's body is found.
//!
//! A plain value: finding that end in the bytes is `wire::body`'s.

/// How the end of a message's body is found (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// All until the connection ends (responses only).
    ToEnd,
}
