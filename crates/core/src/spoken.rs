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

/// A frame of settings that changes none.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// The type of a GOAWAY frame.
const GOAWAY: u8 = 7;

/// Writes settings, which come first of a server (RFC 9113 section 3.4), and GOAWAY: no stream was looked at,
/// so every request may be made again elsewhere. The status is told as debug data (RFC 9113 section 6.8).
fn farewell(status: u16) -> Vec<u8> {
    let code: u32 = match status {
        // PROTOCOL_ERROR, ENHANCE_YOUR_CALM and INTERNAL_ERROR (RFC 9113 section 7).
        408 | 429 | 431 => 0xb,
        400..=499 => 0x1,
        _ => 0x2,
    };
    let told = format!("{status} {}", phrase(status));
    let mut out = SETTINGS.to_vec();
    let length = 8 + told.len() as u32;
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[GOAWAY, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(told.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Framing, Head, Method};
    use crate::wire::http1::{self, Limits, Parsed};
    use crate::wire::http2::frame::{FrameHeader, FrameKind};

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
            let header = FrameHeader::read(bytes[..9].try_into().unwrap());
            assert_eq!((header.kind, header.length), (FrameKind::Settings, 0));
            let header = FrameHeader::read(bytes[9..18].try_into().unwrap());
            assert_eq!((header.kind, header.length, header.stream), (FrameKind::GoAway, bytes.len() - 18, 0));
        }
    }
}
