//! The Exchange as traces: heads in, what may be sent, kept and repeated out.
//!
//! A trace is written as the bytes of its heads, so that what the codec makes of them is part of it. The
//! tables stand on top: `asked` is a request that came whole, `asking` one whose body is still coming.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use headworks_core::http::exchange::{Exchange, ResponseKind, Sent};
use headworks_core::message::Message;
use headworks_core::message::{Head, Method, Version};
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{self, Limits, Parsed};

/// Who is kept after a whole exchange: request line, its fields, status line, its fields, client kept, server
/// kept.
const KEEPS: [(&str, &str, &str, &str, bool, bool); 20] = [
    ("GET / HTTP/1.1", "", "HTTP/1.1 200 OK", "Content-Length: 0", true, true),
    ("GET / HTTP/1.1", "", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", true, true),
    ("GET / HTTP/1.1", "", "HTTP/1.1 204 No Content", "", true, true),
    ("GET / HTTP/1.1", "", "HTTP/1.1 304 Not Modified", "Content-Length: 10", true, true),
    ("HEAD / HTTP/1.1", "", "HTTP/1.1 200 OK", "Content-Length: 10", true, true),
    ("HEAD / HTTP/1.1", "", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", true, true),
    ("POST / HTTP/1.1", "Content-Length: 0", "HTTP/1.1 200 OK", "Content-Length: 0", true, true),
    // The client ends it.
    ("GET / HTTP/1.1", "Connection: close", "HTTP/1.1 200 OK", "Content-Length: 0", false, true),
    ("GET / HTTP/1.1", "Connection: x, Close", "HTTP/1.1 200 OK", "Content-Length: 0", false, true),
    ("GET / HTTP/1.0", "", "HTTP/1.1 200 OK", "Content-Length: 0", false, true),
    ("GET / HTTP/1.0", "Connection: keep-alive", "HTTP/1.1 200 OK", "Content-Length: 0", true, true),
    ("GET / HTTP/1.0", "Connection: keep-alive, close", "HTTP/1.1 200 OK", "Content-Length: 0", false, true),
    // The server ends it; how it does so is no matter of the client's, whose connection says where the body
    // ends.
    ("GET / HTTP/1.1", "", "HTTP/1.1 200 OK", "Content-Length: 0\r\nConnection: close", true, false),
    ("GET / HTTP/1.1", "", "HTTP/1.0 200 OK", "Content-Length: 0", true, false),
    ("GET / HTTP/1.1", "", "HTTP/1.0 200 OK", "Content-Length: 0\r\nConnection: keep-alive", true, true),
    ("GET / HTTP/1.1", "", "HTTP/1.1 200 OK", "", true, false),
    ("GET / HTTP/1.1", "", "HTTP/1.1 500 Oh", "Content-Length: 0", true, true),
    // Both.
    ("GET / HTTP/1.0", "", "HTTP/1.0 200 OK", "", false, false),
    ("GET / HTTP/1.1", "Connection: close", "HTTP/1.1 204 No", "Connection: close", false, false),
    // An upgrade that the server does not care for.
    (
        "GET / HTTP/1.1",
        "Connection: upgrade\r\nUpgrade: x",
        "HTTP/1.1 200 OK",
        "Content-Length: 0",
        true,
        true,
    ),
];

/// What may be sent again: method, nothing sent, repeatable, gone; on a connection that was kept before.
const REPEATS: [(&str, bool, bool, bool); 10] = [
    ("GET", true, true, false),
    ("HEAD", true, true, false),
    ("PUT", true, true, false),
    ("DELETE", true, true, false),
    ("OPTIONS", true, true, false),
    ("TRACE", true, true, false),
    ("POST", true, false, false),
    ("PATCH", true, false, false),
    ("PROPFIND", true, false, false),
    ("get", true, false, false),
];

/// How the bodies end: request, its fields, status, response fields, the two bodies.
const FRAMINGS: [(&str, &str, u16, &str, Ends, Ends); 16] = [
    ("GET", "", 200, "Content-Length: 5", Ends::None, Ends::Length(5)),
    ("GET", "", 200, "Transfer-Encoding: chunked", Ends::None, Ends::Chunked),
    ("GET", "", 200, "", Ends::None, Ends::End),
    ("GET", "", 204, "", Ends::None, Ends::None),
    ("GET", "", 304, "Content-Length: 5", Ends::None, Ends::None),
    ("GET", "Content-Length: 3", 200, "Content-Length: 0", Ends::Length(3), Ends::Length(0)),
    ("HEAD", "", 200, "Content-Length: 5", Ends::None, Ends::None),
    ("HEAD", "", 200, "", Ends::None, Ends::None),
    ("HEAD", "", 404, "Transfer-Encoding: chunked", Ends::None, Ends::None),
    ("POST", "Content-Length: 7", 200, "", Ends::Length(7), Ends::End),
    ("POST", "Transfer-Encoding: chunked", 201, "Content-Length: 1", Ends::Chunked, Ends::Length(1)),
    ("POST", "", 200, "Content-Length: 1", Ends::None, Ends::Length(1)),
    ("PUT", "Content-Length: 9007199254740993", 200, "", Ends::Length(9_007_199_254_740_993), Ends::End),
    ("CONNECT", "", 200, "Content-Length: 5", Ends::End, Ends::End),
    ("CONNECT", "", 204, "", Ends::End, Ends::End),
    ("CONNECT", "", 403, "Content-Length: 5", Ends::None, Ends::Length(5)),
];

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    None,
    Length(u64),
    Chunked,
    End,
}

fn ends(body: &Body) -> Ends {
    match body {
        Body::None => Ends::None,
        Body::Length(length) => Ends::Length(*length),
        Body::Chunked(_) => Ends::Chunked,
        Body::ToEnd => Ends::End,
    }
}

const LIMITS: Limits = Limits { head: 4096, fields: 20, line: 1024 };

fn fields(fields: &str) -> String {
    if fields.is_empty() { String::new() } else { format!("{fields}\r\n") }
}

/// A head as the codec reads it, and its bytes.
struct Said(Head, String);

impl Said {
    fn message(&self) -> Message<'_> {
        Message::new(&self.0, self.1.as_bytes())
    }
}

