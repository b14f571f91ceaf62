//! ConnectionRow: one connection as lists of them tell it.
//!
//! A plain value: each supervisor fills its own.

use std::net::SocketAddr;

use headworks_core::time::Millis;
use serde::Serialize;

/// One live connection.
#[derive(Debug, Serialize)]
pub struct ConnectionRow {
    /// Number that no other connection of the process has.
    pub id: u64,
    /// The connection's listener.
    pub listener: String,
    /// The client's address, or `unix`.
    pub client: String,
    /// The client's address; None for a unix client.
    #[serde(skip)]
    pub(crate) address: Option<SocketAddr>,
    /// The name the client asked for.
    pub sni: Option<String>,
    /// The host of the request under way, as sent.
    pub host: Option<String>,
    /// The method of the request.
    pub method: Option<String>,
    /// The path of the request, with the query.
    pub path: Option<String>,
    /// The backend, once chosen.
    pub backend: Option<String>,
    /// The server, once chosen.
    pub server: Option<String>,
    /// `inspecting`, `connecting`, `relaying`, `half_closed` or `refused`; of an HTTP client `header`,
    /// `head`, `kept`, `queued`, `connecting`, `asking`, `awaiting`, `answering`, `tunnel` or `lingering`.
    pub state: &'static str,
    /// The one who is waited for, see [`waits_for`].
    pub waits_for: &'static str,
    /// Requests that it has made.
    pub requests: u32,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes from the server.
    pub bytes_out: u64,
    /// Milliseconds since it was accepted.
    pub age_ms: Millis,
    /// Milliseconds since the last byte.
    pub idle_ms: Millis,
    /// Number of its worker.
    pub worker: usize,
}

impl ConnectionRow {
    /// Returns the names that the client asked for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sni.as_deref().into_iter().chain(self.host.as_deref())
    }
}

/// Returns who is waited for in a state: `client`, `server`, `either` of them, an `analyzer`, or a `place` at
/// a server.
pub(crate) fn waits_for(state: &str) -> &'static str {
    match state {
        "relaying" | "half_closed" | "answering" | "tunnel" => "either",
        "connecting" | "awaiting" => "server",
        "consulting" => "analyzer",
        "queued" => "place",
        _ => "client",
    }
}
