//! Fault (why a connect failed, whose fault that is) and CloseReason (why a connection or an exchange ended).
//!
//! One enum each for records, metrics, refusals and documentation. Plain values: must know no other room.

use serde::Serialize;

/// Why a connect failed: whose fault, and whether another server may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The server refused or the path does not exist.
    Refused,
    /// No answer within `connect_timeout`.
    TimedOut,
    /// No route to it.
    Unreachable,
    /// It reset the connection while it was opened.
    Reset,
    /// Its certificate is not signed by anybody who is trusted.
    Untrusted,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate has expired, or is not valid yet.
    Expired,
    /// TLS could not be agreed on.
    Handshake,
    /// We lack descriptors, ports or memory: not the server's fault.
    Exhausted,
}

impl Fault {
    /// Whether the server is to blame, so that repeated faults eject it.
    pub fn blames_server(self) -> bool {
        self != Self::Exhausted
    }

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::TimedOut => "no answer in time",
            Self::Unreachable => "unreachable",
            Self::Reset => "connection reset",
            Self::Untrusted => "certificate not trusted",
            Self::WrongName => "certificate for another name",
            Self::Expired => "certificate expired or not valid yet",
            Self::Handshake => "TLS handshake failed",
            Self::Exhausted => "out of descriptors, ports or memory",
        }
    }
}

/// Why a connection or an exchange ended: the `end` of its access record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The exchange was answered in full, by a server or by an answer of ours that was asked for.
    Completed,
    /// Both sides ended, the client first. Of an exchange: the client left before it was answered in full.
    ClientClosed,
    /// Both sides ended, the server first. Of an exchange: the server left before it had answered in full.
    ServerClosed,
    /// The client reset the connection.
    ClientReset,
    /// The server reset the connection.
    ServerReset,
    /// The client closed without close_notify: what it sent may not be all.
    ClientTruncated,
    /// The server closed without close_notify: what it sent may not be all.
    ServerTruncated,
    /// No byte in either direction for `idle`.
    IdleTimeout,
    /// Nothing moved for `tunnel_timeout` after an upgrade or CONNECT.
    TunnelTimeout,
    /// One side had ended and nothing moved in the other direction for `half_close`.
    HalfCloseTimeout,
    /// The first bytes, or the head of a request, were not complete within `first_bytes`.
    FirstBytesTimeout,
    /// The TLS handshake was not complete within `handshake_timeout`.
    HandshakeTimeout,
    /// TLS could not be agreed on, or the client's certificate was not accepted.
    HandshakeFailed,
    /// The client spoke HTTP where TLS is spoken.
    PlainHttp,
    /// The request body stood still for `body_timeout` or came more slowly than `min_body_rate`.
    BodyTimeout,
    /// The first bytes exceeded `first_bytes_limit`, or a request head one of its limits.
    TooLarge,
    /// The request line exceeded `line_limit`.
    TargetTooLong,
    /// The request body exceeded `body_limit`.
    BodyTooLarge,
    /// The client gave a name that no entry matches.
    NoMatch,
    /// The request's host is neither the name that its connection was opened for nor in the certificate presented.
    Misdirected,
    /// The request came as early data, and could do harm if it were repeated.
    TooEarly,
    /// Entries match the client's name, none of them its path.
    NoPath,
    /// The client gave no name and there is no fallback.
    NoName,
    /// No server could be reached.
    NoServer,
    /// No server had a place within `queue_timeout`.
    QueueTimeout,
    /// `queue_limit` requests were waiting for a place already.
    QueueFull,
    /// The backend is in maintenance.
    Maintenance,
    /// The server's response did not begin within `response_timeout`.
    ResponseTimeout,
    /// What the server sent is no response that may be passed on.
    BadResponse,
    /// The first bytes, or a request, are not what the protocol demands.
    BadRequest,
    /// CONNECT, and `connect` is off.
    MethodNotAllowed,
    /// The request needs something that is not there: a transfer coding other than chunked.
    NotImplemented,
    /// A version of HTTP that is not spoken here.
    VersionNotSupported,
    /// The rewritten head does not fit its buffer.
    Overflow,
    /// The client's address is not allowed.
    Denied,
    /// `max_connections` or `max_connections_per_client` was reached.
    LimitReached,
    /// `rate_limit` or `max_requests_per_client` was reached.
    RateLimited,
    /// Cut off at the end of `drain`.
    Drained,
}

