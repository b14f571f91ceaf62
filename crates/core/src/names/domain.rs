//! A domain name, absolute and checked. Must never hold what cannot be asked for, or what reads as another
//! name.

use std::fmt;

/// Octets of a name as text, without the final dot (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;
/// Octets of a label.
const LONGEST_LABEL: usize = 63;

/// An absolute domain name: lower case, without the final dot, letters, digits, hyphens and underscores only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

impl Domain {
    /// Checks a name, in any case, with or without its final dot. None: it is none.
    ///
    /// A last label that is a number is none either: whoever writes `127.1` means an address (RFC 3696
    /// section 2).
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let good = text.len() <= LONGEST && text.split('.').all(is_label) && !ends_in_number(text);
        good.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// Puts a name together of labels as messages have them; a dot within a label is no dot of the name.
    pub(super) fn of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut text = String::new();
        for label in labels {
            if label.contains(&b'.') {
                return None;
            }
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(std::str::from_utf8(label).ok()?);
        }
        Self::new(&text)
    }

    /// Returns the name within a domain: `app` within `internal` is `app.internal`.
    pub fn within(&self, domain: &Self) -> Option<Self> {
        Self::new(&format!("{}.{}", self.0, domain.0))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `localhost` or below it, which is loopback whatever a nameserver says (RFC 6761
    /// section 6.3).
    pub fn is_localhost(&self) -> bool {
        self.0.strip_suffix("localhost").is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(known)
}

fn ends_in_number(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Domain::new(text).map(|domain| domain.as_str().to_owned())
    }

    #[test]
    fn names_are_lower_case_and_absolute() {
        assert_eq!(read("App.Internal.").as_deref(), Some("app.internal"));
        assert_eq!(read("_http._tcp.app").as_deref(), Some("_http._tcp.app"));
        assert_eq!(read("x--1").as_deref(), Some("x--1"));
    }

    #[test]
    fn what_is_no_name() {
        let long = "a".repeat(64);
        let longer = ["a".repeat(63).as_str(); 4].join(".");
        for text in ["", ".", "a..b", ".a", "a..", "a b", "ü.example", "*.a", "a/b", &long, &longer] {
            assert_eq!(read(text), None, "{text}");
        }
        for address in ["127.1", "192.0.2.1", "0x7f.1", "0x7f000001", "2130706433", "a.0x", "1.2.3.4."] {
            assert_eq!(read(address), None, "{address}");
        }
        assert!(read(&longer[..253]).is_some());
    }

    #[test]
    fn a_dot_within_a_label_is_no_name() {
        assert_eq!(Domain::of_labels([&b"a.b"[..], b"c"].into_iter()), None);
        assert_eq!(Domain::of_labels([&b"\xff"[..], b"c"].into_iter()), None);
        assert_eq!(Domain::of_labels(std::iter::empty()), None);
        assert_eq!(Domain::of_labels([&b"A"[..], b"c"].into_iter()), Domain::new("a.c"));
    }

    #[test]
    fn localhost_and_what_is_below() {
        let is_localhost = |text| Domain::new(text).is_some_and(|domain| domain.is_localhost());
        assert!(is_localhost("localhost") && is_localhost("LOCALHOST.") && is_localhost("a.localhost"));
        assert!(!is_localhost("mylocalhost") && !is_localhost("localhost.example"));
    }

    #[test]
    fn a_name_within_a_domain_may_be_too_long() {
        let long = Domain::new(&["a".repeat(62).as_str(); 4].join(".")).unwrap();
        let internal = Domain::new("internal").unwrap();
        assert_eq!(long.within(&internal), None);
        assert_eq!(internal.within(&internal), Domain::new("internal.internal"));
    }
}
