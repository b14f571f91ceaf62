//! Head: a version-neutral message head: where things are in the bytes it was read from, never copies of them.
//!
//! One Head is reused for message after message, so that reading one allocates nothing once its list of fields has
//! grown. A codec fills it; a Head is of use only beside the very bytes it was filled from. Must never be kept while those change.

/// A range of the bytes that a Head was read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A range of `bytes` that begins at `start` and ends before `end`.
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The bytes it stands for.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// How many bytes.
    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it is empty, which stands for absent.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The version a message says it speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// A request's method (RFC 9110 section 9, RFC 5789). Methods are case-sensitive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
    /// CONNECT.
    Connect,
    /// OPTIONS.
    Options,
    /// TRACE.
    Trace,
    /// PATCH.
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// Whether it asks for nothing to be changed (RFC 9110 section 9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether sending it twice means the same as once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace)
    }
}

/// How the end of a message's body is found (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// All until the connection ends (responses only).
    ToEnd,
}

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
    /// Its name, in the case it was sent in.
    pub name: Span,
    /// Its value, without surrounding whitespace.
    pub value: Span,
    /// Which name it is.
    pub known: Known,
    /// It concerns one hop only and is not passed on: Connection and what it names, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade (RFC 9110 section 7.6.1).
    pub hop_by_hop: bool,
}

/// A message head.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The version it was sent in.
    pub version: Version,
    /// Bytes it takes, with the empty line.
    pub length: usize,
    /// The fields, in order.
    pub fields: Vec<Field>,
    /// How its body ends.
    pub framing: Framing,
    /// Whether its sender wants the connection kept (RFC 9112 section 9.3).
    pub persistent: bool,
    /// Request: Connection names `upgrade` and there is an Upgrade field. Response: what follows the head is no HTTP (101, or 2xx
    /// to CONNECT).
    pub upgrade: bool,

    /// Request: the method.
    pub method: Method,
    /// Request: the method's bytes.
    pub method_span: Span,
    /// Request: authority of an absolute-form or authority-form target; empty for other forms.
    pub authority: Span,
    /// Request: scheme of an absolute-form target; empty for other forms.
    pub scheme: Span,
    /// Request: path and query, or `*`; of an absolute target without a path it is empty and means `/`.
    pub target: Span,
    /// Request: the value of the one Host field; empty when it is absent or empty.
    pub host: Span,
    /// Request: `Expect: 100-continue` was sent.
    pub expects_continue: bool,

    /// Response: the status.
    pub status: u16,
    /// Response: the reason phrase, which may be empty.
    pub reason: Span,
}

impl Head {
    /// The first field with this name.
    pub fn field(&self, known: Known) -> Option<&Field> {
        self.fields.iter().find(|field| field.known == known)
    }

    /// Whether a request that came as early data may be acted on (RFC 8470 section 4): whoever recorded it can send it
    /// again, so that it may change nothing, on any way there is. Others get 425.
    pub fn may_be_early(&self) -> bool {
        let bodiless = matches!(self.framing, Framing::None | Framing::Length(0));
        self.method.is_safe() && bodiless && !self.upgrade
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_nothing_may_be_early() {
        use Framing::{Chunked, Length, None};
        for (method, framing, upgrade, may) in [
            (Method::Get, None, false, true),
            (Method::Head, Length(0), false, true),
            (Method::Options, None, false, true),
            (Method::Trace, None, false, true),
            (Method::Get, Length(1), false, false),
            (Method::Get, Chunked, false, false),
            (Method::Get, None, true, false),
            (Method::Post, None, false, false),
            (Method::Put, None, false, false),
            (Method::Delete, None, false, false),
            (Method::Patch, None, false, false),
            (Method::Connect, None, false, false),
            (Method::Other, None, false, false),
        ] {
            let head = Head { method, framing, upgrade, ..Head::default() };
            assert_eq!(head.may_be_early(), may, "{method:?} {framing:?} {upgrade}");
        }
    }
}
