//! Responses as clients get them, case by case.

use headworks_core::http::rewrite::Variation;
use headworks_core::message::Framing;
use headworks_core::message::Persistence;
use serde_json::json;

use super::*;

fn of_length(length: u64) -> Reply {
    Reply { framing: Framing::Length(length), ..Reply::default() }
}

fn plain(text: &str, reply: &Reply) -> String {
    response(text, reply, &json!({}), &json!({}))
}

#[test]
fn framing_and_connection_are_ours() {
    let text = "HTTP/1.1 200 Fine\nconnection: close, x-hop\nServer: s\nX-Hop: 1\ncontent-length: 5\nKeep-Alive: 1\nDate: now";
    let copied = "HTTP/1.1 200 Fine\nServer: s\nDate: now";
    let chunked = Reply { framing: Framing::Chunked, ..Reply::default() };
    let closing = Reply { framing: Framing::ToEnd, persistence: Persistence::Close, ..Reply::default() };
    let said = Reply { persistence: Persistence::KeepSaid, ..of_length(5) };
    assert_eq!(plain(text, &of_length(5)), format!("{copied}\nContent-Length: 5"));
    assert_eq!(plain(text, &chunked), format!("{copied}\nTransfer-Encoding: chunked"));
    assert_eq!(plain(text, &closing), format!("{copied}\nConnection: close"));
    assert_eq!(plain(text, &said), format!("{copied}\nContent-Length: 5\nConnection: keep-alive"));
}

#[test]
fn status_lines() {
    for (sent, written) in [
        ("HTTP/1.0 200 OK", "HTTP/1.1 200 OK"),
        ("HTTP/1.1 404 ", "HTTP/1.1 404 "),
        ("HTTP/1.1 599 a  b", "HTTP/1.1 599 a  b"),
    ] {
        assert_eq!(
            plain(&format!("{sent}\nX: y"), &of_length(0)),
            format!("{written}\nX: y\nContent-Length: 0")
        );
    }
}

#[test]
fn lengths_without_a_body() {
    let reply = Reply::default();
    let of = |to, status: &str| {
        let text = format!("HTTP/1.1 {status} x\nContent-Length: 7\nX: y");
        response_to(to, &text, &reply, (&json!({}), &json!({})))
    };
    assert_eq!(of(Method::Head, "200"), "HTTP/1.1 200 x\nX: y\nContent-Length: 7");
    assert_eq!(of(Method::Get, "304"), "HTTP/1.1 304 x\nX: y\nContent-Length: 7");
    assert_eq!(of(Method::Get, "204"), "HTTP/1.1 204 x\nX: y");
    assert_eq!(of(Method::Connect, "200"), "HTTP/1.1 200 x\nX: y");
}

#[test]
fn interim_responses_pass_with_their_fields() {
    let keys = json!({"via": "hw", "response_headers": {"set": [["X-A", "b"]], "remove": ["X-Internal"]}});
    let text = "HTTP/1.1 103 Early Hints\nLink: </a>\nX-Internal: 1";
    let closing = Reply { persistence: Persistence::Close, affinity: Some(1), ..Reply::default() };
    let affinity = json!({"affinity": {"cookie": "HW", "secret": null, "max_age": null}});
    assert_eq!(
        response(text, &closing, &keys, &affinity),
        "HTTP/1.1 103 Early Hints\nLink: </a>\nVia: 1.1 hw"
    );
}

#[test]
fn upgrades() {
    let text =
        "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Accept: x";
    assert_eq!(
        plain(text, &Reply::default()),
        "HTTP/1.1 101 Switching Protocols\nSec-WebSocket-Accept: x\nUpgrade: websocket\nConnection: upgrade"
    );
    let required = "HTTP/1.1 426 No\nConnection: upgrade\nUpgrade: websocket\nContent-Length: 0";
    let closing = Reply { persistence: Persistence::Close, ..of_length(0) };
    assert_eq!(
        plain(required, &closing),
        "HTTP/1.1 426 No\nContent-Length: 0\nUpgrade: websocket\nConnection: close, upgrade"
    );
    let offered = "HTTP/1.1 200 OK\nConnection: upgrade\nUpgrade: h2\nContent-Length: 0";
    assert_eq!(plain(offered, &of_length(0)), "HTTP/1.1 200 OK\nContent-Length: 0");
}

#[test]
fn compression_changes_what_depends_on_the_bytes() {
    let text = "HTTP/1.1 200 OK\nETag: \"a\"\nContent-Length: 100\nAccept-Ranges: bytes\nContent-MD5: x\nDigest: y\nVary: Origin";
    let reply =
        Reply { framing: Framing::Chunked, variation: Variation::Applied("zstd"), ..Reply::default() };
    assert_eq!(
        plain(text, &reply),
        "HTTP/1.1 200 OK\nETag: W/\"a\"\nVary: Origin\nContent-Encoding: zstd\nVary: Accept-Encoding\nTransfer-Encoding: chunked"
    );
    let weak = "HTTP/1.1 200 OK\nETag: W/\"a\"\nVary: origin, accept-encoding\nContent-Length: 1";
    assert_eq!(
        plain(weak, &reply),
        "HTTP/1.1 200 OK\nETag: W/\"a\"\nVary: origin, accept-encoding\nContent-Encoding: zstd\nTransfer-Encoding: chunked"
    );
}

#[test]
fn caches_are_told_that_others_could_get_it_compressed() {
    let varies = Reply { variation: Variation::Varies, ..of_length(1) };
    for (sent, written) in [("Vary: *", "Vary: *"), ("ETag: \"a\"", "ETag: \"a\"\nVary: Accept-Encoding")] {
        let text = format!("HTTP/1.1 200 OK\n{sent}\nContent-Length: 1");
        assert_eq!(plain(&text, &varies), format!("HTTP/1.1 200 OK\n{written}\nContent-Length: 1"));
        assert_eq!(plain(&text, &of_length(1)), text);
    }
}

#[test]
fn rules_and_cookies() {
    let keys = json!({"via": "hw", "response_headers": {
        "set": [["Server", "hw"], ["X-Was", "{status} {host}{uri} {header.x-cache}"]], "add": [["Vary", "Origin"]], "remove": ["X-Powered-By"],
    }});
    let backend_keys = json!({
        "affinity": {"cookie": "HW", "secret": null, "max_age": 60_000}, "response_headers": {"set": [["Server", "{server}"]]},
    });
    let text = "HTTP/1.0 200 OK\nServer: s\nX-Powered-By: p\nX-Cache: HIT\nX-Cache: far\nSet-Cookie: a=1\nContent-Length: 0";
    let reply = Reply { affinity: Some(0xfeed), ..of_length(0) };
    let written = response(text, &reply, &keys, &backend_keys);
    let (before, cookie) = written.split_once("HW=000000000000feed.").unwrap();
    assert_eq!(
        before,
        "HTTP/1.1 200 OK\nX-Cache: HIT\nX-Cache: far\nSet-Cookie: a=1\nVia: 1.0 hw\nX-Was: 200 a.example/x?y HIT, far\nVary: Origin\nServer: 127.0.0.1:8001\nSet-Cookie: "
    );
    assert_eq!(&cookie[32..], "; Path=/; HttpOnly; SameSite=Lax; Max-Age=60\nContent-Length: 0");
    assert!(!response(text, &of_length(0), &keys, &backend_keys).contains("HW="));
}
