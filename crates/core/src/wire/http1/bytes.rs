//! Classes of bytes, and where a run of one class ends. Must never look beyond the slice it is given.

/// Bytes of a token (RFC 9110 section 5.6.2).
static TOKEN: [bool; 256] =
    class(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
/// Bytes of a request target: visible ASCII, and no fragment. RFC 3986 allows fewer, but browsers send them
/// all; bytes from 0x80 on are left to percent-encoding, because readers differ in what they take them for.
static TARGET: [bool; 256] = visible_but(b'#');

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Whether a byte may be in a token.
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether a byte may be in a field value or a reason phrase: all but controls, HTAB excepted.
#[inline]
pub(crate) fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

/// Finds the end of the token that begins at `from`: eight bytes at a time while they are what nearly all
/// names are made of.
#[inline]
pub(super) fn token_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = neither_letters_nor_hyphens(u64::from_le_bytes(*block));
        if found != 0 {
            at += found.trailing_zeros() as usize / 8;
            break;
        }
        at += 8;
    }
    run_end(&TOKEN, bytes, at)
}

/// Finds the end of the target that begins at `from`.
#[inline]
pub(super) fn target_end(bytes: &[u8], from: usize) -> usize {
    run_end(&TARGET, bytes, from)
}

/// Finds the end of the text ([`is_text`]) that begins at `from`.
#[inline]
pub(super) fn text_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at = control(bytes, at);
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
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

#[inline]
fn run_end(class: &[bool; 256], bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|byte| !class[usize::from(*byte)]).unwrap_or(rest.len())
}

/// Finds the first control byte, eight bytes at a time.
#[inline]
fn control(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = controls(u64::from_le_bytes(*block));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !byte.is_ascii_control()) {
        at += 1;
    }
    at
}

/// Marks control bytes: the lowest bit set is that of the first. Those above it may be wrong: subtractions
/// borrow.
#[inline]
fn controls(block: u64) -> u64 {
    let low = block.wrapping_sub(ONES * 0x20) & !block;
    let delete = block ^ (ONES * 0x7f);
    (low | (delete.wrapping_sub(ONES) & !delete)) & HIGHS
}

/// Marks the high bit of each byte that is no ASCII letter and no hyphen. Exact: no sum of two 7-bit numbers
/// carries over.
#[inline]
fn neither_letters_nor_hyphens(block: u64) -> u64 {
    let seven = block & !HIGHS;
    let lower = seven | (ONES * 0x20);
    let from_a = lower + ONES * (0x80 - b'a' as u64);
    let beyond_z = lower + ONES * (0x7f - b'z' as u64);
    let no_hyphen = (seven ^ (ONES * b'-' as u64)) + ONES * 0x7f;
    (block | (!(from_a & !beyond_z) & no_hyphen)) & HIGHS
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

const fn visible_but(excepted: u8) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = byte != excepted;
        byte += 1;
    }
    table
}
