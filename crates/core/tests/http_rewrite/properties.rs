//! What holds of every head, whatever is in it.

use std::net::SocketAddr;

use headworks_core::message::{Framing, Known};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Names that a rewriter has to do with, some of them spelt to deceive.
const NAMES: [&str; 22] = [
    "Accept",
    "accept-language",
    "X-Anything",
    "Cookie",
    "cookie",
    "Via",
    "Trailer",
    "TE",
    "Keep-Alive",
    "X-Set",
    "x_set",
    "X-Removed-1",
    "X_Removed_2",
    "X-Request-Id",
    "X-Forwarded-For",
    "x_forwarded_for",
    "X_Forwarded-Proto",
    "x-forwarded-host",
    "Forwarded",
    "forwarded",
    "X-Real-IP",
    "X-Forwarded-Port",
];

fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let value = "([!-~]([ -~\t]{0,20}[!-~])?)?";
    prop::collection::vec((prop::sample::select(&NAMES[..]), value), 0..20)
}

fn framing() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("transfer-encoding: CHUNKED\r\n".to_owned()),
        (0..u64::MAX / 2).prop_map(|length| format!("content-length: {length}\r\n")),
    ]
}

fn connection() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "",
            "Connection: close\r\n",
            "Connection: keep-alive, x-anything\r\n",
            "Connection: upgrade\r\nUpgrade: websocket\r\n",
        ][..],
    )
}

prop_compose! {
    fn requests()(
        target in "/[a-z/]{0,10}(\\?[a-z=&]{0,5})?", fields in fields(), framing in framing(), connection in connection(),
        at in 0_usize..20,
    ) -> Vec<u8> {
        let mut lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        lines.insert(at.min(lines.len()), format!("Host: a.example\r\n{framing}{connection}"));
        format!("POST {target} HTTP/1.1\r\n{}\r\n", lines.concat()).into_bytes()
    }
}

fn rules(trusted: &str) -> (ListenerRules, BackendRules) {
    let keys = json!({
        "forwarded": ["x_forwarded", "forwarded"], "trusted": [trusted], "via": "hw", "request_id": "X-Request-Id",
        "request_headers": {"set": [["X-Set", "{host} {uri}"]], "remove": ["x-removed-*"]},
    });
    let affinity = json!({"affinity": {"cookie": "HW", "secret": null, "max_age": null}});
    (listener(&keys), backend(&affinity))
}

/// Name and value of every field, but those of framing and what concerns one hop, in which `ours` says which
/// are not copied.
fn copied(bytes: &[u8], ours: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let head = read_lenient(bytes);
    let text = |span: headworks_core::message::Span| String::from_utf8(span.of(bytes).to_vec()).unwrap();
    let passed = head.fields.iter().filter(|field| !field.hop_by_hop && field.known != Known::ContentLength);
    passed.map(|field| (text(field.name), text(field.value))).filter(|(name, _)| !ours(name)).collect()
}

/// Names that the rules above write or remove, however they are spelt.
fn is_ours(name: &str, trailers: bool) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let named = ["via", "x-set", "x-request-id", "forwarded", "x-real-ip"].contains(&name.as_str());
    named
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-removed-")
        || (!trailers && name == "trailer")
}

