//! Upgrades and CONNECT: after the last head bytes go both ways until both sides have ended.

use std::io::Read;

use serde_json::json;

use super::*;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Both ends of a tunnel, after these first bytes of each.
fn tunnel(early_up: &str, early_down: &str) -> (Proxy, Origin, End, End) {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(format!("{UPGRADE}{early_up}"));
    let mut answers = server(&origin);
    let head = answers.head().to_lowercase();
    assert!(head.contains("\r\nupgrade: echo\r\n") && head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    answers.say(format!("{SWITCHED}{early_down}"));
    let head = asks.head().to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: echo\r\n"), "{head}");
    (proxy, origin, asks, answers)
}

#[test]
fn bytes_go_both_ways() {
    let (_proxy, _origin, mut asks, mut answers) = tunnel("", "");
    for _ in 0..3 {
        talk(&mut asks.stream, &mut answers.stream);
    }
}

#[test]
fn early_bytes_are_delivered() {
    let (_proxy, _origin, mut asks, mut answers) = tunnel("early up", "early down");
    asks.expect(b"early down");
    answers.expect(b"early up");
    talk(&mut asks.stream, &mut answers.stream);
}

#[test]
fn what_the_client_says_before_the_switch_waits_for_it() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(UPGRADE);
    let mut answers = server(&origin);
    answers.head();
    asks.say("too early");
    answers.say(SWITCHED);
    asks.head();
    answers.expect(b"too early");
}

#[test]
fn the_client_ends_first() {
    let (proxy, _origin, mut asks, mut answers) = tunnel("", "");
    asks.say("last words");
    finish(&asks.stream);
    answers.expect(b"last words");
    answers.expect_end();
    answers.say("and the server goes on");
    asks.expect(b"and the server goes on");
    drop(answers);
    asks.expect_end();
    until("it is gone", || proxy.0.connections(1).is_empty());
}

#[test]
fn a_client_that_ended_and_reads_slowly_gets_all() {
    const MUCH: usize = 16 << 20;
    let (proxy, _origin, mut asks, mut answers) = tunnel("", "");
    finish(&asks.stream);
    answers.expect_end();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| send_noise(&mut &answers.stream, 7, MUCH));
        // The client begins to read when no more goes into its socket: that it does again wakes us, with its
        // end.
        until("it is full", || proxy.0.connections(1)[0].idle_ms > 100);
        let got = read_noise(&mut (&asks.stream).take(MUCH as u64));
        assert_eq!(got, (MUCH, sent.join().unwrap()));
    });
    // The server had nothing to send for a moment, and goes on.
    answers.say("last words");
    finish(&answers.stream);
    asks.expect(b"last words");
    asks.expect_end();
}

#[test]
fn the_server_ends_first() {
    let (proxy, _origin, mut asks, mut answers) = tunnel("", "");
    answers.say("last words");
    finish(&answers.stream);
    asks.expect(b"last words");
    asks.expect_end();
    asks.say("and the client goes on");
    answers.expect(b"and the client goes on");
    drop(asks);
    answers.expect_end();
    until("it is gone", || proxy.0.connections(1).is_empty());
}

#[test]
fn much_goes_both_ways() {
    let (_proxy, _origin, asks, answers) = tunnel("", "");
    const MUCH: usize = 4 << 20;
    std::thread::scope(|scope| {
        let ends = [(&asks.stream, 3), (&answers.stream, 5)];
        let senders = ends.map(|(end, seed)| {
            scope.spawn(move || {
                let sent = send_noise(&mut &*end, seed, MUCH);
                finish(end);
                sent
            })
        });
        let got = scope.spawn(|| read_noise(&mut &asks.stream));
        let up = read_noise(&mut &answers.stream);
        let [sent_up, sent_down] = senders.map(|sender| sender.join().unwrap());
        assert_eq!(up, (MUCH, sent_up));
        assert_eq!(got.join().unwrap(), (MUCH, sent_down));
    });
}

#[test]
fn resets_are_passed_on() {
    let (_proxy, _origin, mut asks, answers) = tunnel("", "");
    reset(answers.stream);
    expect_reset(&mut asks.stream);
    let (_proxy, _origin, asks, mut answers) = tunnel("", "");
    reset(asks.stream);
    answers.expect_gone();
}

#[test]
fn a_server_that_does_not_switch_answers_like_any_other() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.say(UPGRADE);
    let mut answers = server(&origin);
    answers.serve("/chat", "no");
    assert!(!asks.expect_body("no").closes());
    asks.ask("/next");
    answers.serve("/next", "ok");
    asks.expect_body("ok");
}

#[test]
fn a_switch_that_nobody_asked_for_is_no_response() {
    let (origin, proxy) = pair();
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say(SWITCHED);
    asks.expect_status(502);
    answers.expect_gone();
}

#[test]
fn a_switch_to_what_was_not_offered_is_no_response() {
    let ask = |protocols: &str| UPGRADE.replace("Upgrade: echo", &format!("Upgrade: {protocols}"));
    // h2c is asked for, and we do not pass that on.
    for (asked, seen, switched) in [
        ("h2c", None, "h2c"),
        ("h2c, chat", Some("chat"), "h2c"),
        ("chat", Some("chat"), "echo"),
        ("chat", Some("chat"), "chat, echo"),
    ] {
        let (origin, proxy) = pair();
        let mut asks = client(&proxy);
        asks.say(ask(asked));
        let mut answers = server(&origin);
        assert_eq!(answers.request().field("upgrade"), seen, "{asked}");
        answers.say(SWITCHED.replace("Upgrade: echo", &format!("Upgrade: {switched}")));
        asks.expect_status(502);
        answers.expect_gone();
        // Not a byte of it comes through, and the client goes on.
        asks.ask("/next");
        let mut answers = server(&origin);
        answers.serve("/next", "ok");
        asks.expect_body("ok");
    }
}

#[test]
fn connect_is_refused_unless_it_is_allowed() {
    let origin = Origin::new();
    let connect = "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n";
    let proxy = Proxy::start(web(&[origin.address()]));
    let mut asks = client(&proxy);
    asks.say(connect);
    assert!(asks.expect_status(405).field("allow").is_some());
    proxy.apply(web_with(&[origin.address()], json!({"connect": true})));
    let mut asks = client(&proxy);
    asks.say(format!("{connect}early"));
    let mut answers = server(&origin);
    assert!(answers.head().starts_with("CONNECT b.example:443 HTTP/1.1\r\n"));
    answers.say("HTTP/1.1 200 OK\r\n\r\nhello");
    asks.head();
    asks.expect(b"hello");
    answers.expect(b"early");
    talk(&mut asks.stream, &mut answers.stream);
}

#[test]
fn a_silent_tunnel_ends() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"tunnel_timeout": 100})));
    let mut asks = client(&proxy);
    asks.say(UPGRADE);
    let mut answers = server(&origin);
    answers.head();
    answers.say(SWITCHED);
    asks.head();
    asks.expect_gone();
    answers.expect_gone();
}
