//! Spec: the whole configuration as plain values, in the shape and with the names of the file (as JSON).
//!
//! Owns names, types and nothing else: durations are milliseconds, sizes are bytes, every default has already
//! been filled in by the Python model, files have been read. [`Plan::compile`](crate::plan::Plan::compile)
//! turns a Spec into a Plan, which keeps it, or into every problem at once. Must never read files, resolve
//! names or know defaults.

mod analyzer;
mod backend;
mod http;
mod limits;
mod listener;
mod order;
mod program;
mod proxy;
mod resolver;
mod socket;
mod tls;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use analyzer::{AnalyzerSpec, Hook, OnFailure};
pub use backend::{AffinitySpec, BackendSpec, EjectionSpec, HealthSpec, PoolSpec, ServerSpec};
pub use http::{CompressionSpec, HeadersSpec, HttpSpec, PageSpec, RateLimitSpec, RedirectSpec, RespondSpec};
pub use limits::{BandwidthSpec, ConnectionRateSpec, RatesSpec};
pub use listener::{FirstBytesSpec, KindSpec, ListenerSpec, TimeoutsSpec};
pub use program::{
    ConstantSpec, EndSpec, ExpressionSpec, IntSpec, MannerSpec, PlainSpec, ProgramKind, ProgramSpec,
    StatementSpec, VerdictSpec,
};
pub use proxy::{ProxySpec, ResourcesSpec};
pub use resolver::ResolverSpec;
pub use socket::SocketSpec;
pub use tls::{BackendTlsSpec, CertificateSpec, ClientCertificatesSpec, Der, HstsSpec, ListenerTlsSpec};

/// A whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// `[proxy]`.
    pub proxy: ProxySpec,
    /// `[resolver]`.
    #[serde(default)]
    pub resolver: ResolverSpec,
    /// `[listeners.NAME]`.
    pub listeners: BTreeMap<String, ListenerSpec>,
    /// `[tables.NAME]`.
    #[serde(default)]
    pub tables: BTreeMap<String, TableSpec>,
    /// `[backends.NAME]`.
    #[serde(default)]
    pub backends: BTreeMap<String, BackendSpec>,
    /// `[analyzers.NAME]`.
    #[serde(default)]
    pub analyzers: BTreeMap<String, AnalyzerSpec>,
}

/// `[tables.NAME]`: patterns and what they lead to, in file order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableSpec(#[serde(with = "order")] pub Vec<(String, TargetSpec)>);

/// The target of one pattern (`example.com`, `*.example.org`, `~^regex$`, `*`; but for expressions with a
/// path, too) leads to: one of the four.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// Name of a backend.
    #[serde(default)]
    pub backend: Option<String>,
    /// Requests are redirected.
    #[serde(default)]
    pub redirect: Option<RedirectSpec>,
    /// Requests get this answer.
    #[serde(default)]
    pub respond: Option<RespondSpec>,
    /// Names of backends, by the protocols that clients offer.
    #[serde(default)]
    pub alpn: Option<BTreeMap<String, String>>,
    /// Names of the analyzers that are asked, in order.
    #[serde(default)]
    pub analyzers: Vec<String>,
}

impl TargetSpec {
    /// Returns the names of the backends that it leads to.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        self.backend.iter().chain(self.alpn.iter().flat_map(BTreeMap::values)).map(String::as_str)
    }
}
