//! Headworks scan: where the first byte of a kind is, sixteen bytes at a time.
//!
//! The floor below core: it has the vector instructions, which need `unsafe`, so that core needs none. One safe
//! function for each kind of byte that a codec looks for. Must never know what the bytes are part of, allocate,
//! or look beyond the slice it is given.

mod block;

use block::{Block, find};

/// Whether a byte may be in a field value or a reason phrase (RFC 9110 section 5.5): all but controls, HTAB
/// excepted.
#[inline]
pub fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

/// Whether a byte may be in a request target: visible ASCII, and no fragment. RFC 3986 allows fewer, but
/// browsers send them all; bytes from 0x80 on are left to percent-encoding, because readers differ in what
/// they take them for.
#[inline]
pub fn is_target(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// Finds the first byte at or after `from` that is no text ([`is_text`]); the length of `bytes` if all are.
#[inline]
pub fn text_end(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, Block::ends_of_text, |byte| !is_text(byte))
}

/// Finds the first byte at or after `from` that is in no target ([`is_target`]); the length of `bytes` if all
/// may be.
#[inline]
pub fn target_end(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, Block::ends_of_target, |byte| !is_target(byte))
}

/// Finds the first colon at or after `from`; the length of `bytes` if there is none.
#[inline]
pub fn colon(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, Block::colons, |byte| byte == b':')
}

/// Finds the first byte at or after `from` that is neither an ASCII letter nor a hyphen; the length of `bytes`
/// if all are. Names mostly consist of these.
#[inline]
pub fn letters_end(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, Block::rare_in_names, |byte| !byte.is_ascii_alphabetic() && byte != b'-')
}
