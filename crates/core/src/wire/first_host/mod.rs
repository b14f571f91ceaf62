//! The host that the first request of a connection names, read without consuming it: of HTTP/1 in any dialect
//! (`lines`), or of HTTP/2 that begins with its preface (`frames`).
//!
//! Owns what is a name here. Must never refuse: what follows is relayed to a server that judges for itself,
//! so what cannot be read, or could be read in two ways, is a request without a name. Must never allocate but
//! for the name, and for what is held of HTTP/2, once.

mod frames;
mod lines;

use super::http1;
use super::http2::PREFACE;
use crate::host;

/// A judgement on the bytes held so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostParsed {
    /// The head of the request is not complete; reading again is pointless before `need` bytes are held.
    Partial {
        /// Total number of bytes, more than are held.
        need: usize,
    },
    /// The name, in lower case and without port and trailing dot, or that there is none.
    Complete(Option<Box<str>>),
}

/// Reads the bytes held so far, oldest first.
///
/// The answer is a property of the bytes, not of how they came: what is decided stays so, whatever follows.
pub fn parse(held: &[u8]) -> HostParsed {
    match begins_http2(held) {
        Some(true) => frames::parse(held),
        None => HostParsed::Partial { need: held.len() + 1 },
        Some(false) => lines::parse(held),
    }
}

/// Whether it is worth reading `held` again when a first `seen` bytes of it were found partial: false spares
/// those who are sent a head byte by byte from reading all of it each time.
pub fn may_be_complete(held: &[u8], seen: usize) -> bool {
    seen == 0 || begins_http2(held) != Some(false) || lines::may_end(held, seen)
}

/// Whether the client speaks HTTP/2; None while its preface may still come.
pub fn begins_http2(held: &[u8]) -> Option<bool> {
    let length = held.len().min(PREFACE.len());
    match held[..length] == PREFACE[..length] {
        true if length < PREFACE.len() => None,
        begins => Some(begins),
    }
}

/// Returns the name in the value of a Host field or of `:authority`; None where there is no sound one.
///
/// A port is dropped, and so is a colon without one, which old clients send.
pub fn name_of(value: &[u8]) -> Option<Box<str>> {
    let value = trimmed(value);
    let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = value[..value.len() - digits].strip_suffix(b":").unwrap_or(value);
    if host::without_port(host).len() < host.len() || !http1::is_host(host) {
        return None;
    }
    let mut name = String::new();
    host::write_name(&mut name, host);
    Some(name.into())
}

/// Returns a value without the blanks around it.
fn trimmed(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    &value[start..end]
}
