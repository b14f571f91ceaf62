//! Handshakes that are given up at random points leave nothing behind: no memory, no descriptor, no count.
//! Alone in its process, because it measures all of it. `HEADWORKS_ABORTED` says how many; the default is for
//! every day.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(dead_code, reason = "a part of what the tests of TLS share")]

mod common;
#[path = "tls/end.rs"]
mod end;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::*;
use end::*;
use headworks_engine::Notice;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use serde_json::json;

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A handshake that ends after so many bytes of the client's, by an end, a reset, an alert or garbage.
fn give_up(config: &Arc<ClientConfig>, mut stream: TcpStream, after: usize, way: u64) {
    let name = ServerName::try_from("a.example").unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut left = after;
    while left > 0 && client.is_handshaking() {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let n = left.min(flight.len());
        if stream.write_all(&flight[..n]).is_err() {
            return;
        }
        left -= n;
        if left > 0 && (client.read_tls(&mut stream).is_err() || client.process_new_packets().is_err()) {
            return;
        }
    }
    match way % 4 {
        0 => drop(stream),
        1 => reset(stream),
        2 => _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 0]),
        _ => _ = stream.write_all(b"something else altogether"),
    }
}

#[test]
fn handshakes_given_up_at_random_leave_nothing() {
    let count = std::env::var("HEADWORKS_ABORTED").map_or(3_000, |text| text.parse::<u64>().unwrap());
    let authority = Authority::new();
    let proxy = Proxy::start(json!({
        "listeners": {"web": {"protocol": "https", "backend": "app", "tls": {
            "certificates": [authority.certificate(&["a.example"])],
        }}},
        "backends": {"app": {"servers": [nobody().to_string()]}},
    }));
    let mut config = authority.client_config();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let abort = |range: std::ops::Range<u64>| {
        let end = range.end;
        let mut noise = Noise::new(range.start.wrapping_mul(77) + 3);
        for _ in range {
            let mut random = [0; 16];
            noise.fill(&mut random);
            let after = u64::from_le_bytes(random[..8].try_into().unwrap()) % 2_200;
            let way = u64::from_le_bytes(random[8..].try_into().unwrap());
            give_up(&config, proxy.client("web"), after as usize, way >> 7);
        }
        // Open connections are counted when a worker's turn is over: that all have come must be seen, too.
        until("all are over", || {
            let stats = proxy.0.stats();
            stats.connections == 0 && stats.listeners["web"].counters.connections == end
        });
    };
    abort(0..1_000);
    let (memory, open) = (resident(), descriptors());
    abort(1_000..1_000 + count);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 4 << 20, "{grown} bytes after {count}");
    assert_eq!(descriptors(), open);
    let stats = proxy.0.stats();
    let web = &stats.listeners["web"];
    assert_eq!(web.handshakes + web.handshakes_failed.values().sum::<u64>(), web.counters.connections);
    while let Some(notice) = proxy.0.next_notice(std::time::Duration::ZERO) {
        assert!(!matches!(notice, Notice::WorkerPanicked { .. }), "{notice:?}");
    }
    // And it still serves: the backend has nobody, which is said over TLS.
    let mut client = authority.client(proxy.client("web"), "a.example");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let mut start = [0; 12];
    client.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 503");
}
