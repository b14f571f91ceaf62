//! Exchanges whose two sides do not keep step: early answers, unread bodies, clients that have left, streams
//! that pause.
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
use socket2::{Domain, Socket, Type};

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

#[test]
fn a_compressed_stream_arrives_as_it_is_sent() {
    let origin = Origin::new();
    let coding = json!({"algorithms": ["gzip"], "types": ["text/*"], "min_size": 1});
    let proxy = Proxy::start(web(&origin, json!({ "compression": coding }), json!({})));
    let mut client = proxy.client("web");
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
    let mut server = origin.accept();
    head(&mut server);
    let start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    server.write_all(start).unwrap();
    assert!(head(&mut client).contains("Content-Encoding: gzip"));
    let say = |mut server: &TcpStream, event: &str| {
        server.write_all(format!("6\r\n{event}\r\n").as_bytes()).unwrap();
    };
    // The decoder reads as soon as there is one.
    say(&server, "hello\n");
    let mut decoder = flate2::read::GzDecoder::new(Chunked(std::io::BufReader::new(client), 0));
    expect(&mut decoder, b"hello\n");
    for event in ["first\n", "again\n", "third\n"] {
        say(&server, event);
        let mut got = [0; 6];
        decoder.read_exact(&mut got).unwrap();
        assert_eq!(got, event.as_bytes());
    }
    server.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(decoder.read_to_end(&mut Vec::new()).unwrap(), 0);
}

/// The content of a chunked body, and what is left of the current chunk.
struct Chunked(std::io::BufReader<TcpStream>, usize);

impl Read for Chunked {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.1 == 0 {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut self.0, &mut line)?;
            match line.trim_end() {
                "" => {}
                "0" => return Ok(0),
                size => self.1 = usize::from_str_radix(size, 16).unwrap(),
            }
        }
        let most = into.len().min(self.1);
        let n = self.0.read(&mut into[..most])?;
        self.1 -= n;
        Ok(n)
    }
}

#[test]
fn who_leaves_the_line_makes_room_in_it() {
    let origin = Origin::new();
    let http = json!({"abort_on_close": true});
    let proxy = Proxy::start(web(&origin, http, json!({"max_connections": 1, "queue_limit": 12})));
    let queued = |count| {
        let rows = proxy.0.connections(99);
        rows.iter().filter(|row| row.state == "queued").count() == count
    };
    let mut first = proxy.client("web");
    first.write_all(GET).unwrap();
    let mut server = origin.accept();
    head(&mut server);
    let waiting: Vec<TcpStream> = (0..12).map(|_| proxy.client("web")).collect();
    waiting.iter().for_each(|mut client| client.write_all(GET).unwrap());
    until("all wait", || queued(12));
    drop(waiting);
    until("all have left", || queued(0));
    let mut last = proxy.client("web");
    last.write_all(GET).unwrap();
    until("the last waits", || queued(1));
    server.write_all(EMPTY).unwrap();
    head(&mut first);
    head(&mut server);
    server.write_all(EMPTY).unwrap();
    assert!(head(&mut last).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_that_ended_with_its_request_gets_its_answer() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    for _ in 0..20 {
        let mut client = proxy.client("web");
        // The end travels with the request.
        let corked = 0x8000;
        assert_eq!(socket2::SockRef::from(&client).send_with_flags(GET, corked).unwrap(), GET.len());
        finish(&client);
        let mut server = origin.accept();
        head(&mut server);
        server.write_all(EMPTY).unwrap();
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn a_body_beyond_its_limit_is_not_passed_on() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({"body_limit": 1000}), json!({})));
    let mut client = proxy.client("web");
    client.write_all(b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let mut server = origin.accept();
    head(&mut server);
    client.write_all(format!("3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1001)).as_bytes()).unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 413 "));
    let mut got = Vec::new();
    let _ = server.read_to_end(&mut got);
    assert!(!got.ends_with(b"0\r\n\r\n"), "the server has all of a request that was refused");
}

#[test]
fn a_refusal_survives_a_client_that_goes_on_sending() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({"body_limit": 1000}), json!({})));
    for _ in 0..8 {
        let mut client = proxy.client("web");
        let mut sender = client.try_clone().unwrap();
        sender.write_all(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 16000000\r\n\r\n").unwrap();
        // All of it is sent before the answer is read, as simple clients do.
        for _ in 0..16 {
            sender.write_all(&[b'z'; 1_000_000]).unwrap();
        }
        assert!(head(&mut client).starts_with("HTTP/1.1 413 "));
    }
}

