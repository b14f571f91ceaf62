//! Places at servers: who waits for one, in which order, for how long.

use serde_json::json;

use super::*;

/// A proxy whose only server takes one request at a time.
fn narrow(http: Value) -> (Origin, Proxy) {
    let origin = Origin::new();
    let proxy = Proxy::start(written(&origin, http));
    (origin, proxy)
}

fn written(origin: &Origin, http: Value) -> Value {
    let mut written = web(&[]);
    let server = json!({"address": origin.address().to_string(), "max_connections": 1});
    written["backends"]["app"] = json!({"servers": [server], "http": http});
    written
}

/// So many clients wait for a place.
#[track_caller]
fn until_queued(proxy: &Proxy, count: usize) {
    until("they wait in line", || {
        let rows = proxy.0.connections(100);
        rows.iter().filter(|row| serde_json::to_string(row).unwrap().contains("\"queued\"")).count() == count
    });
}

#[test]
fn the_second_waits_and_gets_through_and_order_is_kept() {
    let (origin, proxy) = narrow(json!({}));
    let mut first = client(&proxy);
    first.ask("/first");
    let mut answers = server(&origin);
    answers.request();
    let mut waiting = Vec::new();
    for number in 0..5 {
        let mut asks = client(&proxy);
        asks.post(&format!("/{number}"), &format!("body {number}"));
        waiting.push(asks);
        until_queued(&proxy, number + 1);
    }
    answers.reply("first");
    first.expect_body("first");
    // Whoever asks now is behind them all.
    first.ask("/last");
    for (number, asks) in waiting.iter_mut().enumerate() {
        let request = answers.serve(&format!("/{number}"), "ok");
        assert_eq!(request.text(), format!("body {number}"));
        asks.expect_body("ok");
    }
    answers.serve("/last", "last");
    first.expect_body("last");
    until("the place is free", || proxy.0.stats().backends["app"].counters.active == 0);
    nobody_waits_at(origin);
}

#[test]
fn a_client_that_pipelines_waits_in_line_like_others() {
    let (origin, proxy) = narrow(json!({}));
    let mut greedy = client(&proxy);
    greedy.say((0..10).map(|n| get(&format!("/greedy/{n}"))).collect::<String>());
    let mut answers = server(&origin);
    answers.request();
    let mut other = client(&proxy);
    other.ask("/other");
    until_queued(&proxy, 1);
    answers.reply("0");
    answers.serve("/other", "ok");
    other.expect_body("ok");
    for n in 1..10 {
        answers.serve(&format!("/greedy/{n}"), "ok");
    }
    for _ in 0..10 {
        greedy.expect_status(200);
    }
}

#[test]
fn waiting_has_an_end() {
    let (origin, proxy) = narrow(json!({"queue_timeout": 100}));
    let mut first = client(&proxy);
    first.ask("/first");
    let mut answers = server(&origin);
    answers.request();
    let mut second = client(&proxy);
    for _ in 0..3 {
        second.ask("/second");
        assert!(!second.expect_status(503).closes());
    }
    answers.reply("ok");
    first.expect_body("ok");
    second.ask("/second");
    answers.serve("/second", "ok");
    second.expect_body("ok");
}

#[test]
fn the_line_has_an_end() {
    let (origin, proxy) = narrow(json!({"queue_limit": 1}));
    let mut first = client(&proxy);
    first.ask("/first");
    let mut answers = server(&origin);
    answers.request();
    let mut second = client(&proxy);
    second.ask("/second");
    until_queued(&proxy, 1);
    let mut third = client(&proxy);
    third.ask("/third");
    third.expect_status(503);
    answers.reply("ok");
    answers.serve("/second", "ok");
    second.expect_body("ok");
}

#[test]
fn who_leaves_the_line_is_not_asked_for() {
    let (origin, proxy) = narrow(json!({}));
    let mut first = client(&proxy);
    first.ask("/first");
    let mut answers = server(&origin);
    answers.request();
    let mut leaves = client(&proxy);
    leaves.ask("/leaves");
    until_queued(&proxy, 1);
    let mut stays = client(&proxy);
    stays.ask("/stays");
    until_queued(&proxy, 2);
    reset(leaves.stream);
    until_queued(&proxy, 1);
    answers.reply("ok");
    answers.serve("/stays", "ok");
    stays.expect_body("ok");
    first.expect_body("ok");
}

#[test]
fn a_place_is_given_back_however_its_exchange_ends() {
    let (origin, proxy) = narrow(json!({"response_timeout": 100}));
    let ends: [fn(End, End, &Proxy); 4] = [
        |mut asks, answers, _| {
            drop(answers);
            asks.expect_status(502);
        },
        |asks, mut answers, _| {
            reset(asks.stream);
            answers.expect_gone();
        },
        |mut asks, _answers, _| _ = asks.expect_status(504),
        |mut asks, mut answers, _| {
            answers.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!");
            drop(answers);
            asks.head();
            asks.expect(b"five!");
            asks.expect_gone();
        },
    ];
    for end in ends {
        let mut asks = client(&proxy);
        asks.ask("/");
        let mut answers = server(&origin);
        answers.request();
        end(asks, answers, &proxy);
        until("the place is free", || proxy.0.stats().backends["app"].counters.active == 0);
    }
    let mut asks = client(&proxy);
    asks.ask("/");
    server(&origin).serve("/", "ok");
    asks.expect_body("ok");
}
