//! Names to servers, refusals byte for byte, other servers when one fails, PROXY headers in and out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use common::*;
use headworks_core::wire::proxy_protocol::HeaderVersion;
use headworks_core::wire::proxy_protocol::{self, Announced};
use serde_json::json;

/// Passes a hello and checks that it arrives unchanged.
fn arrives(proxy: &Proxy, origin: &Origin, first: &[u8], pieces: usize) -> (TcpStream, TcpStream) {
    let mut client = proxy.client("secure");
    client.set_nodelay(true).unwrap();
    for piece in first.chunks(pieces) {
        client.write_all(piece).unwrap();
    }
    let mut server = origin.accept();
    expect(&mut server, first);
    (client, server)
}

fn refused(proxy: &Proxy, first: &[u8], description: u8) {
    let mut client = proxy.client("secure");
    client.write_all(first).unwrap();
    expect_last(&mut client, &alert(description));
}

#[test]
fn each_name_has_its_server() {
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(secure(a.address(), b.address()));
    for pieces in [usize::MAX, 1, 7] {
        for (name, origin) in [("a.example", &a), ("b.example", &b), ("A.Example.", &a)] {
            let (mut client, mut server) = arrives(&proxy, origin, &hello(Some(name)), pieces);
            talk(&mut client, &mut server);
        }
    }
}

#[test]
fn what_follows_the_hello_is_passed_on_with_it() {
    let origin = Origin::new();
    let proxy = Proxy::start(secure(origin.address(), origin.address()));
    let first = [&hello(Some("a.example"))[..], &[9; 200_000]].concat();
    let (client, mut server) = arrives(&proxy, &origin, &first, usize::MAX);
    finish(&client);
    expect_last(&mut server, b"");
}

#[test]
fn a_hello_of_many_records_is_held_whole_and_passed_on_unchanged() {
    let origin = Origin::new();
    let mut written = secure(origin.address(), nobody());
    let first = long_hello(Some("a.example"), 32_000);
    assert!(first.len() > 64_000);
    let proxy = Proxy::start(written.clone());
    for pieces in [1_400, 20_000, usize::MAX] {
        let (mut client, mut server) = arrives(&proxy, &origin, &first, pieces);
        talk(&mut client, &mut server);
    }
    written["listeners"]["secure"]["first_bytes_limit"] = json!(60_000);
    proxy.apply(written);
    refused(&proxy, &first, 40);
}

#[test]
fn refusals() {
    let origin = Origin::new();
    let proxy = Proxy::start(secure(origin.address(), nobody()));
    refused(&proxy, &hello(Some("no.example")), 112);
    refused(&proxy, &hello(None), 40);
    refused(&proxy, b"GET / HTTP/1.1\r\n\r\n", 40);
    refused(&proxy, &hello(Some("b.example")), 80);
    // A refused client that goes on sending reads the alert all the same.
    refused(&proxy, &[&hello(Some("no.example"))[..], &[0; 100_000]].concat(), 112);
}

#[test]
fn too_slow_and_too_large() {
    let origin = Origin::new();
    let mut written = secure(origin.address(), origin.address());
    written["listeners"]["secure"]["timeouts"] = json!({"first_bytes": 100});
    written["listeners"]["secure"]["first_bytes_limit"] = json!(64);
    let proxy = Proxy::start(written);
    refused(&proxy, &hello(Some("a.example"))[..20], 40);
    refused(&proxy, &hello(Some("a-name-so-long-that-the-hello-does-not-fit.example")), 40);
    let mut silent = proxy.client("secure");
    expect_last(&mut silent, &alert(40));
}

#[test]
fn a_tcp_client_without_a_server_is_closed_without_a_byte() {
    let proxy = Proxy::start(plain(&[nobody()]));
    expect_last(&mut proxy.client("plain"), b"");
}

#[test]
fn a_server_that_refuses_is_passed_over() {
    let origin = Origin::new();
    let mut written = plain(&[nobody(), origin.address(), nobody()]);
    written["backends"]["app"]["ejection"] = json!({"failures": 2, "duration": 60_000});
    let proxy = Proxy::start(written);
    for _ in 0..9 {
        let mut client = proxy.client("plain");
        talk(&mut client, &mut origin.accept());
    }
    let stats = proxy.0.stats();
    let failures: u64 = stats.backends["app"].servers.values().map(|server| server.connect_failures).sum();
    assert_eq!(failures, 4, "each is ejected after two");
    assert_eq!(stats.backends["app"].retries, 4);
    assert_eq!(stats.backends["app"].servers.values().filter(|server| server.ejected).count(), 2);
}

