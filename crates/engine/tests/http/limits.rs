//! What is too much, too slow or too often, and what the client is told.

use serde_json::json;

use super::*;

/// What a client of a listener with these keys is told when it says this; the connection ends with it.
#[track_caller]
fn refused(http: Value, said: &str, status: u16) -> Message {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], http));
    let mut asks = client(&proxy);
    asks.say(said);
    let answer = asks.expect_status(status);
    assert!(answer.closes(), "{}", answer.head);
    asks.expect_end();
    nobody_waits_at(origin);
    answer
}

#[test]
fn heads_that_are_too_large() {
    let long = "x".repeat(3000);
    refused(json!({"head_limit": 2000}), &format!("GET / HTTP/1.1\r\nHost: a.example\r\nX: {long}"), 431);
    refused(json!({"fields_limit": 3}), "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431);
    refused(json!({"line_limit": 2000}), &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431);
    refused(json!({"line_limit": 2000}), &format!("GET /{long} HTTP/1.1\r\nHost: a.example\r\n\r\n"), 414);
}

#[test]
fn trailers_are_bounded_as_heads_are() {
    let trailers = |count: usize, size: usize| {
        let fields = format!("x:{}\r\n", "y".repeat(size - 4)).repeat(count);
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{fields}\r\n")
    };
    refused(json!({"fields_limit": 3}), &trailers(4, 10), 431);
    refused(json!({"head_limit": 1000, "line_limit": 1000}), &trailers(2, 600), 431);
    // More than the defaults, where more is allowed.
    let origin = Origin::new();
    let proxy =
        Proxy::start(web_with(&[origin.address()], json!({"fields_limit": 300, "head_limit": 60_000})));
    let mut asks = client(&proxy);
    asks.say(trailers(200, 200));
    let mut answers = server(&origin);
    answers.serve("/", "ok");
    asks.expect_body("ok");
    asks.ask("/");
    answers.request();
    let many = "x: y\r\n".repeat(200);
    answers.say(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{many}\r\n"));
    asks.expect_body("ok");
}

#[test]
fn what_is_no_request() {
    for said in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: a.example\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    ] {
        refused(json!({}), said, 400);
    }
    refused(json!({}), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501);
    refused(json!({}), "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
}

#[test]
fn what_is_no_request_behind_one_ends_the_connection_after_its_answer() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(format!("{}oh no\r\n\r\n{}", get("/"), get("/never")));
    let mut answers = server(&origin);
    answers.serve("/", "ok");
    asks.expect_body("ok");
    assert!(asks.expect_status(400).closes());
    asks.expect_end();
    client(&proxy).ask("/last");
    answers.serve("/last", "");
}

#[test]
fn bodies_that_are_too_large() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"body_limit": 10})));
    let mut asks = client(&proxy);
    asks.say(post("/", "0123456789"));
    let mut answers = server(&origin);
    assert_eq!(answers.serve("/", "ok").text(), "0123456789");
    asks.expect_body("ok");
    // Known before it comes: nobody is asked.
    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 11\r\n\r\n");
    assert!(asks.expect_status(413).closes());
    asks.expect_end();
    // One that came whole can be passed over.
    let mut asks = client(&proxy);
    asks.say(post("/", "0123456789a"));
    asks.expect_status(413);
    // In chunks: the server is asked, and cut off.
    let mut asks = client(&proxy);
    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    answers.head();
    asks.say("100\r\n0123456789abcdef");
    assert!(asks.expect_status(413).closes());
    let passed = String::from_utf8(answers.rest_or_reset()).unwrap();
    assert!(!passed.ends_with("0\r\n\r\n"), "{passed}");
    nobody_waits_at(origin);
}

#[test]
fn a_head_that_comes_too_slowly() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["listeners"]["web"]["timeouts"] = json!({"first_bytes": 100});
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.say("GET / HTTP/1.1\r\nHo");
    assert!(asks.expect_status(408).closes());
    asks.expect_end();
    // The same for a second request, counted from its first byte.
    let mut asks = client(&proxy);
    asks.ask("/");
    server(&origin).serve("/", "ok");
    asks.expect_body("ok");
    asks.say("GET / HTTP/1.1\r\nHo");
    assert!(asks.expect_status(408).closes());
    asks.expect_end();
}

#[test]
fn a_kept_connection_that_waits_too_long_is_closed_without_a_word() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"keep_alive_timeout": 100})));
    let mut asks = client(&proxy);
    asks.ask("/");
    server(&origin).serve("/", "ok");
    assert!(!asks.expect_body("ok").closes());
    asks.expect_end();
}

#[test]
fn a_body_that_stands_still() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"body_timeout": 100})));
    let mut asks = client(&proxy);
    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nfive!");
    let mut answers = server(&origin);
    assert!(asks.expect_status(408).closes());
    answers.head();
    answers.expect(b"five!");
    answers.expect_gone();
}

#[test]
fn a_body_that_comes_too_slowly() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"min_body_rate": 1_000_000_000})));
    let mut asks = client(&proxy);
    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000\r\n\r\n");
    let mut answers = server(&origin);
    asks.stream.set_nonblocking(true).unwrap();
    until("it is refused", || {
        asks.say("x");
        asks.stream.peek(&mut [0]).is_ok()
    });
    asks.stream.set_nonblocking(false).unwrap();
    assert!(asks.expect_status(408).closes());
    assert!(answers.rest_or_reset().ends_with(b"xxx"), "until then it was passed on");
}

