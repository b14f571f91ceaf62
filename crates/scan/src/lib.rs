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
    /// Whether there is no `~`, which may be in a URI but in no name of the DNS.
    pub registrable: bool,
}

/// Finds the end of the name of a host that `bytes` begin with.
#[inline]
pub fn host(bytes: &[u8]) -> Host {
    let (mut dots, mut tildes) = (Pairs::new(), 0);
    let end = walk(bytes, |block, shift| {
        let ends = block.ends_of_host() >> shift;
        dots.add(block.dots() >> shift, block.dots() >> shift, before(ends));
        tildes |= block.tildes() >> shift & before(ends);
        ends
    });
    Host { end, sound: !dots.found, registrable: tildes == 0 }
}

/// The path that a request target begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Place of the first `?` or `#`; the length of the bytes if there is none.
    pub end: usize,
    /// Whether nothing before it is percent-encoded, and no segment is empty or begins with a dot.
    pub plain: bool,
}

/// Finds the end of the path that `bytes` begin with.
#[inline]
pub fn path(bytes: &[u8]) -> Path {
    let (mut odd, mut percents) = (Pairs { after: 0, found: false }, 0);
    let end = walk(bytes, |block, shift| {
        let ends = block.ends_of_path() >> shift;
        let slashes = block.slashes() >> shift;
        odd.add(slashes, slashes | block.dots() >> shift, before(ends));
        percents |= block.percents() >> shift & before(ends);
        ends
    });
    Path { end, plain: percents == 0 && !odd.found }
}

/// Returns the dots of the first 256 bytes: bit `n` of all these stands for byte `n`.
#[inline]
pub fn dots(bytes: &[u8]) -> [u64; 4] {
    let mut found = [0; 4];
    let mut at = 0;
    walk(&bytes[..bytes.len().min(256)], |block, shift| {
        found[at / 64 % 4] |= u64::from(block.dots() >> shift) << (at % 64);
        at += block::SIZE;
        0
    });
    found
}

/// Returns bytes that are all ASCII as text.
#[inline]
pub fn ascii(bytes: &[u8]) -> Option<&str> {
    let end = walk(bytes, |block, shift| block.high() >> shift);
    if end < bytes.len() {
        return None;
    }
    // SAFETY: every byte is ASCII, so all are UTF-8.
    #[allow(unsafe_code, reason = "text was looked at sixteen bytes at a time")]
    Some(unsafe { str::from_utf8_unchecked(bytes) })
}

/// Finds the first control byte, HTAB included; the length of `bytes` if there is none.
#[inline]
pub fn control(bytes: &[u8]) -> usize {
    walk(bytes, |block, shift| block.controls() >> shift)
}

/// Goes from block to block until `ends` marks a byte, and returns the place of the first that it does. Marks
/// are to be shifted right by what it is given.
#[inline(always)]
fn walk(bytes: &[u8], mut ends: impl FnMut(Block, u32) -> u32) -> usize {
    let mut at = 0;
    while let Some(block) = block_at(bytes, at) {
        let found = ends(Block::new(block), 0);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += block::SIZE;
    }
    if at == bytes.len() {
        return at;
    }
    let block::Last { block, shift } = block::last(bytes, at);
    bytes.len().min(at + ends(block, shift).trailing_zeros() as usize)
}

/// Marks all before the first mark.
#[inline]
fn before(ends: u32) -> u32 {
    (ends ^ ends.wrapping_sub(1)) >> 1
}

/// Pairs of bytes, one right after the other, that are looked for block after block.
struct Pairs {
    /// 1: the last byte so far is a first one.
    after: u32,
    found: bool,
}

impl Pairs {
    /// Begins as if a first one stood before all bytes.
    #[inline]
    fn new() -> Self {
        Self { after: 1, found: false }
    }

    /// Looks for one of `firsts` before one of `seconds`, among the bytes marked in `within`.
    #[inline]
    fn add(&mut self, firsts: u32, seconds: u32, within: u32) {
        self.found |= (firsts << 1 | self.after) & seconds & within != 0;
        self.after = firsts >> (block::SIZE - 1) & 1;
    }
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
            let sound = !name.starts_with('.') && !name.contains("..");
            assert_eq!(host(bytes), Host { end, sound, registrable: !name.contains('~') });
        }

        #[test]
        fn a_path_is_plain_where_there_is_nothing_to_resolve(text in "[/a.%?#]{0,20}|(/[a-z]{0,20}){0,5}[/.%?]{0,2}") {
            let end = text.find(['?', '#']).unwrap_or(text.len());
            let odd = ["%", "//", "/."].iter().any(|odd| text[..end].contains(odd));
            assert_eq!(path(text.as_bytes()), Path { end, plain: !odd });
        }

        #[test]
        fn every_dot_is_marked(text in "[.a]{0,300}") {
            let marks = dots(text.as_bytes());
            for at in 0..256 {
                let dot = text.as_bytes().get(at) == Some(&b'.');
                assert_eq!(marks[at / 64] >> (at % 64) & 1 == 1, dot, "{at}");
            }
        }

        #[test]
        fn text_is_ascii(mut bytes in proptest::collection::vec(0_u8..0x80, 0..50), at: usize, byte: u8) {
            if let Some(place) = at.checked_rem(bytes.len()) {
                bytes[place] = byte;
            }
            assert_eq!(ascii(&bytes), std::str::from_utf8(&bytes).ok().filter(|text| text.is_ascii()));
        }

        #[test]
        fn ends_are_where_the_first_other_byte_is(bytes: Vec<u8>, from in 0_usize..60) {
            let end = |of: fn(u8) -> bool| (from..bytes.len()).find(|at| !of(bytes[*at])).unwrap_or(bytes.len());
            assert_eq!(text_end(&bytes, from), end(is_text));
            assert_eq!(control(&bytes), bytes.iter().position(u8::is_ascii_control).unwrap_or(bytes.len()));
            assert_eq!(target_end(&bytes, from), end(is_target));
        }
    }
}