#[test]
fn a_denied_client_gets_no_byte() {
    let origin = Origin::new();
    let mut written = plain(&[origin.address()]);
    written["listeners"]["plain"]["deny"] = json!(["127.0.0.0/8"]);
    let proxy = Proxy::start(written);
    let mut rest = Vec::new();
    match proxy.client("plain").read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(rest.is_empty());
    until("counted", || proxy.0.stats().listeners["plain"].counters.denied == 1);
}

#[test]
fn limits_are_given_back() {
    let origin = Origin::new();
    for key in ["max_connections", "max_connections_per_client"] {
        let mut written = plain(&[origin.address()]);
        written["listeners"]["plain"][key] = json!(1);
        let proxy = Proxy::start(written);
        for _ in 0..3 {
            let mut inside = proxy.client("plain");
            let mut server = origin.accept();
            talk(&mut inside, &mut server);
            let mut rest = Vec::new();
            let _ = proxy.client("plain").read_to_end(&mut rest);
            assert!(rest.is_empty(), "{key}");
            drop((inside, server));
            assert!(proxy.0.wait_idle(LIMIT));
        }
        assert_eq!(proxy.0.stats().listeners["plain"].counters.denied, 3);
    }
}

/// An origin that takes no connection until the filler is accepted; the kernel then tries again, a second
/// later.
fn slow_to_connect() -> (Origin, TcpStream) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let origin = Origin::from(socket.into());
    let filler = connect(origin.address());
    (origin, filler)
}

fn state(proxy: &Proxy) -> Option<&'static str> {
    proxy.0.connections(1).first().map(|row| row.state)
}

#[test]
fn a_server_that_does_not_answer_in_time_is_passed_over() {
    let (slow, _filler) = slow_to_connect();
    let origin = Origin::new();
    let mut written = plain(&[slow.address(), origin.address()]);
    written["backends"]["app"]["connect_timeout"] = json!(100);
    let proxy = Proxy::start(written);
    let mut client = proxy.client("plain");
    client.write_all(b"patience").unwrap();
    let mut server = origin.accept();
    expect(&mut server, b"patience");
    talk(&mut client, &mut server);
    assert_eq!(proxy.0.stats().backends["app"].servers[&slow.address().to_string()].connect_failures, 1);
}

#[test]
fn clients_that_leave_while_their_server_is_connected() {
    let (slow, filler) = slow_to_connect();
    let proxy = Proxy::start(plain(&[slow.address()]));
    let mut hasty = proxy.client("plain");
    hasty.write_all(b"never mind").unwrap();
    until("connecting", || state(&proxy) == Some("connecting"));
    reset(hasty);
    assert!(proxy.0.wait_idle(LIMIT / 3), "a reset ends it at once");
    assert_eq!(proxy.0.stats().backends["app"].counters.active, 0, "the place is given back");
    let mut brief = proxy.client("plain");
    brief.write_all(b"one question").unwrap();
    finish(&brief);
    until("connecting", || state(&proxy) == Some("connecting"));
    drop((filler, slow.accept()));
    let mut server = slow.accept();
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    if got.is_empty() {
        // The connect of the first one had been on its way.
        server = slow.accept();
        server.read_to_end(&mut got).unwrap();
    }
    assert_eq!(got, b"one question");
    server.write_all(b"one answer").unwrap();
    drop(server);
    expect_last(&mut brief, b"one answer");
}

#[test]
fn a_reset_in_the_middle_of_a_hello() {
    let proxy = Proxy::start(secure(nobody(), nobody()));
    let mut client = proxy.client("secure");
    client.write_all(&hello(Some("a.example"))[..9]).unwrap();
    until("inspecting", || state(&proxy) == Some("inspecting"));
    reset(client);
    assert!(proxy.0.wait_idle(LIMIT / 3));
}

mod proxy_headers {
    use super::*;

    /// What the server is told of a connection.
    fn header(version: HeaderVersion, client: SocketAddr, local: SocketAddr) -> Vec<u8> {
        let mut header = Vec::new();
        let announced = Announced { client: Some(client), local: Some(local), tls: None };
        proxy_protocol::write(version, announced, &mut header);
        header
    }

    #[test]
    fn sent_to_the_server_before_anything_else() {
        for (key, version) in [("v1", HeaderVersion::V1), ("v2", HeaderVersion::V2)] {
            let origin = Origin::new();
            let mut written = secure(origin.address(), nobody());
            written["backends"]["a"]["proxy_protocol"] = json!(key);
            let proxy = Proxy::start(written);
            let first = hello(Some("a.example"));
            let mut client = proxy.client("secure");
            client.write_all(&first).unwrap();
            let mut server = origin.accept();
            let told = header(version, client.local_addr().unwrap(), proxy.address("secure"));
            expect(&mut server, &[told, first].concat());
            talk(&mut client, &mut server);
        }
    }