/// A request as the codec reads it.
#[track_caller]
fn request(line: &str, more: &str) -> Said {
    let mut head = Head::default();
    let text = format!("{line}\r\nHost: a.example\r\n{}\r\n", fields(more));
    assert_eq!(http1::request(text.as_bytes(), &LIMITS, &mut head), Parsed::Complete, "{text}");
    Said(head, text)
}

/// A request of this method as the codec reads it; CONNECT has a target of its own.
#[track_caller]
fn method(method: &str, more: &str) -> Said {
    let target = if method == "CONNECT" { "a.example:443" } else { "/" };
    let mut head = Head::default();
    let host = if method == "CONNECT" { "a.example:443" } else { "a.example" };
    let text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", fields(more));
    assert_eq!(http1::request(text.as_bytes(), &LIMITS, &mut head), Parsed::Complete, "{text}");
    Said(head, text)
}

/// A response to a request of this method as the codec reads it.
#[track_caller]
fn response(to: Method, line: &str, more: &str) -> Said {
    let mut head = Head::default();
    let text = format!("{line}\r\n{}\r\n", fields(more));
    assert_eq!(http1::response(text.as_bytes(), &LIMITS, to, &mut head), Parsed::Complete, "{text}");
    Said(head, text)
}

fn status(exchange: &Exchange, status: u16, more: &str) -> Said {
    response(exchange.method(), &format!("HTTP/1.1 {status} It"), more)
}

/// An exchange that begins with a plain GET.
fn get() -> Exchange {
    Exchange::new(method("GET", "").message(), &LIMITS)
}

