//! What only HTTP listeners and the backends behind them are told. Same rules as the rest of the Spec: plain values, every
//! default filled in by the Python model, durations in milliseconds, sizes in bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an `http` listener has beyond what all listeners have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// Bytes of a request or response head at most, with the empty line.
    pub head_limit: u32,
    /// Fields of a head at most.
    pub fields_limit: u32,
    /// Bytes of a request line, status line or field line at most.
    pub line_limit: u32,
    /// Bytes of a request body at most.
    pub body_limit: Option<u64>,
    /// Bytes a second that a request body must bring on average; 0: any rate.
    pub min_body_rate: u64,
    /// Whether CONNECT is passed on.
    pub connect: bool,
    /// What says who the client is: `x_forwarded` (X-Forwarded-For, -Proto, -Host), `forwarded` (RFC 7239).
    pub forwarded: Vec<String>,
    /// Networks whose forwarding fields are believed and added to; those of others are replaced.
    pub trusted: Vec<String>,
    /// Pseudonym in the Via fields of requests and responses (RFC 9110 section 7.6.3).
    pub via: Option<String>,
    /// Field that carries the request id.
    pub request_id: Option<String>,
    /// Requests on one client connection at most; 0: any number.
    pub requests_per_connection: u32,
    /// Milliseconds a kept connection may wait for its next request.
    pub keep_alive_timeout: u64,
    /// Milliseconds without a byte of the request body.
    pub body_timeout: u64,
    /// Milliseconds without a byte either way after an upgrade or CONNECT.
    pub tunnel_timeout: u64,
    /// Rewriting of requests.
    pub request_headers: HeadersSpec,
    /// Rewriting of responses.
    pub response_headers: HeadersSpec,
    /// Requests per client.
    pub rate_limit: Option<RateLimitSpec>,
    /// Requests in flight per client address at most.
    pub max_requests_per_client: Option<u32>,
    /// Compression of responses.
    pub compression: Option<CompressionSpec>,
    /// Bodies of error responses by status.
    pub error_pages: BTreeMap<String, PageSpec>,
    /// Every request is redirected, instead of a table or backend.
    pub redirect: Option<RedirectSpec>,
    /// Every request gets this answer, instead of a table or backend.
    pub respond: Option<RespondSpec>,
}

/// What happens to the fields of a head. Values may have variables such as `{client.address}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadersSpec {
    /// Fields replaced (or added when absent), in file order.
    #[serde(default)]
    pub set: Vec<(String, String)>,
    /// Fields added to what is there, in file order.
    #[serde(default)]
    pub add: Vec<(String, String)>,
    /// Fields removed.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// A token bucket for each client address or value of a field.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSpec {
    /// Requests that one key may make in `per`.
    pub requests: u32,
    /// Milliseconds.
    pub per: u64,
    /// Requests that may come at once after a silence.
    pub burst: u32,
    /// Field whose value is the key; absent: the client's address.
    pub header: Option<String>,
    /// Keys remembered at most, over all workers.
    pub keys: u32,
}

/// Compression of responses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressionSpec {
    /// `zstd`, `br`, `gzip`, best first.
    pub algorithms: Vec<String>,
    /// Media types, `type/subtype` or `type/*`.
    pub types: Vec<String>,
    /// Responses of a known smaller length stay as they are.
    pub min_size: u64,
}

/// An error page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSpec {
    /// The media type.
    pub content_type: String,
    /// The text.
    pub body: String,
}

/// A redirect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedirectSpec {
    /// `https` (the same host and path by that scheme), or a location that may have variables.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub code: u16,
}

/// A static answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RespondSpec {
    /// The status.
    pub status: u16,
    /// The body; may have variables.
    pub body: String,
    /// Fields of the head, in file order; values may have variables.
    pub headers: Vec<(String, String)>,
}

/// What a backend does for HTTP listeners.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendHttpSpec {
    /// The Host that servers get; absent: the client's.
    pub host: Option<String>,
    /// Path prefix taken off on segment bounds.
    pub strip_prefix: Option<String>,
    /// Path prefix put in front (after stripping).
    pub add_prefix: Option<String>,
    /// Rewriting of requests.
    pub request_headers: HeadersSpec,
    /// Rewriting of responses.
    pub response_headers: HeadersSpec,
    /// Milliseconds from the end of the request to the head of the response.
    pub response_timeout: u64,
    /// Milliseconds a request may wait for a place at a server.
    pub queue_timeout: u64,
    /// Requests that may wait for a place, a worker.
    pub queue_limit: u32,
    /// Idle server connections kept for each server, a worker; 0: none is kept.
    pub pool_size: u32,
    /// Milliseconds an idle server connection is kept.
    pub pool_timeout: u64,
    /// Field that `header_hash` hashes.
    pub hash_header: Option<String>,
    /// Cookie that keeps a client at its server.
    pub affinity: Option<AffinitySpec>,
    /// No server is asked: clients get 503 (and its error page).
    pub maintenance: bool,
    /// Bodies of error responses by status; win over the listener's.
    pub error_pages: BTreeMap<String, PageSpec>,
}

/// Session affinity by a signed cookie.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffinitySpec {
    /// Name of the cookie.
    pub cookie: String,
    /// Key of the signature; absent: made at random when the process starts.
    pub secret: Option<String>,
    /// Seconds that clients keep it; absent: until the browser is closed.
    pub max_age: Option<u64>,
}

/// What an `http` health check asks and expects.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheckSpec {
    /// The method.
    pub method: String,
    /// The path, with a query if need be.
    pub path: String,
    /// The Host; absent: the server's address.
    pub host: Option<String>,
    /// Statuses that are good, such as `200-399,401`.
    pub expect: String,
    /// Text that the body must have.
    pub body: Option<String>,
}