    #[test]
    fn sent_although_the_client_says_nothing_and_again_to_the_next_server() {
        let origin = Origin::new();
        let mut written = plain(&[nobody(), origin.address()]);
        written["backends"]["app"]["proxy_protocol"] = json!("v2");
        let proxy = Proxy::start(written);
        let mut client = proxy.client("plain");
        let mut server = origin.accept();
        expect(&mut server, &header(HeaderVersion::V2, client.local_addr().unwrap(), proxy.address("plain")));
        talk(&mut client, &mut server);
    }

    #[test]
    fn accepted_from_the_client_side_and_passed_on_as_our_own() {
        let origin = Origin::new();
        let (client_of_client, there): (SocketAddr, SocketAddr) =
            ("203.0.113.9:5000".parse().unwrap(), "203.0.113.1:443".parse().unwrap());
        for accepted in [HeaderVersion::V1, HeaderVersion::V2] {
            for pieces in [1, usize::MAX] {
                let mut written = secure(origin.address(), nobody());
                written["listeners"]["secure"]["accept_proxy_from"] = json!(["127.0.0.1"]);
                written["backends"]["a"]["proxy_protocol"] = json!("v1");
                let proxy = Proxy::start(written);
                let first = hello(Some("a.example"));
                let mut client = proxy.client("secure");
                client.set_nodelay(true).unwrap();
                for piece in
                    [header(accepted, client_of_client, there), first.clone()].concat().chunks(pieces)
                {
                    client.write_all(piece).unwrap();
                }
                let mut server = origin.accept();
                expect(&mut server, &[header(HeaderVersion::V1, client_of_client, there), first].concat());
                assert_eq!(proxy.0.connections(9)[0].client, "203.0.113.9:5000");
                talk(&mut client, &mut server);
            }
        }
    }

    #[test]
    fn a_listed_source_without_one_is_refused() {
        let mut written = secure(nobody(), nobody());
        written["listeners"]["secure"]["accept_proxy_from"] = json!(["127.0.0.1"]);
        let proxy = Proxy::start(written);
        refused(&proxy, &hello(Some("a.example")), 40);
    }

    /// A connect that takes a while, of a client whose first bytes are held: the header is ours, not the
    /// client's.
    #[test]
    fn sent_at_once_when_a_slow_connect_stands() {
        for first in [&b"hello"[..], b""] {
            let (origin, filler) = slow_to_connect();
            let mut written = plain(&[origin.address()]);
            written["listeners"]["plain"]["accept_proxy_from"] = json!(["203.0.113.1"]);
            written["backends"]["app"]["proxy_protocol"] = json!("v1");
            let proxy = Proxy::start(written);
            let mut client = proxy.client("plain");
            client.write_all(first).unwrap();
            until("connecting", || {
                proxy.0.connections(1).first().is_some_and(|row| row.state == "connecting")
            });
            drop((filler, origin.accept()));
            let mut server = origin.accept();
            let told = header(HeaderVersion::V1, client.local_addr().unwrap(), proxy.address("plain"));
            expect(&mut server, &[&told, first].concat());
            talk(&mut client, &mut server);
        }
    }

    /// From another source none is taken, and the first bytes of a tcp client are held until that is clear.
    #[test]
    fn an_unlisted_source_with_one_is_refused_and_without_one_is_served() {
        let origin = Origin::new();
        let mut written = plain(&[origin.address()]);
        written["listeners"]["plain"]["accept_proxy_from"] = json!(["203.0.113.1"]);
        written["backends"]["app"]["proxy_protocol"] = json!("v1");
        let proxy = Proxy::start(written);
        let told = |client: &TcpStream| {
            header(HeaderVersion::V1, client.local_addr().unwrap(), proxy.address("plain"))
        };
        let mut client = proxy.client("plain");
        let mut server = origin.accept();
        expect(&mut server, &told(&client));
        server.write_all(b"220 welcome\r\n").unwrap();
        expect(&mut client, b"220 welcome\r\n");
        client.write_all(b"PRO").unwrap();
        client.write_all(b"FILE").unwrap();
        expect(&mut server, b"PROFILE");
        let mut short = proxy.client("plain");
        short.write_all(b"PROX").unwrap();
        finish(&short);
        let mut server = origin.accept();
        expect_last(&mut server, &[told(&short), b"PROX".to_vec()].concat());
        let mut liar = proxy.client("plain");
        liar.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").unwrap();
        let mut rest = Vec::new();
        let _ = liar.read_to_end(&mut rest);
        assert!(rest.is_empty());
        let mut server = origin.accept();
        let mut got = Vec::new();
        let _ = server.read_to_end(&mut got);
        assert_eq!(got, told(&liar), "not a byte of the lie arrives");
    }
}
