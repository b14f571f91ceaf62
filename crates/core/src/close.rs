//! Fault (why a connect failed, whose fault that is), ConsultFault (why an analyzer has no answer) and
//! CloseReason (why a connection or an exchange ended).
//!
//! One enum each for records, metrics, refusals and documentation. Plain values: must know no other room.

use serde::Serialize;

/// The reason why a connect failed: whose fault, and whether another server may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The server refused or the path does not exist.
    Refused,
    /// No answer within `connect_timeout`.
    TimedOut,
    /// No route to it.
    Unreachable,
    /// The server reset the connection while it was opened.
    Reset,
    /// The server's certificate is not signed by anybody who is trusted.
    Untrusted,
    /// The server's certificate is for another name.
    WrongName,
    /// The server's certificate has expired, or is not valid yet.
    Expired,
    /// TLS could not be agreed on.
    Handshake,
    /// The server is a listener of ours, and the connection has come back by it too often.
    Loop,
    /// The servers are connected to from the client's address, and that one cannot be used.
    Source,
    /// We lack descriptors, ports or memory: not the server's fault.
    Exhausted,
}

impl Fault {
    /// Whether the server is to blame, so that repeated faults eject it.
    pub fn blames_server(self) -> bool {
        !matches!(self, Self::Exhausted | Self::Loop | Self::Source)
    }

    /// Returns why a connection or an exchange ends when no server is left after this fault.
    pub(crate) fn reason(self) -> CloseReason {
        match self {
            Self::Loop => CloseReason::Loop,
            Self::Source => CloseReason::SourceUnusable,
            _ => CloseReason::NoServer,
        }
    }

    /// Returns it in words.
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
            Self::Loop => "leads back to this proxy",
            Self::Source => "the client's address cannot be used as source",
            Self::Exhausted => "out of descriptors, ports or memory",
        }
    }
}

/// The reason for which there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsultFault {
    /// The analyzer raised an exception.
    Raised,
    /// The answer is none that may be given there.
    Verdict,
    /// As many were waiting for it already as may.
    Full,
    /// The answer did not come in time.
    Late,
    /// The analyzer is being stopped.
    Stopping,
}

impl ConsultFault {
    /// Every fault.
    pub const ALL: [Self; 5] = [Self::Raised, Self::Verdict, Self::Full, Self::Late, Self::Stopping];

    /// Returns the word in records and statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Verdict => "wrong verdict",
            Self::Full => "queue full",
            Self::Late => "deadline passed",
            Self::Stopping => "stopping",
        }
    }

    /// Returns the reason of an end that comes of it.
    pub fn reason(self) -> CloseReason {
        match self {
            Self::Late => CloseReason::AnalyzerTimeout,
            _ => CloseReason::AnalyzerFailed,
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $status:expr, $kind:ident;)*) => {
        /// The reason why a connection or an exchange ended: the `end` of its access record. A row of the
        /// table below.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(usize)]
        pub enum CloseReason {
            $($(#[doc = $doc])+ $name,)*
        }

        impl CloseReason {
            /// All of them, in the order of [`Self::index`].
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the word in logs, counters and documentation.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Says in a sentence what has happened.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)* }
            }

            /// Returns the status that an HTTP client gets, unless a response has begun; None: it gets none.
            /// [`Self::PlainHttp`] is told by [`refusal`](crate::tls::refusal): there is no TLS to say it in.
            pub fn status(self) -> Option<u16> {
                match self { $(Self::$name => $status,)* }
            }

            /// Whether the connection or exchange failed, as against having been used and ended.
            pub fn is_failure(self) -> bool {
                match self { $(Self::$name => reasons!(@$kind),)* }
            }
        }
    };
    (@used) => { false };
    (@failed) => { true };
}

impl CloseReason {
    /// Whether a client or a request was refused: the proxy would not, or could not, do what was asked. One
    /// that was served until a side broke off was not.
    #[inline]
    pub fn is_refusal(self) -> bool {
        use CloseReason::{ClientReset, ClientTruncated, HalfCloseTimeout, ServerReset, ServerTruncated};
        let broke_off = [ClientReset, ClientTruncated, HalfCloseTimeout, ServerReset, ServerTruncated];
        self.is_failure() && !broke_off.contains(&self)
    }

