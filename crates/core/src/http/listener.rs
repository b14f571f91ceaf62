//! What HTTP listeners and the backends behind them are told, compiled: limits, deadlines, rules.
//!
//! Others have the default, which nobody asks. Must never decide: those who ask do.

use crate::http::compression::Compression;
use crate::http::limits::{Concurrency, RateLimit};
use crate::http::pages::Pages;
use crate::http::rewrite::{BackendRules, ListenerRules};
use crate::http::rules::Rule;
use crate::time::Millis;
use crate::wire::http1::Limits;

/// The HTTP side of a Listener.
#[derive(Debug, Default)]
pub struct HttpListener {
    /// Of request and response heads.
    pub limits: Limits,
    /// Bytes of a request body at most.
    pub body_limit: Option<u64>,
    /// Bytes a second that a request body must bring.
    pub min_body_rate: u64,
    /// CONNECT is passed on.
    pub connect: bool,
    /// Requests on one connection at most.
    pub requests_per_connection: Option<u32>,
    /// Wait for the next request.
    pub keep_alive_timeout: Millis,
    /// Wait for more of a request body.
    pub body_timeout: Millis,
    /// Silence of a tunnel.
    pub tunnel_timeout: Millis,
    /// Requests in a time.
    pub rate_limit: Option<RateLimit>,
    /// Requests at once.
    pub concurrency: Option<Concurrency>,
    /// Error pages.
    pub pages: Pages,
    /// Rewriting.
    pub rules: ListenerRules,
    /// Compression of responses.
    pub compression: Option<Compression>,
    /// Rules that can do anything but pass on its requests, in their order.
    pub rules_in_force: Box<[&'static dyn Rule]>,
}

/// The HTTP side of a Backend.
#[derive(Debug, Default)]
pub struct HttpBackend {
    /// Error pages, which win over the listener's.
    pub pages: Pages,
    /// Rewriting.
    pub rules: BackendRules,
    /// Wait for the head of a response.
    pub response_timeout: Millis,
    /// Wait for a place at a server.
    pub queue_timeout: Millis,
    /// Requests that may wait, a worker.
    pub queue_limit: u32,
    /// Idle sockets kept for each server, a worker.
    pub pool_size: usize,
    /// Milliseconds each is kept.
    pub pool_timeout: Millis,
    /// Field that servers are chosen by.
    pub hash_header: Option<Box<str>>,
    /// No server is asked.
    pub maintenance: bool,
    /// Responses of 500 and above in a row that eject a server.
    pub eject_after_responses: u32,
}
