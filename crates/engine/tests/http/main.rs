//! HTTP over real sockets: a proxy in this process, origins and clients that say each byte themselves.
//!
//! One binary for all themes. An origin is a script in the test's own thread wherever bodies are small: what
//! it has not read nobody has sent. Must never depend on how long something takes: deadlines in a Spec are
//! waited for by their event.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod answers;
mod bodies;
mod bytes;
mod compression;
mod end;
mod ends;
mod keeping;
mod limits;
mod mixed;
mod places;
mod routes;
mod sides;
mod tunnels;

use std::net::SocketAddr;

use common::*;
use end::*;
use serde_json::{Value, json};

/// A listener `web` that speaks http, for these servers.
fn web(servers: &[SocketAddr]) -> Value {
    json!({
        "listeners": {"web": {"protocol": "http", "backend": "app"}},
        "backends": {"app": {"servers": servers.iter().map(ToString::to_string).collect::<Vec<_>>()}},
    })
}

/// The same with these keys in the listener's `http`.
fn web_with(servers: &[SocketAddr], http: Value) -> Value {
    let mut written = web(servers);
    written["listeners"]["web"]["http"] = http;
    written
}

/// One origin and a proxy in front of it.
fn pair() -> (Origin, Proxy) {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&[origin.address()]));
    (origin, proxy)
}

/// The next client of `web`.
fn client(proxy: &Proxy) -> End {
    End::new(proxy.client("web"))
}

/// The next connection to an origin.
fn server(origin: &Origin) -> End {
    End::new(origin.accept())
}

/// Nobody has connected to this origin without being accepted.
#[track_caller]
fn nobody_waits_at(origin: Origin) {
    let listener = origin.into_listener();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection that nobody expected");
}
