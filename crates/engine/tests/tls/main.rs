//! TLS over real sockets: a proxy in this process, clients and origins that speak TLS by rustls, or break it byte by byte.
//!
//! One binary for all themes. Must never depend on how long something takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;

mod end;
mod passing;
mod servers;

use std::net::SocketAddr;

use common::*;
use end::*;
use serde_json::{Value, json};

/// A listener `web` that speaks https as `a.example`, for these servers.
fn web(authority: &Authority, servers: &[SocketAddr]) -> Value {
    json!({
        "listeners": {"web": {"protocol": "https", "backend": "app", "tls": {
            "certificates": [authority.certificate(&["a.example", "*.b.example"])], "alpn": ["http/1.1"],
        }}},
        "backends": {"app": {"servers": texts(servers)}},
    })
}

/// A listener `raw` where TLS ends and bytes are passed on.
fn raw(authority: &Authority, servers: &[SocketAddr]) -> Value {
    json!({
        "listeners": {"raw": {"protocol": "tcp", "backend": "app", "tls": {
            "certificates": [authority.certificate(&["a.example"])],
        }}},
        "backends": {"app": {"servers": texts(servers)}},
    })
}

fn texts(servers: &[SocketAddr]) -> Vec<String> {
    servers.iter().map(ToString::to_string).collect()
}
