//! `[listeners.NAME]` as plain values. Keys that are for some protocols only are there for all, and nobody
//! heeds them where they do not apply. Must never know a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::order;
use super::{
    BandwidthSpec, CompressionSpec, ConnectionRateSpec, HeadersSpec, HttpSpec, ListenerTlsSpec, PageSpec,
    ProgramSpec, RateLimitSpec, RedirectSpec, RespondSpec, SocketSpec,
};
use crate::time::Millis;

/// `[listeners.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSpec {
    /// Addresses as written, see [`Address`](crate::address::Address).
    pub bind: Vec<String>,
    /// Name in the protocol registry: `tcp`, `tls`, `http` and so on.
    pub protocol: String,
    /// Table consulted with the name the client asked for.
    pub table: Option<String>,
    /// The one backend, instead of a table.
    pub backend: Option<String>,
    /// `[listeners.NAME.first_bytes]`: the kinds that are told apart, instead of a table or backend.
    #[serde(default)]
    pub first_bytes: Option<FirstBytesSpec>,
    /// Every request is redirected, instead of a table or backend.
    pub redirect: Option<RedirectSpec>,
    /// Every request gets this answer, instead of a table or backend.
    pub respond: Option<RespondSpec>,
    /// Backend when no name is found or nothing matches.
    pub fallback: Option<String>,
    /// Client networks admitted; empty admits all.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Client networks refused; wins over `allow`.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Open connections at most, over all workers.
    pub max_connections: Option<u32>,
    /// Open connections at most from one client address, over all workers.
    pub max_connections_per_client: Option<u32>,
    /// `[listeners.NAME.connection_rate]`: connections in a time from one client network.
    #[serde(default)]
    pub connection_rate: Option<ConnectionRateSpec>,
    /// `[listeners.NAME.bandwidth]`: bytes a second.
    #[serde(default)]
    pub bandwidth: Option<BandwidthSpec>,
    /// Sources that must begin with a PROXY header.
    #[serde(default)]
    pub accept_proxy_from: Vec<String>,
    /// An IPv6 address accepts IPv6 only (IPV6_V6ONLY); otherwise `[::]` accepts both families.
    pub ipv6_only: bool,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: u32,
    /// TCP keep-alive probes on the client's socket.
    pub keepalive: bool,
    /// `[listeners.NAME.accept]`: options of the listening socket, which those of clients inherit.
    #[serde(default)]
    pub accept: SocketSpec,
    /// Permission bits of a unix socket, for example 0o660.
    pub unix_mode: u32,
    /// Bytes of ClientHello (or PROXY header) held at most.
    pub first_bytes_limit: u32,
    /// `[listeners.NAME.tls]`: of `https` listeners, and of `tcp` listeners that terminate TLS.
    #[serde(default)]
    pub tls: Option<ListenerTlsSpec>,
    /// `[listeners.NAME.timeouts]`.
    pub timeouts: TimeoutsSpec,
    /// `[listeners.NAME.http]`.
    pub http: HttpSpec,
    /// Rewriting of requests.
    pub request_headers: HeadersSpec,
    /// Rewriting of responses.
    pub response_headers: HeadersSpec,
    /// Requests per client.
    pub rate_limit: Option<RateLimitSpec>,
    /// Compression of responses.
    pub compression: Option<CompressionSpec>,
    /// Bodies of error responses by status.
    pub error_pages: BTreeMap<String, PageSpec>,
    /// Rules that people wrote, in order.
    #[serde(default)]
    pub rules: Vec<ProgramSpec>,
    /// Names of the analyzers that are asked, in order.
    #[serde(default)]
    pub analyzers: Vec<String>,
}

impl ListenerSpec {
    /// Copies it without what was read from files: keys are not kept twice.
    pub(crate) fn without_files(&self) -> Self {
        let tls = self.tls.as_ref().map(ListenerTlsSpec::without_files);
        Self { tls, error_pages: BTreeMap::new(), rules: Vec::new(), ..self.clone() }
    }
}

/// `[listeners.NAME.first_bytes]`: kinds of clients, told apart by what they say first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstBytesSpec {
    /// Clients that begin TLS.
    pub tls: Option<KindSpec>,
    /// Clients that begin with a request of HTTP.
    pub http: Option<KindSpec>,
    /// Clients that identify themselves as SSH does.
    pub ssh: Option<KindSpec>,
    /// Clients that begin as those of PostgreSQL do.
    pub postgres: Option<KindSpec>,
    /// Names of backends by the bytes that their clients begin with.
    #[serde(with = "order")]
    pub prefixes: Vec<(String, String)>,
    /// Name of the backend of clients that say nothing.
    pub silent: Option<String>,
    /// Time after which a client says nothing.
    pub silent_after: Millis,
}

/// The way of one kind: a backend, or a table and its fallback.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindSpec {
    /// Name of the one backend.
    #[serde(default)]
    pub backend: Option<String>,
    /// Table consulted with the name that the client asks for.
    #[serde(default)]
    pub table: Option<String>,
    /// Backend when no name is found or nothing matches.
    #[serde(default)]
    pub fallback: Option<String>,
}

impl FirstBytesSpec {
    /// Returns the ways of its kinds, prefixes and silent clients aside.
    pub fn kinds(&self) -> impl Iterator<Item = &KindSpec> {
        [&self.tls, &self.http, &self.ssh, &self.postgres].into_iter().flatten()
    }
}

/// `[listeners.NAME.timeouts]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsSpec {
    /// ClientHello (and PROXY header) complete, counted from accept.
    pub first_bytes: Millis,
    /// Time without a byte in either direction.
    pub idle: Millis,
    /// Time without a byte in the other direction after one side has ended.
    pub half_close: Millis,
    /// A kept connection waits for its next request.
    pub keep_alive: Millis,
    /// Time without a byte of the request body.
    pub body: Millis,
    /// Time without a byte in either direction after an upgrade or CONNECT.
    pub tunnel: Millis,
    /// A client that was told why it is refused, or got its last answer, may read that and close.
    pub linger: Millis,
}
