//! Spec: the whole configuration as plain values, exactly what Python hands over (as JSON).
//!
//! Owns names, types and nothing else: durations are milliseconds, sizes are bytes, every default has already been
//! filled in by the Python model. [`Plan::compile`](crate::plan::Plan::compile) turns a Spec into a Plan or into
//! every problem at once. Must never read files, resolve names or know defaults.

mod http;
mod tls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use http::{
    AffinitySpec, BackendHttpSpec, CompressionSpec, HeadersSpec, HttpCheckSpec, HttpSpec, PageSpec,
    RateLimitSpec, RedirectSpec, RespondSpec,
};
pub use tls::{BackendTlsSpec, CertificateSpec, ClientCertificatesSpec, Der, ListenerTlsSpec};

/// A whole configuration. Field names are the TOML keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// `[listeners.NAME]`.
    pub listeners: BTreeMap<String, ListenerSpec>,
    /// `[tables.NAME]`, entries in file order.
    #[serde(default)]
    pub tables: BTreeMap<String, Vec<EntrySpec>>,
    /// `[backends.NAME]`.
    #[serde(default)]
    pub backends: BTreeMap<String, BackendSpec>,
}

/// `[listeners.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSpec {
    /// Addresses as written, see [`Address`](crate::address::Address).
    pub bind: Vec<String>,
    /// Name in the protocol registry: `tcp`, `tls`, `http`, `https`.
    pub protocol: String,
    /// Table consulted with the name the client asked for.
    pub table: Option<String>,
    /// The one backend, instead of a table.
    pub backend: Option<String>,
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
    /// Sources that must begin with a PROXY header.
    #[serde(default)]
    pub accept_proxy_from: Vec<String>,
    /// An IPv6 address accepts IPv6 only (IPV6_V6ONLY); otherwise `[::]` accepts both families.
    pub ipv6_only: bool,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: u32,
    /// TCP keep-alive probes on the client's socket.
    pub keepalive: bool,
    /// Permission bits of a unix socket, for example 0o660.
    pub unix_mode: u32,
    /// Bytes of ClientHello (or PROXY header) held at most.
    pub first_bytes_limit: u32,
    /// `[listeners.NAME.timeouts]`.
    pub timeouts: TimeoutsSpec,
    /// What an `http` or `https` listener has beyond that; absent for others.
    #[serde(default)]
    pub http: Option<HttpSpec>,
    /// `[listeners.NAME.tls]`: of `https` listeners, and of `tcp` listeners that terminate TLS.
    #[serde(default)]
    pub tls: Option<ListenerTlsSpec>,
}

/// `[listeners.NAME.timeouts]`, milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsSpec {
    /// ClientHello (and PROXY header) complete, counted from accept.
    pub first_bytes: u64,
    /// No byte in either direction.
    pub idle: u64,
    /// One side has ended and no byte moves in the other direction.
    pub half_close: u64,
}

/// One line of `[tables.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySpec {
    /// `example.com`, `*.example.org`, `~^regex$` or `*`; exact names, wildcards and `*` with a path (`example.com/api`).
    pub pattern: String,
    /// Name of a backend; or one of the two others.
    #[serde(default)]
    pub backend: Option<String>,
    /// Requests are redirected.
    #[serde(default)]
    pub redirect: Option<RedirectSpec>,
    /// Requests get this answer.
    #[serde(default)]
    pub respond: Option<RespondSpec>,
}

/// `[backends.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendSpec {
    /// The servers, in file order.
    pub servers: Vec<ServerSpec>,
    /// Name in the balance registry.
    pub balance: String,
    /// Milliseconds one attempt to connect may take.
    pub connect_timeout: u64,
    /// Other servers tried when connecting fails.
    pub retries: u32,
    /// `v1`, `v2` or absent: PROXY header sent to the servers.
    pub proxy_protocol: Option<String>,
    /// Address our side of the connection is bound to, `IP` or `IP:PORT`.
    pub source: Option<String>,
    /// TCP keep-alive probes on the server's socket.
    pub keepalive: bool,
    /// Milliseconds over which a server that came up is brought from 1/10 to its whole weight; 0 at once.
    pub slow_start: u64,
    /// `[backends.NAME.health]`: active checks.
    pub health: Option<HealthSpec>,
    /// `[backends.NAME.ejection]`: what connections themselves show.
    pub ejection: EjectionSpec,
    /// What it does for HTTP listeners; absent: it serves none.
    #[serde(default)]
    pub http: Option<BackendHttpSpec>,
    /// `[backends.NAME.tls]`.
    #[serde(default)]
    pub tls: Option<BackendTlsSpec>,
}

/// One server of a backend; its address is its identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSpec {
    /// `IP:PORT` or `unix:PATH`.
    pub address: String,
    /// 0 to 256; 0 gets no new connection.
    pub weight: u32,
    /// Chosen only when every server that is not a backup is unusable.
    pub backup: bool,
    /// Open connections at most, over all workers.
    pub max_connections: Option<u32>,
}

/// `[backends.NAME.health]`, milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// `tcp`: a connection is opened and closed. `http`: a request is made, see `http`.
    pub kind: String,
    /// What an `http` check asks and expects.
    #[serde(default)]
    pub http: Option<HttpCheckSpec>,
    /// From the end of one check to the start of the next, varied by a tenth either way.
    pub interval: u64,
    /// One check.
    pub timeout: u64,
    /// Successes in a row that bring a server up.
    pub rise: u32,
    /// Failures in a row that take a server down.
    pub fall: u32,
}

/// `[backends.NAME.ejection]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EjectionSpec {
    /// Failed connects in a row that eject a server; 0 never ejects.
    pub failures: u32,
    /// Responses of 500 and above in a row that eject a server; 0 never ejects.
    #[serde(default)]
    pub responses: u32,
    /// Milliseconds a server stays out.
    pub duration: u64,
}