/// Lets a body pass.
fn pass(body: &mut Body, bytes: &[u8]) {
    assert_eq!(body.advance(bytes), Ok((bytes.len(), true)));
}

const WEBSOCKET: &str = "Connection: upgrade\r\nUpgrade: websocket";

#[test]
fn who_is_kept() {
    for (line, asks, answer, says, client, server) in KEEPS {
        let mut exchange = Exchange::new(request(line, asks).message(), &LIMITS);
        assert!(exchange.is_asked(), "{line}");
        assert!(!exchange.keeps_server(), "not before it has answered: {line}");
        let head = response(exchange.method(), answer, says);
        assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Final));
        match ends(&exchange.response) {
            Ends::Chunked => pass(&mut exchange.response, b"0\r\n\r\n"),
            Ends::End => exchange.response = Body::None, // the engine read the end
            Ends::None | Ends::Length(_) => {}
        }
        let kept = (exchange.keeps_client(), exchange.keeps_server());
        assert_eq!(kept, (client, server), "{line}, {asks}: {answer}, {says}");
    }
}

#[test]
fn the_server_is_kept_when_all_was_asked_and_answered() {
    let mut exchange = Exchange::new(method("POST", "Content-Length: 3").message(), &LIMITS);
    let head = status(&exchange, 200, "Content-Length: 2");
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Final));
    assert!(!exchange.keeps_server());
    pass(&mut exchange.response, b"ok");
    assert!(!exchange.keeps_server(), "the request is still on its way");
    pass(&mut exchange.request, b"abc");
    assert!(exchange.keeps_server());
    exchange.close_server();
    assert!(!exchange.keeps_server());
}

#[test]
fn one_that_is_cleared_is_as_new() {
    let mut exchange = Exchange::new(method("POST", "Content-Length: 3\r\nAccept: a/b").message(), &LIMITS);
    exchange.meet(Some("192.0.2.7:4000".parse().unwrap()), true);
    exchange.said.id.extend_from_slice(b"id");
    exchange.count_body(3);
    pass(&mut exchange.request, b"abc");
    status(&exchange, 100, "");
    exchange.close_client();
    exchange.end(headworks_core::close::CloseReason::Completed);
    exchange.clear();
    assert_eq!(format!("{exchange:?}"), format!("{:?}", Exchange::default()));
}

#[test]
fn an_early_answer_is_the_clients_last() {
    for more in ["Content-Length: 3", "Transfer-Encoding: chunked"] {
        let mut exchange = Exchange::new(method("POST", more).message(), &LIMITS);
        let head = status(&exchange, 413, "Content-Length: 0");
        assert!(exchange.keeps_client());
        assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Final));
        assert!(!exchange.keeps_client(), "{more}");
    }
    // Whatever comes after that.
    let mut exchange = Exchange::new(method("POST", "Content-Length: 3").message(), &LIMITS);
    let head = status(&exchange, 200, "Content-Length: 0");
    exchange.respond(head.message());
    pass(&mut exchange.request, b"abc");
    assert!(exchange.is_asked() && !exchange.keeps_client());
}

#[test]
fn how_bodies_end() {
    for (name, asks, code, says, asked, answered) in FRAMINGS {
        let mut exchange = Exchange::new(method(name, asks).message(), &LIMITS);
        let head = status(&exchange, code, says);
        let answer = exchange.respond(head.message()).unwrap();
        assert_eq!(answer == ResponseKind::Tunnel, asked == Ends::End, "{name} {code}");
        assert_eq!(
            (ends(&exchange.request), ends(&exchange.response)),
            (asked, answered),
            "{name} {code} {says}"
        );
        assert_eq!(exchange.status(), code);
        assert!(exchange.is_answered());
    }
}

