//! Subject: what a program judges, and the attributes that it has under Python's names.
//!
//! Owns the one table of attributes. Must never make up what is not known: that is None.

use std::net::IpAddr;

use super::value::{Text, Value};
use crate::http::facts::ExchangeFacts;
use crate::message::{Framing, Message, Version};
use crate::spec::ProgramKind;
use crate::time::{DAY, civil};
use crate::tls::{ClientCertificate, TlsFacts};

/// The thing that a program judges.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// Facts about the exchange, or about the connection as far as it goes.
    pub facts: ExchangeFacts<'a>,
    /// The head whose fields are looked at: the request's, or the response's.
    pub message: Option<Message<'a>>,
    /// The first words of a TLS client.
    pub hello: Hello<'a>,
    /// Seconds since 1970, UTC.
    pub wall: u64,
}

/// The first words of a TLS client, but for its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hello<'a> {
    /// The highest version offered, such as 0x0304 for TLS 1.3.
    pub version: u16,
    /// The protocols offered by ALPN, with commas between them.
    pub alpn: &'a [u8],
    /// The fingerprint JA4; empty when it is not known.
    pub ja4: &'a str,
}

/// An attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    Method,
    Path,
    Query,
    Target,
    Host,
    Authority,
    Scheme,
    Version,
    Client,
    ClientPort,
    Listener,
    Backend,
    Server,
    Id,
    Early,
    ContentLength,
    Chunked,
    Upgrade,
    Status,
    Name,
    HelloVersion,
    HelloAlpn,
    Ja4,
    Tls(TlsAttribute),
    Now(TimeAttribute),
}

/// An attribute of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsAttribute {
    /// There is TLS.
    Is,
    Version,
    Cipher,
    Name,
    Alpn,
    Subject,
    Issuer,
    Serial,
    Fingerprint,
    Verified,
}

/// An attribute of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeAttribute {
    Date,
    Time,
    Hour,
    Minute,
    Weekday,
    Timestamp,
}

const REQUEST: &[ProgramKind] = &[ProgramKind::Request];
const RESPONSE: &[ProgramKind] = &[ProgramKind::Response];
const HELLO: &[ProgramKind] = &[ProgramKind::Hello];
const EXCHANGE: &[ProgramKind] = &[ProgramKind::Request, ProgramKind::Response];
const ALL: &[ProgramKind] = &[ProgramKind::Request, ProgramKind::Response, ProgramKind::Hello];

/// Every attribute: its name, and the kinds of program that have it.
const ATTRIBUTES: &[(&str, &[ProgramKind], Attribute)] = &[
    ("method", EXCHANGE, Attribute::Method),
    ("path", EXCHANGE, Attribute::Path),
    ("query", EXCHANGE, Attribute::Query),
    ("target", EXCHANGE, Attribute::Target),
    ("host", EXCHANGE, Attribute::Host),
    ("authority", REQUEST, Attribute::Authority),
    ("scheme", EXCHANGE, Attribute::Scheme),
    ("version", REQUEST, Attribute::Version),
    ("version", HELLO, Attribute::HelloVersion),
    ("client", ALL, Attribute::Client),
    ("client_port", ALL, Attribute::ClientPort),
    ("listener", ALL, Attribute::Listener),
    ("backend", EXCHANGE, Attribute::Backend),
    ("server", RESPONSE, Attribute::Server),
    ("id", REQUEST, Attribute::Id),
    ("early", REQUEST, Attribute::Early),
    ("content_length", REQUEST, Attribute::ContentLength),
    ("chunked", REQUEST, Attribute::Chunked),
    ("upgrade", REQUEST, Attribute::Upgrade),
    ("status", RESPONSE, Attribute::Status),
    ("name", HELLO, Attribute::Name),
    ("alpn", HELLO, Attribute::HelloAlpn),
    ("ja4", HELLO, Attribute::Ja4),
    ("tls", REQUEST, Attribute::Tls(TlsAttribute::Is)),
    ("tls.version", REQUEST, Attribute::Tls(TlsAttribute::Version)),
    ("tls.cipher", REQUEST, Attribute::Tls(TlsAttribute::Cipher)),
    ("tls.name", REQUEST, Attribute::Tls(TlsAttribute::Name)),
    ("tls.alpn", REQUEST, Attribute::Tls(TlsAttribute::Alpn)),
    ("tls.subject", REQUEST, Attribute::Tls(TlsAttribute::Subject)),
    ("tls.issuer", REQUEST, Attribute::Tls(TlsAttribute::Issuer)),
    ("tls.serial", REQUEST, Attribute::Tls(TlsAttribute::Serial)),
    ("tls.fingerprint", REQUEST, Attribute::Tls(TlsAttribute::Fingerprint)),
    ("tls.verified", REQUEST, Attribute::Tls(TlsAttribute::Verified)),
    ("now.date", ALL, Attribute::Now(TimeAttribute::Date)),
    ("now.time", ALL, Attribute::Now(TimeAttribute::Time)),
    ("now.hour", ALL, Attribute::Now(TimeAttribute::Hour)),
    ("now.minute", ALL, Attribute::Now(TimeAttribute::Minute)),
    ("now.weekday", ALL, Attribute::Now(TimeAttribute::Weekday)),
    ("now.timestamp", ALL, Attribute::Now(TimeAttribute::Timestamp)),
];

