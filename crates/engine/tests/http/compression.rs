//! Compression: what suits it, that nothing else changes, and that a stream arrives as it is sent.

use std::io::{Read, Write};

use serde_json::json;

use super::*;

#[test]
fn what_compression_makes_is_what_was_sent() {
    let origin = Origin::new();
    let compression = json!({"algorithms": ["gzip"], "types": ["text/*"], "min_size": 100});
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"compression": compression})));
    let mut asks = client(&proxy);
    let body: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    let mut answers = None;
    let mut exchange = |accepts: &str, kind: &str, body: &str| {
        asks.say(format!("GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: {accepts}\r\n\r\n"));
        let answers = answers.get_or_insert_with(|| server(&origin));
        answers.request();
        let length = body.len();
        answers.say(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        asks.expect_status(200)
    };
    for _ in 0..2 {
        let answer = exchange("gzip", "text/plain", &body);
        assert_eq!(answer.field("content-encoding"), Some("gzip"));
        assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
        assert!(answer.body.len() < body.len() / 2);
        let mut decoded = String::new();
        flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut decoded).unwrap();
        assert!(decoded == body);
    }
    for (accepts, kind, body) in
        [("br", "text/plain", &body[..]), ("gzip", "image/png", &body), ("gzip", "text/plain", "short")]
    {
        let answer = exchange(accepts, kind, body);
        assert_eq!(answer.field("content-encoding"), None);
        assert!(answer.text() == body);
    }
    nobody_waits_at(origin);
}

#[test]
fn what_has_no_body_is_not_compressed() {
    let origin = Origin::new();
    let compression = json!({"algorithms": ["gzip", "br", "zstd"], "types": ["text/*"], "min_size": 0});
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"compression": compression})));
    let mut asks = client(&proxy);
    let mut answers = None;
    for (line, response) in [
        ("HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"),
        (
            "HEAD / HTTP/1.1",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"),
        ("GET / HTTP/1.1", "HTTP/1.1 204 No\r\nContent-Type: text/plain\r\n\r\n"),
        ("GET / HTTP/1.1", "HTTP/1.1 304 No\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"),
        ("GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"),
    ] {
        for accepts in ["gzip", "br", "zstd"] {
            asks.say(format!("{line}\r\nHost: a.example\r\nAccept-Encoding: {accepts}\r\n\r\n"));
            let answers = answers.get_or_insert_with(|| server(&origin));
            answers.request();
            answers.say(response);
            let answer = asks.bare_answer();
            assert!(!answer.closes());
            if response.contains("Content-Length: 0") && answer.field("transfer-encoding").is_some() {
                while !asks.chunk().is_empty() {}
            }
            // What follows is the next response and nothing else.
            asks.ask("/next");
            answers.serve("/next", "ok");
            asks.expect_body("ok");
        }
    }
    // Who knows no chunks gets none.
    asks.say("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
    let answers = answers.as_mut().unwrap();
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nplain");
    let answer = asks.answer();
    assert_eq!((answer.text(), answer.field("transfer-encoding")), ("plain", None));
}

#[test]
fn a_compressed_stream_arrives_as_it_is_sent() {
    let origin = Origin::new();
    let compression = json!({"algorithms": ["gzip"], "types": ["text/*"], "min_size": 100});
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"compression": compression})));
    let mut asks = client(&proxy);
    asks.say("GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: gzip\r\n\r\n");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(asks.head().contains("gzip"));
    let (mut coded, mut decoder) = (Vec::new(), flate2::write::GzDecoder::new(Vec::new()));
    for event in ["first", "second"] {
        answers.say(format!("{:x}\r\n{event}\r\n", event.len()));
        while !decoder.get_ref().ends_with(event.as_bytes()) {
            let chunk = asks.chunk();
            assert!(!chunk.is_empty(), "ended before {event}");
            coded.extend_from_slice(&chunk);
            decoder.write_all(&chunk).unwrap();
            decoder.flush().unwrap();
        }
    }
    answers.say("0\r\n\r\n");
    while !asks.chunk().is_empty() {}
}
