//! Connections kept on both sides: reused, most recent first, given up when they cannot be trusted; requests
//! sent again.

use std::io::Write;

use serde_json::json;

use super::*;

#[test]
fn many_requests_of_many_clients_go_through_one_server_connection() {
    let (origin, proxy) = pair();
    let mut first = client(&proxy);
    first.ask("/0");
    let mut origin_side = server(&origin);
    origin_side.serve("/0", "zero");
    first.expect_body("zero");
    for number in 1..200 {
        let mut other = client(&proxy);
        let asks = if number % 2 == 0 { &mut first } else { &mut other };
        let (path, body) = (format!("/{number}"), format!("body {number}"));
        asks.ask(&path);
        origin_side.serve(&path, &body);
        assert!(!asks.expect_body(&body).closes());
    }
    nobody_waits_at(origin);
}

#[test]
fn the_most_recent_connection_is_taken_first() {
    for older_answers_last in [false, true] {
        let (origin, proxy) = pair();
        let (mut one, mut two) = (client(&proxy), client(&proxy));
        one.ask("/1");
        let mut older = server(&origin);
        older.request();
        two.ask("/2");
        let mut newer = server(&origin);
        newer.request();
        let (mut last, mut other) = ((newer, two), (older, one));
        if older_answers_last {
            std::mem::swap(&mut last, &mut other);
        }
        for (answers, asks) in [&mut other, &mut last] {
            answers.reply("ok");
            asks.expect_body("ok");
        }
        other.1.ask("/next");
        last.0.serve("/next", "next");
        other.1.expect_body("next");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_asked_one_by_one() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    let all: String = (0..50)
        .map(|n| if n % 3 == 0 { post(&format!("/{n}"), "body") } else { get(&format!("/{n}")) })
        .collect();
    asks.say(&all);
    let mut answers = server(&origin);
    for n in 0..50 {
        let request = answers.serve(&format!("/{n}"), &format!("answer {n}"));
        assert_eq!(request.text(), if n % 3 == 0 { "body" } else { "" });
    }
    for n in 0..50 {
        asks.expect_body(&format!("answer {n}"));
    }
    nobody_waits_at(origin);
}

#[test]
fn pipelined_requests_that_need_no_server_all_get_their_turn() {
    let mut written = web_with(&[], json!({"respond": {"status": 200, "body": "{path}", "headers": []}}));
    written["listeners"]["web"].as_object_mut().unwrap().remove("backend");
    written.as_object_mut().unwrap().remove("backends");
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    asks.say((0..500).map(|n| get(&format!("/{n}"))).collect::<String>());
    for n in 0..500 {
        asks.expect_body(&format!("/{n}"));
    }
}

#[test]
fn a_request_may_come_in_single_bytes_and_close_behind_another() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.stream.set_nodelay(true).unwrap();
    for byte in post("/slow", "body").bytes() {
        asks.say([byte]);
    }
    let mut answers = server(&origin);
    assert_eq!(answers.serve("/slow", "ok").text(), "body");
    asks.expect_body("ok");
    let both = format!("{}{}", post("/1", "one"), get("/2"));
    let (begin, end) = both.split_at(both.len() - 7);
    asks.say(begin);
    assert_eq!(answers.serve("/1", "1").text(), "one");
    asks.expect_body("1");
    asks.say(end);
    answers.serve("/2", "2");
    asks.expect_body("2");
}

