//! Exchanges whose two sides do not keep step: early answers, unread bodies, clients that have left, streams that pause.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use common::*;
use serde_json::{Value, json};

/// An http listener `web` before one server, with these keys of its own.
fn web(server: &Origin, listener: Value, backend: Value) -> Value {
    let none = || json!({"set": [], "add": [], "remove": []});
    let mut http = json!({
        "head_limit": 16384, "fields_limit": 100, "line_limit": 8192, "body_limit": null, "min_body_rate": 0,
        "connect": false, "forwarded": [], "trusted": [], "via": null, "request_id": null,
        "requests_per_connection": 0, "keep_alive_timeout": 60_000, "body_timeout": 30_000,
        "tunnel_timeout": 60_000, "request_headers": none(), "response_headers": none(), "rate_limit": null,
        "max_requests_per_client": null, "compression": null, "error_pages": {}, "redirect": null, "respond": null,
    });
    let mut behind = json!({
        "host": null, "strip_prefix": null, "add_prefix": null, "request_headers": none(),
        "response_headers": none(), "response_timeout": 30_000, "queue_timeout": 30_000, "queue_limit": 1024,
        "pool_size": 32, "pool_timeout": 60_000, "hash_header": null, "affinity": null, "maintenance": false,
        "error_pages": {},
    });
    http.as_object_mut().unwrap().extend(listener.as_object().unwrap().clone());
    behind.as_object_mut().unwrap().extend(backend.as_object().unwrap().clone());
    let most = behind.as_object_mut().unwrap().remove("max_connections").unwrap_or(Value::Null);
    json!({
        "listeners": {"web": {"protocol": "http", "backend": "app", "http": http}},
        "backends": {"app": {
            "servers": [{"address": server.address().to_string(), "max_connections": most}], "http": behind,
            "ejection": {"failures": 3, "duration": 10_000, "responses": 0},
        }},
    })
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// All up to and with the empty line after a head.
#[track_caller]
fn head(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        got.push(byte[0]);
    }
    String::from_utf8(got).unwrap()
}

/// Bytes of the request under way that the proxy has read, once it reads no more of them or has all.
fn taken(proxy: &Proxy, all: u64) -> u64 {
    let (mut last, mut same) = (0, 0);
    until("the proxy stops reading", || {
        let now = proxy.0.connections(1).first().map_or(0, |row| row.bytes_in);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        now == all || same > 40
    });
    last
}

/// Sends a request with so long a body from another thread, however much of it is taken.
fn post(client: &TcpStream, body: usize) -> u64 {
    let head = format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {body}\r\n\r\n");
    let (all, mut client) = (head.len() + body, client.try_clone().unwrap());
    std::thread::spawn(move || {
        // The proxy may end it.
        let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&vec![b'z'; body]));
    });
    all as u64
}

#[test]
fn a_server_that_answers_early_is_not_asked_again_before_it_has_the_whole_request() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    // How much fits between a client and a server that reads nothing.
    let client = proxy.client("web");
    post(&client, 64 << 20);
    let _server = origin.accept();
    let room = taken(&proxy, u64::MAX) as usize;
    client.shutdown(Shutdown::Both).unwrap();
    reset(client);
    until("the first client is gone", || proxy.0.connections(9).is_empty());

    // Somewhere below that all of the request is read while its end has not left yet.
    for short in [20_000, 60_000, 200_000, 500_000, 900_000] {
        let (mut client, body) = (proxy.client("web"), room - short);
        let all = post(&client, body);
        let mut server = origin.accept();
        taken(&proxy, all);
        server.write_all(EMPTY).unwrap();
        if head(&mut client).contains("Connection: close") {
            continue;
        }
        client.write_all(b"GET /second HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        head(&mut server);
        let mut got = Vec::new();
        (&server).take(body as u64).read_to_end(&mut got).unwrap();
        assert!(got.iter().all(|byte| *byte == b'z'), "a request within the body of another");
        let mut second = if got.len() == body { server } else { origin.accept() };
        assert!(head(&mut second).starts_with("GET /second "));
        second.write_all(EMPTY).unwrap();
        head(&mut client);
        drop((client, second));
        until("the client is gone", || proxy.0.connections(9).is_empty());
    }
}

#[test]
fn a_server_that_refuses_a_body_and_closes_is_heard() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\nConnection: close\r\n\r\nlarge\n";
    for _ in 0..8 {
        let mut client = proxy.client("web");
        post(&client, 32 << 20);
        let mut server = origin.accept();
        head(&mut server);
        server.write_all(answer).unwrap();
        // With the rest unread this is a reset.
        drop(server);
        assert!(head(&mut client).starts_with("HTTP/1.1 413 "));
        expect(&mut client, b"large\n");
    }
}

#[test]
fn a_body_to_the_end_is_not_whole_when_its_server_is_lost() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    for _ in 0..8 {
        let mut client = proxy.client("web");
        post(&client, 32 << 20);
        let mut server = origin.accept();
        head(&mut server);
        server.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf of it").unwrap();
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        reset(server);
        let mut got = Vec::new();
        let end = client.read_to_end(&mut got);
        assert!(end.is_err(), "{} bytes passed off as the whole", got.len());
    }
}
