//! Spoken: what a client speaks whose bytes are passed on untouched, as far as they tell, and what it is sent
//! in that when it is refused.
//!
//! Must never say more than why the client should give up. Each refusal is made once, when it is first
//! needed.

use std::sync::LazyLock;

use crate::close::CloseReason;
use crate::http::status::phrase;
use crate::message::Persistence;
use crate::tls;
use crate::wire::http1::write;
use crate::wire::http2::ErrorCode;
use crate::wire::http2::frames::write as frames;

/// A language that first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// TLS: a refusal is an alert.
    Tls,
    /// HTTP/1, whatever its dialect: a refusal is a response.
    Http1,
    /// HTTP/2: a refusal is a GOAWAY frame.
    Http2,
}

impl Spoken {
    /// Returns the bytes that a refused client is sent; empty for those who get none.
    pub fn refusal(self, reason: CloseReason) -> &'static [u8] {
        let told = match self {
            Self::Tls => return tls::refusal(reason),
            Self::Http1 => &RESPONSES,
            Self::Http2 => &FAREWELLS,
        };
        told.get(reason.index()).map_or(b"", |bytes| bytes)
    }
}

/// Responses to clients of HTTP/1, by reason.
static RESPONSES: LazyLock<Box<[Box<[u8]>]>> = LazyLock::new(|| each(response));

/// Farewells to clients of HTTP/2, by reason.
static FAREWELLS: LazyLock<Box<[Box<[u8]>]>> = LazyLock::new(|| each(farewell));

fn each(write: fn(u16) -> Vec<u8>) -> Box<[Box<[u8]>]> {
    let told = |reason: &CloseReason| reason.status().map(write).unwrap_or_default().into_boxed_slice();
    CloseReason::ALL.iter().map(told).collect()
}

/// Writes a response with a page of one line. Nothing is known of the request but its beginning: HEAD gets
/// the page, too, and the end of the connection ends it.
fn response(status: u16) -> Vec<u8> {
    let (mut out, phrase) = (Vec::new(), phrase(status));
    let page = format!("{status} {phrase}\n");
    write::status_line(&mut out, status, phrase.as_bytes());
    write::connection(&mut out, Persistence::Close, false);
    out.extend_from_slice(b"Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\n");
    write::length(&mut out, page.len() as u64);
    write::end(&mut out);
    out.extend_from_slice(page.as_bytes());
    out
}

/// Writes settings, which come first of a server (RFC 9113 section 3.4), and GOAWAY: no stream was looked at,
/// so every request may be made again elsewhere. The status is told as debug data (RFC 9113 section 6.8).
fn farewell(status: u16) -> Vec<u8> {
    let code = match status {
        408 | 429 | 431 => ErrorCode::ENHANCE_YOUR_CALM,
        400..=499 => ErrorCode::PROTOCOL_ERROR,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    let told = format!("{status} {}", phrase(status));
    let mut out = Vec::new();
    frames::settings(&mut out, &[]);
    frames::go_away_saying(&mut out, 0, code, told.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Framing, Head, Method};
    use crate::wire::http1::{self, Limits, Parsed};
    use crate::wire::http2::frames::{Frame, FrameReader};

    #[test]
    fn every_response_is_whole_and_ends_the_connection() {
        for reason in CloseReason::ALL {
            let bytes = Spoken::Http1.refusal(*reason);
            let Some(status) = reason.status() else {
                assert_eq!(bytes, b"", "{}", reason.as_str());
                continue;
            };
            let (mut head, limits) = (Head::default(), Limits { head: 1_000, fields: 10, line: 100 });
            let parsed = http1::response(bytes, &limits, Method::Get, &mut head);
            assert_eq!((parsed, head.status, head.persistent), (Parsed::Complete, status, false));
            assert_eq!(head.framing, Framing::Length((bytes.len() - head.length) as u64));
        }
    }

    #[test]
    fn every_farewell_is_settings_and_goaway() {
        for reason in CloseReason::ALL.iter().filter(|reason| reason.status().is_some()) {
            let bytes = Spoken::Http2.refusal(*reason);
            let (mut frames, mut rest) = (FrameReader::default(), bytes);
            assert!(matches!(frames.next(&mut rest), Ok(Some(Frame::Settings(_)))));
            assert!(matches!(frames.next(&mut rest), Ok(Some(Frame::GoAway { last: 0, .. }))));
            assert_eq!(rest, b"");
        }
    }
}
