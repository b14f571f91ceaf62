//! `[listeners.NAME.accept]` and `[backends.NAME.connect]` as plain values: options of TCP sockets. Keys that
//! are for one of them only are there for both. Must never know a default.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Options of TCP sockets. What is absent stays as the kernel has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocketSpec {
    /// Connections to addresses of others are accepted (`IP_TRANSPARENT`); of listeners.
    pub transparent: bool,
    /// The address that a client connected to before it was redirected here is learned
    /// (`SO_ORIGINAL_DST`); of listeners.
    pub original_destination: bool,
    /// Interface that the socket is bound to (`SO_BINDTODEVICE`).
    pub interface: Option<String>,
    /// Mark of its packets (`SO_MARK`).
    pub mark: Option<u32>,
    /// Length of the queue of TCP Fast Open, 0 for none (`TCP_FASTOPEN`); of listeners.
    pub fast_open_queue: u32,
    /// First bytes go with the SYN where the server has allowed it (`TCP_FASTOPEN_CONNECT`); of backends.
    pub fast_open: bool,
    /// Time for which a client without a byte is kept from us (`TCP_DEFER_ACCEPT`); of listeners.
    pub defer_accept: Option<Millis>,
    /// Time that sent bytes may remain unacknowledged (`TCP_USER_TIMEOUT`).
    pub user_timeout: Option<Millis>,
    /// Name of the congestion control (`TCP_CONGESTION`).
    pub congestion: Option<String>,
    /// Bytes of the receive buffer (`SO_RCVBUF`).
    pub receive_buffer: Option<u32>,
    /// Bytes of the send buffer (`SO_SNDBUF`).
    pub send_buffer: Option<u32>,
    /// Largest segment (`TCP_MAXSEG`).
    pub max_segment: Option<u32>,
    /// Silence after which keep-alive probes begin (`TCP_KEEPIDLE`).
    pub keepalive_idle: Option<Millis>,
    /// Time between two of them (`TCP_KEEPINTVL`).
    pub keepalive_interval: Option<Millis>,
    /// Unanswered ones that end a connection (`TCP_KEEPCNT`).
    pub keepalive_probes: Option<u32>,
}

impl SocketSpec {
    /// Whether the address that clients meant is learned, or is that of their sockets.
    pub fn learns_destination(&self) -> bool {
        self.transparent || self.original_destination
    }

    /// Whether nothing is asked for.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
