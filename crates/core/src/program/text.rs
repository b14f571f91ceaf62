//! Methods of texts, as Python's `str` has them, on bytes: pure, and without a copy but of one range.
//!
//! A byte is a character: texts of the network are ASCII, and every other byte stands for itself. Must never
//! allocate.

use memchr::memmem;

use crate::spec::EndSpec;

/// Whether Python counts a character as white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1c..=0x1f | b' ')
}

/// Returns the range that is left when characters at the ends are taken off: those of `chars`, or white
/// space.
pub(super) fn strip(text: &[u8], chars: Option<&[u8]>, end: EndSpec) -> (usize, usize) {
    let goes = |byte: &u8| chars.map_or_else(|| is_space(*byte), |chars| chars.contains(byte));
    let (mut from, mut to) = (0, text.len());
    if end != EndSpec::Right {
        from = text.iter().position(|byte| !goes(byte)).unwrap_or(text.len());
    }
    if end != EndSpec::Left {
        to = text.iter().rposition(|byte| !goes(byte)).map_or(from, |last| last + 1);
    }
    (from, to.max(from))
}

/// Finds a text in another, in linear time: clients may choose both.
pub(super) fn find(text: &[u8], part: &[u8], end: EndSpec) -> Option<usize> {
    if end == EndSpec::Right { memmem::rfind(text, part) } else { memmem::find(text, part) }
}

/// Returns a place as Python counts it: from the end where it is negative, and never outside.
pub(super) fn clamp(place: i64, length: usize) -> usize {
    let length = length as i64;
    let place = if place < 0 { place.saturating_add(length) } else { place };
    place.clamp(0, length) as usize
}

/// Returns the place of an item, from the end where it is negative; None outside.
pub(super) fn item(place: i64, length: usize) -> Option<usize> {
    let place = if place < 0 { place.checked_add(length as i64)? } else { place };
    usize::try_from(place).ok().filter(|place| *place < length)
}

/// A way to split a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Splitting<'a> {
    /// The text between parts, not empty; None: white space.
    pub(super) separator: Option<&'a [u8]>,
    /// Cuts at most; None: all.
    pub(super) most: Option<usize>,
    /// The end from which cuts are made: left or right.
    pub(super) from: EndSpec,
}

impl Splitting<'_> {
    /// Returns the range of the part number `index`; None when there is no such part.
    pub(super) fn part(&self, text: &[u8], index: i64) -> Option<(usize, usize)> {
        // Parts are cut off from one end: counted from there, a part is reached without the others.
        let from_there = if self.from == EndSpec::Right { index.checked_neg()? - 1 } else { index };
        let at = if from_there >= 0 {
            usize::try_from(from_there).ok()?
        } else {
            item(from_there, self.parts(text).count())?
        };
        self.parts(text).nth(at)
    }

    /// Returns the parts in the order in which they are cut off.
    fn parts(&self, text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
        let (splitting, text) = (*self, text);
        let mut left = Some((0, text.len()));
        let mut cuts = 0;
        std::iter::from_fn(move || {
            let (from, to) = left?;
            let whole = splitting.most.is_some_and(|most| cuts >= most);
            cuts += 1;
            let (part, rest) = splitting.cut(text, from, to, whole)?;
            left = rest;
            Some(part)
        })
    }

    /// Cuts the next part off; None: there is none.
    #[expect(clippy::type_complexity, reason = "a part, and what is left of the range")]
    fn cut(
        &self,
        text: &[u8],
        from: usize,
        to: usize,
        whole: bool,
    ) -> Option<((usize, usize), Option<(usize, usize)>)> {
        let right = self.from == EndSpec::Right;
        let Some(separator) = self.separator else { return cut_at_space(text, from, to, whole, right) };
        let found = find(&text[from..to], separator, self.from).filter(|_| !whole).map(|at| from + at);
        Some(match found {
            None => ((from, to), None),
            Some(at) if right => ((at + separator.len(), to), Some((from, at))),
            Some(at) => ((from, at), Some((at + separator.len(), to))),
        })
    }
}

#[expect(clippy::type_complexity, reason = "a part, and what is left of the range")]
fn cut_at_space(
    text: &[u8],
    from: usize,
    to: usize,
    whole: bool,
    right: bool,
) -> Option<((usize, usize), Option<(usize, usize)>)> {
    let end = if right { EndSpec::Right } else { EndSpec::Left };
    let (first, last) = strip(&text[from..to], None, end);
    let (from, to) = (from + first, from + last);
    if from == to {
        return None;
    }
    let space = |byte: &u8| is_space(*byte);
    let found = if whole {
        None
    } else if right {
        text[from..to].iter().rposition(space)
    } else {
        text[from..to].iter().position(space)
    };
    Some(match found {
        None => ((from, to), None),
        Some(at) if right => ((from + at + 1, to), Some((from, from + at))),
        Some(at) => ((from, from + at), Some((from + at, to))),
    })
}

