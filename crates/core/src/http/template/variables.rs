//! The variables of a Template: their names, where each is known, and what each stands for in one exchange.
//!
//! Owns the one table of names. Must never let a control byte of a value through.

use super::Purpose;
use crate::http::facts::ExchangeFacts;
use crate::http::text::{push_clean, push_ip, push_number};
use crate::problem::Flaw;
use crate::tls::{ClientCertificate, TlsFacts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    ClientAddress,
    ClientPort,
    LocalAddress,
    LocalPort,
    Scheme,
    Host,
    Name,
    Method,
    Path,
    Query,
    Uri,
    RequestId,
    Listener,
    Backend,
    Server,
    Status,
    Tls(OfTls),
}

/// Variables of the client's handshake; without TLS they stand for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfTls {
    Version,
    Cipher,
    Group,
    Name,
    Alpn,
    Resumed,
    /// The subject of the client's certificate; nothing without one.
    Subject,
    CommonName,
    Issuer,
    Serial,
    Fingerprint,
    Certificate,
}

/// All variables but `{header.NAME}`, as they are written.
pub(super) const VARIABLES: [(&str, Variable); 28] = [
    ("client.address", Variable::ClientAddress),
    ("client.port", Variable::ClientPort),
    ("local.address", Variable::LocalAddress),
    ("local.port", Variable::LocalPort),
    ("scheme", Variable::Scheme),
    ("host", Variable::Host),
    ("name", Variable::Name),
    ("method", Variable::Method),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("uri", Variable::Uri),
    ("request.id", Variable::RequestId),
    ("listener", Variable::Listener),
    ("backend", Variable::Backend),
    ("server", Variable::Server),
    ("status", Variable::Status),
    ("tls.version", Variable::Tls(OfTls::Version)),
    ("tls.cipher", Variable::Tls(OfTls::Cipher)),
    ("tls.group", Variable::Tls(OfTls::Group)),
    ("tls.name", Variable::Tls(OfTls::Name)),
    ("tls.alpn", Variable::Tls(OfTls::Alpn)),
    ("tls.resumed", Variable::Tls(OfTls::Resumed)),
    ("tls.client.subject", Variable::Tls(OfTls::Subject)),
    ("tls.client.common_name", Variable::Tls(OfTls::CommonName)),
    ("tls.client.issuer", Variable::Tls(OfTls::Issuer)),
    ("tls.client.serial", Variable::Tls(OfTls::Serial)),
    ("tls.client.fingerprint", Variable::Tls(OfTls::Fingerprint)),
    ("tls.client.certificate", Variable::Tls(OfTls::Certificate)),
];

impl Variable {
    pub(super) fn write(self, out: &mut Vec<u8>, facts: &ExchangeFacts<'_>) {
        match self {
            Self::ClientAddress => match facts.client {
                Some(client) => push_ip(out, client.ip()),
                None => out.extend_from_slice(b"unknown"),
            },
            Self::ClientPort => push_port(out, facts.client),
            Self::LocalAddress => match facts.local {
                Some(local) => push_ip(out, local.ip()),
                None => out.extend_from_slice(b"unknown"),
            },
            Self::LocalPort => push_port(out, facts.local),
            Self::Status if facts.status == 0 => {}
            Self::Status => push_number(out, u64::from(facts.status)),
            _ => push_clean(out, self.bytes(facts)),
        }
    }

    /// Whether an explanation knows what a request would make of it.
    pub(super) fn is_known(self, facts: &ExchangeFacts<'_>) -> bool {
        match self {
            Self::ClientAddress => facts.client.is_some(),
            Self::ClientPort => facts.client.is_some_and(|client| client.port() != 0),
            Self::LocalAddress | Self::LocalPort => facts.local.is_some(),
            Self::Host | Self::Name | Self::RequestId => !self.bytes(facts).is_empty(),
            // Without TLS they are known to be empty.
            Self::Tls(OfTls::Resumed) => facts.scheme == "http",
            Self::Tls(_) => facts.scheme == "http" || !self.bytes(facts).is_empty(),
            _ => true,
        }
    }

