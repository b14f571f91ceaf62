//! Field: one field line of a head, and Known: the names that something here acts on.
//!
//! Names are recognised once, when a head is read, whatever the version of HTTP. Must never know a syntax.

use super::Span;

/// Field names that something here acts on. Recognised once, by the codec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    /// Any other name.
    #[default]
    Other,
    /// Accept.
    Accept,
    /// Accept-Encoding.
    AcceptEncoding,
    /// Cache-Control.
    CacheControl,
    /// Connection.
    Connection,
    /// Content-Encoding.
    ContentEncoding,
    /// Content-Length.
    ContentLength,
    /// Content-Range.
    ContentRange,
    /// Content-Type.
    ContentType,
    /// Cookie.
    Cookie,
    /// Date.
    Date,
    /// Early-Data (RFC 8470).
    EarlyData,
    /// ETag.
    Etag,
    /// Expect.
    Expect,
    /// Forwarded.
    Forwarded,
    /// Host.
    Host,
    /// HTTP2-Settings.
    Http2Settings,
    /// Keep-Alive.
    KeepAlive,
    /// Proxy-Connection.
    ProxyConnection,
    /// Set-Cookie.
    SetCookie,
    /// TE.
    Te,
    /// Trailer.
    Trailer,
    /// Transfer-Encoding.
    TransferEncoding,
    /// Upgrade.
    Upgrade,
    /// Vary.
    Vary,
    /// Via.
    Via,
    /// X-Forwarded-For.
    XForwardedFor,
    /// X-Forwarded-Host.
    XForwardedHost,
    /// X-Forwarded-Proto.
    XForwardedProto,
}

/// One field line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Field {
    /// Name, in the case it was sent in.
    pub name: Span,
    /// Value, without surrounding whitespace.
    pub value: Span,
    /// The known name that it is.
    pub known: Known,
    /// The field concerns one hop only and is not passed on: Connection and what it names, Keep-Alive,
    /// Proxy-Connection, TE, Transfer-Encoding, Upgrade (RFC 9110 section 7.6.1).
    pub hop_by_hop: bool,
}

/// Every known name, in lower case. Names of one length differ in [`key`]: that is checked when this is
/// compiled.
const NAMES: [(&str, Known); 28] = [
    ("accept", Known::Accept),
    ("accept-encoding", Known::AcceptEncoding),
    ("cache-control", Known::CacheControl),
    ("connection", Known::Connection),
    ("content-encoding", Known::ContentEncoding),
    ("content-length", Known::ContentLength),
    ("content-range", Known::ContentRange),
    ("content-type", Known::ContentType),
    ("cookie", Known::Cookie),
    ("date", Known::Date),
    ("early-data", Known::EarlyData),
    ("etag", Known::Etag),
    ("expect", Known::Expect),
    ("forwarded", Known::Forwarded),
    ("host", Known::Host),
    ("http2-settings", Known::Http2Settings),
    ("keep-alive", Known::KeepAlive),
    ("proxy-connection", Known::ProxyConnection),
    ("set-cookie", Known::SetCookie),
    ("te", Known::Te),
    ("trailer", Known::Trailer),
    ("transfer-encoding", Known::TransferEncoding),
    ("upgrade", Known::Upgrade),
    ("vary", Known::Vary),
    ("via", Known::Via),
    ("x-forwarded-for", Known::XForwardedFor),
    ("x-forwarded-host", Known::XForwardedHost),
    ("x-forwarded-proto", Known::XForwardedProto),
];

// A head notes the known names that it has in 32 bits.
const _: () = assert!(Known::XForwardedProto as u32 <= 31);

/// Bytes of the longest known name.
const LONGEST: usize = 17;

/// Every known name in a form that is compared at once, and one that is none.
static CANDIDATES: [Candidate; NAMES.len() + 1] = candidates();

/// Places in [`CANDIDATES`], by length and [`key`].
static INDEX: [[u8; 32]; LONGEST + 1] = index();

/// A known name in a form that is compared at once.
#[derive(Clone, Copy)]
struct Candidate {
    known: Known,
    words: Words,
    /// The bit that tells the cases apart, at every letter.
    letters: Words,
}

/// The bytes of a name of 2 to [`LONGEST`] bytes: those at its front and at its back, which may overlap, and
/// the one between them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Words {
    front: u64,
    back: u64,
    middle: u8,
}

