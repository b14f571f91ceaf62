//! Active checks take servers down and bring them up, and tell it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::net::TcpStream;

use common::*;
use headworks_engine::Notice;
use serde_json::{Value, json};

fn checked(servers: &[&Origin]) -> Value {
    let mut written = plain(&servers.iter().map(|origin| origin.address()).collect::<Vec<_>>());
    written["backends"]["app"]["health"] = json!({"interval": 20, "timeout": 2_000});
    written
}

fn is_up(proxy: &Proxy, server: &str) -> bool {
    proxy.0.stats().backends["app"].servers[server].up
}

/// The next connection that carries a byte: checks connect, too.
fn accept_client(origin: &Origin) -> TcpStream {
    loop {
        let server = origin.accept();
        let mut first = [0];
        if server.peek(&mut first).is_ok_and(|n| n == 1) {
            return server;
        }
    }
}

#[test]
fn down_is_not_chosen_and_up_is_again() {
    let (steady, failing) = (Origin::new(), Origin::new());
    let address = failing.address();
    let proxy = Proxy::start(checked(&[&steady, &failing]));
    assert!(is_up(&proxy, &address.to_string()), "taken to be up until checked");
    drop(failing);
    let (backend, server, reason) = proxy.notice(|notice| match notice {
        Notice::ServerDown { backend, server, reason } => Some((backend, server, reason)),
        _ => None,
    });
    assert_eq!((backend.as_str(), server), ("app", address.to_string()));
    assert_eq!(reason, "connection refused");
    assert!(!is_up(&proxy, &address.to_string()));
    let tried =
        |proxy: &Proxy| proxy.0.stats().backends["app"].servers[&address.to_string()].connect_failures;
    let before = tried(&proxy);
    for _ in 0..4 {
        let mut client = proxy.client("plain");
        std::io::Write::write_all(&mut client, b"x").unwrap();
        let mut server = accept_client(&steady);
        expect(&mut server, b"x");
        talk(&mut client, &mut server);
    }
    assert_eq!(tried(&proxy), before, "no client was sent there");
    // A reload forgets nothing.
    let mut written = plain(&[steady.address(), address]);
    written["backends"]["app"]["health"] = json!({"interval": 20, "timeout": 2_000});
    proxy.apply(written);
    assert!(!is_up(&proxy, &address.to_string()));

    let back = Origin::at(address);
    let server = proxy.notice(|notice| match notice {
        Notice::ServerUp { server, .. } => Some(server),
        _ => None,
    });
    assert_eq!(server, address.to_string());
    assert!(is_up(&proxy, &server));
    back.accept();
}

#[test]
fn when_all_are_down_clients_are_refused_until_one_is_up() {
    let mut written = secure(nobody(), nobody());
    written["backends"]["a"]["health"] = json!({"interval": 20, "timeout": 2_000, "fall": 1});
    let proxy = Proxy::start(written);
    proxy.notice(|notice| matches!(notice, Notice::ServerDown { .. }).then_some(()));
    let mut client = proxy.client("secure");
    std::io::Write::write_all(&mut client, &hello(Some("a.example"))).unwrap();
    expect_last(&mut client, &alert(80));
    let failures = &proxy.0.stats().backends["a"];
    assert!(failures.servers.values().all(|server| server.connect_failures == 0), "it was not even tried");
}

#[test]
fn a_server_no_longer_checked_is_taken_to_be_up() {
    let address = nobody();
    let mut written = plain(&[address]);
    written["backends"]["app"]["health"] = json!({"interval": 20, "timeout": 2_000, "fall": 1});
    let proxy = Proxy::start(written);
    proxy.notice(|notice| matches!(notice, Notice::ServerDown { .. }).then_some(()));
    proxy.apply(plain(&[address]));
    until("it is up", || is_up(&proxy, &address.to_string()));
}

