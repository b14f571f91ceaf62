//! One record a connection, in a file, as text or JSON, with the right end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::io::{Read, Write};
use std::path::Path;

use common::*;
use headworks_engine::{Format, Notice, Options};
use serde_json::{Value, json};

/// A proxy with a log, and what has been written to it.
struct Logged {
    proxy: Proxy,
    path: std::path::PathBuf,
}

impl Logged {
    fn start(written: Value, log_format: Format) -> Self {
        let path = scratch_path("access.log");
        let options = Options { access_log: path.display().to_string(), log_format, ..options() };
        Self { proxy: Proxy::start_with(written, options), path }
    }

    /// Record number `n`, once it is there.
    fn record(&self, n: usize) -> Value {
        until("a record", || lines(&self.path).len() > n);
        assert_eq!(lines(&self.path).len(), n + 1, "one record a connection");
        serde_json::from_str(&lines(&self.path)[n]).unwrap()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // A line being written has no end yet.
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
}

#[test]
fn every_end() {
    let origin = Origin::new();
    let mut written = secure(origin.address(), nobody());
    let app = json!({"servers": [origin.address().to_string()]});
    written["backends"]["app"] = app;
    written["listeners"]["plain"] = json!({"protocol": "tcp", "backend": "app"});
    let soon = json!({"idle": 50, "half_close": 50, "first_bytes": 50});
    written["listeners"]["hasty"] = json!({"protocol": "tcp", "backend": "app", "timeouts": soon});
    written["listeners"]["hasty_tls"] = json!({"protocol": "tls", "table": "sites", "timeouts": soon});
    written["listeners"]["closed"] = json!({"protocol": "tcp", "backend": "app", "deny": ["0.0.0.0/0"]});
    written["listeners"]["tiny"] = json!({"protocol": "tls", "table": "sites", "first_bytes_limit": 16});
    written["listeners"]["full"] = json!({"protocol": "tcp", "backend": "app", "max_connections": 0});
    let logged = Logged::start(written, Format::Json);
    let proxy = &logged.proxy;
    let pair = |listener: &str| {
        let (mut client, mut server) = (proxy.client(listener), origin.accept());
        talk(&mut client, &mut server);
        (client, server)
    };
    let told = |listener: &str, first: &[u8]| {
        let mut client = proxy.client(listener);
        client.write_all(first).unwrap();
        // Some end in a reset: what we said was not read.
        let _ = client.read_to_end(&mut Vec::new());
    };
    let mut seen = 0;
    let mut expect_end = |end: &str| {
        let record = logged.record(seen);
        assert_eq!(record["end"], end, "{record}");
        seen += 1;
        record
    };

    let (client, server) = pair("plain");
    drop(client);
    expect_last(&mut &server, b"");
    drop(server);
    let record = expect_end("client_closed");
    assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&json!(4), &json!(4)));
    assert_eq!(record["server"], origin.address().to_string());
    assert_eq!(record["backend"], "app");

    let (client, server) = pair("plain");
    drop(server);
    expect_last(&mut &client, b"");
    drop(client);
    expect_end("server_closed");

    let (client, _server) = pair("plain");
    reset(client);
    expect_end("client_reset");

    let (_client, server) = pair("plain");
    reset(server);
    expect_end("server_reset");

    told("secure", &hello(Some("no.example")));
    let record = expect_end("no_match");
    assert_eq!((&record["sni"], &record["bytes_out"]), (&json!("no.example"), &json!(7)));
    assert!(record["server"].is_null() && record["backend"].is_null());

    told("secure", &hello(Some("b.example")));
    let record = expect_end("no_server");
    assert_eq!((&record["backend"], &record["retries"]), (&json!("b"), &json!(0)));

    told("secure", b"GET / HTTP/1.1\r\n\r\n");
    expect_end("bad_request");

    told("secure", &hello(None));
    expect_end("no_name");

    told("tiny", &hello(Some("a.example")));
    expect_end("too_large");

    told("closed", b"");
    expect_end("denied");

    told("full", b"");
    expect_end("limit_reached");

    let (_client, _server) = pair("hasty");
    expect_end("idle_timeout");

    let (client, _server) = pair("hasty");
    finish(&client);
    expect_end("half_close_timeout");

    told("hasty_tls", b"");
    expect_end("first_bytes_timeout");

    let (_client, _server) = pair("plain");
    proxy.0.stop();
    expect_end("drained");
}

