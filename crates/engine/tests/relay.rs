//! Bytes through a real engine: identical both ways, every end and every reset passed on, memory bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use common::*;
use serde_json::json;

const MUCH: usize = 8 << 20;

#[test]
fn much_in_both_directions_at_once() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let mut client = proxy.client("plain");
    let mut server = origin.accept();
    std::thread::scope(|scope| {
        let (mut client_writes, mut server_writes) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = scope.spawn(move || {
            let hash = send_noise(&mut client_writes, 1, MUCH);
            finish(&client_writes);
            hash
        });
        let down = scope.spawn(move || {
            let hash = send_noise(&mut server_writes, 2, MUCH);
            finish(&server_writes);
            hash
        });
        let arrived = scope.spawn(move || read_noise(&mut server));
        assert_eq!(read_noise(&mut client), (MUCH, down.join().unwrap()));
        assert_eq!(arrived.join().unwrap(), (MUCH, up.join().unwrap()));
    });
    assert!(proxy.0.wait_idle(LIMIT));
    let stats = proxy.0.stats();
    let counters = &stats.listeners["plain"].counters;
    assert_eq!((counters.bytes_in, counters.bytes_out), (MUCH as u64, MUCH as u64));
}

#[test]
fn the_client_ends_first() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let mut client = proxy.client("plain");
    client.write_all(b"question").unwrap();
    finish(&client);
    let mut server = origin.accept();
    expect_last(&mut server, b"question");
    let sent = send_noise(&mut server, 3, MUCH / 8);
    drop(server);
    assert_eq!(read_noise(&mut client), (MUCH / 8, sent));
    drop(client);
    assert!(proxy.0.wait_idle(LIMIT));
}

#[test]
fn the_server_ends_first() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let mut client = proxy.client("plain");
    let mut server = origin.accept();
    server.write_all(b"that is all").unwrap();
    finish(&server);
    expect_last(&mut client, b"that is all");
    let sent = send_noise(&mut client, 4, MUCH / 8);
    drop(client);
    assert_eq!(read_noise(&mut server), (MUCH / 8, sent));
    drop(server);
    assert!(proxy.0.wait_idle(LIMIT));
}

#[test]
fn a_client_that_ends_at_once_is_still_answered() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    for _ in 0..20 {
        let mut client = proxy.client("plain");
        finish(&client);
        let mut server = origin.accept();
        expect_last(&mut server, b"");
        server.write_all(b"bye").unwrap();
        drop(server);
        expect_last(&mut client, b"bye");
    }
}

#[test]
fn an_end_after_long_silence_leaves_the_server_time_to_answer() {
    let origin = Origin::new();
    let mut written = plain(&[origin.address()]);
    written["listeners"]["plain"]["timeouts"] = json!({"half_close": 1_000});
    let proxy = Proxy::start(written);
    let mut client = proxy.client("plain");
    let mut server = origin.accept();
    talk(&mut client, &mut server);
    until("silent for longer than half_close", || proxy.0.connections(1)[0].idle_ms > 1_100);
    finish(&client);
    expect_last(&mut server, b"");
    until("half-closed", || proxy.0.connections(1).first().is_none_or(|row| row.state == "half_closed"));
    // Several ticks of the timer go by.
    for _ in 0..20 {
        proxy.0.next_notice(Duration::from_millis(10));
    }
    server.write_all(b"answer").unwrap();
    drop(server);
    expect_last(&mut client, b"answer");
}

#[test]
fn a_reset_is_passed_on_as_one() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    talk(&mut client, &mut server);
    reset(client);
    expect_reset(&mut server);
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    talk(&mut client, &mut server);
    reset(server);
    expect_reset(&mut client);
    assert!(proxy.0.wait_idle(LIMIT));
}

#[test]
fn a_server_that_closes_with_bytes_unread_loses_none_of_its_own() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    for _ in 0..20 {
        let (mut client, mut server) = (proxy.client("plain"), origin.accept());
        // The server answers early, then closes although the client goes on talking: its kernel sends a
        // reset.
        server.write_all(b"no, thank you").unwrap();
        finish(&server);
        client.write_all(&[7; 10_000]).unwrap();
        expect(&mut server, &[7; 100]);
        drop(server);
        expect(&mut client, b"no, thank you");
        let mut rest = Vec::new();
        // What follows is the end or a reset, no byte more.
        let _ = client.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    assert!(proxy.0.wait_idle(LIMIT));
}

#[test]
fn a_slow_reader_stops_its_server_and_costs_bounded_memory() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let mut client = proxy.client("plain");
    let mut server = origin.accept();
    server.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut noise = Noise::new(5);
    let (mut sent, mut block, mut pending) = (Vec::new(), [0; 64 * 1024], 0..0);
    // A write that times out took nothing: the way is full.
    let full = loop {
        if pending.is_empty() {
            noise.fill(&mut block);
            pending = 0..block.len();
        }
        match server.write(&block[pending.clone()]) {
            Ok(n) => {
                sent.extend_from_slice(&block[pending.start..pending.start + n]);
                pending.start += n;
            }
            Err(_) => break true,
        }
        // The kernel's own buffers, three sockets' worth, may hold tens of MiB where its limits are generous.
        if sent.len() > 128 << 20 {
            break false;
        }
    };
    assert!(full, "the origin pushed {} bytes at a client that reads nothing", sent.len());
    finish(&server);
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