impl CloseReason {
    /// The word in logs, metrics and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientClosed => "client_closed",
            Self::ServerClosed => "server_closed",
            Self::ClientReset => "client_reset",
            Self::ServerReset => "server_reset",
            Self::ClientTruncated => "client_truncated",
            Self::ServerTruncated => "server_truncated",
            Self::IdleTimeout => "idle_timeout",
            Self::TunnelTimeout => "tunnel_timeout",
            Self::HalfCloseTimeout => "half_close_timeout",
            Self::FirstBytesTimeout => "first_bytes_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::PlainHttp => "plain_http",
            Self::BodyTimeout => "body_timeout",
            Self::TooLarge => "too_large",
            Self::TargetTooLong => "target_too_long",
            Self::BodyTooLarge => "body_too_large",
            Self::NoMatch => "no_match",
            Self::Misdirected => "misdirected",
            Self::TooEarly => "too_early",
            Self::NoPath => "no_path",
            Self::NoName => "no_name",
            Self::NoServer => "no_server",
            Self::QueueTimeout => "queue_timeout",
            Self::QueueFull => "queue_full",
            Self::Maintenance => "maintenance",
            Self::ResponseTimeout => "response_timeout",
            Self::BadResponse => "bad_response",
            Self::BadRequest => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotImplemented => "not_implemented",
            Self::VersionNotSupported => "version_not_supported",
            Self::Overflow => "overflow",
            Self::Denied => "denied",
            Self::LimitReached => "limit_reached",
            Self::RateLimited => "rate_limited",
            Self::Drained => "drained",
        }
    }

    /// The status that an HTTP client gets, unless a response has begun; None: it gets none. [`Self::PlainHttp`] is told
    /// by [`refusal`](crate::tls::refusal), because there is no TLS to say it in.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::BadRequest | Self::NoName | Self::PlainHttp => Some(400),
            Self::Denied => Some(403),
            Self::NoPath => Some(404),
            Self::MethodNotAllowed => Some(405),
            Self::FirstBytesTimeout | Self::BodyTimeout => Some(408),
            Self::BodyTooLarge => Some(413),
            Self::TargetTooLong => Some(414),
            Self::NoMatch | Self::Misdirected => Some(421),
            Self::TooEarly => Some(425),
            Self::RateLimited => Some(429),
            Self::TooLarge => Some(431),
            Self::Overflow => Some(500),
            Self::NotImplemented => Some(501),
            Self::BadResponse | Self::ServerClosed | Self::ServerReset | Self::ServerTruncated => Some(502),
            Self::NoServer | Self::QueueTimeout | Self::QueueFull => Some(503),
            Self::Maintenance | Self::LimitReached => Some(503),
            Self::ResponseTimeout => Some(504),
            Self::VersionNotSupported => Some(505),
            Self::Completed | Self::ClientClosed | Self::ClientReset | Self::Drained => None,
            Self::IdleTimeout | Self::TunnelTimeout | Self::HalfCloseTimeout | Self::ClientTruncated => None,
            Self::HandshakeTimeout | Self::HandshakeFailed => None,
        }
    }

    /// Whether the connection or exchange failed, as against having been used and ended.
    pub fn is_failure(self) -> bool {
        let used = [Self::Completed, Self::ClientClosed, Self::ServerClosed];
        let ended = [Self::IdleTimeout, Self::TunnelTimeout, Self::Drained];
        !used.contains(&self) && !ended.contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::CloseReason::{self, *};
    use super::Fault;

    #[test]
    fn what_http_clients_get() {
        let promised: [(u16, &[CloseReason]); 13] = [
            (400, &[BadRequest, NoName, PlainHttp]),
            (403, &[Denied]),
            (404, &[NoPath]),
            (408, &[FirstBytesTimeout, BodyTimeout]),
            (413, &[BodyTooLarge]),
            (414, &[TargetTooLong]),
            (421, &[NoMatch, Misdirected]),
            (425, &[TooEarly]),
            (429, &[RateLimited]),
            (431, &[TooLarge]),
            (502, &[BadResponse, ServerClosed, ServerReset, ServerTruncated]),
            (503, &[NoServer, QueueTimeout, QueueFull, Maintenance, LimitReached]),
            (504, &[ResponseTimeout]),
        ];
        for (status, reasons) in promised {
            for reason in reasons {
                assert_eq!(reason.status(), Some(status), "{}", reason.as_str());
            }
        }
        let silent = [Completed, ClientClosed, Drained, HandshakeFailed, HandshakeTimeout, ClientTruncated];
        assert!(silent.iter().all(|reason| reason.status().is_none()));
    }

    #[test]
    fn one_word_for_each() {
        let of_tls = [
            HandshakeFailed,
            HandshakeTimeout,
            PlainHttp,
            ClientTruncated,
            ServerTruncated,
            Misdirected,
            TooEarly,
        ];
        let of_http = [Completed, TunnelTimeout, NoPath, TargetTooLong, VersionNotSupported, Overflow];
        for reason in of_http.into_iter().chain(of_tls) {
            let written = serde_json::to_value(reason).unwrap();
            assert_eq!(written, reason.as_str());
        }
    }
    #[test]
    fn a_server_that_cannot_be_trusted_is_to_blame() {
        assert!(Fault::Untrusted.blames_server() && Fault::Handshake.blames_server());
        assert!(
            [ServerTruncated, HandshakeFailed, PlainHttp, Misdirected]
                .iter()
                .all(|reason| reason.is_failure())
        );
    }
}
