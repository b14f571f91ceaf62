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

/// Every known name, by its letters in lower case. Names of one length differ in [`key`]: checked when this is
/// compiled.
const NAMES: [(&[u8], Known); 29] = [
    (b"accept", Known::Accept),
    (b"accept-encoding", Known::AcceptEncoding),
    (b"cache-control", Known::CacheControl),
    (b"connection", Known::Connection),
    (b"content-encoding", Known::ContentEncoding),
    (b"content-length", Known::ContentLength),
    (b"content-range", Known::ContentRange),
    (b"content-type", Known::ContentType),
    (b"cookie", Known::Cookie),
    (b"date", Known::Date),
    (b"early-data", Known::EarlyData),
    (b"etag", Known::Etag),
    (b"expect", Known::Expect),
    (b"forwarded", Known::Forwarded),
    (b"host", Known::Host),
    (b"http2-settings", Known::Http2Settings),
    (b"keep-alive", Known::KeepAlive),
    (b"proxy-connection", Known::ProxyConnection),
    (b"set-cookie", Known::SetCookie),
    (b"te", Known::Te),
    (b"trailer", Known::Trailer),
    (b"transfer-encoding", Known::TransferEncoding),
    (b"upgrade", Known::Upgrade),
    (b"vary", Known::Vary),
    (b"via", Known::Via),
    (b"x-forwarded-for", Known::XForwardedFor),
    (b"x-forwarded-host", Known::XForwardedHost),
    (b"x-forwarded-proto", Known::XForwardedProto),
    // No name: what every place of INDEX leads to that has none.
    (b"", Known::Other),
];

/// Bytes of the longest known name.
const LONGEST: usize = 17;

/// Places in [`NAMES`], by length and [`key`].
static INDEX: [[u8; 32]; LONGEST + 1] = index();

impl Known {
    /// Recognises a name, in any case: one look into a table, and one comparison.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let (candidate, known) = Self::candidate(name);
        if name.eq_ignore_ascii_case(candidate) { known } else { Self::Other }
    }

    /// Returns the only known name that `name` may be, or may be taken for: a cheap guess that is right for
    /// all that have the same length, first letter and last letter.
    #[inline]
    pub fn nearest(name: &[u8]) -> Self {
        Self::candidate(name).1
    }

    /// Returns the only name that `name` can be; an empty one when there is none.
    #[inline]
    fn candidate(name: &[u8]) -> (&'static [u8], Self) {
        match (name, INDEX.get(name.len())) {
            ([first, .., last], Some(row)) => NAMES[usize::from(row[key(*first, *last)])],
            _ => NAMES[NAMES.len() - 1],
        }
    }
}

/// Returns a number below 32 that is the same for letters of either case.
#[inline]
const fn key(first: u8, last: u8) -> usize {
    (first.wrapping_add(last) % 32) as usize
}

const fn index() -> [[u8; 32]; LONGEST + 1] {
    let none = (NAMES.len() - 1) as u8;
    let mut index = [[none; 32]; LONGEST + 1];
    let mut at = 0;
    while at < NAMES.len() - 1 {
        let name = NAMES[at].0;
        let place = &mut index[name.len()][key(name[0], name[name.len() - 1])];
        assert!(*place == none, "two names of one length have one key");
        *place = at as u8;
        at += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_in_any_case() {
        for (name, known) in &NAMES[..NAMES.len() - 1] {
            assert_eq!((Known::of(name), Known::of(&name.to_ascii_uppercase())), (*known, *known));
            let mut other = name.to_vec();
            for at in 0..name.len() {
                for bit in 0..8 {
                    other[at] ^= 1 << bit;
                    let same = other.eq_ignore_ascii_case(name);
                    assert_eq!(Known::of(&other) == *known, same, "{other:?}");
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
