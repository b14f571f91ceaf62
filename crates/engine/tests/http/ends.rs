//! Ends: clients that leave, and the end of the proxy itself.

use super::*;

#[test]
fn a_client_that_has_finished_sending_gets_its_answer() {
    let (origin, proxy) = pair();
    let mut answers = None;
    for body in ["", "pay"] {
        let mut asks = client(&proxy);
        if body.is_empty() {
            asks.ask("/");
        } else {
            asks.post("/", body);
        }
        let answers = answers.get_or_insert_with(|| server(&origin));
        assert_eq!(answers.request().text(), body);
        // Before the response, and in the middle of it.
        finish(&asks.stream);
        answers.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfi");
        asks.head();
        asks.expect(b"fi");
        answers.say("ve!");
        asks.expect(b"ve!");
        asks.expect_end();
    }
    // While no server has a place, too, and for all requests that came before the end.
    let mut asks = client(&proxy);
    asks.say(format!("{}{}", get("/1"), get("/2")));
    finish(&asks.stream);
    let answers = answers.as_mut().unwrap();
    answers.serve("/1", "one");
    asks.expect_body("one");
    answers.serve("/2", "two");
    asks.expect_body("two");
    asks.expect_end();
    until("all are gone", || proxy.0.connections(10).is_empty());
    assert_eq!(proxy.0.stats().listeners["web"].ends.get("completed"), Some(&4));
}

#[test]
fn a_client_that_has_finished_sending_waits_in_line() {
    let origin = Origin::new();
    let mut written = web(&[]);
    written["backends"]["app"]["servers"] =
        json!([{"address": origin.address().to_string(), "max_connections": 1}]);
    let proxy = Proxy::start(written);
    let (mut first, mut second) = (client(&proxy), client(&proxy));
    first.ask("/first");
    let mut answers = server(&origin);
    answers.request();
    second.ask("/second");
    until("it waits", || proxy.0.connections(10).iter().any(|row| row.state == "queued"));
    finish(&second.stream);
    answers.reply("one");
    first.expect_body("one");
    answers.serve("/second", "two");
    second.expect_body("two");
    second.expect_end();
}

#[test]
fn a_client_that_leaves_cancels_its_request_at_the_server() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"abort_on_close": true})));
    cancels(&origin, &proxy, drop);
    cancels(&origin, &proxy, |asks| reset(asks.stream));
    let (origin, proxy) = pair();
    cancels(&origin, &proxy, |asks| reset(asks.stream));
}

fn cancels(origin: &Origin, proxy: &Proxy, end: fn(End)) {
    let mut asks = client(proxy);
    asks.ask("/");
    let mut answers = server(origin);
    answers.request();
    end(asks);
    answers.expect_gone();
    // In the middle of its own body.
    let mut asks = client(proxy);
    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nfive!");
    let mut answers = server(origin);
    answers.head();
    answers.expect(b"five!");
    end(asks);
    answers.expect_gone();
    // In the middle of the response.
    let mut asks = client(proxy);
    asks.ask("/");
    let mut answers = server(origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nfive!");
    asks.head();
    end(asks);
    let block = vec![0; 1 << 20];
    let refused = (0..1_000).any(|_| std::io::Write::write_all(&mut answers.stream, &block).is_err());
    assert!(refused, "nobody reads that");
    until("all are gone", || proxy.0.connections(10).is_empty());
    assert_eq!(proxy.0.stats().backends["app"].counters.active, 0);
}

#[test]
fn a_client_that_says_nothing_and_leaves_is_forgotten() {
    let (origin, proxy) = pair();
    let silent = client(&proxy);
    let mut partial = client(&proxy);
    partial.say("GET / HT");
    until("they are there", || proxy.0.connections(10).len() == 2);
    drop((silent, partial));
    until("they are gone", || proxy.0.connections(10).is_empty());
    nobody_waits_at(origin);
}

#[test]
fn drain_finishes_what_is_under_way_and_lets_kept_clients_go() {
    let (origin, proxy) = pair();
    let (mut kept, mut busy, mut partial) = (client(&proxy), client(&proxy), client(&proxy));
    kept.ask("/kept");
    let mut idle = server(&origin);
    idle.serve("/kept", "ok");
    kept.expect_body("ok");
    busy.ask("/busy");
    idle.request();
    // A second, idle server connection.
    kept.ask("/kept");
    let mut other = server(&origin);
    other.serve("/kept", "ok");
    kept.expect_body("ok");
    partial.say("GET /partial HTTP/1.1\r\n");
    until("its head has begun", || proxy.0.connections(10).len() == 3);
    proxy.0.drain();
    kept.expect_end();
    other.expect_end();
    idle.reply("ok");
    assert!(busy.expect_body("ok").closes());
    busy.expect_end();
    partial.say("Host: a.example\r\n\r\n");
    server(&origin).serve("/partial", "ok");
    assert!(partial.expect_body("ok").closes());
    partial.expect_end();
    drop((busy, partial));
    assert!(proxy.0.wait_idle(LIMIT));
}

#[test]
fn drain_tells_the_client_even_when_the_head_had_gone() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert!(!asks.head().to_lowercase().contains("connection: close"));
    proxy.0.drain();
    answers.say("five!");
    asks.expect(b"five!");
    asks.expect_end();
    drop(asks);
    assert!(proxy.0.wait_idle(LIMIT));
}

#[test]
fn stop_cuts_everything_off() {
    let (origin, proxy) = pair();
    let (mut busy, mut kept) = (client(&proxy), client(&proxy));
    kept.ask("/kept");
    let mut idle = server(&origin);
    idle.serve("/kept", "ok");
    kept.expect_body("ok");
    busy.ask("/busy");
    idle.request();
    proxy.0.stop();
    kept.expect_gone();
    busy.expect_gone();
    idle.expect_gone();
}