/// What one check is answered, and how the connection then ends.
#[derive(Clone, Copy)]
enum Answer {
    /// Bytes, and an orderly end.
    Ends(&'static str),
    /// Bytes, and nothing more for as long as the check waits.
    Hangs(&'static str),
    /// Bytes one at a time, and an orderly end.
    Drips(&'static str),
}

/// A server that answers every check alike; what it was asked comes out of the channel.
fn answering(answer: Answer) -> (std::net::SocketAddr, std::sync::mpsc::Receiver<String>) {
    let origin = Origin::new();
    let address = origin.address();
    let (asked, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        loop {
            let mut server = origin.accept();
            let Some(request) = request(&mut server) else { continue };
            if asked.send(request).is_err() {
                return;
            }
            let _ = match answer {
                Answer::Ends(text) => std::io::Write::write_all(&mut server, text.as_bytes()),
                Answer::Drips(text) => {
                    text.bytes().try_for_each(|byte| std::io::Write::write_all(&mut server, &[byte]))
                }
                Answer::Hangs(text) => {
                    let _ = std::io::Write::write_all(&mut server, text.as_bytes());
                    std::io::Read::read_to_end(&mut server, &mut Vec::new()).map(|_| ())
                }
            };
        }
    });
    (address, requests)
}

/// The head of a request; None when the check was given up before.
fn request(server: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        let mut byte = [0];
        std::io::Read::read_exact(server, &mut byte).ok()?;
        text.push(byte[0].into());
    }
    Some(text)
}

fn http_check(body: Option<&str>) -> Value {
    json!({
        "kind": "http", "interval": 20, "timeout": 500, "rise": 1, "fall": 1,
        "http": {"method": "GET", "path": "/health", "host": null, "expect": "200-299,401", "body": body},
    })
}

/// The reason that a check of such a server gives.
fn down_for(answer: Answer, body: Option<&str>) -> String {
    let (address, _requests) = answering(answer);
    let mut written = plain(&[address]);
    written["backends"]["app"]["health"] = http_check(body);
    let proxy = Proxy::start(written);
    proxy.notice(|notice| match notice {
        Notice::ServerDown { reason, .. } => Some(reason),
        _ => None,
    })
}

#[test]
fn answers_that_take_a_server_down() {
    use Answer::{Drips, Ends, Hangs};
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    for (answer, body, reason) in [
        (Ends("HTTP/1.1 503 Busy\r\n\r\n"), None, "its status is 503"),
        (Hangs(whole), Some("well"), "its body lacks \"well\""),
        (Drips(whole), Some("well"), "its body lacks \"well\""),
        (Ends("HTTP/1.1 200 OK\r\n\r\nfine"), Some("well"), "the answer lacks \"well\""),
        (
            Ends("\u{0}\u{1}garbage"),
            None,
            "what it answers is not HTTP: the version is not written as HTTP/1.1",
        ),
        (
            Ends("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
            None,
            "what it answers is not HTTP: more than one Content-Length",
        ),
        (Ends(""), None, "it closed the connection without an answer"),
        (Ends("HTTP/1.1 2"), None, "the answer is incomplete"),
        (Hangs("HTTP/1.1 2"), None, "no answer in time"),
        (Hangs(""), None, "no answer in time"),
    ] {
        assert_eq!(down_for(answer, body), reason);
    }
}

#[test]
fn an_answer_that_goes_on_is_read_no_further_than_64_kib() {
    let endless: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{}", "never well ".repeat(100_000)).into_boxed_str());
    assert_eq!(
        down_for(Answer::Hangs(endless), Some("all is well")),
        "the first 64 KiB of the answer lacks \"all is well\""
    );
}

#[test]
fn a_good_answer_brings_a_server_up() {
    for (answer, body) in [
        (Answer::Ends("HTTP/1.1 204 No Content\r\n\r\n"), None),
        // The head is read to its end: only then is it known to be one that requests would get.
        (Answer::Hangs("HTTP/1.1 401 Who?\r\n\r\n"), None),
        (
            Answer::Drips("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwe\r\n2\r\nll\r\n"),
            Some("well"),
        ),
    ] {
        let (address, requests) = answering(answer);
        // Down first: nobody is there.
        let gone = Origin::new();
        let elsewhere = gone.address();
        drop(gone);
        let mut written = plain(&[address, elsewhere]);
        written["backends"]["app"]["health"] = http_check(body);
        written["backends"]["app"]["health"]["timeout"] = json!(10_000);
        let proxy = Proxy::start(written);
        proxy.notice(|notice| match notice {
            Notice::ServerDown { server, .. } => (server == elsewhere.to_string()).then_some(()),
            _ => None,
        });
        for _ in 0..2 {
            let asked = requests.recv_timeout(LIMIT).unwrap();
            assert_eq!(
                asked,
                format!(
                    "GET /health HTTP/1.1\r\nHost: {address}\r\nUser-Agent: headworks\r\nAccept: */*\r\n\
                     Connection: close\r\n\r\n"
                )
            );
        }
        assert!(is_up(&proxy, &address.to_string()));
        // Back: it answers as well.
        let back = Origin::at(elsewhere);
        let mut server = back.accept();
        request(&mut server).unwrap();
        let text = match answer {
            Answer::Ends(text) | Answer::Hangs(text) | Answer::Drips(text) => text,
        };
        std::io::Write::write_all(&mut server, text.as_bytes()).unwrap();
        proxy.notice(|notice| match notice {
            Notice::ServerUp { server, .. } => (server == elsewhere.to_string()).then_some(()),
            _ => None,
        });
    }
}

#[test]
fn a_check_announces_itself_where_servers_want_a_proxy_header() {
    let (address, requests) = answering(Answer::Ends("HTTP/1.1 200 OK\r\n\r\n"));
    let mut written = plain(&[address]);
    written["backends"]["app"]["health"] = http_check(None);
    written["backends"]["app"]["proxy_protocol"] = json!("v1");
    let _proxy = Proxy::start(written);
    let asked = requests.recv_timeout(LIMIT).unwrap();
    assert!(asked.starts_with("PROXY UNKNOWN\r\nGET /health HTTP/1.1\r\n"), "{asked}");
}
