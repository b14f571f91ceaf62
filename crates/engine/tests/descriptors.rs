//! When descriptors run out, accepting waits and nobody is refused. A process of its own: the limit is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::*;
use headworks_engine::Notice;
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

#[test]
fn accepting_pauses_and_goes_on() {
    // First, because it needs to know every descriptor: threads of an engine that has stopped may still close some.
    when_not_one_descriptor_is_left();
    at_as_many_connections_as_there_are_descriptors_for();
}

fn at_as_many_connections_as_there_are_descriptors_for() {
    let origin = Origin::new();
    // The engine counts what it may use when it starts: with 96 kept aside, 20 connections of two descriptors.
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
    // The lowest free descriptor is the limit: nothing can be opened.
    let free = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&unconnected(1)[0])).unwrap();
    let before = limit(free);
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