fn count(bytes: &[u8], name: &str) -> usize {
    let head = read_request(bytes);
    head.fields.iter().filter(|field| field.name.of(bytes).eq_ignore_ascii_case(name.as_bytes())).count()
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_as_the_same(bytes in requests()) {
        let (listener, backend) = rules("10.0.0.0/8");
        let written = rewrite(&bytes, (&listener, &backend), &facts()).unwrap();
        let (before, after) = (read_lenient(&bytes), read_request(&written));
        prop_assert_eq!(after.length, written.len());
        prop_assert_eq!(before.target.of(&bytes), after.target.of(&written));
        prop_assert_eq!(before.framing, after.framing);
        prop_assert_eq!(before.upgrade, after.upgrade);
        prop_assert!(after.persistent);
        let ours = |name: &str| is_ours(name, before.framing == Framing::Chunked);
        prop_assert_eq!(copied(&bytes, ours), copied(&written, ours));
    }

    #[test]
    fn fields_of_ours_are_there_once(bytes in requests()) {
        let (listener, backend) = rules("10.0.0.0/8");
        let written = rewrite(&bytes, (&listener, &backend), &facts()).unwrap();
        for name in ["Host", "X-Set", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"] {
            prop_assert_eq!(count(&written, name), 1, "{}", name);
        }
        let framed = count(&written, "Content-Length") + count(&written, "Transfer-Encoding");
        prop_assert_eq!(framed, usize::from(read_lenient(&bytes).framing != Framing::None));
    }

    #[test]
    fn no_claim_of_a_stranger_survives(claims in prop::collection::vec("(?i-u)(x[-_])?forwarded([-_](for|host|proto|port|[a-z]{1,5}))?|x[-_]real[-_]ip", 1..10)) {
        let lines: Vec<_> = claims.iter().map(|name| format!("{name}: evil\r\n")).collect();
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat()).into_bytes();
        let (listener, backend) = rules("10.0.0.0/8");
        let written = rewrite(&bytes, (&listener, &backend), &facts()).unwrap();
        prop_assert!(!written.windows(4).any(|part| part == b"evil"), "{}", written.escape_ascii());
    }

    #[test]
    fn no_variable_ends_a_line(
        host in prop::collection::vec(any::<u8>(), 0..20), target in prop::collection::vec(any::<u8>(), 0..20),
        id in prop::collection::vec(any::<u8>(), 0..20), name in ".{0,10}",
    ) {
        let text = "{client.address}{client.port}{local.address}{local.port}{scheme}{host}{name}{method}{path}{query}{uri}{request.id}{listener}{backend}{header.accept}";
        let keys = json!({
            "forwarded": ["x_forwarded", "forwarded"], "request_id": "X-Id", "request_headers": {"set": [["X-All", text]], "add": [["X-More", text]]},
        });
        let (listener, backend) = (listener(&keys), backend(&json!({})));
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n";
        let head = read_request(bytes);
        let facts = ExchangeFacts {
            host: &host, target: &target, request_id: &id, name: &name, method: &id, listener: &name, backend: &name, server: &name, ..facts()
        };
        let mut out = Vec::new();
        Rewrite { listener: &listener, backend: &backend, facts: &facts, findings: None, reframed: false }.request(&mut out, Message::new(&head, bytes)).unwrap();
        let lines = out.split(|byte| *byte == b'\n').count();
        let hosts = usize::from(!host.is_empty());
        prop_assert_eq!(lines, 5 + 2 + hosts + 1 + 1 + 2, "{}", out.escape_ascii());
        prop_assert!(out.iter().filter(|byte| **byte == b'\r').count() == lines - 1);
    }

    #[test]
    fn no_head_is_larger_than_its_limit(value in "[a-z]{0,6000}", head_limit in 1..2000_u32, reserve in 0..5000_u32) {
        let keys = json!({"head_limit": head_limit, "rewrite_reserve": reserve, "request_headers": {"set": [["X-Path", "{path}{path}"]]}});
        let (listener, backend) = (listener(&keys), backend(&json!({})));
        let bytes = format!("GET /{value} HTTP/1.1\r\nHost: a\r\n\r\n");
        let whole = bytes.len() + "X-Path: \r\n".len() + 2 * (value.len() + 1);
        let most = (head_limit + reserve) as usize;
        match rewrite(bytes.as_bytes(), (&listener, &backend), &facts()) {
            Ok(written) => prop_assert!(written.len() == whole && whole <= most),
            Err(TooLarge) => prop_assert!(whole > most),
        }
    }

    #[test]
    fn any_client_is_written_as_what_it_is(client: SocketAddr) {
        let listener = listener(&json!({"forwarded": ["x_forwarded"]}));
        let written = rewrite(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", (&listener, &backend(&json!({}))), &ExchangeFacts { client: Some(client), ..facts() }).unwrap();
        let text = String::from_utf8(written).unwrap();
        let said = text.lines().find_map(|line| line.strip_prefix("X-Forwarded-For: ")).unwrap();
        prop_assert_eq!(said.parse::<std::net::IpAddr>().unwrap(), client.ip().to_canonical());
    }
}
