//! The TLS ClientHello, read without consuming it (RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301).
//!
//! Owns what a hello is: its framing (`records`), its fields, the extensions routing needs (`extensions`),
//! names (`host`) and the SSLv2 form (`sslv2`). Must never repair: framing that two readers could understand
//! in two ways is a [`Defect`]. Must never allocate but for what it returns, and once to join a hello that
//! spans records.
//!
//! Limits: a handshake message no longer than its fields allow (128 KiB and a bit). How many bytes may be
//! held for it is for the caller to limit; `need` tells early that a hello cannot fit.

use std::fmt;

mod extensions;
mod fields;
mod host;
mod ja4;
mod records;
mod sslv2;

use extensions::Extensions;
use fields::Fields;

pub use ja4::ja4;

pub use extensions::Offered;

/// A judgement on the bytes held so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloParsed {
    /// The hello is not complete; parsing again is pointless before `need` bytes are held.
    Partial {
        /// Total number of bytes (from the first) that the next parse needs at least. More than are held, and
        /// never more than the whole hello. As soon as the length of the hello is known it is the least total
        /// with which the hello can be complete, so a hello in one record is parsed at most once more; in the
        /// worst case (one byte per record) the number of parses grows with the logarithm of the length.
        need: usize,
    },
    /// A whole, well-formed ClientHello. Bytes after its last record are not looked at.
    Complete(ClientHello),
    /// The bytes are no ClientHello, and no further bytes can make them one.
    Invalid(Defect),
}

/// The content of a ClientHello that routing and logs need to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// Content of the server_name extension.
    pub name: ServerName,
    /// Protocols offered by ALPN; none when the extension is absent.
    pub alpn: Offered,
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

impl ServerName {
    /// Reads what a hello that asks for `name` holds, or why there can be no such hello.
    pub fn read(name: &str) -> Result<Self, Defect> {
        host::read(name.as_bytes())
    }
}

/// A reason why bytes are not a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The first byte is neither a handshake record nor SSLv2.
    NotTls,
    /// A record of another content type before the hello is complete (RFC 8446 section 5.1).
    RecordType,
    /// A record whose version has another major number than 3.
    RecordVersion,
    /// A record of no bytes, or of more than 2^14 + 256.
    RecordLength,
    /// A handshake message other than client_hello comes first.
    HandshakeType,
    /// A handshake length that no ClientHello can have.
    HandshakeLength,
    /// Handshake bytes follow the hello in its last record.
    RecordExcess,
    /// legacy_version is older than SSL 3.0.
    Version,
    /// A session id of more than 32 bytes.
    SessionId,
    /// A list of cipher suites that is empty or of odd length.
    CipherSuites,
    /// No compression method.
    Compression,
    /// A field reaches past the end of the hello.
    Truncated,
    /// Bytes follow the last field of the hello.
    Trailing,
    /// An extension reaches past the end of the extensions.
    Extension,
    /// The same extension twice (RFC 8446 section 4.2).
    DuplicateExtension,
    /// A server_name list that is empty or badly framed (RFC 6066 section 3).
    ServerNameList,
    /// Two names of one type in the server_name list (RFC 6066 section 3).
    DuplicateName,
    /// A host name that is empty, too long, or holds a byte or a label that no host name has.
    HostName,
    /// An ALPN list that is empty, badly framed or holds an empty protocol (RFC 7301 section 3.1).
    Alpn,
    /// A supported_versions list that is empty or badly framed (RFC 8446 section 4.2.1).
    SupportedVersions,
    /// An SSLv2 hello whose fields contradict each other (RFC 5246 appendix E.2).
    Sslv2,
}

