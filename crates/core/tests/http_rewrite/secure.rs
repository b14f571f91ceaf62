//! What https adds to heads: who the client is by its certificate, early data, Strict-Transport-Security,
//! secure cookies.

use headworks_core::message::Framing;
use headworks_core::tls::{ClientCertificate, TlsFacts};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A client that has shown a certificate, or none.
fn shaken(subject: Option<&str>) -> TlsFacts {
    let client =
        subject.map(|subject| ClientCertificate { subject: subject.into(), ..ClientCertificate::default() });
    TlsFacts { version: "TLSv1.3", client, ..TlsFacts::default() }
}

fn secure_request(text: &str, tls: &TlsFacts, keys: &Value) -> String {
    let facts = ExchangeFacts { scheme: "https", tls: Some(tls), ..facts() };
    let written = rewrite(&wire(text), (&listener(keys), &backend(&json!({}))), &facts).unwrap();
    text_of(&written)
}

fn early_request(fields: &str, early: bool, keys: &Value) -> String {
    let facts = ExchangeFacts { early, ..facts() };
    let text = format!("GET / HTTP/1.1\nHost: a{fields}");
    let written = rewrite(&wire(&text), (&listener(keys), &backend(&json!({}))), &facts).unwrap();
    text_of(&written).strip_prefix("GET / HTTP/1.1\nHost: a").unwrap().to_owned()
}

fn secure_response(text: &str, scheme: &str, keys: (&Value, &Value)) -> String {
    let bytes = wire(text);
    let head = read_response(&bytes, Method::Get);
    let facts = ExchangeFacts { scheme, status: head.status, ..facts() };
    let (listener, backend) = (listener(keys.0), backend(keys.1));
    let reply = Reply { framing: Framing::Length(0), affinity: Some(5), ..Reply::default() };
    let mut out = Vec::new();
    let rewrite =
        Rewrite { listener: &listener, backend: &backend, facts: &facts, findings: None, reframed: false };
    rewrite.response(&mut out, Message::new(&head, &bytes), &reply).unwrap();
    text_of(&out)
}

#[test]
fn a_verified_client_is_told_to_servers_and_nobody_else_can_say_so() {
    let keys = certified(&[("X-Client-Subject", "{tls.client.subject}"), ("X-TLS", "{tls.version}")]);
    let sent =
        "GET / HTTP/1.1\nHost: a\nx-client-subject: CN=Root\nX_Client-Subject: CN=Root\nx_tls: 9\nAccept: b";
    assert_eq!(
        secure_request(sent, &shaken(Some("CN=Ann")), &keys),
        "GET / HTTP/1.1\nHost: a\nAccept: b\nX-Client-Subject: CN=Ann\nX-TLS: TLSv1.3"
    );
    assert_eq!(
        secure_request(sent, &shaken(None), &keys),
        "GET / HTTP/1.1\nHost: a\nAccept: b\nX-TLS: TLSv1.3"
    );
}

#[test]
fn the_trusted_cannot_say_it_either() {
    let mut keys = certified(&[("X-Forwarded-Client-Cert", "{tls.client.subject}")]);
    keys["trusted"] = json!(["192.0.2.0/24"]);
    let sent = "GET / HTTP/1.1\nHost: a\nX-Forwarded-Client-Cert: CN=Root";
    assert_eq!(secure_request(sent, &shaken(None), &keys), "GET / HTTP/1.1\nHost: a");
}

#[test]
fn rules_come_after_what_certificates_say() {
    let mut keys = certified(&[
        ("X-A", "{tls.client.subject}"),
        ("X-B", "{tls.client.subject}"),
        ("Via", "{tls.version}"),
    ]);
    keys["via"] = json!("hw");
    keys["request_headers"] = json!({"set": [["x_a", "rule"]], "remove": ["X-B"]});
    let written = secure_request("GET / HTTP/1.1\nHost: a", &shaken(Some("CN=Ann")), &keys);
    assert_eq!(written, "GET / HTTP/1.1\nHost: a\nVia: TLSv1.3\nx_a: rule");
}

#[test]
fn schemes_are_told() {
    let keys = json!({"forwarded": ["x_forwarded", "forwarded"]});
    let written = secure_request("GET / HTTP/1.1\nHost: a\nX-Forwarded-Proto: http", &shaken(None), &keys);
    assert!(written.contains("\nX-Forwarded-Proto: https\n"), "{written}");
    assert!(written.ends_with(";proto=https;host=a"), "{written}");
}

