//! Arbitrary bytes from either side: no panic, and every connection has an end.

use std::io::{Read, Write};
use std::net::Shutdown;

use headworks_engine::Notice;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Pieces of which requests and responses are made, so that chance gets further than the first byte.
const PIECES: [&str; 36] = [
    "GET / HTTP/1.1\r\n",
    "POST /x HTTP/1.1\r\n",
    "HEAD / HTTP/1.0\r\n",
    "GET http://a.example/ HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching\r\n",
    "HTTP/1.1 204 No\r\n",
    "HTTP/1.1 304 No\r\n",
    "Host: a.example\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 99999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\nUpgrade: x\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "Trailer: x\r\n",
    "Accept-Encoding: gzip\r\n",
    "Content-Type: text/plain\r\n",
    "\r\n",
    "\n",
    "\r",
    "abc",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "ffff\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    ": ",
    " ",
    "\0",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..50),
        1 => (any::<u8>(), 1usize..40_000).prop_map(|(byte, count)| vec![byte; count]),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// A proxy that compresses, so that bodies are looked at, and whose waits are short.
fn proxy(origin: &Origin) -> Proxy {
    let compression = serde_json::json!({"algorithms": ["gzip"], "types": ["text/*"], "min_size": 0});
    let mut written =
        web_with(&[origin.address()], serde_json::json!({"compression": compression, "connect": true}));
    written["backends"]["app"]["ejection"] = serde_json::json!({"failures": 0});
    Proxy::start(written)
}

/// Nobody panicked, and a plain request is served.
fn is_well(proxy: &Proxy, origin: &Origin) {
    if let Some(Notice::WorkerPanicked { message, .. }) = proxy.0.next_notice(std::time::Duration::ZERO) {
        panic!("{message}");
    }
    let mut asks = client(proxy);
    asks.ask("/well");
    loop {
        // Connections of requests that were broken off may stand before it.
        let mut answers = server(origin);
        if answers.has_more() && answers.head().starts_with("GET /well ") {
            answers.reply("ok");
            break;
        }
    }
    asks.expect_body("ok");
}

#[test]
fn from_clients() {
    let origin = Origin::new();
    let proxy = proxy(&origin);
    // Whoever is asked answers and closes: what the client said does not depend on what it gets.
    let listener = origin.address();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (stop, origin) = (&stop, &origin);
        let serving = scope.spawn(move || {
            while let stream = origin.accept()
                && !stop.load(std::sync::atomic::Ordering::Relaxed)
            {
                let _ = (&stream)
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                let _ = stream.shutdown(Shutdown::Write);
                let _ = (&stream).read_to_end(&mut Vec::new());
            }
        });
        let outcome = runner(300).run(&(bytes(), any::<bool>()), |(bytes, ends)| {
            let mut stream = proxy.client("web");
            let _ = stream.write_all(&bytes);
            if ends {
                let _ = stream.shutdown(Shutdown::Write);
                // An end or a reset, in time.
                let mut rest = Vec::new();
                if let Err(error) = stream.read_to_end(&mut rest) {
                    prop_assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                }
            }
            Ok(())
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        drop(connect(listener));
        serving.join().unwrap();
        outcome.unwrap();
    });
    until("all are gone", || proxy.0.connections(10).is_empty());
    is_well(&proxy, &origin);
}

const REQUESTS: [&str; 5] = [
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close, upgrade\r\nUpgrade: x\r\n\r\n",
];

#[test]
fn from_servers() {
    let origin = Origin::new();
    let proxy = proxy(&origin);
    let outcome = runner(300).run(
        &(bytes(), proptest::sample::select(&REQUESTS[..]), any::<bool>()),
        |(bytes, request, breaks)| {
            let mut asks = client(&proxy);
            asks.say(request);
            let mut answers = server(&origin);
            answers.head();
            let _ = answers.stream.write_all(&bytes);
            if breaks {
                reset(answers.stream);
            } else {
                let _ = answers.stream.shutdown(Shutdown::Write);
            }
            let _ = asks.stream.shutdown(Shutdown::Write);
            asks.rest_or_reset();
            Ok(())
        },
    );
    outcome.unwrap();
    until("all are gone", || proxy.0.connections(10).is_empty());
    is_well(&proxy, &origin);
}
