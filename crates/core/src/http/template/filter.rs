//! Filters: how the value of a variable is written so that it stays a value where it stands: `{path|json}`.
//!
//! What variables say comes from outside. Must never let a value end the string, the element or the parameter
//! that it is put into.

use crate::problem::Flaw;

/// The way in which the value of a variable is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Filter {
    /// As it is, without control bytes.
    #[default]
    Raw,
    /// As text or as an attribute's value in HTML and XML.
    Html,
    /// As a part of a string in JSON (RFC 8259 section 7): valid UTF-8, and no byte that could end it.
    Json,
    /// As a part of a path, or as a parameter, of a URL (RFC 3986 section 2.3): all but unreserved bytes is
    /// percent-encoded.
    Url,
}

/// Every filter, by its name behind the variable's.
const FILTERS: [(&str, Filter); 4] =
    [("raw", Filter::Raw), ("html", Filter::Html), ("json", Filter::Json), ("url", Filter::Url)];

impl Filter {
    /// Returns the filter that belongs into a body of this media type (the value of a Content-Type field).
    pub fn of_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/html" | "text/xml" | "application/xml" => Self::Html,
            "application/json" | "text/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Url,
            essence if essence.ends_with("+json") => Self::Json,
            essence if essence.ends_with("+xml") => Self::Html,
            _ => Self::Raw,
        }
    }

    /// Returns the filter's name.
    pub fn as_str(self) -> &'static str {
        FILTERS.iter().find(|(_, filter)| *filter == self).map_or("raw", |(name, _)| name)
    }

    /// Finds a filter by its name.
    pub(super) fn named(name: &str) -> Result<Self, Flaw> {
        let found = FILTERS.iter().find(|(known, _)| *known == name);
        found.map(|(_, filter)| *filter).ok_or_else(|| {
            let known: Vec<&str> = FILTERS.iter().map(|(name, _)| *name).collect();
            Flaw::new(format!("there is no filter \"{name}\"; there are {}", known.join(", ")))
        })
    }

    /// Writes `out[start..]` anew, which is a value.
    pub(in crate::http) fn apply(self, out: &mut Vec<u8>, start: usize) {
        if self == Self::Raw || out[start..].iter().all(|byte| self.keeps(*byte)) {
            return;
        }
        let value = out.split_off(start);
        if self == Self::Json {
            write_json(out, &String::from_utf8_lossy(&value));
            return;
        }
        for byte in value {
            match self {
                _ if self.keeps(byte) => out.push(byte),
                Self::Url => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                _ => out.extend_from_slice(entity(byte).as_bytes()),
            }
        }
    }

    /// Whether a byte stays as it is, wherever it stands.
    fn keeps(self, byte: u8) -> bool {
        match self {
            Self::Raw => true,
            Self::Html => !b"&<>\"'".contains(&byte),
            Self::Json => byte.is_ascii() && !byte.is_ascii_control() && byte != b'"' && byte != b'\\',
            Self::Url => byte.is_ascii_alphanumeric() || b"-._~".contains(&byte),
        }
    }
}

fn entity(byte: u8) -> &'static str {
    match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        _ => "&#39;",
    }
}

fn write_json(out: &mut Vec<u8>, value: &str) {
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            // Control characters beyond ASCII are no end of a string, but no text either.
            _ if character.is_control() => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filtered(filter: Filter, value: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        out.extend_from_slice(value);
        filter.apply(&mut out, 6);
        assert!(out.starts_with(b"before"));
        out.split_off(6)
    }

    #[test]
    fn each_filter() {
        for (filter, value, written) in [
            (Filter::Raw, "/a?\"<", "/a?\"<"),
            (Filter::Html, "/<script>\"&'", "/&lt;script&gt;&quot;&amp;&#39;"),
            (Filter::Json, "/x\",\"admin\":true,\"y\":\"\\", "/x\\\",\\\"admin\\\":true,\\\"y\\\":\\\"\\\\"),
            (Filter::Json, "\u{85}é", "\\u0085é"),
            (Filter::Url, "/a b&c=é", "%2Fa%20b%26c%3D%C3%A9"),
        ] {
            assert_eq!(filtered(filter, value.as_bytes()), written.as_bytes(), "{filter:?}");
        }
        assert_eq!(filtered(Filter::Json, b"/\xff"), "/\u{fffd}".as_bytes(), "no JSON has other bytes");
    }

    #[test]
    fn the_media_type_says_which_is_fitting() {
        for (content_type, filter) in [
            ("text/html; charset=utf-8", Filter::Html),
            ("Application/XHTML+xml", Filter::Html),
            ("application/json", Filter::Json),
            ("application/problem+json;a=b", Filter::Json),
            ("application/x-www-form-urlencoded", Filter::Url),
            ("text/plain", Filter::Raw),
            ("", Filter::Raw),
        ] {
            assert_eq!(Filter::of_content_type(content_type), filter, "{content_type}");
            assert_eq!(Filter::named(filter.as_str()), Ok(filter));
        }
        assert!(Filter::named("sql").unwrap_err().reason.contains("there are raw, html, json, url"));
    }

    proptest! {
        #[test]
        fn any_value_is_one_string_of_json(value: Vec<u8>) {
            let written = String::from_utf8(filtered(Filter::Json, &value)).unwrap();
            let read: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&value));
        }
    }
}
