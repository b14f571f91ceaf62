//! Distinguished names as text (RFC 4514).
//!
//! Everything but printable ASCII is written as escaped bytes of UTF-8, which the standard allows for any
//! character: a name goes into request fields and logs, and its signer need not have meant well.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::der::{Element, OBJECT_IDENTIFIER, Reader, SEQUENCE, SET, hex};

/// Writes the content of a Name, most specific part first; None if it is no Name.
pub(crate) fn write(name: &[u8]) -> Option<String> {
    let mut parts = sets(name)?;
    parts.reverse();
    let mut text = String::new();
    for (index, attributes) in parts.iter().enumerate() {
        for (number, attribute) in attributes.iter().enumerate() {
            match (index, number) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                _ => text.push('+'),
            }
            attribute.write(&mut text);
        }
    }
    Some(text)
}

/// Writes the most specific common name, escaped as in the whole name.
pub(crate) fn common_name(name: &[u8]) -> Option<String> {
    let parts = sets(name)?;
    let found = parts.iter().rev().flatten().find(|attribute| attribute.kind == COMMON_NAME)?;
    let mut text = String::new();
    found.write_value(&mut text);
    Some(text)
}

struct Attribute<'a> {
    /// Content of its OBJECT IDENTIFIER.
    kind: &'a [u8],
    value: Element<'a>,
}

const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// Kinds with a short name: RFC 4514 section 3, RFC 4519, and emailAddress (RFC 2985), which everybody writes
/// so.
const SHORT: [(&[u8], &str); 16] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 42], "givenName"),
    (&[0x55, 4, 46], "dnQualifier"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

/// Returns the relative distinguished names, in the order of the certificate.
fn sets(name: &[u8]) -> Option<Vec<Vec<Attribute<'_>>>> {
    let mut sets = Vec::new();
    let mut name = Reader { rest: name };
    while !name.rest.is_empty() {
        let mut set = Reader { rest: name.content(SET)? };
        let mut attributes = Vec::with_capacity(1);
        while !set.rest.is_empty() {
            let mut attribute = Reader { rest: set.content(SEQUENCE)? };
            let (kind, value) = (attribute.content(OBJECT_IDENTIFIER)?, attribute.element()?);
            attributes.push(Attribute { kind, value });
        }
        sets.push(attributes);
    }
    Some(sets)
}

impl Attribute<'_> {
    fn write(&self, out: &mut String) {
        match SHORT.iter().find(|(kind, _)| *kind == self.kind) {
            Some((_, short)) => out.push_str(short),
            None => write_dotted(self.kind, out),
        }
        out.push('=');
        self.write_value(out);
    }

    /// Writes the escaped text; a value that is no text is written as the hexadecimal form of its DER.
    fn write_value(&self, out: &mut String) {
        match text(self.value) {
            Some(text) => escape(&text, out),
            None => {
                out.push('#');
                out.push_str(&hex(self.value.whole));
            }
        }
    }
}

/// Returns the text of a DirectoryString and of the older kinds of strings.
fn text(value: Element<'_>) -> Option<Cow<'_, str>> {
    let content = value.content;
    match value.tag {
        // UTF8String; NumericString, PrintableString, IA5String, VisibleString.
        12 | 18 | 19 | 22 | 26 => std::str::from_utf8(content).ok().map(Cow::Borrowed),
        // TeletexString: in practice, Latin-1.
        20 => Some(content.iter().copied().map(char::from).collect()),
        // UniversalString.
        28 => {
            let (chunks, []) = content.as_chunks::<4>() else { return None };
            chunks.iter().map(|&four| char::from_u32(u32::from_be_bytes(four))).collect()
        }
        // BMPString.
        30 => {
            let (chunks, []) = content.as_chunks::<2>() else { return None };
            let units = chunks.iter().map(|&two| u16::from_be_bytes(two));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// Escapes by RFC 4514, section 2.4.
fn escape(text: &str, out: &mut String) {
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.bytes().enumerate() {
        let at_edge = byte == b' ' && (index == 0 || index == last) || byte == b'#' && index == 0;
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' if at_edge => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => _ = write!(out, "\\{byte:02X}"),
        }
    }
}

/// Writes the numbers of an OBJECT IDENTIFIER: seven bits a byte, the first number holds two. One that is cut
/// off or has a number past 32 bits is written as far as it goes.
fn write_dotted(kind: &[u8], out: &mut String) {
    let mut number = 0_u32;
    let mut first = true;
    for &byte in kind {
        let Some(shifted) = number.checked_mul(128) else { return };
        number = shifted | u32::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        _ = if std::mem::replace(&mut first, false) {
            write!(out, "{}.{}", (number / 40).min(2), number - (number / 40).min(2) * 40)
        } else {
            write!(out, ".{number}")
        };
        number = 0;
    }
}
