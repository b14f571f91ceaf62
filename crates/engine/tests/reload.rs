//! Reload, drain and stop: no client notices a reload, and every end is orderly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use common::*;
use headworks_engine::Options;
use serde_json::{Value, json};

/// Answers whatever comes with its own letter, until it is told that it is over.
fn serve(origin: &Origin, letter: u8, over: &AtomicBool) {
    loop {
        let mut server = origin.accept();
        if over.load(Relaxed) {
            return;
        }
        let mut first = [0; 512];
        if server.read(&mut first).is_ok_and(|n| n > 0) {
            let _ = server.write_all(&[letter]);
        }
    }
}

/// One visit: a hello, an answer, the end.
fn visit(address: SocketAddr, name: &str) -> std::io::Result<u8> {
    let mut client = bounded(TcpStream::connect_timeout(&address, LIMIT)?);
    client.write_all(&hello(Some(name)))?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer)?;
    match *answer {
        [letter] => Ok(letter),
        _ => Err(std::io::Error::other(format!("{answer:?}"))),
    }
}

/// The configuration of round `n`: a listener and servers come and go.
fn round(n: usize, a: SocketAddr, b: SocketAddr) -> Value {
    let mut written = secure(a, b);
    if n % 2 == 1 {
        written["listeners"]["aside"] = json!({"protocol": "tls", "table": "sites"});
        written["backends"]["a"]["servers"] = json!([nobody().to_string(), a.to_string()]);
        written["backends"]["a"]["ejection"] = json!({"failures": 0, "duration": 0});
    }
    if n % 3 == 1 {
        written["tables"]["more"] = json!([["*", "b"]]);
        written["backends"]["0"] = json!({"servers": [b.to_string()]});
    }
    written
}

#[test]
fn a_hundred_reloads_under_traffic_fail_nobody() {
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start_with(secure(a.address(), b.address()), Options { workers: 2, ..options() });
    let address = proxy.address("secure");
    let (closed, over, visits) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for (origin, letter) in [(&a, b'a'), (&b, b'b')] {
            let closed = &closed;
            scope.spawn(move || serve(origin, letter, closed));
        }
        let clients: Vec<_> = [("a.example", b'a'), ("b.example", b'b')]
            .into_iter()
            .map(|(name, letter)| {
                let (over, visits) = (&over, &visits);
                scope.spawn(move || {
                    let mut failures = Vec::new();
                    while !over.load(Relaxed) {
                        match visit(address, name) {
                            Ok(answer) if answer == letter => _ = visits.fetch_add(1, Relaxed),
                            other => failures.push(format!("{name}: {other:?}")),
                        }
                    }
                    failures
                })
            })
            .collect();
        for n in 0..100 {
            let before = visits.load(Relaxed);
            proxy.apply(round(n, a.address(), b.address()));
            assert_eq!(proxy.address("secure"), address, "the port of port 0 stays");
            until("visits go on", || {
                visits.load(Relaxed) > before || clients.iter().any(|client| client.is_finished())
            });
        }
        over.store(true, Relaxed);
        let failures: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        closed.store(true, Relaxed);
        for origin in [&a, &b] {
            connect(origin.address());
        }
        assert!(failures.is_empty(), "{failures:?}");
    });
    assert!(proxy.0.wait_idle(LIMIT));
    let listener = &proxy.0.stats().listeners["secure"];
    assert_eq!(listener.counters.failed, 0);
    assert_eq!(listener.counters.connections, u64::from(visits.load(Relaxed)), "counted over all reloads");
}

#[test]
fn a_connection_outlives_its_listener_and_its_backend() {
    let (old, new) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(plain(&[old.address()]));
    let address = proxy.address("plain");
    let (mut client, mut server) = (proxy.client("plain"), old.accept());
    talk(&mut client, &mut server);
    proxy.apply(json!({
        "listeners": {"fresh": {"protocol": "tcp", "backend": "other"}},
        "backends": {"other": {"servers": [new.address().to_string()]}},
    }));
    talk(&mut client, &mut server);
    assert!(TcpStream::connect(address).is_err(), "what was removed refuses");
    let mut other = proxy.client("fresh");
    talk(&mut other, &mut new.accept());
    finish(&client);
    expect_last(&mut server, b"");
}

#[test]
fn what_cannot_be_bound_changes_nothing() {
    let (origin, taken) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(plain(&[origin.address()]));
    let address = proxy.address("plain");
    let mut written = plain(&[nobody()]);
    written["listeners"]["more"] =
        json!({"protocol": "tcp", "backend": "app", "bind": [taken.address().to_string()]});
    let Err(headworks_engine::ApplyError::Bind(errors)) = proxy.0.apply(&compiled(written)) else {
        panic!("the address is taken")
    };
    assert_eq!((errors.len(), errors[0].listener.as_str()), (1, "more"));
    assert_eq!(errors[0].reason, "the address is already in use");
    talk(&mut connect(address), &mut origin.accept());
}

#[test]
fn a_server_set_aside_by_hand_stays_so_over_a_reload() {
    use headworks_core::pool::Admin;
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(plain(&[a.address(), b.address()]));
    let set = |admin| proxy.0.set_server("app", &a.address().to_string(), Some(admin), None);
    set(Admin::Drain).unwrap();
    proxy.apply(plain(&[b.address(), a.address()]));
    for _ in 0..4 {
        talk(&mut proxy.client("plain"), &mut b.accept());
    }
    set(Admin::Ready).unwrap();
    let _clients = [proxy.client("plain"), proxy.client("plain")];
    a.accept();
    assert!(proxy.0.set_server("app", "192.0.2.1:1", None, None).is_err());
    assert!(proxy.0.set_server("none", "192.0.2.1:1", None, None).is_err());
}

#[test]
fn drain_lets_connections_finish_and_accepts_no_more() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let address = proxy.address("plain");
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    proxy.0.drain();
    assert!(TcpStream::connect(address).is_err());
    assert!(!proxy.0.wait_idle(std::time::Duration::ZERO), "one is still there");
    talk(&mut client, &mut server);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let hash = send_noise(&mut server, 6, 4 << 20);
            finish(&server);
            hash
        });
        let got = read_noise(&mut client);
        assert_eq!(got, (4 << 20, sent.join().unwrap()));
    });
    drop(client);
    assert!(proxy.0.wait_idle(LIMIT));
    proxy.0.stop();
    proxy.0.stop();
}

#[test]
fn stop_closes_what_is_left() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    talk(&mut client, &mut server);
    proxy.0.stop();
    expect_last(&mut client, b"");
    expect_last(&mut server, b"");
}

#[test]
fn a_reload_while_draining_does_not_listen_again() {
    let origin = Origin::new();
    let mut written = plain(&[origin.address()]);
    let proxy = Proxy::start(written.clone());
    let address = proxy.address("plain");
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    proxy.0.drain();
    written["listeners"]["plain"]["bind"] = json!([address.to_string()]);
    proxy.apply(written);
    assert!(TcpStream::connect(address).is_err(), "nobody would ever accept it");
    talk(&mut client, &mut server);
}

#[test]
fn a_client_accepted_by_the_drain_itself_is_waited_for() {
    let origin = Origin::new();
    for _ in 0..30 {
        let proxy = Proxy::start(plain(&[origin.address()]));
        let mut client = proxy.client("plain");
        proxy.0.drain();
        assert!(!proxy.0.wait_idle(std::time::Duration::ZERO), "it was accepted and is still there");
        talk(&mut client, &mut origin.accept());
    }
}
