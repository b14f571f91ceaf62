//! When descriptors run out, kept sockets make room; then accepting waits, and nobody is refused. A process
//! of its own: the limit is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::*;
use headworks_engine::Notice;
use serde_json::json;
use socket2::{Domain, Socket, Type};

/// Sets the soft limit on descriptors; the old one.
fn limit(descriptors: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for both calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        let old = limit.rlim_cur;
        limit.rlim_cur = descriptors.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
        old
    }
}

fn paused(notice: Notice) -> Option<String> {
    match notice {
        Notice::AcceptPaused { reason, .. } => Some(reason),
        _ => None,
    }
}

fn wait_until_resumed(proxy: &Proxy) {
    proxy.notice(|notice| matches!(notice, Notice::AcceptResumed { .. }).then_some(()));
}

/// Clients whose descriptors exist before they connect.
fn unconnected(count: usize) -> Vec<Socket> {
    (0..count).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect()
}

fn connected(sockets: Vec<Socket>, address: SocketAddr) -> Vec<TcpStream> {
    let connect = |socket: Socket| {
        socket.connect(&address.into()).unwrap();
        bounded(socket.into())
    };
    sockets.into_iter().map(connect).collect()
}

/// Sets the limit so that only `free` more descriptors can be opened, those with the lowest numbers; the old
/// one.
fn leave(free: usize) -> u64 {
    let next = unconnected(free + 1);
    limit(u64::try_from(next.iter().map(std::os::fd::AsRawFd::as_raw_fd).max().unwrap()).unwrap())
}

#[test]
fn accepting_pauses_and_goes_on() {
    // These need to know every descriptor, and threads of an engine that has stopped may still close some:
    // the first one goes on, idle, while the second is at it.
    let _goes_on = when_sockets_to_servers_are_kept();
    when_not_one_descriptor_is_left();
    at_as_many_connections_as_there_are_descriptors_for();
}

/// Everything that it has opened and not closed.
fn when_sockets_to_servers_are_kept() -> impl Sized {
    let (a, b) = (Origin::new(), Origin::new());
    let proxy = Proxy::start(json!({
        "listeners": {
            "web": {"protocol": "http", "table": "sites"},
            "plain": {"protocol": "tcp", "backend": "b"},
        },
        "tables": {"sites": [["a.example", "a"], ["b.example", "b"]]},
        "backends": {"a": {"servers": [a.address().to_string()]}, "b": {"servers": [b.address().to_string()]}},
    }));
    let mut clients: Vec<_> = (0..3).map(|_| proxy.client("web")).collect();

    // The request of one who is here.
    let mut kept = keep(&mut clients, &a);
    let before = leave(0);
    ask(&mut clients[0], "b.example");
    kept.iter_mut().for_each(|server| expect_last(server, b""));
    limit(before);
    let mut of_b = vec![b.accept()];
    answer(&mut of_b[0]);
    answered(&mut clients[0]);

    // One who comes.
    let mut kept = keep(&mut clients[1..], &a);
    let waiting = unconnected(1);
    let before = leave(0);
    clients.extend(connected(waiting, proxy.address("web")));
    until("it is accepted", || proxy.0.stats().connections == 4);
    kept.iter_mut().chain(&mut of_b).for_each(|server| expect_last(server, b""));
    limit(before);
    ask(&mut clients[3], "b.example");
    of_b.push(b.accept());
    answer(&mut of_b[1]);
    answered(&mut clients[3]);

    // One who comes after the descriptor that was spared for connecting is spent.
    // (To look for another client takes a descriptor, too: enough are kept for that.)
    let mut kept = keep(&mut clients[1..], &a);
    let mut waiting = unconnected(2);
    let before = leave(1);
    clients.extend(connected(waiting.split_off(1), proxy.address("plain")));
    until("it is accepted", || proxy.0.stats().connections == 5);
    clients.extend(connected(waiting, proxy.address("plain")));
    until("the next is accepted", || proxy.0.stats().connections == 6);
    kept.iter_mut().chain(&mut of_b[1..]).for_each(|server| expect_last(server, b""));
    limit(before);
    for client in &mut clients[4..] {
        let mut server = b.accept();
        talk(client, &mut server);
        of_b.push(server);
    }
    assert_eq!(proxy.0.next_notice(Duration::ZERO), None, "accepting never paused");
    assert_eq!(proxy.0.stats().listeners["web"].counters.failed, 0, "nobody is refused");
    (proxy, clients, kept, of_b, a, b)
}

/// As many sockets to the server of `a.example` as there are clients, used once and kept.
fn keep(clients: &mut [TcpStream], origin: &Origin) -> Vec<TcpStream> {
    clients.iter_mut().for_each(|client| ask(client, "a.example"));
    // None is answered before all have come, so that none serves twice.
    let mut servers: Vec<_> = clients.iter().map(|_| origin.accept()).collect();
    servers.iter_mut().for_each(answer);
    clients.iter_mut().for_each(answered);
    servers
}

fn ask(client: &mut TcpStream, host: &str) {
    write!(client, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
}

/// Takes one request and answers it without a body.
fn answer(server: &mut TcpStream) {
    assert!(head(server).starts_with("GET / HTTP/1.1\r\n"));
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
}

fn answered(client: &mut TcpStream) {
    assert!(head(client).starts_with("HTTP/1.1 204 "));
}

fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn at_as_many_connections_as_there_are_descriptors_for() {
    let origin = Origin::new();
    // The engine counts what it may use when it starts: with 96 kept aside, 20 connections of two
    // descriptors.
    let before = limit(96 + 40);
    let proxy = Proxy::start(plain(&[origin.address()]));
    limit(before.max(512));
    let mut clients = connected(unconnected(20), proxy.address("plain"));
    let mut servers: Vec<_> = clients.iter().map(|_| origin.accept()).collect();
    until("all are open", || proxy.0.stats().connections == 20);
    clients.extend(connected(unconnected(10), proxy.address("plain")));
    assert!(proxy.notice(paused).contains("as many connections"));
    assert_eq!(proxy.0.stats().connections, 20);
    // Those who wait are served as soon as others go.
    for _ in 0..10 {
        drop(clients.remove(0));
        expect_last(&mut servers.remove(0), b"");
    }
    wait_until_resumed(&proxy);
    for client in &mut clients[10..] {
        client.write_all(b"still here").unwrap();
        let mut server = origin.accept();
        expect(&mut server, b"still here");
        talk(client, &mut server);
        servers.push(server);
    }
}

fn when_not_one_descriptor_is_left() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let waiting = unconnected(8);
    let before = leave(0);
    let mut clients = connected(waiting, proxy.address("plain"));
    let reason = proxy.notice(paused);
    let more = proxy.0.next_notice(Duration::from_millis(300));
    limit(before);
    assert_eq!(more, None, "a pause is told once, however often it is tried to go on");
    assert!(reason.contains("Too many open files"), "{reason}");
    wait_until_resumed(&proxy);
    for client in &mut clients {
        client.write_all(b"patient").unwrap();
        let mut server = origin.accept();
        expect(&mut server, b"patient");
        talk(client, &mut server);
    }
    let stats = proxy.0.stats();
    assert_eq!(stats.listeners["plain"].counters.failed, 0, "nobody is refused");
}
