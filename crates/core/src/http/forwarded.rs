//! Forwarding fields: who the client was and what it asked for, in X-Forwarded-For, -Proto and -Host or
//! Forwarded (RFC 7239).
//!
//! Fields of clients within the trusted networks are kept and added to. All others could claim anything: a
//! field of theirs that looks like one of these is left out, whether or not we write one of its kind. Must
//! never pass a claim on that nobody vouches for.

use std::net::{IpAddr, SocketAddr};

use crate::networks::Networks;
use crate::path;
use crate::problem::Problem;

use super::facts::ExchangeFacts;
use super::names::{begins, is, is_token};
use super::text::{push_clean, push_ip, push_name};
use crate::message::Message;
use crate::message::{Field, Known};

/// Rules of a listener for what it writes about its clients, and whose word it takes.
#[derive(Debug, Default)]
pub struct Forwarding {
    x_forwarded: bool,
    forwarded: bool,
    trusted: Networks,
}

impl Forwarding {
    /// Compiles `forwarded` and `trusted` of a listener.
    pub fn compile(written: &[String], trusted: &[String]) -> Result<Self, Vec<Problem>> {
        let (mut this, mut errors) = (Self::default(), Vec::new());
        for (index, kind) in written.iter().enumerate() {
            match kind.as_str() {
                "x_forwarded" => this.x_forwarded = true,
                "forwarded" => this.forwarded = true,
                _ => errors.push(Problem {
                    path: path!["forwarded", index],
                    reason: format!("\"{kind}\" is no kind of forwarding fields"),
                    hint: Some("write x_forwarded or forwarded".into()),
                }),
            }
        }
        match Networks::parse(trusted) {
            Ok(networks) => this.trusted = networks,
            Err(wrong) => {
                errors.extend(
                    wrong.into_iter().map(|(index, reason)| Problem::new(path!["trusted", index], reason)),
                );
            }
        }
        if errors.is_empty() { Ok(this) } else { Err(errors) }
    }

    /// Whether this client's word is taken. A client on a unix socket is in no network.
    pub fn trusts(&self, client: Option<SocketAddr>) -> bool {
        !self.trusted.is_empty() && client.is_some_and(|client| self.trusted.contains(client.ip()))
    }

    /// Whether a field stays as it is.
    #[inline]
    pub(super) fn keeps(&self, field: &Field, name: &[u8], trusted: bool) -> bool {
        match field.known {
            // Written anew, with what was sent in front.
            Known::XForwardedFor => trusted && !self.x_forwarded,
            Known::Forwarded => trusted && !self.forwarded,
            Known::XForwardedHost | Known::XForwardedProto => trusted,
            Known::Other => !claims(name) || (trusted && !name.contains(&b'_')),
            _ => true,
        }
    }

    /// Appends the fields of the kinds that are written, but those that `dropped` names.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        message: Message<'_>,
        facts: &ExchangeFacts<'_>,
        wanted: Wanted<'_>,
    ) {
        if self.x_forwarded {
            write_x_forwarded(out, message, facts, wanted);
        }
        if self.forwarded && wanted.wants(b"forwarded") {
            push_name(out, "Forwarded");
            push_sent(out, message, Known::Forwarded, wanted.trusted);
            push_element(out, facts);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Flags of the fields that are wanted at all.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The client's word is taken.
    pub(super) trusted: bool,
    /// Whether rules set or remove a field of this name.
    pub(super) dropped: &'a dyn Fn(&[u8]) -> bool,
}

impl Wanted<'_> {
    fn wants(&self, name: &[u8]) -> bool {
        !(self.dropped)(name)
    }
}

/// Whether a name that the codec does not know begins with a letter that a claim begins with.
#[inline]
pub(super) fn may_claim(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'x' | b'X' | b'f' | b'F'))
}

/// Whether a name that the codec does not know claims to say who the client is, or could be taken for one
/// that does.
fn claims(name: &[u8]) -> bool {
    match name.first() {
        Some(b'x' | b'X') => begins(name, b"x-forwarded") || is(name, b"x-real-ip"),
        Some(b'f' | b'F') => begins(name, b"forwarded"),
        _ => false,
    }
}

