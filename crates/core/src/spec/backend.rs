//! `[backends.NAME]` as plain values. Keys that http listeners alone heed are there for all. Must never know
//! a default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BackendTlsSpec, HeadersSpec, PageSpec, ProgramSpec, SocketSpec};
use crate::time::Millis;

/// `[backends.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendSpec {
    /// The servers, in file order.
    pub servers: Vec<ServerSpec>,
    /// Name in the balance registry.
    pub balance: String,
    /// The time that one attempt to connect may take.
    pub connect_timeout: Millis,
    /// Number of other servers tried when connecting fails.
    pub retries: u32,
    /// `v1`, `v2` or absent: PROXY header sent to the servers.
    pub proxy_protocol: Option<String>,
    /// Address our side of the connection is bound to, `IP` or `IP:PORT`; or `client`: the client's.
    pub source: Option<String>,
    /// TCP keep-alive probes on the server's socket.
    pub keepalive: bool,
    /// `[backends.NAME.connect]`: options of the sockets to its servers.
    #[serde(default)]
    pub connect: SocketSpec,
    /// Time over which a server that came up is brought from 1/10 to its whole weight; 0 at once.
    pub slow_start: Millis,
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
    /// Time from the end of the request to the head of the response.
    pub response_timeout: Millis,
    /// Time from the end of the request to the head of the final response, however many informational ones
    /// come before it.
    pub interim_timeout: Millis,
    /// Informational responses to one request at most.
    pub interim_limit: u32,
    /// Time that a request may wait for a place at a server.
    pub queue_timeout: Millis,
    /// Requests that may wait for a place, a worker.
    pub queue_limit: u32,
    /// Field that `header_hash` hashes.
    pub hash_header: Option<String>,
    /// Whether no server is asked: clients get 503 (and its error page).
    pub maintenance: bool,
    /// `[backends.NAME.pool]`.
    pub pool: PoolSpec,
    /// `[backends.NAME.affinity]`: a cookie that keeps a client at its server.
    pub affinity: Option<AffinitySpec>,
    /// Bodies of error responses by status; win over the listener's.
    pub error_pages: BTreeMap<String, PageSpec>,
    /// Names and networks that clients may name as servers, where `servers` is `*`.
    #[serde(default)]
    pub allow_destinations: Vec<String>,
    /// Names and networks that they may not name, whatever allows them.
    #[serde(default)]
    pub deny_destinations: Vec<String>,
    /// Rules that people wrote, in order.
    #[serde(default)]
    pub rules: Vec<ProgramSpec>,
    /// Names of the analyzers that are asked, in order.
    #[serde(default)]
    pub analyzers: Vec<String>,
    /// `[backends.NAME.tls]`.
    #[serde(default)]
    pub tls: Option<BackendTlsSpec>,
    /// `[backends.NAME.health]`: active checks.
    pub health: Option<HealthSpec>,
    /// `[backends.NAME.ejection]`: what connections themselves show.
    pub ejection: EjectionSpec,
}

impl BackendSpec {
    /// Copies it without what was read from files, and without servers, whose settings may change while
    /// running.
    pub(crate) fn without_files(&self) -> Self {
        let tls = self.tls.as_ref().map(BackendTlsSpec::without_files);
        Self { tls, error_pages: BTreeMap::new(), servers: Vec::new(), rules: Vec::new(), ..self.clone() }
    }
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

/// `[backends.NAME.pool]`: idle server connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// Kept for each server, a worker; 0: none.
    pub size: usize,
    /// Time for which an idle connection is kept.
    pub timeout: Millis,
}

/// `[backends.NAME.affinity]`: session affinity by a signed cookie.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffinitySpec {
    /// Name of the cookie.
    pub cookie: String,
    /// Key of the signature; absent: made at random when the process starts.
    pub secret: Option<String>,
    /// Time for which clients keep it, whole seconds; absent: until the browser is closed.
    pub max_age: Option<Millis>,
}

/// `[backends.NAME.health]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// `tcp`: a connection is opened and closed. `http`: a request is made.
    pub kind: String,
    /// The method of the request.
    pub method: String,
    /// The path, with a query if need be.
    pub path: String,
    /// The Host; absent: the server's address.
    pub host: Option<String>,
    /// Statuses that are good, such as `200-399,401`.
    pub expect: String,
    /// Text that the body must have.
    pub body: Option<String>,
    /// Time from the end of one check to the start of the next, varied by a tenth either way.
    pub interval: Millis,
    /// Time that one check may take.
    pub timeout: Millis,
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
    pub responses: u32,
    /// Time for which a server stays out.
    pub duration: Millis,
}
