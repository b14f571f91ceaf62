//! Coding: the content codings that responses can be compressed in.
//!
//! A plain value: must know no other room.

/// A content coding (RFC 9110 section 8.4.1, RFC 8878, RFC 7932).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Coding {
    /// Zstandard.
    Zstd = 0,
    /// Brotli.
    Brotli = 1,
    /// Gzip.
    Gzip = 2,
}

impl Coding {
    /// Every coding there is.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Returns the word in Accept-Encoding, Content-Encoding and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}
