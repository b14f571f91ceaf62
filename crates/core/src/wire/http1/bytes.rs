//! Classes of bytes, and where a run of one class ends. Must never look beyond the slice it is given.

pub(crate) use headworks_scan::is_text;
pub(super) use headworks_scan::{name, target_end, text_end};

/// Bytes of a token (RFC 9110 section 5.6.2).
static TOKEN: [bool; 256] =
    class(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

/// Whether a byte may be in a token.
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether all may be in a field value, and neither end is a blank (RFC 9113 section 8.2.1).
#[inline]
pub(crate) fn is_text_run(bytes: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    text_end(bytes, 0) == bytes.len() && !blank(bytes.first()) && !blank(bytes.last())
}

/// Finds the end of the token that begins at `from`.
#[inline]
pub(super) fn token_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(rest.len())
}

/// Finds the first byte that is neither SP nor HTAB.
#[inline]
pub(super) fn blanks_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while matches!(bytes.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

const fn class(members: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < members.len() {
        table[members[at] as usize] = true;
        at += 1;
    }
    table
}