/// Returns the names of the attributes that a kind of program has.
pub fn attributes(kind: ProgramKind) -> impl Iterator<Item = &'static str> {
    ATTRIBUTES.iter().filter(move |(_, kinds, _)| kinds.contains(&kind)).map(|(name, ..)| *name)
}

/// The value of an attribute, for whoever is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain<'a> {
    /// The attribute is not there.
    None,
    /// A truth.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(&'a [u8]),
    /// An address.
    Address(IpAddr),
}

/// Returns an attribute of a subject; None where a kind of program has none of that name.
pub fn read<'a>(subject: &Subject<'a>, kind: ProgramKind, name: &str) -> Option<Plain<'a>> {
    Some(match Attribute::find(name, kind)?.of(subject) {
        Value::Bool(truth) => Plain::Bool(truth),
        Value::Int(number) => Plain::Int(number),
        Value::Text(Text::Lent(text)) => Plain::Text(text),
        Value::Address(address) => Plain::Address(address),
        Value::None | Value::Text(Text::Made(_)) | Value::Match(_) => Plain::None,
    })
}

impl Attribute {
    /// Finds an attribute that a kind of program has.
    pub(super) fn find(name: &str, kind: ProgramKind) -> Option<Self> {
        let found = ATTRIBUTES.iter().find(|(known, kinds, _)| *known == name && kinds.contains(&kind));
        found.map(|(_, _, attribute)| *attribute)
    }

    /// Returns its name.
    pub(super) fn name(self) -> &'static str {
        ATTRIBUTES.iter().find(|(_, _, attribute)| *attribute == self).map_or("", |(name, ..)| *name)
    }

    /// Whether it takes the time of day.
    pub(super) fn asks_time(self) -> bool {
        matches!(self, Self::Now(_))
    }

    /// Returns the value of it; texts that must be made are None here: [`TimeAttribute`].
    pub(super) fn of<'a>(self, subject: &Subject<'a>) -> Value<'a> {
        let facts = &subject.facts;
        let head = subject.message.map(|message| message.head);
        match self {
            Self::Method => Value::text(facts.method),
            Self::Path => Value::text(facts.path()),
            Self::Query => Value::text(facts.query()),
            Self::Target => Value::text(facts.target),
            Self::Host | Self::Name => Value::some_text(facts.name.as_bytes()),
            Self::Authority => Value::text(facts.host),
            Self::Scheme => Value::text(facts.scheme.as_bytes()),
            Self::Version => Value::text(version(head.map_or(Version::Http11, |head| head.version))),
            Self::Client => client(facts.client.map(|client| client.ip())),
            Self::ClientPort => number(facts.client.map(|client| u64::from(client.port()))),
            Self::Listener => Value::text(facts.listener.as_bytes()),
            Self::Backend => Value::some_text(facts.backend.as_bytes()),
            Self::Server => Value::some_text(facts.server.as_bytes()),
            Self::Id => Value::some_text(facts.request_id),
            Self::Early => Value::Bool(facts.early),
            Self::ContentLength => number(head.and_then(|head| length(head.framing))),
            Self::Chunked => Value::Bool(head.is_some_and(|head| head.framing == Framing::Chunked)),
            Self::Upgrade => Value::Bool(head.is_some_and(|head| head.upgrade)),
            Self::Status => Value::Int(i64::from(facts.status)),
            Self::HelloVersion => Value::text(tls_version(subject.hello.version)),
            Self::HelloAlpn => Value::text(subject.hello.alpn),
            Self::Ja4 => Value::some_text(subject.hello.ja4.as_bytes()),
            Self::Tls(of) => of.of(facts.tls, facts.scheme == "https"),
            Self::Now(of) => of.number(subject.wall),
        }
    }
}

