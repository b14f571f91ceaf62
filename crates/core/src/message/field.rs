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

impl Known {
    /// Recognises a name: by its length, then by its letters in any case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let candidates: &[(&[u8], Known)] = match name.len() {
            2 => &[(b"te", Known::Te)],
            3 => &[(b"via", Known::Via)],
            4 => &[
                (b"host", Known::Host),
                (b"date", Known::Date),
                (b"etag", Known::Etag),
                (b"vary", Known::Vary),
            ],
            6 => &[(b"accept", Known::Accept), (b"cookie", Known::Cookie), (b"expect", Known::Expect)],
            7 => &[(b"upgrade", Known::Upgrade), (b"trailer", Known::Trailer)],
            9 => &[(b"forwarded", Known::Forwarded)],
            10 => &[
                (b"connection", Known::Connection),
                (b"keep-alive", Known::KeepAlive),
                (b"set-cookie", Known::SetCookie),
                (b"early-data", Known::EarlyData),
            ],
            12 => &[(b"content-type", Known::ContentType)],
            13 => &[(b"cache-control", Known::CacheControl), (b"content-range", Known::ContentRange)],
            14 => &[(b"content-length", Known::ContentLength), (b"http2-settings", Known::Http2Settings)],
            15 => &[(b"accept-encoding", Known::AcceptEncoding), (b"x-forwarded-for", Known::XForwardedFor)],
            16 => &[
                (b"content-encoding", Known::ContentEncoding),
                (b"proxy-connection", Known::ProxyConnection),
                (b"x-forwarded-host", Known::XForwardedHost),
            ],
            17 => &[
                (b"transfer-encoding", Known::TransferEncoding),
                (b"x-forwarded-proto", Known::XForwardedProto),
            ],
            _ => &[],
        };
        let found = candidates.iter().find(|(candidate, _)| name.eq_ignore_ascii_case(candidate));
        found.map_or(Known::Other, |(_, known)| *known)
    }
}
