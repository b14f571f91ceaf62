//! Framing: how the end of a message's body is found. Persistence: what becomes of a connection after a
//! message.
//!
//! Plain values: finding that end in the bytes is `wire::body`'s, writing it each version's.

/// The way to find the end of a message's body (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// The body is everything until the stream of its version ends, which says so itself (HTTP/2).
    Stream,
    /// The body is everything until the connection ends (responses only).
    ToEnd,
}

/// The fate of the client's connection after a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Persistence {
    /// The connection is kept; that goes without saying in HTTP/1.1.
    #[default]
    Keep,
    /// The connection is kept, and the client speaks HTTP/1.0, so that it must be told.
    KeepSaid,
    /// The connection is closed.
    Close,
}
