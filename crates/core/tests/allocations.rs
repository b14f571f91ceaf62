//! What https adds to a request allocates nothing once the buffer has grown: rewriting with what the
//! handshake agreed on, the check of the host, answers and pages with HSTS, PROXY headers.
//!
//! What is counted is this thread's: that of the harness allocates when it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use common::{certificate, plan};
use headworks_core::http::answers::{Answer, Occasion, write_found};
use headworks_core::http::facts::ExchangeFacts;
use headworks_core::http::pages::Page;
use headworks_core::http::rewrite::{Reply, Rewrite};
use headworks_core::http::status::Always;
use headworks_core::message::Message;
use headworks_core::message::{Head, Method};
use headworks_core::plan::Plan;
use headworks_core::program::{Findings, Programs, Subject};
use headworks_core::spec::{ProgramKind, ProgramSpec};
use headworks_core::tls::{ClientCertificate, TlsFacts};
use headworks_core::wire::http1::{self, Limits, Parsed};
use headworks_core::wire::proxy_protocol::HeaderVersion;
use headworks_core::wire::proxy_protocol::{self, Announced};
use serde_json::json;

/// Counts every call that takes memory.
struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the promises of the trait.
#[allow(unsafe_code, reason = "an allocator cannot be counted otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] =
    b"GET /x HTTP/1.1\r\nHost: www.a.example:443\r\nX_Client_Subject: CN=Root\r\nCookie: HW=1\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=0\r\nContent-Length: 0\r\n\r\n";
const LIMITS: Limits = Limits { head: 16_384, fields: 100, line: 8_192 };

fn secure() -> Plan {
    let headers = json!([
        ["X-Client-Subject", "{tls.client.subject}"],
        ["X-Tls", "{tls.version} {tls.cipher} {tls.name}"]
    ]);
    let clients = json!({"verify": "required", "ca": ["AA=="], "crl": [], "headers": headers});
    let certificates =
        [certificate("b.pem", &["b.example", "192.0.2.1"]), certificate("a.pem", &["*.a.example"])];
    let tls = json!({"certificates": certificates, "hsts": {"max_age": 5000, "include_subdomains": false, "preload": false}, "client_certificates": clients});
    let http = json!({"forwarded": ["x_forwarded", "forwarded"]});
    plan(json!({
        "listeners": {"web": {"protocol": "https", "table": "sites", "tls": tls, "http": http}},
        "tables": {"sites": [
            ["a.example", "app"],
            {"pattern": "b.example", "redirect": {"to": "{scheme}://a.example{uri}", "code": 308}},
        ]},
        "backends": {"app": {
            "servers": ["192.0.2.1:80"],
            "http": {"affinity": {"cookie": "HW", "secret": null, "max_age": null}},
        }},
    }))
}

/// What a worker keeps from request to request.
struct Desk {
    out: Vec<u8>,
    heads: [Head; 2],
}

/// One exchange, one answer, one refusal.
fn serve(plan: &Plan, tls: &TlsFacts, desk: &mut Desk) {
    let (listener, backend) = (&plan.listeners[0], &plan.backends[0]);
    let [asked, answered] = &mut desk.heads;
    assert_eq!(http1::request(REQUEST, &LIMITS, asked), Parsed::Complete);
    assert_eq!(http1::response(RESPONSE, &LIMITS, Method::Get, answered), Parsed::Complete);
    let (request, response) = (Message::new(asked, REQUEST), Message::new(answered, RESPONSE));
    let termination = listener.tls.as_ref().unwrap();
    assert!(asked.may_be_early() && !termination.misdirected(tls, request.host()));
    assert!(termination.misdirected(tls, b"192.0.2.2:443"));
    let facts = ExchangeFacts {
        client: Some(([192, 0, 2, 9], 4_000).into()),
        scheme: "https",
        tls: Some(tls),
        early: true,
        host: request.host(),
        target: request.target(),
        ..ExchangeFacts::default()
    };
    let out = &mut desk.out;
    out.clear();
    let announced = Announced { client: facts.client, local: facts.client, tls: Some(tls) };
    proxy_protocol::write(HeaderVersion::V2, announced, out);
    let rewrite = Rewrite {
        listener: &listener.http.rules,
        backend: &backend.http.rules,
        facts: &facts,
        findings: None,
        reframed: false,
    };
    rewrite.request(out, request).unwrap();
    rewrite.response(out, response, &Reply { affinity: Some(7), ..Reply::default() }).unwrap();
    let always = Always { hsts: listener.http.rules.hsts(), ..Always::default() };
    let answer: &Answer = &plan.answers[0];
    answer.write(out, Occasion { facts: &facts, message: Some(request), always });
    let page = Page {
        status: 421,
        accept: b"text/html",
        request_id: b"",
        head_only: false,
        retry_after: None,
        always,
    };
    listener.http.pages.write(out, None, &page);
    for said in ["CN=Ann", "Early-Data: 1", "; Secure", "proto=https", "Location: https://a.example/x"] {
        assert!(out.windows(said.len()).any(|part| part == said.as_bytes()), "{said}");
    }
    assert!(!out.windows(7).any(|part| part == b"CN=Root"));
    assert_eq!(out.windows(26).filter(|part| *part == b"Strict-Transport-Security:").count(), 3);
}