#[test]
fn a_server_that_is_silent() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["backends"]["app"]["http"] = json!({"response_timeout": 100});
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    assert!(!asks.expect_status(504).closes());
    answers.expect_gone();
    // Half a head is no response, either, nor an interim one.
    for said in ["HTTP/1.1 200 O", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        asks.ask("/");
        let mut answers = server(&origin);
        answers.request();
        answers.say(said);
        if said.ends_with("\r\n\r\n") {
            assert_eq!(asks.bare_answer().status(), 103);
        }
        asks.expect_status(504);
        answers.expect_gone();
    }
    nobody_waits_at(origin);
}

#[test]
fn a_response_that_stands_still_is_broken_off() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["listeners"]["web"]["timeouts"] = json!({"idle": 100});
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!");
    asks.head();
    asks.expect(b"five!");
    asks.expect_gone();
    answers.expect_gone();
}

#[test]
fn no_server() {
    let proxy = Proxy::start(web(&[nobody()]));
    let mut asks = client(&proxy);
    for _ in 0..3 {
        asks.ask("/");
        assert!(!asks.expect_status(503).closes(), "the client has done nothing wrong");
    }
}

#[test]
fn another_server_is_asked_when_one_cannot_be_connected_to() {
    let origin = Origin::new();
    let proxy = Proxy::start(web(&[nobody(), origin.address()]));
    let mut answers = None;
    for _ in 0..4 {
        let mut asks = client(&proxy);
        asks.post("/", "body");
        let answers = answers.get_or_insert_with(|| server(&origin));
        assert_eq!(answers.serve("/", "ok").text(), "body");
        asks.expect_body("ok");
    }
    let stats = proxy.0.stats();
    assert!(stats.backends["app"].retries >= 1);
}

#[test]
fn what_is_no_response() {
    for said in [
        "oh no\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "HTTP/1.1 99 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size",
    ] {
        let (origin, proxy) = pair();
        let mut asks = client(&proxy);
        asks.ask("/");
        let mut answers = server(&origin);
        answers.request();
        answers.say(said);
        asks.expect_status(502);
        answers.expect_gone();
        asks.ask("/next");
        server(&origin).serve("/next", "ok");
        asks.expect_body("ok");
    }
    // Too large a head.
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say(format!("HTTP/1.1 200 OK\r\n{}", "X: some value\r\n".repeat(2_000)));
    asks.expect_status(502);
    answers.expect_gone();
    // Half a head and the end.
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-");
    drop(answers);
    asks.expect_status(502);
}

#[test]
fn too_often() {
    let origin = Origin::new();
    let limit = json!({"requests": 1, "per": 3_600_000, "burst": 2, "header": "X-Key", "keys": 100});
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"rate_limit": limit})));
    let mut asks = client(&proxy);
    let with_key = |key: &str| format!("GET / HTTP/1.1\r\nHost: a.example\r\nX-Key: {key}\r\n\r\n");
    let mut answers = None;
    for key in ["one", "two"] {
        for _ in 0..2 {
            asks.say(with_key(key));
            answers.get_or_insert_with(|| server(&origin)).serve("/", "ok");
            asks.expect_body("ok");
        }
        asks.say(with_key(key));
        let refused = asks.expect_status(429);
        let seconds: u64 = refused.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=3600).contains(&seconds), "{seconds}");
        assert!(!refused.closes());
    }
    until("both are counted", || proxy.0.stats().listeners["web"].counters.denied == 2);
}

#[test]
fn clients_forgotten_too_early_are_counted() {
    let limit = json!({"requests": 1, "per": 3_600_000, "burst": 2, "header": "X-Key", "keys": 1});
    let answer = json!({"status": 200, "body": "ok", "headers": []});
    let mut written = web_with(&[], json!({"rate_limit": limit, "respond": answer}));
    written["listeners"]["web"].as_object_mut().unwrap().remove("backend");
    written.as_object_mut().unwrap().remove("backends");
    let proxy = Proxy::start(written);
    let forgotten = || proxy.0.stats().listeners["web"].rate_limit_forgotten;
    let mut asks = client(&proxy);
    let mut ask = |key: u32| {
        asks.say(format!("GET / HTTP/1.1\r\nHost: a.example\r\nX-Key: {key}\r\n\r\n"));
        asks.expect_body("ok");
    };
    ask(0);
    assert_eq!(forgotten(), 0);
    // At least one is remembered in each part of the map, and no map has so many parts.
    (1..1000).for_each(&mut ask);
    assert!(forgotten() > 0);
    assert_eq!(Proxy::start(web(&[nobody()])).0.stats().listeners["web"].rate_limit_forgotten, 0);
}

#[test]
fn too_many_at_once() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"max_requests_per_client": 1})));
    let (mut one, mut two) = (client(&proxy), client(&proxy));
    one.ask("/1");
    let mut answers = server(&origin);
    answers.request();
    two.ask("/2");
    two.expect_status(429);
    answers.reply("ok");
    one.expect_body("ok");
    two.ask("/2");
    answers.serve("/2", "ok");
    two.expect_body("ok");
}

#[test]
fn clients_that_may_not_be_here_are_told_so() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["listeners"]["web"]["deny"] = json!(["127.0.0.0/8"]);
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.ask("/");
    assert!(asks.expect_status(403).closes());
    asks.expect_end();

    let mut written = web(&[origin.address()]);
    written["listeners"]["web"]["max_connections_per_client"] = json!(1);
    let proxy = Proxy::start(written);
    let mut one = client(&proxy);
    one.ask("/");
    server(&origin).serve("/", "ok");
    one.expect_body("ok");
    let mut two = client(&proxy);
    two.ask("/");
    assert!(two.expect_status(503).closes());
    two.expect_end();
    nobody_waits_at(origin);
}