/// Reads a number as `int()` does: white space around, a sign, digits with single underscores between them.
/// None: it is none, or one of more than 18 digits.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    let (from, to) = strip(text, None, EndSpec::Both);
    let text = &text[from..to];
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mut value, mut count, mut before) = (0_i64, 0, b'_');
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
                count += usize::from(value != 0);
            }
            b'_' if before != b'_' => {}
            _ => return None,
        }
        before = byte;
    }
    let whole = before.is_ascii_digit() && count <= 18;
    whole.then_some(if negative { -value } else { value })
}

/// Decodes `%41` and `+` of a query into `out`; what is no encoding stays as it is.
pub(super) fn decode(encoded: &[u8], out: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..2).filter(|_| byte == b'%').and_then(hex);
        if let Some(decoded) = digits {
            out.push(decoded);
            rest = &after[2..];
        } else {
            out.push(if byte == b'+' { b' ' } else { byte });
        }
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

/// Whether an encoded name means `name`.
pub(super) fn decodes_to(encoded: &[u8], name: &[u8]) -> bool {
    if !encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return encoded == name;
    }
    let mut rest = encoded;
    let mut wanted = name.iter();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%').and_then(hex);
        rest = if digits.is_some() { &after[2..] } else { after };
        let is = digits.unwrap_or(if byte == b'+' { b' ' } else { byte });
        if wanted.next() != Some(&is) {
            return false;
        }
    }
    wanted.next().is_none()
}

/// Mixes a key for `sample`: FNV-1a, and a finish that spreads it.
pub(super) fn mixed(key: &[u8]) -> u64 {
    let folded = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let spread = (folded ^ (folded >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    spread ^ (spread >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, separator: Option<&str>, most: Option<usize>, from: EndSpec) -> Vec<String> {
        let splitting = Splitting { separator: separator.map(str::as_bytes), most, from };
        let count = splitting.parts(text.as_bytes()).count() as i64;
        let part = |index| {
            let (from, to) = splitting.part(text.as_bytes(), index).unwrap();
            text[from..to].to_owned()
        };
        assert_eq!(splitting.part(text.as_bytes(), count), None);
        assert_eq!(splitting.part(text.as_bytes(), -count - 1), None);
        assert!((0..count).all(|index| part(index) == part(index - count)));
        (0..count).map(part).collect()
    }

    #[test]
    fn texts_split_as_python_splits_them() {
        let (left, right) = (EndSpec::Left, EndSpec::Right);
        for (text, separator, most, from, expected) in [
            ("a,b,,c", Some(","), None, left, &["a", "b", "", "c"][..]),
            ("", Some(","), None, left, &[""]),
            ("", None, None, left, &[]),
            ("  a  b c ", None, None, left, &["a", "b", "c"]),
            ("  a  b c ", None, Some(1), left, &["a", "b c "]),
            ("  a  b c ", None, Some(1), right, &["  a  b", "c"]),
            ("a,b,c", Some(","), Some(1), left, &["a", "b,c"]),
            ("a,b,c", Some(","), Some(1), right, &["a,b", "c"]),
            ("a,b,c", Some(","), Some(0), left, &["a,b,c"]),
            ("aXXXb", Some("XX"), None, left, &["a", "Xb"]),
            ("aXXXb", Some("XX"), None, right, &["aX", "b"]),
        ] {
            assert_eq!(parts(text, separator, most, from), expected, "{text} {separator:?} {most:?}");
        }
    }

    #[test]
    fn texts_are_found_as_python_finds_them() {
        for (text, part, first, last) in [
            ("abab", "ab", Some(0), Some(2)),
            ("aaa", "aa", Some(0), Some(1)),
            ("abc", "", Some(0), Some(3)),
            ("", "", Some(0), Some(0)),
            ("", "a", None, None),
            ("ab", "abc", None, None),
        ] {
            let found = |end| find(text.as_bytes(), part.as_bytes(), end);
            assert_eq!((found(EndSpec::Left), found(EndSpec::Right)), (first, last), "{text} {part}");
        }
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        for (text, expected) in [
            (" 12 ", Some(12)),
            ("-7", Some(-7)),
            ("+0_0", Some(0)),
            ("1_000", Some(1000)),
            ("", None),
            ("-", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1.5", None),
            ("0x1", None),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("1000000000000000000", None),
            ("000000000000000000000001", Some(1)),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn queries_are_decoded_once() {
        for (encoded, expected) in [("a%20b+c", "a b c"), ("%zz%4", "%zz%4"), ("%2525", "%25"), ("", "")] {
            let mut out = Vec::new();
            decode(encoded.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes());
            assert!(decodes_to(encoded.as_bytes(), expected.as_bytes()));
            assert!(!decodes_to(encoded.as_bytes(), b"other"));
        }
    }
}