    pub(super) fn write_name(self, out: &mut Vec<u8>) {
        if let Some((name, _)) = VARIABLES.iter().find(|(_, variable)| *variable == self) {
            out.push(b'{');
            out.extend_from_slice(name.as_bytes());
            out.push(b'}');
        }
    }

    /// Returns the variables that are bytes already.
    fn bytes<'a>(self, facts: &ExchangeFacts<'a>) -> &'a [u8] {
        match self {
            Self::Scheme => facts.scheme.as_bytes(),
            Self::Host => facts.host,
            Self::Name => facts.name.as_bytes(),
            Self::Method => facts.method,
            Self::Path => facts.path(),
            Self::Query => facts.query(),
            Self::Uri => facts.target,
            Self::RequestId => facts.request_id,
            Self::Listener => facts.listener.as_bytes(),
            Self::Backend => facts.backend.as_bytes(),
            Self::Server => facts.server.as_bytes(),
            Self::Tls(of) => facts.tls.map_or("", |tls| of.text(tls)).as_bytes(),
            _ => b"",
        }
    }
}

impl OfTls {
    fn text(self, tls: &TlsFacts) -> &str {
        let of_client = |part: fn(&ClientCertificate) -> &str| tls.client.as_ref().map_or("", part);
        match self {
            Self::Version => tls.version,
            Self::Cipher => tls.cipher,
            Self::Group => tls.group,
            Self::Name => tls.name.as_deref().unwrap_or_default(),
            Self::Alpn => tls.alpn.as_deref().unwrap_or_default(),
            Self::Resumed => ["false", "true"][usize::from(tls.resumed)],
            Self::Subject => of_client(|client| &client.subject),
            Self::CommonName => of_client(|client| &client.common_name),
            Self::Issuer => of_client(|client| &client.issuer),
            Self::Serial => of_client(|client| &client.serial),
            Self::Fingerprint => of_client(|client| &client.fingerprint),
            Self::Certificate => of_client(|client| &client.der),
        }
    }
}

fn push_port(out: &mut Vec<u8>, address: Option<std::net::SocketAddr>) {
    if let Some(address) = address {
        push_number(out, u64::from(address.port()));
    }
}

pub(super) fn known_there(name: &str, variable: Variable, of: Purpose) -> Result<Variable, Flaw> {
    match (variable, of) {
        (Variable::Server, Purpose::Request) => Err(Flaw::new(
            "{server} is known in responses only: a request is written once, whichever server gets it",
        )),
        (Variable::Status, Purpose::Request) => Err(Flaw::new("{status} is known in responses only")),
        (Variable::Backend | Variable::Server, Purpose::Answer) => {
            Err(Flaw::new(format!("{{{name}}} is not known here: no server is asked")))
        }
        _ => Ok(variable),
    }
}

pub(super) fn unknown(name: &str, of: Purpose) -> Flaw {
    let known = || VARIABLES.iter().filter(|(name, variable)| known_there(name, *variable, of).is_ok());
    let list: Vec<_> = known().map(|(name, _)| format!("{{{name}}}")).collect();
    let wrong = Flaw::new(format!(
        "there is no variable {{{name}}}; there are {} and {{header.NAME}}",
        list.join(", ")
    ));
    let near = known().map(|(known, _)| (distance(name, known), *known)).min();
    match near {
        Some((distance, near)) if distance <= 1 + near.len() / 4 => {
            wrong.hint(format!("did you mean {{{near}}}?"))
        }
        _ => wrong.hint("write {{ and }} for braces that stand for themselves"),
    }
}

/// Returns Levenshtein's distance; `_` and `-` count as `.`.
fn distance(a: &str, b: &str) -> usize {
    let fold = |byte: u8| if matches!(byte, b'_' | b'-') { b'.' } else { byte.to_ascii_lowercase() };
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(fold(x) != fold(y));
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