#[test]
fn an_old_client_gets_no_chunks() {
    for (line, says, bare) in [
        ("GET / HTTP/1.0", "Transfer-Encoding: chunked", true),
        ("GET / HTTP/1.0", "Content-Length: 1", false),
        ("GET / HTTP/1.0", "", false),
        ("GET / HTTP/1.1", "Transfer-Encoding: chunked", false),
    ] {
        let mut exchange = Exchange::new(request(line, "").message(), &LIMITS);
        let head = status(&exchange, 200, says);
        exchange.respond(head.message());
        assert_eq!(exchange.needs_bare_body(), bare, "{line} {says}");
    }
}

#[test]
fn interim_responses() {
    let mut exchange = get();
    for code in [100, 102, 103, 199] {
        let head = status(&exchange, code, "");
        assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Interim), "{code}");
        assert!(!exchange.is_answered() && exchange.status() == 0 && !exchange.keeps_server());
    }
    let head = status(&exchange, 200, "Content-Length: 0");
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Final));
    assert!(exchange.keeps_client() && exchange.keeps_server());
}

#[test]
fn an_old_client_does_not_see_interim_responses() {
    let mut exchange = Exchange::new(request("GET / HTTP/1.0", "").message(), &LIMITS);
    assert_eq!(exchange.version(), Version::Http10);
    let head = status(&exchange, 100, "");
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Hidden));
    let head = status(&exchange, 200, "Content-Length: 0");
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Final));
}

#[test]
fn an_upgrade_that_was_asked_for() {
    let mut exchange = Exchange::new(method("GET", WEBSOCKET).message(), &LIMITS);
    let head = status(&exchange, 101, WEBSOCKET);
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Tunnel));
    assert!(exchange.is_tunnel() && exchange.is_answered());
    assert_eq!((ends(&exchange.request), ends(&exchange.response)), (Ends::End, Ends::End));
    assert!(!exchange.is_asked(), "the client speaks on");
    assert!(!exchange.keeps_client());
    exchange.request = Body::None;
    exchange.response = Body::None;
    assert!(!exchange.keeps_client() && !exchange.keeps_server(), "nobody speaks HTTP there any more");
}

#[test]
fn an_upgrade_that_nobody_asked_for() {
    for asks in ["", "Upgrade: websocket", "Connection: upgrade"] {
        let mut exchange = Exchange::new(method("GET", asks).message(), &LIMITS);
        let head = status(&exchange, 101, WEBSOCKET);
        assert_eq!(exchange.respond(head.message()), None, "{asks}");
        assert!(!exchange.is_tunnel() && !exchange.is_answered());
    }
    let mut exchange = Exchange::new(request("GET / HTTP/1.0", WEBSOCKET).message(), &LIMITS);
    let head = status(&exchange, 101, WEBSOCKET);
    assert_eq!(exchange.respond(head.message()), None, "HTTP/1.0 has no upgrade (RFC 9110 section 7.8)");
}

#[test]
fn an_upgrade_to_what_was_not_offered() {
    let to = |protocols: &str| format!("Connection: upgrade\r\nUpgrade: {protocols}");
    for (offered, switched, may) in [
        ("websocket", "WebSocket", true),
        ("a, b/2", "b/2", true),
        ("a, b/2", "a, b/2", true),
        ("a\r\nUpgrade: b", "b", true),
        ("websocket", "echo", false),
        ("websocket", "websocket, echo", false),
        ("websocket", "websocket\r\nUpgrade: echo", false),
        ("b/2", "b/3", false),
        ("websocket", ",", false),
        // It is taken from the offers before the server sees them.
        ("h2c", "h2c", false),
        ("H2C, websocket", "h2c", false),
        ("h2c, websocket", "websocket, h2c", false),
        ("h2c, websocket", "websocket", true),
    ] {
        let mut exchange = Exchange::new(method("GET", &to(offered)).message(), &LIMITS);
        let head = status(&exchange, 101, &to(switched));
        let answer = exchange.respond(head.message());
        assert_eq!(answer, may.then_some(ResponseKind::Tunnel), "{offered}: {switched}");
        assert_eq!(exchange.is_tunnel(), may);
    }
}

