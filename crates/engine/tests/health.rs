//! Active checks take servers down and bring them up, and tell it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::net::TcpStream;

use common::*;
use headworks_engine::Notice;
use serde_json::{Value, json};

fn checked(servers: &[&Origin]) -> Value {
    let mut written = plain(&servers.iter().map(|origin| origin.address()).collect::<Vec<_>>());
    written["backends"]["app"]["health"] = json!({"interval": 20, "timeout": 2_000});
    written
}

fn is_up(proxy: &Proxy, server: &str) -> bool {
    proxy.0.stats().backends["app"].servers[server].up
}

/// The next connection that carries a byte: checks connect, too.
fn accept_client(origin: &Origin) -> TcpStream {
    loop {
        let server = origin.accept();
        let mut first = [0];
        if server.peek(&mut first).is_ok_and(|n| n == 1) {
            return server;
        }
    }
}

#[test]
fn down_is_not_chosen_and_up_is_again() {
    let (steady, failing) = (Origin::new(), Origin::new());
    let address = failing.address();
    let proxy = Proxy::start(checked(&[&steady, &failing]));
    assert!(is_up(&proxy, &address.to_string()), "taken to be up until checked");
    drop(failing);
    let (backend, server, reason) = proxy.notice(|notice| match notice {
        Notice::ServerDown { backend, server, reason } => Some((backend, server, reason)),
        _ => None,
    });
    assert_eq!((backend.as_str(), server), ("app", address.to_string()));
    assert_eq!(reason, "connection refused");
    assert!(!is_up(&proxy, &address.to_string()));
    let tried =
        |proxy: &Proxy| proxy.0.stats().backends["app"].servers[&address.to_string()].connect_failures;
    let before = tried(&proxy);
    for _ in 0..4 {
        let mut client = proxy.client("plain");
        std::io::Write::write_all(&mut client, b"x").unwrap();
        let mut server = accept_client(&steady);
        expect(&mut server, b"x");
        talk(&mut client, &mut server);
    }
    assert_eq!(tried(&proxy), before, "no client was sent there");
    // A reload forgets nothing.
    let mut written = plain(&[steady.address(), address]);
    written["backends"]["app"]["health"] = json!({"interval": 20, "timeout": 2_000});
    proxy.apply(written);
    assert!(!is_up(&proxy, &address.to_string()));

    let back = Origin::at(address);
    let server = proxy.notice(|notice| match notice {
        Notice::ServerUp { server, .. } => Some(server),
        _ => None,
    });
    assert_eq!(server, address.to_string());
    assert!(is_up(&proxy, &server));
    back.accept();
}

#[test]
fn when_all_are_down_clients_are_refused_until_one_is_up() {
    let mut written = secure(nobody(), nobody());
    written["backends"]["a"]["health"] = json!({"interval": 20, "timeout": 2_000, "fall": 1});
    let proxy = Proxy::start(written);
    proxy.notice(|notice| matches!(notice, Notice::ServerDown { .. }).then_some(()));
    let mut client = proxy.client("secure");
    std::io::Write::write_all(&mut client, &hello(Some("a.example"))).unwrap();
    expect_last(&mut client, &alert(80));
    let failures = &proxy.0.stats().backends["a"];
    assert!(failures.servers.values().all(|server| server.connect_failures == 0), "it was not even tried");
}

#[test]
fn a_server_no_longer_checked_is_taken_to_be_up() {
    let address = nobody();
    let mut written = plain(&[address]);
    written["backends"]["app"]["health"] = json!({"interval": 20, "timeout": 2_000, "fall": 1});
    let proxy = Proxy::start(written);
    proxy.notice(|notice| matches!(notice, Notice::ServerDown { .. }).then_some(()));
    proxy.apply(plain(&[address]));
    until("it is up", || is_up(&proxy, &address.to_string()));
}
