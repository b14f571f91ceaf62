//! Loops: servers that are listeners of the proxy itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};

use common::*;
use headworks_engine::Options;
use serde_json::{Value, json};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

/// A listener `front` of `protocol`, whose backend is `servers`.
fn front(protocol: &str, servers: &[String]) -> Value {
    json!({
        "listeners": {"front": {"protocol": protocol, "backend": "app"}},
        "backends": {"app": {"servers": servers}},
    })
}

/// A proxy whose only server is itself.
fn ring(protocol: &str, workers: usize, max_hops: u32) -> Proxy {
    let proxy = Proxy::start_with(front(protocol, &[nobody().to_string()]), Options { workers, ..options() });
    let mut written = front(protocol, &[proxy.bound("front")]);
    written["proxy"] = json!({"resources": {"max_hops": max_hops}});
    proxy.apply(written);
    proxy
}

fn ended(proxy: &Proxy, reason: &str) -> u64 {
    proxy.0.stats().listeners["front"].ends.get(reason).copied().unwrap_or(0)
}

#[test]
fn a_loop_of_requests_ends_after_a_few_hops() {
    for (workers, max_hops) in [(1, 8), (1, 0), (2, 3)] {
        let proxy = ring("http", workers, max_hops);
        for round in 1..4 {
            let mut client = proxy.client("front");
            client.write_all(GET).unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert!(said.starts_with("HTTP/1.1 508 "), "{said}");
            until("it is recorded", || ended(&proxy, "loop") == round);
        }
        let connections = proxy.0.stats().listeners["front"].counters.connections;
        // Who is accepted by another worker may be looked up before it is written down.
        let most = 3 * (u64::from(max_hops) + 1) * if workers > 1 { 10 } else { 1 };
        assert!(connections <= most, "{connections}");
    }
}

#[test]
fn a_loop_of_connections_ends_after_a_few_hops() {
    let proxy = ring("tcp", 1, 8);
    for round in 1..4 {
        let mut client = proxy.client("front");
        client.write_all(b"around and around").unwrap();
        // An end or a reset: what it said was not delivered.
        let _ = client.read(&mut [0; 16]);
        drop(client);
        until("all are gone", || proxy.0.connections(100).is_empty());
        assert_eq!((ended(&proxy, "loop"), ended(&proxy, "no_server")), (round, 0));
    }
    assert_eq!(proxy.0.stats().listeners["front"].counters.connections, 3 * 9);
}

#[test]
fn a_listener_may_lead_to_another() {
    let origin = Origin::new();
    let written = |inner: String| {
        let mut written = front("http", &[inner]);
        written["listeners"]["inner"] = json!({"protocol": "http", "backend": "origin"});
        written["backends"]["origin"] = json!({"servers": [origin.address().to_string()]});
        written
    };
    let proxy = Proxy::start(written(nobody().to_string()));
    proxy.apply(written(proxy.bound("inner")));
    let mut client = proxy.client("front");
    let mut server = None;
    for _ in 0..3 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        let server = server.get_or_insert_with(|| origin.accept());
        let mut asked = [0; 16];
        server.read_exact(&mut asked).unwrap();
        assert!(asked.starts_with(b"GET / HTTP/1.1\r\n"));
        let mut last = [0; 4];
        while last != *b"\r\n\r\n" {
            last.rotate_left(1);
            server.read_exact(&mut last[3..]).unwrap();
        }
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        expect(&mut client, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    assert_eq!(proxy.0.stats().listeners["inner"].counters.connections, 1, "it is kept");
}