#[test]
fn however_many_bodies_break_off_none_looks_whole() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    let mut clients = Vec::new();
    let mut servers = Vec::new();
    for _ in 0..80 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // It reads later, and little fits until then.
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&proxy.address("web").into()).unwrap();
        let mut client = bounded(socket.into());
        client.write_all(GET).unwrap();
        let mut server = origin.accept();
        head(&mut server);
        server.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        server.write_all(&[b'x'; 400_000]).unwrap();
        clients.push(client);
        servers.push(server);
    }
    let all = |row: &headworks_engine::ConnectionRow| row.bytes_out > 400_000;
    until("all of it is passed on", || proxy.0.connections(99).iter().all(all));
    servers.into_iter().for_each(reset);
    until("all have ended", || proxy.0.connections(99).is_empty());
    for mut client in clients {
        expect_reset(&mut client);
    }
}

#[test]
fn a_client_is_not_blamed_for_what_it_waited_for() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({"min_body_rate": 1000}), json!({})));
    let mut client = proxy.client("web");
    let asked = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n";
    client.write_all(asked.as_bytes()).unwrap();
    let mut server = origin.accept();
    head(&mut server);
    // Longer than a rate is left unjudged.
    until("the server has taken its time", || proxy.0.connections(1)[0].age_ms > 2_300);
    server.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 100 "));
    client.write_all(b"half").unwrap();
    expect(&mut server, b"half");
    client.write_all(b"rest").unwrap();
    expect(&mut server, b"rest");
    server.write_all(EMPTY).unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_that_leaves_a_silent_stream_frees_its_server() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({"abort_on_close": true}), json!({})));
    let mut client = proxy.client("web");
    client.write_all(GET).unwrap();
    let mut server = origin.accept();
    head(&mut server);
    server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n\r\n").unwrap();
    head(&mut client);
    expect(&mut client, b"6\r\nhello\n\r\n");
    drop(client);
    // The stream says nothing more, and its server is told all the same.
    assert!(matches!(server.read(&mut [0]), Ok(0) | Err(_)));
    until("the client is gone", || proxy.0.connections(9).is_empty());
}

#[test]
fn a_reload_denies_clients_that_are_kept() {
    let origin = Origin::new();
    let written = web(&origin, json!({}), json!({}));
    let proxy = Proxy::start(written.clone());
    let mut client = proxy.client("web");
    client.write_all(GET).unwrap();
    let mut server = origin.accept();
    head(&mut server);
    server.write_all(EMPTY).unwrap();
    head(&mut client);
    let mut denied = written;
    denied["listeners"]["web"]["deny"] = json!(["127.0.0.0/8"]);
    proxy.apply(denied);
    client.write_all(GET).unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_client_that_never_asked_does_not_hold_up_a_drain() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    let mut client = proxy.client("web");
    until("it is accepted", || proxy.0.connections(9).len() == 1);
    proxy.0.drain();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_response_head_in_single_bytes() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&origin, json!({}), json!({})));
    let mut client = proxy.client("web");
    client.write_all(GET).unwrap();
    let mut server = origin.accept();
    server.set_nodelay(true).unwrap();
    head(&mut server);
    for byte in
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    {
        server.write_all(&[*byte]).unwrap();
    }
    assert!(head(&mut client).starts_with("HTTP/1.1 103 "));
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    expect(&mut client, b"ok");
}