#[test]
fn a_response_may_come_in_single_bytes() {
    let (origin, proxy) = pair();
    let (mut asks, mut answers) = warm(&origin, &proxy);
    answers.stream.set_nodelay(true).unwrap();
    for response in
        [ok("body"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".into()]
    {
        asks.ask("/");
        answers.request();
        for byte in response.bytes() {
            answers.say([byte]);
        }
        asks.expect_body("body");
    }
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(format!("\r\n{}", get("/")));
    server(&origin).serve("/", "ok");
    asks.expect_body("ok");
}

/// A client with a kept server connection, both used once.
fn warm(origin: &Origin, proxy: &Proxy) -> (End, End) {
    let mut asks = client(proxy);
    asks.ask("/warm");
    let mut answers = server(origin);
    answers.serve("/warm", "warm");
    asks.expect_body("warm");
    (asks, answers)
}

#[test]
fn a_get_that_a_kept_connection_swallowed_is_asked_again_once() {
    let (origin, proxy) = pair();
    let (mut asks, mut kept) = warm(&origin, &proxy);
    asks.ask("/again");
    kept.request();
    drop(kept);
    let mut fresh = server(&origin);
    fresh.serve("/again", "second");
    asks.expect_body("second");

    asks.ask("/again");
    fresh.request();
    reset(fresh.stream);
    let mut fresh = server(&origin);
    fresh.request();
    drop(fresh);
    // A fresh connection that ends says something about the server.
    let answer = asks.expect_status(502);
    assert!(!answer.closes());
    nobody_waits_at(origin);
}

#[test]
fn a_put_with_its_body_is_asked_again_whole() {
    let (origin, proxy) = pair();
    let (mut asks, mut kept) = warm(&origin, &proxy);
    let put = post("/again", "a body").replace("POST", "PUT");
    asks.say(&put);
    assert_eq!(kept.request().text(), "a body");
    drop(kept);
    assert_eq!(server(&origin).serve("/again", "second").text(), "a body");
    asks.expect_body("second");
}

#[test]
fn what_may_have_been_done_is_not_asked_again() {
    let (origin, proxy) = pair();
    let (mut asks, mut kept) = warm(&origin, &proxy);
    asks.post("/once", "pay");
    kept.request();
    drop(kept);
    asks.expect_status(502);
    // Nor is a body asked for again of which a part has gone.
    let (mut asks, mut kept) = warm(&origin, &proxy);
    asks.say("PUT /once HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n");
    kept.head();
    asks.say("first");
    kept.expect(b"first");
    reset(kept.stream);
    assert!(asks.expect_status(502).closes(), "the rest of the body is still coming");
    nobody_waits_at(origin);
}

#[test]
fn a_kept_connection_that_has_ended_is_not_used() {
    let (origin, proxy) = pair();
    let (mut asks, mut kept) = warm(&origin, &proxy);
    finish(&kept.stream);
    kept.expect_end();
    // What may not be sent twice gets through: nothing was tried on the one that ended.
    asks.post("/next", "pay");
    server(&origin).serve("/next", "ok");
    asks.expect_body("ok");
}

#[test]
fn bytes_beyond_a_response_never_reach_another_exchange() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let long = "x".repeat(300_000);
    for honest in [
        ok("fine"),
        ok(&long),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n".into(),
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n".into(),
    ] {
        let (origin, proxy) = pair();
        let mut asks = client(&proxy);
        asks.ask("/1");
        let mut answers = server(&origin);
        answers.request();
        answers.stream.write_all(format!("{honest}{evil}").as_bytes()).unwrap();
        let answer = asks.answer();
        assert!([200, 204, 304].contains(&answer.status()) && !answer.text().contains("evil"));
        assert!(answer.status() == 200 || answer.field("transfer-encoding").is_none());
        answers.expect_gone();
        asks.ask("/2");
        server(&origin).serve("/2", "good");
        asks.expect_body("good");
    }
}

#[test]
fn bytes_beyond_a_response_are_found_when_they_came_with_its_end() {
    // A client that does not read holds the response up, so that at some length its end and what is beyond it
    // lie unread in the kernel, and nothing announces them any more.
    for length in (2_400_000..4_200_000).step_by(50_000) {
        let (origin, proxy) = pair();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect(&proxy.address("web").into()).unwrap();
        let mut asks = End::new(bounded(socket.into()));
        asks.ask("/1");
        let mut answers = server(&origin);
        answers.request();
        answers.say(format!("{}{}", ok(&"x".repeat(length)), ok("evil")));
        assert_eq!(asks.expect_status(200).body.len(), length);
        asks.ask("/2");
        let mut fresh = server(&origin);
        fresh.serve("/2", "good");
        asks.expect_body("good");
        answers.expect_gone();
    }
}

#[test]
fn bytes_that_nobody_asked_for_end_a_kept_connection() {
    let (origin, proxy) = pair();
    let (mut asks, mut kept) = warm(&origin, &proxy);
    kept.reply("evil");
    kept.expect_gone();
    asks.ask("/next");
    server(&origin).serve("/next", "good");
    asks.expect_body("good");
}

#[test]
fn a_response_to_head_with_a_body_poisons_its_connection_alone() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(get("/").replace("GET", "HEAD"));
    let mut answers = server(&origin);
    assert!(answers.request().line.starts_with("HEAD / "));
    answers.reply("body that has no place here");
    assert_eq!(asks.bare_answer().field("content-length"), Some("27"));
    answers.expect_gone();
    asks.ask("/next");
    server(&origin).serve("/next", "good");
    asks.expect_body("good");
}

#[test]
fn a_server_that_closes_after_its_response_is_not_asked_there_again() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    for _ in 0..3 {
        asks.ask("/");
        let mut answers = server(&origin);
        answers.request();
        answers.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        // It does not close at once: whoever believed that it is kept would use it.
        assert!(!asks.expect_body("ok").closes(), "how the server ends is no matter of the client's");
        answers.expect_end();
    }
}

#[test]
fn no_more_connections_are_kept_than_allowed_nor_for_longer() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["backends"]["app"]["http"] = json!({"pool_size": 1, "pool_timeout": 50});
    let proxy = Proxy::start(written);
    let (mut one, mut two) = (client(&proxy), client(&proxy));
    one.ask("/1");
    let mut first = server(&origin);
    first.request();
    two.ask("/2");
    let mut second = server(&origin);
    second.serve("/2", "2");
    two.expect_body("2");
    first.reply("1");
    one.expect_body("1");
    first.expect_end();
    second.expect_end();
}

#[test]
fn pool_size_zero_keeps_none() {
    let origin = Origin::new();
    let mut written = web(&[origin.address()]);
    written["backends"]["app"]["http"] = json!({"pool_size": 0});
    let proxy = Proxy::start(written);
    let mut asks = client(&proxy);
    for _ in 0..3 {
        asks.ask("/");
        let mut answers = server(&origin);
        answers.serve("/", "ok");
        asks.expect_body("ok");
        answers.expect_end();
    }
}

#[test]
fn a_client_is_let_go_after_so_many_requests() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"requests_per_connection": 3})));
    let mut asks = client(&proxy);
    asks.say(get("/").repeat(4));
    let mut answers = server(&origin);
    for number in 1..=3 {
        answers.serve("/", "ok");
        assert_eq!(asks.expect_body("ok").closes(), number == 3);
    }
    asks.expect_end();
    // The fourth was not asked.
    client(&proxy).ask("/last");
    answers.serve("/last", "ok");
}

#[test]
fn a_client_that_says_close_is_let_go_and_its_server_kept() {
    let (origin, proxy) = pair();
    let mut answers = None;
    for _ in 0..3 {
        let mut asks = client(&proxy);
        asks.say("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        let answers = answers.get_or_insert_with(|| server(&origin));
        let request = answers.serve("/", "ok");
        assert_eq!(request.field("connection"), None, "that concerns the client's connection alone");
        assert!(asks.expect_body("ok").closes());
        asks.expect_end();
    }
    nobody_waits_at(origin);
}
