//! Headworks scan: where the first byte of a kind is, sixteen bytes at a time.
//!
//! The floor below core: it has the vector instructions, which need `unsafe`, so that core needs none. One
//! safe function for each kind of byte that a codec looks for. Must never know what the bytes are part of,
//! allocate, or look beyond the slice it is given.

mod block;

use block::{Block, block_at, find};

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
    find(bytes, from, Block::ends_of_text)
}

/// Finds the first byte at or after `from` that is in no target ([`is_target`]); the length of `bytes` if all
/// may be.
#[inline]
pub fn target_end(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, Block::ends_of_target)
}

/// A name that a colon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Place of the first colon; the length of the bytes if there is none.
    pub colon: usize,
    /// Whether nothing but ASCII letters and hyphens stands before it, of which most names consist.
    pub plain: bool,
}

/// Finds the colon that ends the name which begins at `from`.
#[inline]
pub fn name(bytes: &[u8], from: usize) -> Name {
    let (mut at, mut plain) = (from, true);
    while let Some(block) = block_at(bytes, at) {
        let block = Block::new(block);
        let (colons, rare) = (block.colons(), block.rare_in_names());
        // Of the bytes before the first colon.
        plain &= rare & (colons ^ colons.wrapping_sub(1)) >> 1 == 0;
        if colons != 0 {
            return Name { colon: at + colons.trailing_zeros() as usize, plain };
        }
        at += block::SIZE;
    }
    let colon = block::find_in_last(bytes, at, Block::colons);
    Name { colon, plain: plain && bytes[at.min(colon)..colon].iter().all(|byte| is_plain(*byte)) }
}

/// A run of bytes that names of hosts consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Place of the first byte that is no ASCII letter, no digit and none of `-`, `_`, `~` and `.`; the
    /// length of the bytes if all are.
    pub end: usize,
    /// Whether no label is empty: no dot comes first or after another one. The last one may be.
    pub sound: bool,
}

/// Finds the end of the name of a host that `bytes` begin with.
#[inline]
pub fn host(bytes: &[u8]) -> Host {
    let (mut at, mut after_dot, mut doubled) = (0, 1, 0);
    while let Some(block) = block_at(bytes, at) {
        let block = Block::new(block);
        let (ends, dots) = (block.ends_of_host(), block.dots());
        // Of the bytes before the first that ends it.
        doubled |= dots & (dots << 1 | after_dot) & (ends ^ ends.wrapping_sub(1)) >> 1;
        if ends != 0 {
            return Host { end: at + ends.trailing_zeros() as usize, sound: doubled == 0 };
        }
        after_dot = dots >> (block::SIZE - 1) & 1;
        at += block::SIZE;
    }
    let end = block::find_in_last(bytes, at, Block::ends_of_host);
    for byte in &bytes[at.min(end)..end] {
        let dot = u32::from(*byte == b'.');
        doubled |= dot & after_dot;
        after_dot = dot;
    }
    Host { end, sound: doubled == 0 }
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_name_ends_at_its_colon(text in "[-A-Za-z_:1 \\r]{0,50}", from in 0_usize..60) {
            let bytes = text.as_bytes();
            let rest = bytes.get(from..).unwrap_or_default();
            let length = rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len());
            let plain = rest[..length].iter().all(|byte| is_plain(*byte));
            let colon = if length < rest.len() { from + length } else { bytes.len() };
            assert_eq!(name(bytes, from), Name { colon, plain });
        }

        #[test]
        fn a_host_has_no_empty_label(text in "[-a-zA-Z0-9_~.:, ]{0,60}|([a-z]{1,20}\\.){0,4}\\.?[a-z]{0,30}") {
            let bytes = text.as_bytes();
            let of = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_~.".contains(byte);
            let end = bytes.iter().position(|byte| !of(byte)).unwrap_or(bytes.len());
            let name = &text[..end];
            assert_eq!(host(bytes), Host { end, sound: !name.starts_with('.') && !name.contains("..") });
        }

        #[test]
        fn ends_are_where_the_first_other_byte_is(bytes: Vec<u8>, from in 0_usize..60) {
            let end = |of: fn(u8) -> bool| (from..bytes.len()).find(|at| !of(bytes[*at])).unwrap_or(bytes.len());
            assert_eq!(text_end(&bytes, from), end(is_text));
            assert_eq!(target_end(&bytes, from), end(is_target));
        }
    }
}
