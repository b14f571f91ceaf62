//! The rules for requests and what becomes of them, as plain values: `[listeners.NAME.http]` and the tables
//! that listeners, tables and backends share. Must never know a default.

use serde::{Deserialize, Serialize};

use super::order;
use crate::time::Millis;

/// `[listeners.NAME.http]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// Bytes of a request or response head at most, with the empty line.
    pub head_limit: u32,
    /// Bytes that rewriting may add to the largest head that is read.
    pub rewrite_reserve: u32,
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
    /// The fields that say who the client is: `x_forwarded` (X-Forwarded-For, -Proto, -Host), `forwarded`
    /// (RFC 7239).
    pub forwarded: Vec<String>,
    /// Networks whose forwarding fields are believed and added to; those of others are replaced.
    pub trusted: Vec<String>,
    /// Pseudonym in the Via fields of requests and responses (RFC 9110 section 7.6.3).
    pub via: Option<String>,
    /// Field that carries the request id.
    pub request_id: Option<String>,
    /// Requests on one client connection at most; 0: any number.
    pub requests_per_connection: u32,
    /// Whether a client that ends its sending after its request, and before the response is complete, has
    /// left.
    pub abort_on_close: bool,
    /// Requests in flight per client address at most.
    pub max_requests_per_client: Option<u32>,
}

/// Changes to the fields of a head. Values may have variables such as `{client.address}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadersSpec {
    /// Fields replaced (or added when absent), in file order.
    #[serde(default, with = "order")]
    pub set: Vec<(String, String)>,
    /// Fields added to what is there, in file order.
    #[serde(default, with = "order")]
    pub add: Vec<(String, String)>,
    /// Fields removed.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// `[listeners.NAME.rate_limit]`: a token bucket for each client address or value of a field.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitSpec {
    /// Requests that one client may make in `per`.
    pub requests: u32,
    /// The time in which they count.
    pub per: Millis,
    /// Requests that may come at once after a silence; absent: as many as `requests`.
    pub burst: Option<u32>,
    /// Field whose value is counted by; absent: the client's address.
    pub header: Option<String>,
    /// Clients remembered at most, over all workers.
    pub keys: u32,
}

/// `[listeners.NAME.compression]`: compression of responses.
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

/// One of `error_pages`, read from its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSpec {
    /// The media type.
    pub content_type: String,
    /// The text.
    pub body: String,
}

/// `redirect`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedirectSpec {
    /// `https` or `https:PORT` (the same host and path by that scheme), or a location with variables.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub code: u16,
}

/// `respond`: a static answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RespondSpec {
    /// The status.
    pub status: u16,
    /// The body; may have variables.
    pub body: String,
    /// Fields of the head, in file order; values may have variables.
    #[serde(with = "order")]
    pub headers: Vec<(String, String)>,
}
