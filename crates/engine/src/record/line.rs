//! Line: one access record under construction, text or JSON.
//!
//! Text: `key=value`, values with spaces, quotes or `=` in double quotes. In quotes, as in JSON: `"` and `\`
//! behind a `\`, control characters as `\u00xx`, and bytes that are not UTF-8 as the character of that
//! number. So nothing that a client chose breaks a line or forges a key, and every line is UTF-8. Must never
//! allocate but to let the output grow.

use std::io::Write;
use std::net::SocketAddr;

use headworks_core::program::{End, Findings};

use super::Format;

/// A key as it stands in both forms, with what goes before and behind it.
pub(super) struct FieldKey {
    pub(super) text: &'static str,
    pub(super) json: &'static str,
}

/// Makes the [`FieldKey`] of a name.
macro_rules! key {
    ($name:literal) => {
        &$crate::record::line::FieldKey { text: concat!(" ", $name, "="), json: concat!(",\"", $name, "\":") }
    };
}
pub(super) use key;

/// A line under construction.
pub(super) struct Line<'a> {
    format: Format,
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// Begins with the time, the first key of every line. `stamp` is RFC 3339.
    pub(super) fn begin(format: Format, stamp: &[u8], out: &'a mut Vec<u8>) -> Self {
        // One growth at most for all but very long lines.
        out.reserve(512);
        let (before, behind): (&[u8], &[u8]) = match format {
            Format::Text => (b"ts=", b""),
            Format::Json => (b"{\"ts\":\"", b"\""),
        };
        out.extend_from_slice(before);
        out.extend_from_slice(stamp);
        out.extend_from_slice(behind);
        Self { format, out }
    }

    pub(super) fn end(self) {
        let end: &[u8] = if self.format == Format::Json { b"}\n" } else { b"\n" };
        self.out.extend_from_slice(end);
    }

    pub(super) fn number(&mut self, key: &FieldKey, value: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Adds the value, if there is one.
    pub(super) fn number_of(&mut self, key: &FieldKey, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    pub(super) fn text(&mut self, key: &FieldKey, value: &[u8]) {
        self.key(key);
        self.value(value);
    }

    /// Adds a value, quoted where it must be.
    fn value(&mut self, value: &[u8]) {
        if self.format == Format::Text && !value.is_empty() && value.iter().all(|&byte| class(byte) == BARE) {
            return self.out.extend_from_slice(value);
        }
        self.out.push(b'"');
        if value.iter().all(|&byte| class(byte) != ESCAPED) {
            self.out.extend_from_slice(value);
        } else {
            self.escaped(value);
        }
        self.out.push(b'"');
    }

    /// Adds the value, if there is one.
    pub(super) fn text_of(&mut self, key: &FieldKey, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Adds what rules and analyzers have said for the record: the reason of a refusal or failure, and fields
    /// of their own.
    pub(super) fn findings(&mut self, findings: Option<&Findings>) {
        let Some(findings) = findings else { return };
        let said = &findings.said;
        if let Some(failure) = said.failure {
            self.text(key!("rule_error"), failure.as_str().as_bytes());
        }
        if let Some(End::Reject { reason }) = said.end.filter(|_| said.failure.is_none()) {
            self.text(key!("reason"), findings.text(reason));
        }
        if let Some(analyzer) = said.analyzer {
            self.text(key!("analyzer"), findings.text(analyzer));
        }
        if let Some(fault) = said.fault {
            self.text(key!("analyzer_error"), fault.as_str().as_bytes());
        }
        for field in &said.log {
            let (before, behind): (&[u8], &[u8]) = match self.format {
                Format::Text => (b" log.", b"="),
                Format::Json => (b",\"log.", b"\":"),
            };
            self.out.extend_from_slice(before);
            self.out.extend_from_slice(findings.text(field.key));
            self.out.extend_from_slice(behind);
            self.value(findings.text(field.value));
        }
    }

    /// Adds an address, which needs no escapes; `unix` when there is none.
    pub(super) fn client(&mut self, key: &FieldKey, client: Option<SocketAddr>) {
        match client {
            Some(client) => self.address(key, client),
            None => self.text(key, b"unix"),
        }
    }

    pub(super) fn address_of(&mut self, key: &FieldKey, address: Option<SocketAddr>) {
        if let Some(address) = address {
            self.address(key, address);
        }
    }

    fn address(&mut self, key: &FieldKey, address: SocketAddr) {
        self.key(key);
        let quote: &[u8] = if self.format == Format::Json { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        write_address(address, self.out);
        self.out.extend_from_slice(quote);
    }

    fn key(&mut self, key: &FieldKey) {
        let key = if self.format == Format::Json { key.json } else { key.text };
        self.out.extend_from_slice(key.as_bytes());
    }

    fn escaped(&mut self, value: &[u8]) {
        for chunk in value.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' | '\\' => self.out.extend_from_slice(&[b'\\', character as u8]),
                    // Those that a reader of lines may take for the end of one.
                    '\u{2028}' | '\u{2029}' => _ = write!(self.out, "\\u{:04x}", character as u32),
                    control if control.is_control() => self.numbered(control as u8),
                    other => self.out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            chunk.invalid().iter().for_each(|&byte| self.numbered(byte));
        }
    }

    fn numbered(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        self.out.extend_from_slice(b"\\u00");
        self.out.extend_from_slice(&digits);
    }
}

/// A byte that may stand in a text line without quotes.
const BARE: u8 = 0;
/// A byte that may stand in quotes.
const QUOTED: u8 = 1;
/// A byte that must be escaped, or looked at with its neighbours.
const ESCAPED: u8 = 2;

/// Returns the way in which a byte is written.
#[inline]
fn class(byte: u8) -> u8 {
    static CLASSES: [u8; 256] = {
        let mut classes = [ESCAPED; 256];
        let mut byte = b' ';
        while byte < 0x7f {
            classes[byte as usize] = match byte {
                b'"' | b'\\' => ESCAPED,
                b' ' | b'=' => QUOTED,
                _ => BARE,
            };
            byte += 1;
        }
        classes
    };
    CLASSES[usize::from(byte)]
}

/// Appends `192.0.2.1:80` or `[2001:db8::1]:80`.
fn write_address(address: SocketAddr, out: &mut Vec<u8>) {
    let SocketAddr::V4(v4) = address else {
        // Writing to memory does not fail.
        let _ = write!(out, "{address}");
        return;
    };
    let mut digits = itoa::Buffer::new();
    let octets = v4.ip().octets();
    for (octet, mark) in octets.into_iter().zip(*b"...:") {
        out.extend_from_slice(digits.format(octet).as_bytes());
        out.push(mark);
    }
    out.extend_from_slice(digits.format(v4.port()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, value: &[u8]) -> String {
        let mut out = Vec::new();
        let mut line = Line::begin(format, b"T", &mut out);
        line.text(key!("k"), value);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bare_where_nothing_can_be_mistaken() {
        for value in ["a", "/a/b?c", "~!@#$%^&*()[]{}|;:'<>,./", "a_b-c"] {
            assert_eq!(shown(Format::Text, value.as_bytes()), format!("ts=T k={value}\n"));
            assert_eq!(
                shown(Format::Json, value.as_bytes()),
                format!("{{\"ts\":\"T\",\"k\":\"{value}\"}}\n")
            );
        }
    }

    #[test]
    fn quoted_and_escaped_where_it_can() {
        for (value, quoted) in [
            (&b""[..], r#""""#),
            (b"a b", r#""a b""#),
            (b"a=b", r#""a=b""#),
            (b"a\"b\\", r#""a\"b\\""#),
            (b"a\nend=x\r\t\0\x7f", r#""a\u000aend=x\u000d\u0009\u0000\u007f""#),
            ("\u{e4}\u{85}".as_bytes(), "\"\u{e4}\\u0085\""),
            ("a\u{2028}b".as_bytes(), r#""a\u2028b""#),
            (b"a\xffb\xc3", r#""a\u00ffb\u00c3""#),
        ] {
            assert_eq!(shown(Format::Text, value), format!("ts=T k={quoted}\n"));
            assert_eq!(shown(Format::Json, value), format!("{{\"ts\":\"T\",\"k\":{quoted}}}\n"));
        }
    }

    #[test]
    fn any_byte_keeps_a_line_a_line() {
        for first in 0..=255 {
            for second in [b'a', b'"', b'\\', 0x80, 0xbf, b'\n'] {
                let value = [first, second];
                let json = shown(Format::Json, &value);
                assert_eq!(json.matches('\n').count(), 1);
                let read: serde_json::Value = serde_json::from_str(&json).unwrap();
                assert_eq!(read.as_object().unwrap().len(), 2, "{json}");
                let text = shown(Format::Text, &value);
                assert_eq!(text.matches('\n').count(), 1);
            }
        }
    }

    #[test]
    fn addresses_as_everywhere() {
        for text in ["0.0.0.0:0", "192.0.2.10:65535", "255.255.255.255:80", "[::1]:80", "[2001:db8::1]:4000"]
        {
            let mut out = Vec::new();
            write_address(text.parse().unwrap(), &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