fn write_x_forwarded(out: &mut Vec<u8>, message: Message<'_>, facts: &ExchangeFacts<'_>, wanted: Wanted<'_>) {
    if wanted.wants(b"x-forwarded-for") {
        out.extend_from_slice(b"X-Forwarded-For: ");
        push_sent(out, message, Known::XForwardedFor, wanted.trusted);
        match facts.client {
            Some(client) => push_ip(out, client.ip()),
            None => out.extend_from_slice(b"unknown"),
        }
        out.extend_from_slice(b"\r\n");
    }
    let absent = |known| !wanted.trusted || message.values(known).next().is_none();
    if wanted.wants(b"x-forwarded-proto") && absent(Known::XForwardedProto) {
        out.extend_from_slice(b"X-Forwarded-Proto: ");
        out.extend_from_slice(facts.scheme.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !facts.host.is_empty() && wanted.wants(b"x-forwarded-host") && absent(Known::XForwardedHost) {
        out.extend_from_slice(b"X-Forwarded-Host: ");
        push_clean(out, facts.host);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends what a trusted client sent, each value followed by a comma.
fn push_sent(out: &mut Vec<u8>, message: Message<'_>, known: Known, trusted: bool) {
    if trusted {
        for value in message.values(known).filter(|value| !value.is_empty()) {
            push_clean(out, value);
            out.extend_from_slice(b", ");
        }
    }
}

/// Appends our element: `for="[2001:db8::1]";proto=http;host="example.com:8080"`.
fn push_element(out: &mut Vec<u8>, facts: &ExchangeFacts<'_>) {
    out.extend_from_slice(b"for=");
    match facts.client.map(|client| client.ip().to_canonical()) {
        Some(ip @ IpAddr::V4(_)) => push_ip(out, ip),
        Some(ip @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            push_ip(out, ip);
            out.extend_from_slice(b"]\"");
        }
        None => out.extend_from_slice(b"unknown"),
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(facts.scheme.as_bytes());
    if !facts.host.is_empty() {
        out.extend_from_slice(b";host=");
        push_quoted(out, facts.host);
    }
}

/// Appends a token as it is and all else as a quoted string (RFC 9110 section 5.6.4).
fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    if is_token(text) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text.iter().filter(|byte| !byte.is_ascii_control()) {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_claims() {
        for name in [
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Forwarded",
            "X_Forwarded-Port",
            "x-forwarded-ssl",
            "X-Real-IP",
            "x_real_ip",
            "forwarded",
            "Forwarded-For",
        ] {
            assert!(claims(name.as_bytes()), "{name}");
        }
        for name in ["", "X-Forward", "X-Real-IPs", "Accept", "From"] {
            assert!(!claims(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn elements_are_quoted_where_they_must_be() {
        for (client, host, expected) in [
            (Some("192.0.2.1:5"), "a.example", "for=192.0.2.1;proto=http;host=a.example"),
            (
                Some("[2001:db8::1]:5"),
                "a.example:80",
                "for=\"[2001:db8::1]\";proto=http;host=\"a.example:80\"",
            ),
            (Some("[::ffff:192.0.2.1]:5"), "[::1]", "for=192.0.2.1;proto=http;host=\"[::1]\""),
            (None, "a\"\\b\r\n", "for=unknown;proto=http;host=\"a\\\"\\\\b\""),
            (None, "", "for=unknown;proto=http"),
        ] {
            let client = client.map(|client| client.parse().unwrap());
            let facts =
                ExchangeFacts { client, scheme: "http", host: host.as_bytes(), ..ExchangeFacts::default() };
            let mut out = Vec::new();
            push_element(&mut out, &facts);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let errors =
            Forwarding::compile(&strings(&["x_forwarded", "via"]), &strings(&["::1", "x"])).unwrap_err();
        assert_eq!(errors[0].place(), "forwarded.1");
        assert_eq!(errors[1].place(), "trusted.1");
        assert_eq!(errors.len(), 2);
    }
}