#[test]
fn a_line_of_text() {
    let origin = Origin::new();
    let logged = Logged::start(secure(origin.address(), nobody()), Format::Text);
    let mut client = logged.proxy.client("secure");
    let address = client.local_addr().unwrap();
    client.write_all(&hello(Some("A.Example"))).unwrap();
    let mut server = origin.accept();
    expect(&mut server, &hello(Some("A.Example")));
    finish(&client);
    drop(server);
    expect_last(&mut client, b"");
    drop(client);
    assert!(logged.proxy.0.wait_idle(LIMIT));
    logged.proxy.0.stop();
    let written = lines(&logged.path);
    assert_eq!(written.len(), 1);
    let keys: Vec<_> = written[0].split_whitespace().map(|pair| pair.split_once('=').unwrap().0).collect();
    assert_eq!(
        keys,
        [
            "ts",
            "listener",
            "client",
            "sni",
            "backend",
            "server",
            "bytes_in",
            "bytes_out",
            "wait_ms",
            "connect_ms",
            "total_ms",
            "end",
            "retries",
            "id"
        ]
    );
    let known =
        format!("listener=secure client={address} sni=a.example backend=a server={} ", origin.address());
    assert!(written[0].contains(&known), "{}", written[0]);
}

#[test]
fn a_log_rotated_away_is_opened_again() {
    let logged = Logged::start(secure(nobody(), nobody()), Format::Json);
    let visit = || {
        logged.proxy.client("secure").write_all(b"nonsense, no hello").unwrap();
    };
    visit();
    assert_eq!(logged.record(0)["end"], "bad_request");
    let away = scratch_path("rotated.log");
    std::fs::rename(&logged.path, &away).unwrap();
    logged.proxy.0.reopen_logs().unwrap();
    visit();
    assert_eq!(logged.record(0)["end"], "bad_request");
    assert_eq!(lines(&away).len(), 1);
    std::fs::remove_file(away).unwrap();
}

#[test]
fn a_full_disk_costs_records_and_nothing_else() {
    let origin = Origin::new();
    let options = Options { access_log: "/dev/full".into(), ..options() };
    let proxy = Proxy::start_with(plain(&[origin.address()]), options);
    for _ in 0..5 {
        let (mut client, mut server) = (proxy.client("plain"), origin.accept());
        talk(&mut client, &mut server);
    }
    assert!(proxy.0.wait_idle(LIMIT));
    let (dropped, reason) = proxy.notice(|notice| match notice {
        Notice::RecordsDropped { dropped, reason } => Some((dropped, reason)),
        _ => None,
    });
    assert!(dropped > 0 && reason.contains("No space left"), "{dropped}: {reason}");
    until("all are counted", || proxy.0.stats().records_dropped == 5);
}

#[test]
fn a_reader_that_has_stopped_costs_records_and_nothing_else() {
    let path = scratch_path("access.fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Open for reading, so that it can be opened for writing, and never read.
    let _reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let origin = Origin::new();
    let options = Options { access_log: path.display().to_string(), log_format: Format::Json, ..options() };
    let proxy = Proxy::start_with(secure(origin.address(), nobody()), options);
    let name = [&"a".repeat(60)[..]; 4].join(".");
    let mut visits = 0;
    while proxy.0.stats().records_dropped == 0 {
        for _ in 0..100 {
            let mut client = proxy.client("secure");
            client.write_all(&hello(Some(&name))).unwrap();
            expect_last(&mut client, &alert(112));
        }
        visits += 100;
        assert!(visits < 10_000, "the log takes it all");
    }
    let mut client = proxy.client("secure");
    client.write_all(&hello(Some("a.example"))).unwrap();
    let mut server = origin.accept();
    expect(&mut server, &hello(Some("a.example")));
    talk(&mut client, &mut server);
    proxy.0.stop();
    std::fs::remove_file(path).unwrap();
}