    /// Returns the place in [`Self::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

// Each reason with its word, the status that an HTTP client gets, and whether it was used or has failed.
reasons! {
    /// The exchange was answered in full, by a server or by an answer of ours that was asked for.
    Completed = "completed", None, used;
    /// Both sides ended, the client first; in an exchange, the client left before it was answered in full.
    ClientClosed = "client_closed", None, used;
    /// Both sides ended, the server first; in an exchange, the server left before it had answered in full.
    ServerClosed = "server_closed", Some(502), used;
    /// The client reset the connection.
    ClientReset = "client_reset", None, failed;
    /// The server reset the connection.
    ServerReset = "server_reset", Some(502), failed;
    /// The client closed without close_notify: what it sent may not be all.
    ClientTruncated = "client_truncated", None, failed;
    /// The server closed without close_notify: what it sent may not be all.
    ServerTruncated = "server_truncated", Some(502), failed;
    /// No byte in either direction for `idle`.
    IdleTimeout = "idle_timeout", None, used;
    /// Nothing moved for `tunnel_timeout` after an upgrade or CONNECT.
    TunnelTimeout = "tunnel_timeout", None, used;
    /// One side had ended and nothing moved in the other direction for `half_close`.
    HalfCloseTimeout = "half_close_timeout", None, failed;
    /// The first bytes, or the head of a request, were not complete within `first_bytes`.
    FirstBytesTimeout = "first_bytes_timeout", Some(408), failed;
    /// The TLS handshake was not complete within `handshake_timeout`.
    HandshakeTimeout = "handshake_timeout", None, failed;
    /// TLS could not be agreed on, or the client's certificate was not accepted.
    HandshakeFailed = "handshake_failed", None, failed;
    /// The client spoke HTTP where TLS is spoken.
    PlainHttp = "plain_http", Some(400), failed;
    /// The request body stood still for `body_timeout` or came more slowly than `min_body_rate`.
    BodyTimeout = "body_timeout", Some(408), failed;
    /// The first bytes exceeded `first_bytes_limit`, or a request head one of its limits.
    TooLarge = "too_large", Some(431), failed;
    /// The request line exceeded `line_limit`.
    TargetTooLong = "target_too_long", Some(414), failed;
    /// The request body exceeded `body_limit`.
    BodyTooLarge = "body_too_large", Some(413), failed;
    /// The client gave a name that no entry matches.
    NoMatch = "no_match", Some(421), failed;
    /// The request's host is neither the name that its connection was opened for nor in the certificate
    /// presented.
    Misdirected = "misdirected", Some(421), failed;
    /// The request came as early data, and could do harm if it were repeated.
    TooEarly = "too_early", Some(425), failed;
    /// Entries match the client's name, none of them its path.
    NoPath = "no_path", Some(404), failed;
    /// The client gave no name and there is no fallback.
    NoName = "no_name", Some(400), failed;
    /// No server could be reached.
    NoServer = "no_server", Some(503), failed;
    /// The name that the client asks for cannot be resolved, so that there is no server.
    NameUnresolved = "name_unresolved", Some(503), failed;
    /// The name that the client asks for, or the addresses that it leads to, are not allowed as servers.
    DestinationDenied = "destination_denied", Some(403), failed;
    /// The server is a listener of this proxy, and `max_hops` connections had come back by it already.
    Loop = "loop", Some(508), failed;
    /// Servers are connected to from the client's address, and that is not possible for this client and
    /// server.
    SourceUnusable = "source_unusable", Some(503), failed;
    /// No server had a place within `queue_timeout`.
    QueueTimeout = "queue_timeout", Some(503), failed;
    /// `queue_limit` requests were waiting for a place already.
    QueueFull = "queue_full", Some(503), failed;
    /// The backend is in maintenance.
    Maintenance = "maintenance", Some(503), failed;
    /// The server's response did not begin within `response_timeout`.
    ResponseTimeout = "response_timeout", Some(504), failed;
    /// The server sent what is no response that may be passed on.
    BadResponse = "bad_response", Some(502), failed;
    /// The first bytes, or a request, are not what the protocol demands.
    BadRequest = "bad_request", Some(400), failed;
    /// CONNECT, and `connect` is off.
    MethodNotAllowed = "method_not_allowed", Some(405), failed;
    /// The request needs something that is not there: a transfer coding other than chunked.
    NotImplemented = "not_implemented", Some(501), failed;
    /// A version of HTTP that is not spoken here.
    VersionNotSupported = "version_not_supported", Some(505), failed;
    /// The rewritten head does not fit its buffer.
    Overflow = "overflow", Some(500), failed;
    /// The client's address is not allowed.
    Denied = "denied", Some(403), failed;
    /// `max_connections` or `max_connections_per_client` was reached.
    LimitReached = "limit_reached", Some(503), failed;
    /// `rate_limit` or `max_requests_per_client` was reached.
    RateLimited = "rate_limited", Some(429), failed;
    /// `connection_rate` was reached.
    ConnectionRateLimited = "connection_rate_limited", None, failed;
    /// A rule of the listener or the backend refuses the request or the hello.
    RuleRejected = "rule_rejected", Some(403), failed;
    /// A rule failed while it ran, or named a backend that is not there.
    RuleFailed = "rule_failed", Some(500), failed;
    /// An analyzer refuses the connection, the request or the hello.
    AnalyzerRejected = "analyzer_rejected", Some(403), failed;
    /// An analyzer raised, gave no verdict that may be given, or too many waited for it.
    AnalyzerFailed = "analyzer_failed", Some(503), failed;
    /// An analyzer did not answer within its deadline.
    AnalyzerTimeout = "analyzer_timeout", Some(503), failed;
    /// A rule or an analyzer refuses to pass the server's response on.
    ResponseRejected = "response_rejected", Some(502), failed;
    /// An operator closed the connection.
    ClosedByOperator = "closed_by_operator", None, used;
    /// Cut off at the end of `drain`.
    Drained = "drained", None, used;
}

#[cfg(test)]
mod tests {
    use super::CloseReason::{self, *};
    use super::Fault;

    #[test]
    fn what_http_clients_get() {
        let promised: [(u16, &[CloseReason]); 14] = [
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
            (508, &[Loop]),
        ];
        for (status, reasons) in promised {
            for reason in reasons {
                assert_eq!(reason.status(), Some(status), "{}", reason.as_str());
            }
        }
        let silent = [
            Completed,
            ClientClosed,
            ClosedByOperator,
            Drained,
            HandshakeFailed,
            HandshakeTimeout,
            ClientTruncated,
        ];
        assert!(silent.iter().all(|reason| reason.status().is_none()));
    }

    #[test]
    fn one_word_and_one_place_for_each() {
        for (place, reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            // It is put into JSON as it is.
            assert!(
                reason.help().ends_with('.') && !reason.help().contains(['"', '\\']),
                "{}",
                reason.help()
            );
        }
    }

    #[test]
    fn a_connection_that_was_used_is_not_refused() {
        assert!([NoMatch, Denied, HandshakeFailed, NoServer, RateLimited].iter().all(|one| one.is_refusal()));
        assert!(
            ![Completed, ClientReset, ServerReset, IdleTimeout, Drained].iter().any(|one| one.is_refusal())
        );
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