impl TlsAttribute {
    fn of<'a>(self, tls: Option<&'a TlsFacts>, secure: bool) -> Value<'a> {
        if self == Self::Is {
            return Value::Bool(secure);
        }
        let Some(tls) = tls else {
            return if self == Self::Verified { Value::Bool(false) } else { Value::None };
        };
        let text = Value::some_text_of;
        let of_client = |part: fn(&ClientCertificate) -> &str| text(tls.client.as_ref().map(part));
        match self {
            Self::Is => Value::Bool(secure),
            Self::Version => text(Some(tls.version)),
            Self::Cipher => text(Some(tls.cipher)),
            Self::Name => text(tls.name.as_deref()),
            Self::Alpn => text(tls.alpn.as_deref()),
            Self::Subject => of_client(|client| &client.subject),
            Self::Issuer => of_client(|client| &client.issuer),
            Self::Serial => of_client(|client| &client.serial),
            Self::Fingerprint => of_client(|client| &client.fingerprint),
            Self::Verified => Value::Bool(tls.client.is_some()),
        }
    }
}

impl TimeAttribute {
    /// Returns the attributes that are numbers; None for the others.
    fn number(self, wall: u64) -> Value<'static> {
        let day = wall / DAY;
        let number = match self {
            Self::Date | Self::Time => return Value::None,
            Self::Hour => wall % DAY / 3600,
            Self::Minute => wall % 3600 / 60,
            // 1970 began on a Thursday.
            Self::Weekday => (day + 3) % 7,
            Self::Timestamp => wall,
        };
        Value::Int(number as i64)
    }

    /// Returns the parts of the attributes that are texts, and what stands between them.
    pub(super) fn parts(self, wall: u64) -> Option<([u64; 3], u8)> {
        match self {
            Self::Date => Some((civil(wall / DAY), b'-')),
            Self::Time => Some(([wall % DAY / 3600, wall % 3600 / 60, wall % 60], b':')),
            _ => None,
        }
    }
}

fn client<'a>(address: Option<IpAddr>) -> Value<'a> {
    address.map_or(Value::None, |address| Value::Address(address.to_canonical()))
}

fn number<'a>(number: Option<u64>) -> Value<'a> {
    number.map_or(Value::None, |number| Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn length(framing: Framing) -> Option<u64> {
    match framing {
        Framing::Length(length) => Some(length),
        _ => None,
    }
}

fn version(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"1.0",
        Version::Http11 => b"1.1",
        Version::Http2 => b"2",
    }
}

fn tls_version(version: u16) -> &'static [u8] {
    match version {
        0x0300 => b"3.0",
        0x0301 => b"1.0",
        0x0302 => b"1.1",
        0x0303 => b"1.2",
        0x0304 => b"1.3",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_one_meaning_in_each_kind() {
        for kind in ALL {
            let mut names: Vec<_> = attributes(*kind).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
            assert!(names.iter().all(|name| Attribute::find(name, *kind).is_some()));
        }
        assert_eq!(Attribute::find("status", ProgramKind::Request), None);
    }
}