#[test]
fn what_came_early_says_so() {
    let plain = json!({});
    assert_eq!(early_request("", true, &plain), "\nEarly-Data: 1");
    assert_eq!(early_request("", false, &plain), "");
    // An intermediary never removes it, whoever sent it, and whatever rules say (RFC 8470 section 5.1).
    for sent in ["\nEarly-Data: 1", "\nearly-data: 0", "\nEARLY-DATA: 1\nEarly-Data: 1"] {
        for early in [false, true] {
            assert_eq!(early_request(sent, early, &plain), sent);
            assert_eq!(
                early_request(sent, early, &json!({"request_headers": {"remove": ["early-*", "e*"]}})),
                sent
            );
        }
    }
}

#[test]
fn early_data_cannot_be_nominated_away() {
    let bytes = wire("GET / HTTP/1.1\nHost: a\nConnection: early-data\nEarly-Data: 1");
    let parsed = http1::request(&bytes, &LIMITS, &mut Head::default());
    assert!(matches!(parsed, Parsed::Invalid(_)), "{parsed:?}");
}

#[test]
fn hsts_is_ours_alone() {
    let keys = json!({"tls": {"hsts": {"max_age": 31_536_000_000_u64, "include_subdomains": true, "preload": true}}});
    let said = "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload";
    let sent =
        "HTTP/1.1 200 OK\nServer: s\nstrict-transport-security: max-age=0\nStrict_Transport_Security: x";
    assert_eq!(
        secure_response(sent, "https", (&keys, &json!({}))),
        format!("HTTP/1.1 200 OK\nServer: s\n{said}\nContent-Length: 0")
    );
    let none = secure_response(sent, "https", (&json!({}), &json!({})));
    assert!(
        none.contains("strict-transport-security: max-age=0"),
        "left alone where nothing is said: {none}"
    );
    // Interim responses have none of ours.
    let early = secure_response("HTTP/1.1 103 Early Hints\nLink: </a>", "https", (&keys, &json!({})));
    assert_eq!(early, "HTTP/1.1 103 Early Hints\nLink: </a>");
    assert_eq!(listener(&keys).hsts(), "max-age=31536000; includeSubDomains; preload");
    assert_eq!(listener(&json!({})).hsts(), "");
}

#[test]
fn rules_for_responses_come_after_hsts() {
    let tls = json!({"hsts": {"max_age": 5000, "include_subdomains": false, "preload": false}});
    let sent = "HTTP/1.1 200 OK\nServer: s";
    let set = json!({"tls": tls, "response_headers": {"set": [["strict-transport-security", "max-age=6"]]}});
    let written = secure_response(sent, "https", (&set, &json!({})));
    assert_eq!(
        written,
        "HTTP/1.1 200 OK\nServer: s\nstrict-transport-security: max-age=6\nContent-Length: 0"
    );
    let removed = json!({"response_headers": {"remove": ["Strict-Transport-Security"]}});
    let written = secure_response(sent, "https", (&json!({"tls": tls}), &removed));
    assert_eq!(written, "HTTP/1.1 200 OK\nServer: s\nContent-Length: 0");
}

#[test]
fn cookies_of_affinity_are_secure_where_the_client_came_by_https() {
    let keys = json!({"affinity": {"cookie": "HW", "secret": null, "max_age": null}});
    for (scheme, secure) in [("https", true), ("http", false)] {
        let written = secure_response("HTTP/1.1 200 OK\nServer: s", scheme, (&json!({}), &keys));
        assert_eq!(written.contains("; Secure"), secure, "{written}");
    }
}

#[test]
fn ids_and_addresses_are_asked_for_where_certificates_need_them() {
    let rules = listener(&certified(&[("X-A", "{request.id} {local.port}")]));
    assert!(rules.wants_request_id() && rules.asks_local());
}

proptest! {
    #[test]
    fn no_spelling_of_a_certified_field_survives(
        names in prop::collection::vec("(?i-u)x[-_]client[-_]subject", 1..10), text in "\\PC{0,20}",
    ) {
        let lines: Vec<_> = names.iter().map(|name| format!("{name}: evil\r\n")).collect();
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat()).into_bytes();
        let tls = shaken(Some(&text));
        let facts = ExchangeFacts { tls: Some(&tls), ..facts() };
        let rules = listener(&certified(&[("X-Client-Subject", "{tls.client.subject}")]));
        let written = rewrite(&bytes, (&rules, &backend(&json!({}))), &facts).unwrap();
        prop_assert!(!written.windows(4).any(|part| part == b"evil"), "{}", written.escape_ascii());
        let lines = written.split(|byte| *byte == b'\n').count();
        prop_assert_eq!(lines, 4 + usize::from(!text.trim_matches(' ').is_empty()), "{}", written.escape_ascii());
    }
}
