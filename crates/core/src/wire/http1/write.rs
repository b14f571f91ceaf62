//! Writing HTTP/1.1 (RFC 9112): start lines, the field that says where a body ends, Connection, the end of a
//! head.
//!
//! Field lines are written by the rewriting; what belongs to this version of HTTP alone is written here.
//! Always HTTP/1.1: a version is its sender's own (section 2.3). Must never decide what is said.

use crate::message::{Framing, Persistence};

/// Appends the method of a request line; the target follows.
#[inline]
pub fn method(out: &mut Vec<u8>, method: &[u8]) {
    out.extend_from_slice(method);
    out.push(b' ');
}

/// Appends the rest of a request line, behind the target.
#[inline]
pub fn request_line_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends a status line.
#[inline]
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Appends the field that says where the body ends, if one does.
#[inline]
pub fn framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(bytes) => length(out, bytes),
        // Whoever passes a stream on in this version does so in chunks.
        Framing::Chunked | Framing::Stream => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::ToEnd => {}
    }
}

/// Appends Content-Length.
#[inline]
pub fn length(out: &mut Vec<u8>, bytes: u64) {
    out.extend_from_slice(b"Content-Length: ");
    number(out, bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends an Upgrade field with these protocols; whether there is any.
pub fn upgrade<'a>(out: &mut Vec<u8>, protocols: impl Iterator<Item = &'a [u8]>) -> bool {
    let start = out.len();
    for protocol in protocols {
        out.extend_from_slice(if out.len() == start { b"Upgrade: " } else { b", " });
        out.extend(protocol.iter().filter(|byte| !byte.is_ascii_control()));
    }
    let any = out.len() > start;
    if any {
        out.extend_from_slice(b"\r\n");
    }
    any
}

/// Appends the Connection field that names an upgrade, of a message after which the connection switches or is
/// kept.
#[inline]
pub fn connection_upgrade(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: upgrade\r\n");
}

/// Appends the Connection field of a response, if it needs one (section 9.3). `upgrade`: an Upgrade field was
/// written.
pub fn connection(out: &mut Vec<u8>, persistence: Persistence, upgrade: bool) {
    out.extend_from_slice(match (persistence, upgrade) {
        (Persistence::Close, true) => b"Connection: close, upgrade\r\n",
        (_, true) => b"Connection: upgrade\r\n",
        (Persistence::Keep, false) => b"",
        (Persistence::KeepSaid, false) => b"Connection: keep-alive\r\n",
        (Persistence::Close, false) => b"Connection: close\r\n",
    });
}

/// Appends the empty line that ends a head.
#[inline]
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
