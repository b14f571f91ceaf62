//! ConnectionRow: one connection as lists of them tell it.
//!
//! A plain value: each supervisor fills its own.

use headworks_core::time::Millis;
use serde::Serialize;

/// One live connection.
#[derive(Debug, Serialize)]
pub struct ConnectionRow {
    /// The connection's listener.
    pub listener: String,
    /// The client's address, or `unix`.
    pub client: String,
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
