//! Counters of a listener's handshakes, and why handshakes fail.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use crate::close::CloseReason;
use crate::histogram::Histogram;
use crate::time::Millis;

/// A reason why a handshake failed: the keys of `handshakes_failed`, and `tls_error` in its access record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum HandshakeFault {
    /// The handshake took longer than it may.
    TimedOut,
    /// The client closed or reset the connection before it was complete.
    Left,
    /// The first bytes are no ClientHello.
    NotTls,
    /// The first bytes are an HTTP request in plain text.
    PlainHttp,
    /// The ClientHello or what follows breaks the protocol.
    Malformed,
    /// There is no version that both sides speak.
    NoVersion,
    /// There is no cipher suite, group or signature scheme that both sides know.
    NoCipher,
    /// There is no protocol of ALPN that both sides know.
    NoProtocol,
    /// No certificate covers the name, and the listener is strict about it.
    UnknownName,
    /// The client sent no certificate and must.
    NoClientCertificate,
    /// The client's certificate is not accepted: not signed by a known authority, expired, revoked, or for
    /// something else.
    BadClientCertificate,
    /// The client ended it with an alert, most often because it does not accept our certificate.
    Alerted,
    /// Another reason.
    Other,
}

impl HandshakeFault {
    /// Returns why a connection ends whose handshake failed so.
    pub fn reason(self) -> CloseReason {
        match self {
            Self::TimedOut => CloseReason::HandshakeTimeout,
            Self::PlainHttp => CloseReason::PlainHttp,
            _ => CloseReason::HandshakeFailed,
        }
    }

    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::TimedOut,
        Self::Left,
        Self::NotTls,
        Self::PlainHttp,
        Self::Malformed,
        Self::NoVersion,
        Self::NoCipher,
        Self::NoProtocol,
        Self::UnknownName,
        Self::NoClientCertificate,
        Self::BadClientCertificate,
        Self::Alerted,
        Self::Other,
    ];

    /// Returns the word for it in records and counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Left => "left",
            Self::NotTls => "not_tls",
            Self::PlainHttp => "plain_http",
            Self::Malformed => "malformed",
            Self::NoVersion => "no_version",
            Self::NoCipher => "no_cipher",
            Self::NoProtocol => "no_protocol",
            Self::UnknownName => "unknown_name",
            Self::NoClientCertificate => "no_client_certificate",
            Self::BadClientCertificate => "bad_client_certificate",
            Self::Alerted => "alerted",
            Self::Other => "other",
        }
    }
}

/// Counters of one listener's handshakes. A handshake costs so much that a shared counter does not show.
#[derive(Debug)]
pub struct TlsTally {
    complete: AtomicU64,
    resumed: AtomicU64,
    failed: [AtomicU64; HandshakeFault::ALL.len()],
    /// Durations from accept to the end of the handshake.
    pub duration: Histogram,
}

impl TlsTally {
    /// Makes counters for `shards` workers.
    pub fn new(shards: usize) -> Self {
        Self {
            complete: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            failed: Default::default(),
            duration: Histogram::new(shards),
        }
    }

    /// Counts a complete handshake.
    pub fn completed(&self, shard: usize, resumed: bool, duration: Millis) {
        self.complete.fetch_add(1, Relaxed);
        if resumed {
            self.resumed.fetch_add(1, Relaxed);
        }
        self.duration.record(shard, duration);
    }

    /// Counts a failed handshake.
    pub fn failed(&self, fault: HandshakeFault) {
        self.failed[fault as usize].fetch_add(1, Relaxed);
    }

    /// Returns the number of complete handshakes.
    pub fn complete(&self) -> u64 {
        self.complete.load(Relaxed)
    }

    /// Returns how many of them resumed an old session.
    pub fn resumed(&self) -> u64 {
        self.resumed.load(Relaxed)
    }

    /// Returns how many failed for this reason.
    pub fn failures(&self, fault: HandshakeFault) -> u64 {
        self.failed[fault as usize].load(Relaxed)
    }
}
