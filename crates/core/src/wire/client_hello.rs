//! The TLS ClientHello, read without consuming it (RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301).

/// What the bytes held so far are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Not complete; parsing again is pointless before `need` bytes are held.
    Partial {
        /// Total number of bytes (from the first) that the next parse needs at least.
        need: usize,
    },
    /// A whole, well-formed ClientHello.
    Complete(ClientHello),
    /// Not a ClientHello, and no further bytes can make it one.
    Invalid(Defect),
}

/// What routing and logs need to know of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// What the server_name extension holds.
    pub name: ServerName,
    /// Protocols offered by ALPN, in the client's order; empty when the extension is absent.
    pub alpn: Vec<Box<[u8]>>,
    /// Highest TLS version offered (0x0304 is TLS 1.3), GREASE values left out.
    pub version: u16,
    /// Whether an encrypted_client_hello extension is present: the name is then the outer, public one.
    pub encrypted: bool,
}

/// The server_name extension.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServerName {
    /// No usable name: the extension is absent (or the hello is SSLv2 or has no extensions).
    #[default]
    Absent,
    /// An IP literal, which RFC 6066 forbids: treated as no name.
    Literal,
    /// A host name: lower case, without the trailing dot, 1 to 253 bytes.
    Host(Box<str>),
}

/// Why bytes are not a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The first byte is neither a handshake record nor SSLv2.
    NotTls,
}

/// Parses the bytes held so far, oldest first.
pub fn parse(_held: &[u8]) -> Parsed {
    Parsed::Invalid(Defect::NotTls)
}
