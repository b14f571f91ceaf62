//! Rewriting of heads, from the bytes that came to the bytes that go on.
//!
//! What is written is always read again with the codec: a head that we write is one that we would accept.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the lints spare only functions marked as tests, not what they call

#[path = "../common/mod.rs"]
mod common;
mod properties;
mod requests;
mod responses;
mod secure;

use common::spec;
use headworks_core::http::facts::ExchangeFacts;
use headworks_core::http::rewrite::{BackendRules, ListenerRules, Reply, Rewrite, TooLarge};
use headworks_core::message::Message;
use headworks_core::message::{Head, Method};
use headworks_core::wire::http1::{self, Limits, Parsed};
use serde_json::{Value, json};

const LIMITS: Limits = Limits { head: 65_536, fields: 500, line: 65_536 };

/// The rules of a listener with these keys beyond the defaults; `tls` is what an https listener has.
fn listener(keys: &Value) -> ListenerRules {
    let mut keys = keys.clone();
    let tls = keys.as_object_mut().unwrap().remove("tls");
    let spec = spec(json!({"listeners": {"web": {"protocol": "http", "http": keys, "tls": tls}}}));
    ListenerRules::compile(&spec.listeners["web"]).unwrap()
}

/// A listener's key `tls` with these fields made of client certificates.
fn certified(headers: &[(&str, &str)]) -> Value {
    json!({"tls": {"client_certificates": {"verify": "optional", "ca": [], "crl": [], "headers": headers}}})
}

/// The rules of a backend with these keys beyond the defaults.
fn backend(keys: &Value) -> BackendRules {
    let spec = spec(json!({"backends": {"app": {"servers": [], "http": keys}}}));
    BackendRules::compile(&spec.backends["app"], &[7; 32]).unwrap()
}

/// What is known of every exchange here but what the head says.
fn facts() -> ExchangeFacts<'static> {
    ExchangeFacts {
        client: Some("192.0.2.1:5000".parse().unwrap()),
        local: Some("192.0.2.7:80".parse().unwrap()),
        scheme: "http",
        name: "a.example",
        listener: "web",
        backend: "app",
        server: "127.0.0.1:8001",
        request_id: b"an-id",
        ..ExchangeFacts::default()
    }
}

fn read_request(bytes: &[u8]) -> Head {
    let mut head = Head::default();
    let parsed = http1::request(bytes, &LIMITS, &mut head);
    assert_eq!(parsed, Parsed::Complete, "{}", bytes.escape_ascii());
    head
}

/// What a codec makes of a request that does not refuse look-alikes of forwarding fields: they must not pass
/// here either.
fn read_lenient(bytes: &[u8]) -> Head {
    read_request(&bytes.iter().map(|byte| if *byte == b'_' { b'.' } else { *byte }).collect::<Vec<_>>())
}

fn read_response(bytes: &[u8], to: Method) -> Head {
    let mut head = Head::default();
    let parsed = http1::response(bytes, &LIMITS, to, &mut head);
    assert_eq!(parsed, Parsed::Complete, "{}", bytes.escape_ascii());
    head
}

/// A request rewritten with these rules and facts, after what `out` had before.
fn rewrite(
    bytes: &[u8],
    rules: (&ListenerRules, &BackendRules),
    facts: &ExchangeFacts<'_>,
) -> Result<Vec<u8>, TooLarge> {
    let head = read_lenient(bytes);
    let message = Message::new(&head, bytes);
    let method = message.text(head.method_span);
    let facts = ExchangeFacts { host: message.host(), target: message.target(), method, ..*facts };
    let mut out = b"before".to_vec();
    let outcome =
        Rewrite { listener: rules.0, backend: rules.1, facts: &facts, findings: None, reframed: false }
            .request(&mut out, message);
    let written = out.strip_prefix(b"before").expect("what was there stays").to_vec();
    assert!(outcome.is_ok() || written.is_empty());
    outcome.map(|()| written)
}

/// A request of a client at 192.0.2.1 (or another) as the server gets it. Lines end with `\n` here, the empty
/// line is added.
fn request(text: &str, listener_keys: &Value, backend_keys: &Value) -> String {
    request_of(Some("192.0.2.1:5000"), text, listener_keys, backend_keys)
}

fn request_of(client: Option<&str>, text: &str, listener_keys: &Value, backend_keys: &Value) -> String {
    let facts = ExchangeFacts { client: client.map(|client| client.parse().unwrap()), ..facts() };
    let (listener, backend) = (listener(listener_keys), backend(backend_keys));
    let written = rewrite(&wire(text), (&listener, &backend), &facts).unwrap();
    read_request(&written);
    text_of(&written)
}

/// A response as the client gets it.
fn response(text: &str, reply: &Reply, listener_keys: &Value, backend_keys: &Value) -> String {
    response_to(Method::Get, text, reply, (listener_keys, backend_keys))
}

fn response_to(to: Method, text: &str, reply: &Reply, keys: (&Value, &Value)) -> String {
    let bytes = wire(text);
    let head = read_response(&bytes, to);
    let facts = ExchangeFacts { host: b"a.example", target: b"/x?y", status: head.status, ..facts() };
    let (listener, backend) = (listener(keys.0), backend(keys.1));
    let mut out = Vec::new();
    let rewrite =
        Rewrite { listener: &listener, backend: &backend, facts: &facts, findings: None, reframed: false };
    rewrite.response(&mut out, Message::new(&head, &bytes), reply).unwrap();
    read_response(&out, to);
    text_of(&out)
}

fn wire(text: &str) -> Vec<u8> {
    format!("{text}\n\n").replace('\n', "\r\n").into_bytes()
}

fn text_of(written: &[u8]) -> String {
    let text = String::from_utf8(written.to_vec()).unwrap();
    text.strip_suffix("\r\n\r\n").expect("an empty line at the end").replace("\r\n", "\n")
}
