//! The static table (RFC 7541 appendix A), each entry as the line that it stands for.

use super::Pseudo;
use crate::message::Known;

/// An entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct StaticEntry {
    /// `name: value` and CRLF.
    pub line: &'static [u8],
    /// Bytes of the name.
    pub name: usize,
    pub known: Known,
    pub pseudo: Pseudo,
}

impl StaticEntry {
    #[inline]
    pub(super) fn name(&self) -> &'static [u8] {
        &self.line[..self.name]
    }

    #[inline]
    pub(super) fn value(&self) -> &'static [u8] {
        &self.line[self.name + 2..self.line.len() - 2]
    }
}

macro_rules! entries {
    ($($name:literal $value:literal $known:ident $pseudo:ident;)*) => {
        [$(StaticEntry {
            line: concat!($name, ": ", $value, "\r\n").as_bytes(),
            name: $name.len(),
            known: Known::$known,
            pseudo: Pseudo::$pseudo,
        },)*]
    };
}

/// The entries: the first has index 1.
pub(super) static STATIC: [StaticEntry; 61] = ENTRIES;

const ENTRIES: [StaticEntry; 61] = entries! {
    ":authority" "" Other Authority;
    ":method" "GET" Other Method;
    ":method" "POST" Other Method;
    ":path" "/" Other Path;
    ":path" "/index.html" Other Path;
    ":scheme" "http" Other Scheme;
    ":scheme" "https" Other Scheme;
    ":status" "200" Other Status;
    ":status" "204" Other Status;
    ":status" "206" Other Status;
    ":status" "304" Other Status;
    ":status" "400" Other Status;
    ":status" "404" Other Status;
    ":status" "500" Other Status;
    "accept-charset" "" Other None;
    "accept-encoding" "gzip, deflate" AcceptEncoding None;
    "accept-language" "" Other None;
    "accept-ranges" "" Other None;
    "accept" "" Accept None;
    "access-control-allow-origin" "" Other None;
    "age" "" Other None;
    "allow" "" Other None;
    "authorization" "" Other None;
    "cache-control" "" CacheControl None;
    "content-disposition" "" Other None;
    "content-encoding" "" ContentEncoding None;
    "content-language" "" Other None;
    "content-length" "" ContentLength None;
    "content-location" "" Other None;
    "content-range" "" ContentRange None;
    "content-type" "" ContentType None;
    "cookie" "" Cookie None;
    "date" "" Date None;
    "etag" "" Etag None;
    "expect" "" Expect None;
    "expires" "" Other None;
    "from" "" Other None;
    "host" "" Host None;
    "if-match" "" Other None;
    "if-modified-since" "" Other None;
    "if-none-match" "" Other None;
    "if-range" "" Other None;
    "if-unmodified-since" "" Other None;
    "last-modified" "" Other None;
    "link" "" Other None;
    "location" "" Other None;
    "max-forwards" "" Other None;
    "proxy-authenticate" "" Other None;
    "proxy-authorization" "" Other None;
    "range" "" Other None;
    "referer" "" Other None;
    "refresh" "" Other None;
    "retry-after" "" Other None;
    "server" "" Other None;
    "set-cookie" "" SetCookie None;
    "strict-transport-security" "" Other None;
    "transfer-encoding" "" TransferEncoding None;
    "user-agent" "" Other None;
    "vary" "" Vary None;
    "via" "" Via None;
    "www-authenticate" "" Other None;
};

/// Places of names, by [`slot`]: the index of the first entry of a name, or 0. A name whose place is taken
/// has the next one that is free.
static PLACES: [u8; SLOTS] = places();
const SLOTS: usize = 256;

/// Returns the index of the first entry with this name, in lower case; 0: there is none.
#[inline]
pub(super) fn find(name: &[u8]) -> usize {
    let ([first, ..], [.., last]) = (name, name) else { return 0 };
    let mut at = slot(name.len(), *first, *last);
    loop {
        match PLACES[at] {
            0 => return 0,
            index if STATIC[usize::from(index) - 1].name() == name => return usize::from(index),
            _ => at = (at + 1) % SLOTS,
        }
    }
}

/// Returns the index of the entry with this value, of those with the name of the one at `index`, which is
/// the first; None: there is none.
#[inline]
pub(super) fn with_value(index: usize, value: &[u8]) -> Option<usize> {
    let entries = &STATIC[index - 1..];
    let same = entries.iter().take_while(|entry| entry.name() == entries[0].name());
    // An entry without a value stands for its name alone.
    let place = same.map(StaticEntry::value).position(|other| !other.is_empty() && other == value)?;
    Some(index + place)
}

#[inline]
const fn slot(length: usize, first: u8, last: u8) -> usize {
    (length * 13 + first as usize * 5 + last as usize * 31) % SLOTS
}

const fn places() -> [u8; SLOTS] {
    let (mut places, mut index) = ([0; SLOTS], 1);
    while index <= ENTRIES.len() {
        let entry = ENTRIES[index - 1];
        let mut at = slot(entry.name, entry.line[0], entry.line[entry.name - 1]);
        let again = index > 1 && begins_with(entry.line, ENTRIES[index - 2]);
        while !again && places[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        if !again {
            places[at] = index as u8;
        }
        index += 1;
    }
    places
}

/// Whether a line has the name of another entry.
const fn begins_with(line: &[u8], other: StaticEntry) -> bool {
    let mut at = 0;
    while at <= other.name {
        if line[at] != other.line[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_what_their_names_are() {
        for entry in &STATIC {
            assert_eq!((entry.known, entry.pseudo), (Known::of(entry.name()), Pseudo::of(entry.name())));
        }
        assert_eq!((STATIC[0].name(), STATIC[60].name()), (&b":authority"[..], &b"www-authenticate"[..]));
    }

    #[test]
    fn every_entry_is_found() {
        for (at, entry) in STATIC.iter().enumerate() {
            let first = find(entry.name());
            assert_eq!(STATIC.iter().position(|other| other.name() == entry.name()), Some(first - 1));
            let expected = (!entry.value().is_empty()).then_some(at + 1);
            assert_eq!(with_value(first, entry.value()), expected);
        }
        for name in [&b""[..], b"x", b"dat", b"dates", b"x-request-id"] {
            assert_eq!(find(name), 0);
        }
    }
}
