//! What stands beside HTTP on a connection: PROXY headers either way, unix sockets, several workers.

use std::os::unix::net::{UnixListener, UnixStream};

use headworks_engine::Options;
use serde_json::json;

use super::*;

#[test]
fn servers_get_a_proxy_header_and_a_connection_each() {
    let origin = Origin::new();
    for version in ["v1", "v2"] {
        let mut written = web(&[origin.address()]);
        written["backends"]["app"]["proxy_protocol"] = json!(version);
        let proxy = Proxy::start(written);
        let mut asks = client(&proxy);
        let from = asks.stream.local_addr().unwrap();
        let to = proxy.address("web");
        for path in ["/1", "/2"] {
            asks.ask(path);
            let mut answers = server(&origin);
            if version == "v1" {
                let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", from.port(), to.port());
                answers.expect(line.as_bytes());
            } else {
                answers.expect(b"\r\n\r\n\0\r\nQUIT\n");
                let rest = answers.take(4);
                answers.take(usize::from(u16::from_be_bytes([rest[2], rest[3]])));
            }
            answers.serve(path, "ok");
            asks.expect_body("ok");
            answers.expect_end();
        }
    }
}

#[test]
fn clients_behind_another_proxy_are_known_by_its_header() {
    let origin = Origin::new();
    let mut written = web_with(&[origin.address()], json!({"forwarded": ["x_forwarded"]}));
    written["listeners"]["web"]["accept_proxy_from"] = json!(["127.0.0.1"]);
    let proxy = Proxy::start(written);
    let header = "PROXY TCP4 192.0.2.9 192.0.2.1 4000 80\r\n";
    let mut answers = None;
    for size in [1000, 1, 10, header.len()] {
        let mut asks = client(&proxy);
        asks.stream.set_nodelay(true).unwrap();
        for piece in format!("{header}{}", get("/1")).as_bytes().chunks(size) {
            asks.say(piece);
        }
        let answers = answers.get_or_insert_with(|| server(&origin));
        assert_eq!(answers.serve("/1", "ok").field("x-forwarded-for"), Some("192.0.2.9"));
        asks.expect_body("ok");
        asks.ask("/2");
        assert_eq!(answers.serve("/2", "ok").field("x-forwarded-for"), Some("192.0.2.9"));
        asks.expect_body("ok");
    }
    // Who must begin with one and does not is no client.
    let mut asks = client(&proxy);
    asks.ask("/");
    assert!(asks.expect_status(400).closes());
    asks.expect_end();
}

#[test]
fn a_proxy_header_from_elsewhere_is_no_request() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(format!("PROXY TCP4 192.0.2.9 192.0.2.1 4000 80\r\n{}", get("/")));
    assert!(asks.expect_status(400).closes());
    nobody_waits_at(origin);
}

#[test]
fn unix_sockets_on_both_sides() {
    let (front, back) = (scratch_path("web.sock"), scratch_path("origin.sock"));
    let origin = UnixListener::bind(&back).unwrap();
    let mut written = web_with(&[], json!({"forwarded": ["x_forwarded"]}));
    written["listeners"]["web"]["bind"] = json!([format!("unix:{}", front.display())]);
    written["backends"]["app"]["servers"] = json!([format!("unix:{}", back.display())]);
    let proxy = Proxy::start(written);
    let mut asks = End::new(UnixStream::connect(&front).unwrap());
    asks.stream.set_read_timeout(Some(LIMIT)).unwrap();
    asks.post("/1", "body");
    let mut answers = End::new(origin.accept().unwrap().0);
    answers.stream.set_read_timeout(Some(LIMIT)).unwrap();
    for number in 1..5 {
        assert_eq!(answers.serve(&format!("/{number}"), "ok").text(), "body");
        asks.expect_body("ok");
        asks.post(&format!("/{}", number + 1), "body");
    }
    drop(proxy);
    let _ = (std::fs::remove_file(front), std::fs::remove_file(back));
}

#[test]
fn many_clients_of_two_workers_get_their_own_answers() {
    let origin = Origin::new();
    let proxy = Proxy::start_with(web(&[origin.address()]), Options { workers: 2, ..options() });
    const CLIENTS: usize = 24;
    const REQUESTS: usize = 40;
    std::thread::scope(|scope| {
        // Each connection is served by a thread of its own, which ends with it.
        let accepting = scope.spawn(|| {
            let listener = origin.into_listener();
            listener.set_nonblocking(true).unwrap();
            let mut serving = Vec::new();
            until("all is served", || {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(false).unwrap();
                    serving.push(scope.spawn(move || echo(End::new(bounded(stream)))));
                }
                proxy.0.stats().listeners["web"].counters.connections == CLIENTS as u64
                    && proxy.0.connections(CLIENTS).is_empty()
            });
            proxy.0.drain();
            serving.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        for number in 0..CLIENTS {
            let mut asks = client(&proxy);
            scope.spawn(move || {
                for round in 0..REQUESTS {
                    let path = format!("/{number}/{round}");
                    asks.ask(&path);
                    asks.expect_body(&path);
                }
            });
        }
        assert_eq!(accepting.join().unwrap(), CLIENTS * REQUESTS);
    });
}

/// Answers each request with its path until the connection ends; how many.
fn echo(mut answers: End) -> usize {
    let mut count = 0;
    while answers.has_more() {
        let request = answers.request();
        let path = request.line.split(' ').nth(1).unwrap().to_owned();
        answers.reply(&path);
        count += 1;
    }
    count
}
