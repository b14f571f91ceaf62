//! HPACK (RFC 7541): header blocks as field lines and back.
//!
//! A decoder writes every field as `name: value` and CRLF, so that what comes out is the text that all of
//! HTTP here is read from and written to; it may be used without a connection, on any slice. Must never
//! write more than a block can stand for, and never know what a field means.

mod decode;
mod encode;
mod huffman;
mod integer;
mod lines;
mod statics;
#[cfg(test)]
mod tests;

pub use decode::{BlockField, BlockReader, HpackDecoder, HpackError};
pub use encode::{HpackEncoder, Indexing};

/// Bytes of the dynamic table, at most, in both directions: what goes without saying (RFC 9113 section
/// 6.5.2). Decoders say nothing else, encoders use no more.
pub const TABLE_SIZE: usize = 4_096;

/// Bytes that an entry counts beyond its name and value (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;

/// A pseudo-field (RFC 9113 section 8.3, RFC 8441).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pseudo {
    /// An ordinary field.
    #[default]
    None,
    /// `:authority`.
    Authority,
    /// `:method`.
    Method,
    /// `:path`.
    Path,
    /// `:protocol`.
    Protocol,
    /// `:scheme`.
    Scheme,
    /// `:status`.
    Status,
    /// A name with a colon in front that is none of these.
    Unknown,
}

impl Pseudo {
    /// Recognises a name.
    pub fn of(name: &[u8]) -> Self {
        match name {
            [b':', name @ ..] => match name {
                b"authority" => Self::Authority,
                b"method" => Self::Method,
                b"path" => Self::Path,
                b"protocol" => Self::Protocol,
                b"scheme" => Self::Scheme,
                b"status" => Self::Status,
                _ => Self::Unknown,
            },
            _ => Self::None,
        }
    }
}