#[test]
fn an_upgrade_after_interim_responses() {
    let mut exchange = Exchange::new(method("GET", WEBSOCKET).message(), &LIMITS);
    let head = status(&exchange, 100, "");
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Interim));
    let head = status(&exchange, 101, WEBSOCKET);
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Tunnel));
}

#[test]
fn connect() {
    for (code, answer) in [
        (200, ResponseKind::Tunnel),
        (299, ResponseKind::Tunnel),
        (302, ResponseKind::Final),
        (407, ResponseKind::Final),
    ] {
        let mut exchange = Exchange::new(method("CONNECT", "").message(), &LIMITS);
        let head = status(&exchange, code, "");
        assert_eq!(exchange.respond(head.message()), Some(answer), "{code}");
        assert_eq!(exchange.is_tunnel(), answer == ResponseKind::Tunnel);
    }
    let mut exchange = Exchange::new(method("CONNECT", "").message(), &LIMITS);
    let head = status(&exchange, 100, "");
    assert_eq!(exchange.respond(head.message()), Some(ResponseKind::Interim), "a success is 2xx");
}

#[test]
fn what_may_be_sent_again() {
    for (name, nothing, repeatable, gone) in REPEATS {
        let exchange = Exchange::new(method(name, "").message(), &LIMITS);
        for (sent, may) in [(Sent::Nothing, nothing), (Sent::Repeatable, repeatable), (Sent::Gone, gone)] {
            assert_eq!(exchange.may_repeat(sent), may, "{name}, {sent:?}");
        }
    }
}

#[test]
fn nothing_is_sent_again_once_the_server_has_spoken() {
    let mut exchange = get();
    let head = status(&exchange, 103, "");
    exchange.respond(head.message());
    for sent in [Sent::Nothing, Sent::Repeatable, Sent::Gone] {
        assert!(!exchange.may_repeat(sent), "{sent:?}");
    }
    let mut exchange = get();
    let head = status(&exchange, 200, "Content-Length: 5");
    exchange.respond(head.message());
    assert!(!exchange.may_repeat(Sent::Repeatable));
}

#[test]
fn an_answer_of_our_own() {
    let mut exchange = get();
    exchange.answered(503);
    assert_eq!((exchange.status(), exchange.is_answered()), (503, true));
    assert!(exchange.keeps_client() && !exchange.keeps_server());
    assert!(exchange.response.is_done());
    assert!(!exchange.may_repeat(Sent::Nothing));

    let mut exchange = Exchange::new(method("POST", "Content-Length: 3").message(), &LIMITS);
    exchange.answered(413);
    assert!(!exchange.keeps_client(), "the body is still coming");

    let mut exchange = get();
    exchange.close_client();
    exchange.answered(400);
    assert!(!exchange.keeps_client());
}

#[test]
fn a_response_that_is_withdrawn_leaves_room_for_an_answer_of_our_own() {
    let mut exchange = get();
    let head = status(&exchange, 200, "Content-Length: 5");
    exchange.respond(head.message());
    exchange.withdraw();
    assert!(!exchange.is_answered() && exchange.response.is_done() && !exchange.keeps_server());
    exchange.answered(502);
    assert_eq!(exchange.status(), 502);
    assert!(exchange.keeps_client(), "the client has done nothing wrong");

    let mut exchange = Exchange::new(method("GET", WEBSOCKET).message(), &LIMITS);
    let head = status(&exchange, 101, WEBSOCKET);
    exchange.respond(head.message());
    exchange.withdraw();
    assert!(!exchange.is_tunnel() && exchange.is_asked());
    exchange.answered(502);
    assert!(!exchange.keeps_client(), "it may have begun to speak the other protocol");
}

#[test]
fn one_before_any_head_keeps_nobody() {
    let exchange = Exchange::default();
    assert!(!exchange.keeps_client() && !exchange.keeps_server() && !exchange.is_answered());
    assert!(exchange.is_asked());
}