impl Defect {
    /// Returns the defect in words, for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not TLS",
            Self::RecordType => "a TLS record of another type within the ClientHello",
            Self::RecordVersion => "a TLS record of an unknown version",
            Self::RecordLength => "a TLS record that is empty or too long",
            Self::HandshakeType => "a TLS handshake message other than ClientHello",
            Self::HandshakeLength => "a length that no ClientHello can have",
            Self::RecordExcess => "handshake bytes after the ClientHello in its record",
            Self::Version => "a TLS version older than SSL 3.0",
            Self::SessionId => "a session id longer than 32 bytes",
            Self::CipherSuites => "a cipher suite list that is empty or of odd length",
            Self::Compression => "no compression method",
            Self::Truncated => "a field that reaches past the end of the ClientHello",
            Self::Trailing => "bytes after the last field of the ClientHello",
            Self::Extension => "an extension that reaches past the end of the extensions",
            Self::DuplicateExtension => "the same extension twice",
            Self::ServerNameList => "a server_name list that is empty or badly framed",
            Self::DuplicateName => "several server names of one type",
            Self::HostName => "a server name that is not a host name",
            Self::Alpn => "an ALPN list that is empty or badly framed",
            Self::SupportedVersions => "a supported_versions list that is empty or badly framed",
            Self::Sslv2 => "a malformed SSLv2 hello",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Parses the bytes held so far, oldest first.
///
/// The answer is a property of the bytes, not of how they came: what is `Invalid` stays so with more bytes,
/// and a `Complete` is the same whatever follows it.
pub fn parse(held: &[u8]) -> HelloParsed {
    let outcome = match held.first() {
        None => Err(NoHello::Need(1)),
        Some(&records::HANDSHAKE) => records::body(held).and_then(|body| Ok(read_hello(&body)?)),
        Some(first) if first & sslv2::LENGTH_FLAG != 0 => sslv2::read(held),
        Some(_) => Err(NoHello::Defect(Defect::NotTls)),
    };
    match outcome {
        Ok(hello) => HelloParsed::Complete(hello),
        Err(NoHello::Need(need)) => HelloParsed::Partial { need },
        Err(NoHello::Defect(defect)) => HelloParsed::Invalid(defect),
    }
}

/// A reason why framing ends without a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoHello {
    Need(usize),
    Defect(Defect),
}

impl From<Defect> for NoHello {
    fn from(defect: Defect) -> Self {
        Self::Defect(defect)
    }
}

const SSL3: u16 = 0x0300;
const TLS12: u16 = 0x0303;

/// Reads the fields of a whole hello, the handshake header left out (RFC 8446 section 4.1.2).
fn read_hello(body: &[u8]) -> Result<ClientHello, Defect> {
    let mut fields = Fields::new(body);
    let legacy_version = fields.u16().ok_or(Defect::Truncated)?;
    if legacy_version < SSL3 {
        return Err(Defect::Version);
    }
    fields.take(32).ok_or(Defect::Truncated)?;
    if fields.vector8().ok_or(Defect::Truncated)?.len() > 32 {
        return Err(Defect::SessionId);
    }
    let suites = fields.vector16().ok_or(Defect::Truncated)?;
    if suites.is_empty() || suites.len() % 2 != 0 {
        return Err(Defect::CipherSuites);
    }
    if fields.vector8().ok_or(Defect::Truncated)?.is_empty() {
        return Err(Defect::Compression);
    }
    let extensions = read_extensions(&mut fields)?;
    Ok(ClientHello {
        name: extensions.name,
        alpn: extensions.alpn,
        // Without supported_versions the field cannot offer more than TLS 1.2 (RFC 8446 section 4.2.1).
        version: extensions.version.unwrap_or(legacy_version.min(TLS12)),
        encrypted: extensions.encrypted,
    })
}

/// Reads the extensions. SSL 3.0 and TLS 1.0 hellos may end before them.
fn read_extensions(fields: &mut Fields<'_>) -> Result<Extensions, Defect> {
    if fields.is_empty() {
        return Ok(Extensions::default());
    }
    let block = fields.vector16().ok_or(Defect::Truncated)?;
    if !fields.is_empty() {
        return Err(Defect::Trailing);
    }
    Extensions::read(block)
}
