//! A worker that panics is reported and goes on. Run with `--features fault-injection`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![cfg(feature = "fault-injection")]

mod common;

use std::io::{Read, Write};

use common::*;
use headworks_engine::Notice;

#[test]
fn a_panic_costs_its_workers_connections_and_nothing_else() {
    let origin = Origin::new();
    let proxy = Proxy::start(secure(origin.address(), origin.address()));
    for round in 1..=3 {
        let mut bystander = proxy.client("secure");
        bystander.write_all(&hello(Some("a.example"))).unwrap();
        let mut server = origin.accept();
        expect(&mut server, &hello(Some("a.example")));
        talk(&mut bystander, &mut server);

        let mut written = secure(origin.address(), origin.address());
        written["tables"]["sites"] = serde_json::json!([["*", "a"]]);
        proxy.apply(written);
        proxy.client("secure").write_all(&hello(Some("panic.invalid"))).unwrap();
        let (worker, lost, message) = proxy.notice(|notice| match notice {
            Notice::WorkerPanicked { worker, lost, message } => Some((worker, lost, message)),
            _ => None,
        });
        assert_eq!((worker, lost), (0, 2), "round {round}");
        assert!(message.contains("panic.invalid"), "{message}");

        // Its connections are gone, on both sides.
        let mut rest = Vec::new();
        let _ = bystander.read_to_end(&mut rest);
        let _ = server.read_to_end(&mut rest);
        assert!(rest.is_empty());

        // The only worker serves the same listener.
        let mut client = proxy.client("secure");
        client.write_all(&hello(Some("a.example"))).unwrap();
        let mut server = origin.accept();
        expect(&mut server, &hello(Some("a.example")));
        talk(&mut client, &mut server);
        drop((client, server));
        assert!(proxy.0.wait_idle(LIMIT), "those lost are not waited for");
        assert_eq!(proxy.0.stats().connections, 0);
        assert_eq!(proxy.0.stats().backends["a"].counters.active, 0);
    }
}

#[test]
fn letters_that_arrive_with_a_panic_are_answered() {
    let origin = Origin::new();
    let mut written = secure(origin.address(), origin.address());
    written["tables"]["sites"] = serde_json::json!([["*", "a"]]);
    let proxy = Proxy::start(written.clone());
    for _ in 0..20 {
        let mut client = proxy.client("secure");
        client.write_all(&hello(Some("panic.invalid"))).unwrap();
        // A reload waits for its worker's answer; one lost would take ten seconds.
        proxy.apply(written.clone());
    }
    assert_eq!(proxy.0.connections(10).len(), 0);
}

#[test]
fn an_http_client_that_makes_its_worker_panic_costs_no_listener() {
    let origin = Origin::new();
    let written = serde_json::json!({
        "listeners": {"web": {"protocol": "http", "backend": "app"}},
        "backends": {"app": {"servers": [{"address": origin.address().to_string(), "max_connections": 2}]}},
    });
    let proxy = Proxy::start(written);
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut kept = None;
    for round in 1..=3 {
        // One client in the middle of its exchange, and one kept.
        let mut busy = proxy.client("web");
        busy.write_all(get("a.example").as_bytes()).unwrap();
        let mut server = kept.take().unwrap_or_else(|| origin.accept());
        expect(&mut server, get("a.example").as_bytes());
        let mut idle = proxy.client("web");
        idle.write_all(get("a.example").as_bytes()).unwrap();
        let mut other = origin.accept();
        expect(&mut other, get("a.example").as_bytes());
        other.write_all(answer).unwrap();
        expect(&mut idle, answer);

        proxy.client("web").write_all(get("Panic.Invalid.:80").as_bytes()).unwrap();
        let (worker, lost) = proxy.notice(|notice| match notice {
            Notice::WorkerPanicked { worker, lost, .. } => Some((worker, lost)),
            _ => None,
        });
        assert_eq!((worker, lost), (0, 3), "round {round}");
        for gone in [&mut busy, &mut idle, &mut server, &mut other] {
            let mut rest = Vec::new();
            let _ = gone.read_to_end(&mut rest);
            assert!(rest.is_empty());
        }

        // The only worker serves the same listener, and the places at the server are free again.
        let mut client = proxy.client("web");
        client.write_all(get("a.example").as_bytes()).unwrap();
        let mut server = origin.accept();
        expect(&mut server, get("a.example").as_bytes());
        server.write_all(answer).unwrap();
        expect(&mut client, answer);
        drop(client);
        assert!(proxy.0.wait_idle(LIMIT), "those lost are not waited for");
        assert_eq!(proxy.0.stats().listeners["web"].counters.active, 0);
        assert_eq!(proxy.0.stats().backends["app"].counters.active, 0);
        kept = Some(server);
    }
}
