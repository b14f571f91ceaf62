//! HTTP/1: lines that end with LF, whatever stands before it, up to an empty one.
//!
//! Lenient where servers are: bare line feeds, empty lines in front, blanks around names and values, lines
//! that are no fields. Must never be lenient about the name itself: two Host fields that differ, or one that
//! is folded, are none.

use memchr::{memchr, memchr_iter};

use super::{HostParsed, name_of, trimmed};
use crate::wire::http1::is_token_byte;

/// Bytes of empty lines in front of a request at most.
const BLANKS: usize = 16;

/// Reads bytes that do not begin HTTP/2.
pub(super) fn parse(held: &[u8]) -> HostParsed {
    let partial = HostParsed::Partial { need: held.len() + 1 };
    let Some(start) = request_start(held) else { return partial };
    let end = memchr(b'\n', &held[start..]).map(|at| start + at);
    let line = &held[start..end.unwrap_or(held.len())];
    if !may_be_request(line) || (end.is_some() && !has_version(line)) {
        return HostParsed::Complete(None);
    }
    let Some(end) = end else { return partial };
    match head_end(held, end + 1) {
        Some(after) => HostParsed::Complete(host(&held[end + 1..after])),
        None => partial,
    }
}

/// Whether the bytes behind the first `seen`, which were partial, could make the head complete.
pub(super) fn may_end(held: &[u8], seen: usize) -> bool {
    let begun = request_start(held).is_some_and(|start| {
        // The request line was complete: only the end of the head can decide now.
        held.get(start..seen).is_some_and(|line| memchr(b'\n', line).is_some())
    });
    !begun || memchr_iter(b'\n', &held[seen..]).any(|at| is_empty_line(held, seen + at))
}

/// Returns where the request line begins, behind empty lines (RFC 9112 section 2.2); None while there is
/// nothing else.
fn request_start(held: &[u8]) -> Option<usize> {
    let blanks = held.iter().take(BLANKS).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    (blanks < held.len()).then_some(blanks)
}

/// Whether a line, which may not be complete, can be a request line: a method comes first, and no control
/// characters are in it.
fn may_be_request(line: &[u8]) -> bool {
    let is_control = |byte: &u8| (*byte < b' ' && !matches!(byte, b'\t' | b'\r')) || *byte == 0x7f;
    line.first().is_none_or(|first| is_token_byte(*first)) && !line.iter().any(is_control)
}

/// Whether a request line ends with the version of a protocol: without one it is all there is of a request
/// (HTTP/0.9), or none.
fn has_version(line: &[u8]) -> bool {
    let line = trimmed(line.strip_suffix(b"\r").unwrap_or(line));
    let word = line.rsplit(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
    let Some(slash) = memchr(b'/', word) else { return false };
    let (protocol, version) = (&word[..slash], &word[slash + 1..]);
    word.len() < line.len()
        && !protocol.is_empty()
        && protocol.iter().all(u8::is_ascii_alphabetic)
        && version.first().is_some_and(u8::is_ascii_digit)
        && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// Returns where the fields end that begin at `from`, behind the empty line.
fn head_end(held: &[u8], from: usize) -> Option<usize> {
    memchr_iter(b'\n', &held[from..]).map(|at| from + at).find(|at| is_empty_line(held, *at)).map(|at| at + 1)
}

/// Whether the line feed at `at`, which is not the first one, ends a line without text.
fn is_empty_line(held: &[u8], at: usize) -> bool {
    let before = held[..at].strip_suffix(b"\r").unwrap_or(&held[..at]);
    before.ends_with(b"\n")
}

/// Returns the name in the Host field among `fields`.
fn host(fields: &[u8]) -> Option<Box<str>> {
    let (mut found, mut within) = (None::<&[u8]>, false);
    for line in fields.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if matches!(line.first(), Some(b' ' | b'\t')) {
            // The rest of the field before it (RFC 9112 section 5.2).
            if within && !trimmed(line).is_empty() {
                return None;
            }
            continue;
        }
        let Some(colon) = memchr(b':', line) else {
            within = false;
            continue;
        };
        within = trimmed(&line[..colon]).eq_ignore_ascii_case(b"host");
        if within {
            let value = trimmed(&line[colon + 1..]);
            if found.is_some_and(|earlier| !earlier.eq_ignore_ascii_case(value)) {
                return None;
            }
            found = Some(value);
        }
    }
    name_of(found?)
}
