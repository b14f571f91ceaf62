//! Heads that are sent: the text of HTTP/1, as rewriting has written it, as header blocks. What belongs to
//! that version alone stays behind. Must never be given a text that was not written here or read by a codec.

use super::super::hpack::{HpackEncoder, Indexing, Pseudo};
use crate::message::Known;

/// A head as text: a start line, field lines, an empty line.
#[derive(Debug, Clone, Copy)]
pub struct WrittenHead<'a> {
    /// The text.
    pub text: &'a [u8],
    /// Names of fields that are in no table on no hop, as [`Sheet`](super::Sheet) has them.
    pub marked: &'a [u8],
}

/// Appends the block of a request. None: the text is no request's.
pub fn request(
    encoder: &mut HpackEncoder,
    out: &mut Vec<u8>,
    head: WrittenHead<'_>,
    scheme: &[u8],
) -> Option<()> {
    let (line, fields) = start_line(head.text)?;
    let method = word(line);
    let target = line.get(method.len() + 1..)?.strip_suffix(b" HTTP/1.1")?;
    let host = host(fields)?;
    encoder.begin(out);
    encoder.pseudo(out, Pseudo::Method, method);
    if method == b"CONNECT" {
        encoder.pseudo(out, Pseudo::Authority, target);
    } else {
        encoder.pseudo(out, Pseudo::Scheme, scheme);
        encoder.pseudo(out, Pseudo::Authority, host);
        encoder.pseudo(out, Pseudo::Path, target);
    }
    lines(encoder, out, fields, head.marked, |known, _| known != Known::Host);
    Some(())
}

/// Appends the block of a response. `extended`: to extended CONNECT, where 200 says what 101 does in HTTP/1
/// (RFC 8441 section 5). None: the text is no response's.
pub fn response(
    encoder: &mut HpackEncoder,
    out: &mut Vec<u8>,
    head: WrittenHead<'_>,
    extended: bool,
) -> Option<()> {
    let (line, fields) = start_line(head.text)?;
    let status = word(line.strip_prefix(b"HTTP/1.1 ")?);
    let switched = status == b"101";
    if switched && !extended || status.len() != 3 {
        return None;
    }
    encoder.begin(out);
    encoder.pseudo(out, Pseudo::Status, if switched { b"200" } else { status });
    lines(encoder, out, fields, head.marked, |_, name| !(switched && name == b"sec-websocket-accept"));
    Some(())
}

/// Appends the block of trailers: lines alone, with or without an empty one after them.
pub fn trailers(encoder: &mut HpackEncoder, out: &mut Vec<u8>, text: &[u8], marked: &[u8]) {
    encoder.begin(out);
    lines(encoder, out, text, marked, |_, _| true);
}

/// Divides the start line from the rest.
fn start_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = headworks_scan::text_end(text, 0);
    Some((&text[..end], text.get(end + 2..)?))
}

fn word(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|byte| *byte == b' ').unwrap_or(text.len())]
}

/// Finds the value of Host, which rewriting has put near the front.
fn host(fields: &[u8]) -> Option<&[u8]> {
    Lines(fields).find(|(name, _)| Known::of(name) == Known::Host).map(|(_, value)| value)
}

/// Appends the fields that HTTP/2 has, too, and of which `wanted` holds.
fn lines(
    encoder: &mut HpackEncoder,
    out: &mut Vec<u8>,
    text: &[u8],
    marked: &[u8],
    wanted: impl Fn(Known, &[u8]) -> bool,
) {
    for (name, value) in Lines(text) {
        let known = Known::of(name);
        let mut short = [0; LOWERED];
        let long;
        let name = if let Some(place) = short.get_mut(..name.len()) {
            place.copy_from_slice(name);
            place.make_ascii_lowercase();
            &*place
        } else {
            long = name.to_ascii_lowercase();
            &long
        };
        if !stays(known, value) || !wanted(known, name) {
            continue;
        }
        let never = !marked.is_empty() && marked.split(|byte| *byte == b'\n').any(|other| other == name);
        let indexing = if never { Indexing::Never } else { Indexing::of(name, known) };
        encoder.field(out, name, value, indexing);
    }
}

/// Bytes of a name that is put in lower case without taking memory.
const LOWERED: usize = 64;

/// Whether a field may be in HTTP/2 (RFC 9113 section 8.2.2).
#[inline]
fn stays(known: Known, value: &[u8]) -> bool {
    match known {
        Known::Connection | Known::Http2Settings | Known::KeepAlive => false,
        Known::ProxyConnection | Known::TransferEncoding | Known::Upgrade => false,
        Known::Te => value == b"trailers",
        _ => true,
    }
}

/// The field lines of a text, up to an empty one.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let line = &self.0[..headworks_scan::text_end(self.0, 0)];
        let colon = headworks_scan::name(line, 0).colon;
        let value = line.get(colon + 1..)?;
        self.0 = self.0.get(line.len() + 2..).unwrap_or_default();
        Some((&line[..colon], trim(value)))
    }
}

/// Takes blanks off both ends.
#[inline]
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