#[test]
fn a_reset_comes_after_the_bytes_that_a_slow_client_has_still_to_read() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    let sent = vec![9; 2 << 20];
    server.write_all(&sent).unwrap();
    let passed = || proxy.0.connections(1).first().map(|row| row.bytes_out);
    until("passed on", || passed() == Some(sent.len() as u64));
    reset(server);
    assert!(proxy.0.wait_idle(LIMIT));
    let mut got = vec![0; sent.len()];
    client.read_exact(&mut got).unwrap();
    assert!(got == sent);
    expect_reset(&mut client);
}

#[test]
fn a_reader_that_is_slower_than_the_idle_deadline_is_not_idle() {
    let origin = Origin::new();
    let mut written = plain(&[origin.address()]);
    written["listeners"]["plain"]["timeouts"] =
        json!({"idle": 1000, "half_close": 1000, "first_bytes": 1000});
    let proxy = Proxy::start(written);
    let mut client = proxy.client("plain");
    let mut server = origin.accept();
    // Once the server has got rid of it nobody sends any more: what moves is in the kernel's buffers alone.
    let sending = std::thread::spawn(move || {
        server.write_all(&vec![7; MUCH]).unwrap();
        server
    });
    let (mut pace, _kept) = UnixStream::pair().unwrap();
    pace.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut block = vec![0; MUCH / 32];
    for _ in 0..32 {
        assert!(pace.read(&mut [0]).is_err(), "nothing is sent there: it is only waited for");
        client.read_exact(&mut block).unwrap();
    }
    let _server = sending.join().unwrap();
    assert_eq!(client.read(&mut block).unwrap(), 0, "with nothing left to deliver, it is idle");
}

#[test]
fn resets_and_ends_at_any_moment_leave_nothing_behind() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                let server = origin.accept();
                if over.load(Relaxed) {
                    return;
                }
                if round % 2 == 0 { reset(server) } else { drop(server) }
            }
        });
        for round in 0..60 {
            // A server that resets at once may be quicker than our own connect.
            let Ok(client) = TcpStream::connect(proxy.address("plain")) else { continue };
            let mut client = bounded(client);
            if round % 2 == 0 {
                // The server may have gone already.
                let _ = client.write_all(b"some bytes");
            }
            match round % 3 {
                0 => reset(client),
                1 => drop(client),
                _ => _ = client.read_to_end(&mut Vec::new()),
            }
        }
        let idle = proxy.0.wait_idle(LIMIT);
        over.store(true, Relaxed);
        connect(origin.address());
        assert!(idle);
    });
    nothing_is_left(&proxy);
}

#[test]
fn a_reset_of_a_side_that_had_ended_is_noticed() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    talk(&mut client, &mut server);
    finish(&client);
    expect_last(&mut server, b"");
    reset(client);
    assert!(proxy.0.wait_idle(LIMIT / 3), "the server is silent: nothing else tells");
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    talk(&mut client, &mut server);
    finish(&server);
    expect_last(&mut client, b"");
    reset(server);
    assert!(proxy.0.wait_idle(LIMIT / 3), "the client is silent");
}

#[test]
fn a_reset_in_the_middle_of_much() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    for client_resets in [true, false] {
        let (mut client, mut server) = (proxy.client("plain"), origin.accept());
        let (reader, writer) =
            if client_resets { (&mut client, &mut server) } else { (&mut server, &mut client) };
        let mut writer_too = writer.try_clone().unwrap();
        let sending = std::thread::spawn(move || while writer_too.write_all(&[1; 64 * 1024]).is_ok() {});
        reader.read_exact(&mut vec![0; MUCH]).unwrap();
        if client_resets {
            reset(client);
        } else {
            reset(server);
        }
        sending.join().unwrap();
        assert!(proxy.0.wait_idle(LIMIT));
    }
}

#[test]
fn what_moves_is_not_idle() {
    let origin = Origin::new();
    let mut written = plain(&[origin.address()]);
    written["listeners"]["plain"]["timeouts"] = json!({"idle": 1_500});
    let proxy = Proxy::start(written);
    let (mut client, mut server) = (proxy.client("plain"), origin.accept());
    let mut age = 0;
    while age < 2_000 {
        talk(&mut client, &mut server);
        age = proxy.0.connections(1)[0].age_ms;
    }
    // Silence now ends it: with the end towards both.
    expect_last(&mut client, b"");
    expect_last(&mut server, b"");
}

/// Clients that have gone may be accepted later than that: they are over soon.
#[track_caller]
fn nothing_is_left(proxy: &Proxy) {
    until("nothing is left", || {
        let stats = proxy.0.stats();
        (stats.connections, stats.backends["app"].counters.active) == (0, 0)
    });
}

#[test]
fn two_thousand_clients_reset_at_once() {
    let origin = Origin::new();
    let proxy = Proxy::start(plain(&[origin.address()]));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                origin.accept();
            }
        });
        for _ in 0..20 {
            let clients: Vec<_> = (0..100).map(|_| proxy.client("plain")).collect();
            clients.into_iter().for_each(reset);
        }
        let idle = proxy.0.wait_idle(LIMIT);
        over.store(true, Relaxed);
        connect(origin.address());
        assert!(idle);
    });
    nothing_is_left(&proxy);
}