impl Known {
    /// Recognises a name, in any case: one look into a table, and one comparison.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        match Candidate::of(name) {
            Some(candidate) if candidate.is(name) => candidate.known,
            _ => Self::Other,
        }
    }

    /// Returns what [`of`](Self::of) and [`nearest`](Self::nearest) do, by the same look.
    #[inline]
    pub fn look(name: &[u8]) -> (Self, Self) {
        match Candidate::of(name) {
            Some(candidate) if candidate.is(name) => (candidate.known, candidate.known),
            Some(candidate) => (Self::Other, candidate.known),
            None => (Self::Other, Self::Other),
        }
    }

    /// Returns the only known name that `name` may be, or may be taken for: a guess that is right for all
    /// that have the length, the first letter and the last letter of a known name.
    #[inline]
    pub fn nearest(name: &[u8]) -> Self {
        Candidate::of(name).map_or(Self::Other, |candidate| candidate.known)
    }
}

impl Candidate {
    /// Returns the one known name that `name` can be.
    #[inline]
    fn of(name: &[u8]) -> Option<&'static Self> {
        let ([first, .., last], Some(row)) = (name, INDEX.get(name.len())) else { return None };
        CANDIDATES.get(usize::from(row[key(*first, *last)]))
    }

    /// Whether it is this name, which has its length.
    #[inline]
    fn is(&self, name: &[u8]) -> bool {
        let Words { front, back, middle } = Words::of(name);
        let Self { words, letters, .. } = self;
        (front | letters.front) == words.front
            && (back | letters.back) == words.back
            && (middle | letters.middle) == words.middle
    }
}

impl Words {
    const NONE: Self = Self { front: 0, back: 0, middle: 0 };

    #[inline]
    const fn of(name: &[u8]) -> Self {
        let middle = if name.len() == LONGEST { name[LONGEST / 2] } else { 0 };
        if let (Some(front), Some(back)) = (name.first_chunk(), name.last_chunk()) {
            return Self { front: u64::from_le_bytes(*front), back: u64::from_le_bytes(*back), middle };
        }
        if let (Some(front), Some(back)) = (name.first_chunk(), name.last_chunk()) {
            let (front, back) = (u32::from_le_bytes(*front), u32::from_le_bytes(*back));
            return Self { front: front as u64, back: back as u64, middle };
        }
        match (name.first_chunk(), name.last_chunk()) {
            (Some(front), Some(back)) => {
                let (front, back) = (u16::from_le_bytes(*front), u16::from_le_bytes(*back));
                Self { front: front as u64, back: back as u64, middle }
            }
            _ => Self::NONE,
        }
    }
}

/// Returns a number below 32 that is the same for letters of either case.
#[inline]
const fn key(first: u8, last: u8) -> usize {
    (first.wrapping_add(last) % 32) as usize
}

const fn candidates() -> [Candidate; NAMES.len() + 1] {
    let mut candidates =
        [Candidate { known: Known::Other, words: Words::NONE, letters: Words::NONE }; NAMES.len() + 1];
    let mut at = 0;
    while at < NAMES.len() {
        let (name, known) = (NAMES[at].0.as_bytes(), NAMES[at].1);
        candidates[at] = Candidate { known, words: Words::of(name), letters: letters(name) };
        at += 1;
    }
    candidates
}

const fn index() -> [[u8; 32]; LONGEST + 1] {
    let none = NAMES.len() as u8;
    let mut index = [[none; 32]; LONGEST + 1];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at].0.as_bytes();
        let place = &mut index[name.len()][key(name[0], name[name.len() - 1])];
        assert!(*place == none, "two names of one length have one key");
        *place = at as u8;
        at += 1;
    }
    index
}

const fn letters(name: &[u8]) -> Words {
    let mut cases = [0; LONGEST];
    let mut at = 0;
    while at < name.len() {
        cases[at] = if name[at].is_ascii_lowercase() { 0x20 } else { 0 };
        at += 1;
    }
    Words::of(cases.split_at(name.len()).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_in_any_case() {
        for (name, known) in NAMES {
            let name = name.as_bytes();
            assert_eq!((Known::of(name), Known::of(&name.to_ascii_uppercase())), (known, known));
            assert_eq!(Known::look(name), (known, known));
            let mut other = name.to_vec();
            for at in 0..name.len() {
                for bit in 0..8 {
                    other[at] ^= 1 << bit;
                    let same = other.eq_ignore_ascii_case(name);
                    assert_eq!(Known::of(&other) == known, same, "{other:?}");
                    assert_eq!(Known::look(&other), (Known::of(&other), Known::nearest(&other)), "{other:?}");
                    other[at] ^= 1 << bit;
                }
            }
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [&b""[..], b"a", b"x", b"hosts", b"x-forwarded-protocol", b"t\xe5"] {
            assert_eq!(Known::of(name), Known::Other);
        }
    }
}
