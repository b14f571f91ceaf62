//! Refusal: the bytes that a client gets in the clear when it is refused before there is TLS.
//!
//! Must never say more than why the client should give up or what it should do instead.

use crate::close::CloseReason;

/// A fatal alert in a record of its own (RFC 8446 section 6). The record version is TLS 1.0's, which every
/// client accepts before a version has been agreed on.
macro_rules! alert {
    ($description:literal) => {
        &[21, 3, 1, 0, 2, 2, $description]
    };
}

const HANDSHAKE_FAILURE: &[u8] = alert!(40);
const ACCESS_DENIED: &[u8] = alert!(49);
const PROTOCOL_VERSION: &[u8] = alert!(70);
const INTERNAL_ERROR: &[u8] = alert!(80);
const UNRECOGNIZED_NAME: &[u8] = alert!(112);
const NO_APPLICATION_PROTOCOL: &[u8] = alert!(120);

/// Response to a client that speaks HTTP to a port of TLS.
const SPEAK_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 75\r\n\
    Connection: close\r\n\r\n400 Bad Request\n\nThis port speaks TLS. Ask for https:// instead of http://.";

/// Returns the bytes before the connection of a refused client is closed; empty for those who get none.
pub fn refusal(reason: CloseReason) -> &'static [u8] {
    match reason {
        CloseReason::NoMatch => UNRECOGNIZED_NAME,
        CloseReason::NoServer
        | CloseReason::NameUnresolved
        | CloseReason::Loop
        | CloseReason::RuleFailed
        | CloseReason::AnalyzerFailed
        | CloseReason::AnalyzerTimeout => INTERNAL_ERROR,
        CloseReason::RuleRejected | CloseReason::AnalyzerRejected | CloseReason::DestinationDenied => {
            ACCESS_DENIED
        }
        CloseReason::VersionNotSupported => PROTOCOL_VERSION,
        CloseReason::BadRequest
        | CloseReason::NoName
        | CloseReason::TooLarge
        | CloseReason::FirstBytesTimeout
        | CloseReason::HandshakeTimeout => HANDSHAKE_FAILURE,
        CloseReason::PlainHttp => SPEAK_TLS,
        _ => b"",
    }
}

/// Returns the bytes of a client that offers no protocol which is spoken at its name (RFC 7301 section 3.2).
pub fn no_protocol() -> &'static [u8] {
    NO_APPLICATION_PROTOCOL
}

/// Returns the bytes of a client that is turned away before anything is read of it, at a port of TLS.
pub fn no_place() -> &'static [u8] {
    INTERNAL_ERROR
}

/// Whether first bytes that are no TLS begin a request of HTTP: a method, as far as it has come. A record of
/// TLS begins with a byte that no method has.
pub fn begins_http(held: &[u8]) -> bool {
    let method = held.iter().position(|byte| *byte == b' ').unwrap_or(held.len());
    (1..=LONGEST_METHOD).contains(&method) && held[..method].iter().all(u8::is_ascii_uppercase)
}

/// Letters of a method, `VERSION-CONTROL` and its like left aside.
const LONGEST_METHOD: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Framing, Head, Method};
    use crate::wire::http1::{self, Limits, Parsed};

    #[test]
    fn the_word_to_speak_tls_is_a_whole_response() {
        let mut head = Head::default();
        let limits = Limits { head: 1_000, fields: 10, line: 100 };
        let parsed = http1::response(refusal(CloseReason::PlainHttp), &limits, Method::Get, &mut head);
        assert_eq!((parsed, head.status, head.persistent), (Parsed::Complete, 400, false));
        let body = SPEAK_TLS.len() - head.length;
        assert_eq!(head.framing, Framing::Length(body as u64));
    }

    #[test]
    fn alerts() {
        for (reason, description) in [
            (CloseReason::HandshakeTimeout, Some(40)),
            (CloseReason::BadRequest, Some(40)),
            (CloseReason::NoServer, Some(80)),
            (CloseReason::VersionNotSupported, Some(70)),
            (CloseReason::NoMatch, Some(112)),
            (CloseReason::Denied, None),
            (CloseReason::ClientTruncated, None),
        ] {
            assert_eq!(refusal(reason).last().copied(), description, "{}", reason.as_str());
        }
    }

    #[test]
    fn requests_are_told_from_everything_else() {
        for (held, http) in [
            ("G", true),
            ("GET / HTTP/1.1\r\n", true),
            ("OPTIONS", true),
            ("PRI * HTTP/2.0", true),
            ("", false),
            (" GET", false),
            ("get /", false),
            ("\u{16}\u{3}\u{1}", false),
            ("SSH-2.0-x", false),
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZ", false),
        ] {
            assert_eq!(begins_http(held.as_bytes()), http, "{held}");
        }
    }
}
