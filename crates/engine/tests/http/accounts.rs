//! Counters add up, and every exchange has its line.

use std::path::PathBuf;

use headworks_engine::{Counters, Format, Options};
use serde_json::{Value, json};

use super::*;

/// A proxy that records, and where.
struct Recorded {
    proxy: Proxy,
    path: PathBuf,
    seen: usize,
}

impl Recorded {
    fn start(written: Value) -> Self {
        let path = scratch_path("access.log");
        let options =
            Options { access_log: path.display().to_string(), log_format: Format::Json, ..options() };
        Self { proxy: Proxy::start_with(written, options), path, seen: 0 }
    }

    /// The next record, which is the only new one.
    #[track_caller]
    fn next(&mut self) -> Value {
        let mut lines = Vec::new();
        until("a record", || {
            let text = std::fs::read_to_string(&self.path).unwrap_or_default();
            lines =
                text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect();
            lines.len() > self.seen
        });
        assert_eq!(lines.len(), self.seen + 1, "one an exchange: {lines:?}");
        self.seen += 1;
        serde_json::from_str(&lines[self.seen - 1]).unwrap()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn every_exchange_has_a_record() {
    let origin = Origin::new();
    let server_name = origin.address().to_string();
    let mut written = web_with(&[origin.address()], json!({"request_id": "X-Request-Id", "body_limit": 100}));
    written["backends"]["app"]["http"] = json!({"response_timeout": 200});
    written["listeners"]["web"]["timeouts"] = json!({"first_bytes": 200});
    let mut recorded = Recorded::start(written);
    let mut asks = client(&recorded.proxy);
    let asked = "GET /path?q=1 HTTP/1.1\r\nHost: A.example:80\r\nX-Request-Id: an-id\r\n\r\n";
    let mut answers = None;
    for _ in 0..2 {
        asks.say(asked);
        let answers = answers.get_or_insert_with(|| server(&origin));
        answers.request();
        answers.reply("hello");
        let before = asks.received;
        asks.expect_body("hello");
        let record = recorded.next();
        for (key, value) in [
            ("listener", json!("web")),
            ("client", json!(asks.stream.local_addr().unwrap().to_string())),
            ("host", json!("A.example:80")),
            ("method", json!("GET")),
            ("path", json!("/path?q=1")),
            ("status", json!(200)),
            ("backend", json!("app")),
            ("server", json!(server_name)),
            ("bytes_in", json!(asked.len())),
            ("bytes_out", json!(asks.received - before)),
            ("end", json!("completed")),
            ("retries", json!(0)),
        ] {
            assert_eq!(record[key], value, "{key}: {record}");
        }
        assert!(record["request_id"].is_string() && record["total_ms"].is_u64(), "{record}");
    }
    let mut expect_end = |status: Value, end: &str| {
        let record = recorded.next();
        assert_eq!((&record["status"], &record["end"]), (&status, &json!(end)), "{record}");
        record
    };
    let address = asks.stream.peer_addr().unwrap();
    let proxy_client = || End::new(connect(address));
    let kept = answers.as_mut().unwrap();

    let mut other = proxy_client();
    other.say("oh no\r\n\r\n");
    other.expect_status(400);
    let record = expect_end(json!(400), "bad_request");
    assert!(record["host"].is_null() && record["method"].is_null() && record["server"].is_null(), "{record}");

    let mut other = proxy_client();
    other.say("GET / HTTP/1.1\r\nHo");
    other.expect_status(408);
    expect_end(json!(408), "first_bytes_timeout");

    asks.say("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 101\r\n\r\n");
    asks.expect_status(413);
    expect_end(json!(413), "body_too_large");

    let mut other = proxy_client();
    other.ask("/");
    kept.request();
    other.expect_status(504);
    let record = expect_end(json!(504), "response_timeout");
    assert_eq!(record["server"], json!(server_name));

    let mut other = proxy_client();
    other.ask("/");
    let mut answers = server(&origin);
    answers.request();
    reset(answers.stream);
    other.expect_status(502);
    expect_end(json!(502), "server_reset");

    other.ask("/");
    let mut answers = server(&origin);
    answers.request();
    reset(other.stream);
    answers.expect_gone();
    expect_end(Value::Null, "client_reset");

    let mut other = proxy_client();
    other.ask("/");
    let mut answers = server(&origin);
    answers.request();
    answers.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!");
    other.head();
    drop(answers);
    other.expect(b"five!");
    other.expect_gone();
    expect_end(json!(200), "server_closed");
    let stats = recorded.proxy.0.stats();
    let counted: u64 = stats.listeners["web"].ends.values().sum();
    assert_eq!(counted, recorded.seen as u64, "one end for each record");
}

#[test]
fn kept_connections_that_end_leave_no_record() {
    let origin = Origin::new();
    let mut recorded = Recorded::start(web(&[origin.address()]));
    let mut answers = None;
    for _ in 0..3 {
        let mut asks = client(&recorded.proxy);
        asks.ask("/");
        answers.get_or_insert_with(|| server(&origin)).serve("/", "ok");
        asks.expect_body("ok");
        assert_eq!(recorded.next()["end"], "completed");
        drop(asks);
        until("it is gone", || recorded.proxy.0.connections(10).is_empty());
    }
}

#[test]
fn counters_add_up() {
    let origin = Origin::new();
    let proxy = Proxy::start(web_with(&[origin.address()], json!({"via": "hw"})));
    let (mut said, mut heard) = (0, 0);
    let mut answers = None;
    const CLIENTS: usize = 3;
    const REQUESTS: usize = 5;
    for _ in 0..CLIENTS {
        let mut asks = client(&proxy);
        for _ in 0..REQUESTS {
            let asked = post("/", "some body");
            said += asked.len() as u64;
            asks.say(asked);
            answers.get_or_insert_with(|| server(&origin)).serve("/", "another body");
            asks.expect_body("another body");
        }
        heard += asks.received as u64;
    }
    until("all have ended", || proxy.0.connections(10).is_empty());
    let stats = proxy.0.stats();
    let (listener, backend) = (&stats.listeners["web"].counters, &stats.backends["app"]);
    let server = &backend.servers[&origin.address().to_string()].counters;
    let bytes = |counters: &Counters| (counters.bytes_in, counters.bytes_out);
    assert_eq!(bytes(listener), (said, heard));
    assert_eq!(bytes(&backend.counters), (said, heard));
    assert_eq!(bytes(server), (said, heard));
    assert_eq!(
        (listener.connections, backend.counters.connections, server.connections),
        (CLIENTS as u64, 1, 1)
    );
    assert_eq!((listener.active, backend.counters.active, server.active), (0, 0, 0));
    assert_eq!((listener.failed, backend.counters.failed, server.failed), (0, 0, 0));
    let requests = (CLIENTS * REQUESTS) as u64;
    for counters in [listener, &backend.counters, server] {
        assert_eq!((counters.requests, counters.responses_2xx), (requests, requests));
        assert_eq!((counters.responses_4xx, counters.responses_5xx, counters.denied), (0, 0, 0));
    }
    assert_eq!((stats.connections, stats.records_dropped), (0, 0));

    // What the server did not say is not counted as the server's.
    let mut asks = client(&proxy);
    asks.ask("/");
    let mut kept = answers.unwrap();
    kept.request();
    drop(kept);
    let mut fresh = self::server(&origin);
    fresh.request();
    drop(fresh);
    asks.expect_status(502);
    asks.say("oh no\r\n\r\n");
    asks.expect_status(400);
    until("all are counted", || proxy.0.stats().listeners["web"].counters.responses_4xx == 1);
    let stats = proxy.0.stats();
    let (listener, backend) = (&stats.listeners["web"].counters, &stats.backends["app"]);
    let server = &backend.servers[&origin.address().to_string()].counters;
    assert_eq!((listener.responses_5xx, listener.failed), (1, 2));
    let ends = &stats.listeners["web"].ends;
    assert_eq!((ends["completed"], ends["bad_request"]), (requests, 1));
    assert_eq!(ends.values().sum::<u64>(), requests + 2, "one an exchange: {ends:?}");
    for counters in [&backend.counters, server] {
        assert_eq!((counters.requests, counters.responses_5xx, counters.failed), (requests + 1, 0, 1));
        assert_eq!(counters.connections, 2, "one that failed was replaced");
    }
}

#[test]
fn retries_are_counted_alike_for_connections_and_requests() {
    let dead = nobody();
    let tcp = json!({"protocol": "tcp", "backend": "app"});
    let http = json!({"protocol": "http", "backend": "app"});
    for (listener, live) in [(&tcp, false), (&http, false), (&tcp, true), (&http, true)] {
        let origin = Origin::new();
        let mut servers = vec![json!({"address": dead.to_string()})];
        if live {
            // The dead one is asked first, then the other one.
            servers.push(json!({"address": origin.address().to_string(), "backup": true}));
        }
        let proxy = Proxy::start(json!({
            "listeners": {"web": listener},
            "backends": {"app": {"servers": servers, "retries": 2, "ejection": {"failures": 1, "duration": 60_000}}},
        }));
        let mut asks = client(&proxy);
        asks.ask("/");
        if live {
            server(&origin).request();
        } else {
            until("it has ended", || proxy.0.stats().listeners["web"].counters.failed == 1);
            assert_eq!(proxy.0.stats().listeners["web"].ends, [("no_server", 1)].into());
        }
        let backend = &proxy.0.stats().backends["app"];
        assert_eq!(backend.retries, u64::from(live), "{listener}: another server was chosen or not");
        assert_eq!(backend.servers[&dead.to_string()].connect_failures, 1);
    }
}