#[test]
fn what_https_adds_allocates_nothing() {
    let plan = secure();
    let client = ClientCertificate {
        subject: "CN=Ann".into(),
        common_name: "Ann".into(),
        ..ClientCertificate::default()
    };
    let shown = TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        alpn: Some("http/1.1".into()),
        name: Some("x.a.example".into()),
        certificate: Some(Arc::clone(&plan.listeners[0].tls.as_ref().unwrap().certificates[1].names)),
        client: Some(client),
        ..TlsFacts::default()
    };
    let resumed = TlsFacts { certificate: None, resumed: true, ..shown.clone() };
    let mut desk = Desk { out: Vec::new(), heads: [Head::default(), Head::default()] };
    serve(&plan, &shown, &mut desk);
    let before = TAKEN.get();
    assert!(before > 0, "what is taken is counted");
    for _ in 0..100 {
        serve(&plan, &shown, &mut desk);
        serve(&plan, &resumed, &mut desk);
    }
    assert_eq!(TAKEN.get() - before, 0);
}

/// A rule of about 20 nodes that looks at fields, tables, networks and expressions, and says much.
fn rules() -> Programs {
    let test = json!({"and": [
        {"starts": [{"lower": {"get": "path"}}, [{"text": "/x"}]]},
        {"in_networks": [{"get": "client"}, 1]},
        {"match": [2, {"header": {"text": "cookie"}}, 0, "search"]},
        {"in_set": [{"get": "host"}, 0]},
        {"not": {"sample": [1, {"get": "client"}]}},
    ]});
    let said = json!({"concat": [{"group": [0, 1]}, {"text": " of "}, {"split": [{"get": "host"}, {"text": "."}, null, 0, "left"]}]});
    let verdict = json!([
        {"log": [["said", said]]},
        {"limit": {"key": said, "requests": 1_000_000, "per": 1_000, "burst": 1_000_000}},
        {"rewrite": {
            "set": [["X-Said", said]], "add": [], "remove": ["Cookie"],
            "path": {"concat": [{"text": "/y"}, {"get": "path"}]}, "host": null, "query": null,
        }},
        {"respond": {"status": {"int": 200}, "body": said, "headers": [["X-A", said]]}},
    ]);
    let spec = json!([{
        "name": "site:rule", "kind": "request", "file": "site.py", "slots": 0, "matches": 1,
        "constants": [
            {"map": [["www.a.example", "blue"]]}, {"networks": ["192.0.2.0/24"]},
            {"regex": {"pattern": "HW=([0-9]+)", "ends": true}},
        ],
        "body": [{"if": {
            "test": test, "then": [{"return": {"verdict": verdict, "line": 2, "text": ""}}], "otherwise": [],
            "line": 1, "text": "",
        }}],
    }]);
    Programs::compile(&serde_json::from_value::<Vec<ProgramSpec>>(spec).unwrap()).unwrap()
}

#[test]
fn rules_allocate_nothing() {
    let (programs, mut head, mut findings, mut out) =
        (rules(), Head::default(), Findings::default(), Vec::new());
    let mut judge = |findings: &mut Findings, out: &mut Vec<u8>| {
        assert_eq!(http1::request(REQUEST, &LIMITS, &mut head), Parsed::Complete);
        let message = Message::new(&head, REQUEST);
        let facts = ExchangeFacts {
            client: Some(([192, 0, 2, 9], 4_000).into()),
            name: "www.a.example",
            target: message.target(),
            ..ExchangeFacts::default()
        };
        findings.clear();
        let subject = Subject { facts, message: Some(message), ..Subject::default() };
        programs.judge(ProgramKind::Request, &subject, findings, 1);
        findings.put_target_together(message.target());
        assert_eq!(findings.target(), Some(&b"/y/x"[..]));
        out.clear();
        write_found(out, findings, b"GET", Always::default());
        assert!(out.ends_with(b"\r\n\r\n1 of www"), "{}", out.escape_ascii());
    };
    judge(&mut findings, &mut out);
    let before = TAKEN.get();
    for _ in 0..100 {
        judge(&mut findings, &mut out);
    }
    assert_eq!(TAKEN.get(), before);
}
