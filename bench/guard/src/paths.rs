//! The paths that are counted. To add one: a line in [`all`] and a function that makes its operation.
//!
//! An operation asks for something else each time where that can matter (names, clients), and hands its result to
//! `black_box`, so that nothing is computed once or not at all.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use headworks_core::action::{Event, Side};
use headworks_core::analyze::Facts;
use headworks_core::balance::{Balance, Candidate, Memory, REGISTRY, Seed, identity};
use headworks_core::http::facts::ExchangeFacts;
use headworks_core::http::rewrite::{BackendRules, ListenerRules, Reply, Rewrite};
use headworks_core::message::Message;
use headworks_core::message::{Framing, Head, Method};
use headworks_core::plan::Plan;
use headworks_core::pool::Tried;
use headworks_core::session::{Scene, Session};
use headworks_core::table::{Table, Target};
use headworks_core::wire::body::Body;
use headworks_core::wire::client_hello;
use headworks_core::wire::http1;
use headworks_core::wire::proxy_protocol::HeaderVersion;
use headworks_core::wire::proxy_protocol::{self, Announced};
use serde_json::json;

use crate::Operation;
use crate::common::{plan, spec};

/// A path of the core.
pub struct Path {
    /// How the baseline calls it.
    pub name: String,
    /// Operations counted: so many that the seed of a hash does not show.
    pub times: u32,
    /// Prepares it.
    pub make: Box<dyn Fn() -> Operation>,
}

/// Every path, one a line; every balancing algorithm is one by itself.
pub fn all() -> Vec<Path> {
    let mut all = vec![
        path("client_hello_chrome", 2_000, || client_hello(CHROME)),
        path("client_hello_openssl", 2_000, || client_hello(OPENSSL)),
        path("table_exact", 20_000, || lookup(&exact(1_000), |n| format!("site-{n:06}.bench.example"))),
        path("table_exact_100k", 20_000, || {
            lookup(&exact(100_000), |n| format!("site-{n:06}.bench.example"))
        }),
        path("table_wildcard", 20_000, || {
            lookup(&wildcards(1_000), |n| format!("www.a.zone-{n:06}.example"))
        }),
        path("table_expression", 5_000, || lookup(&expressions(), |n| format!("shop-{n:06}.example.net"))),
        path("table_no_match", 20_000, || lookup(&exact(1_000), |n| format!("none-{n:06}.bench.example"))),
        path("http_request_minimal", 5_000, || http_request(MINIMAL)),
        path("http_request_browser", 5_000, || http_request(BROWSER)),
        path("http_response", 5_000, http_response),
        path("http_rewrite_request", 5_000, rewrite_request),
        path("http_rewrite_response", 5_000, rewrite_response),
        path("http_body_chunked", 5_000, body_chunked),
        path("table_path", 20_000, table_path),
        path("backend_choose", 5_000, || backend_choose("round_robin", 8)),
        path("session_tls", 5_000, session_tls),
        path("session_tcp", 5_000, session_tcp),
        path("proxy_v1_parse", 10_000, || proxy_parse(HeaderVersion::V1)),
        path("proxy_v2_parse", 10_000, || proxy_parse(HeaderVersion::V2)),
        path("proxy_v1_write", 10_000, || proxy_write(HeaderVersion::V1)),
        path("proxy_v2_write", 10_000, || proxy_write(HeaderVersion::V2)),
    ];
    all.extend(
        REGISTRY
            .iter()
            .map(|balance| path(&format!("balance_{}", balance.name()), 10_000, || balance_choose(*balance))),
    );
    all.extend(crate::http2::all());
    for servers in [2, 2_000] {
        all.extend(REGISTRY.iter().map(|balance| {
            let name = balance.name();
            path(&format!("choose_{name}_{servers}"), 2_000, move || backend_choose(name, servers))
        }));
    }
    all
}

/// Names a path.
pub fn path(name: &str, times: u32, make: impl Fn() -> Operation + 'static) -> Path {
    Path { name: name.to_owned(), times, make: Box::new(make) }
}

const CHROME: &str = include_str!("../../../crates/core/tests/data/client_hello_chrome.hex");
const OPENSSL: &str = include_str!("../../../crates/core/tests/data/client_hello_openssl.hex");

fn client_hello(hex: &str) -> Operation {
    let record = bytes_of(hex);
    assert!(
        matches!(client_hello::parse(&record), client_hello::HelloParsed::Complete(_)),
        "it is a whole hello"
    );
    Box::new(move |_| _ = black_box(client_hello::parse(black_box(&record))))
}

/// The bytes of a recorded hello; lines with `#` are remarks.
fn bytes_of(hex: &str) -> Vec<u8> {
    let lines = hex.lines().filter(|line| !line.starts_with('#'));
    let digits: String = lines.flat_map(str::chars).filter(char::is_ascii_hexdigit).collect();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or(0);
    (0..digits.len()).step_by(2).map(pair).collect()
}

fn exact(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("site-{n:06}.bench.example")).collect()
}

fn wildcards(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("*.zone-{n:06}.example")).collect()
}

fn expressions() -> Vec<String> {
    (0..20).map(|n| format!("~^shop-[0-9]*{n:02}\\.example\\.net$")).collect()
}

/// Looks up names that differ each time, spread over the whole table.
fn lookup(patterns: &[String], name: fn(u32) -> String) -> Operation {
    let entries: Vec<_> = patterns.iter().map(|pattern| json!([pattern, "app"])).collect();
    let plan = plan(json!({
        "listeners": {"secure": {"table": "sites"}},
        "tables": {"sites": entries},
        "backends": {"app": {"servers": ["192.0.2.1:80"]}},
    }));
    let count = patterns.len() as u32;
    let step = (count / 1_000).max(1);
    let names: Vec<String> = (0..1_000).map(|n| name(n * step % count)).collect();
    Box::new(move |n| {
        let name = &names[n as usize % names.len()];
        _ = black_box(plan.tables[0].table.lookup(black_box(name)));
    })
}

pub const MINIMAL: &str = "GET / HTTP/1.1\r\nHost: www.bench.example\r\n\r\n";
pub const BROWSER: &str = "GET /catalogue/gardening?page=2 HTTP/1.1\r\n\
    Host: www.bench.example\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Referer: https://www.bench.example/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\r\n";
pub const RESPONSE: &str = "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Length: 200\r\nCache-Control: no-cache\r\n\r\n";
const LIMITS: http1::Limits = http1::Limits { head: 65_536, fields: 100, line: 65_536 };

/// Reads a request head; what the head is kept in is used again, as a connection does.
fn http_request(text: &'static str) -> Operation {
    let mut head = Head::default();
    assert_eq!(http1::request(text.as_bytes(), &LIMITS, &mut head), http1::Parsed::Complete);
    Box::new(move |_| _ = black_box(http1::request(black_box(text.as_bytes()), &LIMITS, &mut head)))
}

/// A browser's request as a server gets it, with X-Forwarded-For, -Proto and -Host.
fn rewrite_request() -> Operation {
    let mut head = Head::default();
    assert_eq!(http1::request(BROWSER.as_bytes(), &LIMITS, &mut head), http1::Parsed::Complete);
    let (listener, backend) = (rules(), BackendRules::default());
    let mut out = Vec::with_capacity(4096);
    Box::new(move |n| {
        let facts = ExchangeFacts {
            client: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | n)), 4000)),
            scheme: "http",
            host: b"www.bench.example",
            ..ExchangeFacts::default()
        };
        out.clear();
        let rewrite = Rewrite {
            listener: &listener,
            backend: &backend,
            facts: &facts,
            findings: None,
            reframed: false,
        };
        let written = rewrite.request(&mut out, Message::new(&head, BROWSER.as_bytes()));
        assert!(written.is_ok());
        black_box(&out);
    })
}

fn rewrite_response() -> Operation {
    let mut head = Head::default();
    let get = Method::Get;
    assert_eq!(http1::response(RESPONSE.as_bytes(), &LIMITS, get, &mut head), http1::Parsed::Complete);
    let (listener, backend) = (rules(), BackendRules::default());
    let mut out = Vec::with_capacity(4096);
    Box::new(move |_| {
        out.clear();
        let facts = ExchangeFacts { status: head.status, ..ExchangeFacts::default() };
        let rewrite = Rewrite {
            listener: &listener,
            backend: &backend,
            facts: &facts,
            findings: None,
            reframed: false,
        };
        let reply = Reply { framing: head.framing, ..Reply::default() };
        let written = rewrite.response(&mut out, Message::new(&head, RESPONSE.as_bytes()), &reply);
        assert!(written.is_ok());
        black_box(&out);
    })
}

/// A listener that says who the client is and does nothing else.
fn rules() -> ListenerRules {
    let http = json!({"forwarded": ["x_forwarded"]});
    let spec = spec(json!({"listeners": {"web": {"protocol": "http", "http": http}}}));
    ListenerRules::compile(&spec.listeners["web"]).expect("rules")
}

/// Four chunks of 256 bytes.
fn body_chunked() -> Operation {
    let chunk = format!("100\r\n{}\r\n", "x".repeat(256));
    let text = chunk.repeat(4) + "0\r\n\r\n";
    Box::new(move |_| {
        let advanced = Body::new(Framing::Chunked, &LIMITS).advance(black_box(text.as_bytes()));
        assert_eq!(advanced, Ok((text.len(), true)));
    })
}

/// A host with a thousand paths.
fn table_path() -> Operation {
    let entries: Vec<_> =
        (0..1000).map(|n| (format!("www.bench.example/part-{n:04}"), Target::Backend(0))).collect();
    let table = Table::compile(&entries).expect("a table");
    let paths: Vec<String> = (0..1000).map(|n| format!("/part-{n:04}/more?of=it")).collect();
    Box::new(move |n| {
        let path = paths[n as usize % paths.len()].as_bytes();
        assert!(black_box(table.lookup_path(Some("www.bench.example"), black_box(path))).is_some());
    })
}

fn http_response() -> Operation {
    let mut head = Head::default();
    let get = Method::Get;
    assert_eq!(http1::response(RESPONSE.as_bytes(), &LIMITS, get, &mut head), http1::Parsed::Complete);
    Box::new(move |_| _ = black_box(http1::response(black_box(RESPONSE.as_bytes()), &LIMITS, get, &mut head)))
}

/// A choice among eight servers of three weights, with some load.
fn balance_choose(balance: &'static dyn Balance) -> Operation {
    let candidates: Vec<Candidate> = (0..8)
        .map(|server| Candidate {
            server,
            weight: [16, 32, 64][server % 3],
            active: (server as u32 * 5) % 7,
            identity: identity(&format!("192.0.2.{server}:8080")),
        })
        .collect();
    let mut memory = Memory::default();
    Box::new(move |n| {
        let name = ["a.example", "b.example", "c.example"][n as usize % 3];
        let seed = Seed {
            client: Some(client(n).ip()),
            host: Some(name),
            path: Some(b"/some/path"),
            header: Some(b"some value"),
            random: random(n),
            now: 1_000,
        };
        _ = black_box(balance.choose(black_box(&candidates), &seed, &mut memory));
    })
}

/// The same through a backend: who is usable, then the choice and a place there.
fn backend_choose(balance: &str, servers: u32) -> Operation {
    let servers: Vec<String> =
        (1..=servers).map(|n| format!("{}:80", Ipv4Addr::from_bits(0xc000_0200 + n))).collect();
    let plan = plan(json!({
        "listeners": {"web": {"protocol": "http", "backend": "app"}},
        "backends": {"app": {"servers": servers, "balance": balance, "hash_header": "x-user"}},
    }));
    let names = ["a.example", "b.example", "c.example"];
    let choose = move |n: u32| {
        let name = names[n as usize % names.len()];
        let seed = Seed {
            client: Some(client(n % 500).ip()),
            host: Some(name),
            path: Some(b"/some/path"),
            header: Some(name.as_bytes()),
            random: random(n),
            now: 1_000,
        };
        black_box(plan.backends[0].engage(&seed, &Tried::new(), 0)).is_some()
    };
    // What is found out once is not counted.
    (0..5_000).for_each(|n| _ = choose(n));
    Box::new(move |n| assert!(choose(n)))
}

/// A whole connection that is routed by name: accepted, hello, table, server, connected, both ends, gone.
fn session_tls() -> Operation {
    let plan = plan(json!({
        "listeners": {"secure": {"table": "sites"}},
        "tables": {"sites": [["a.example", "app"], ["*.example", "app"], ["*", "other"]]},
        "backends": {"app": {"servers": ["192.0.2.1:80", "192.0.2.2:80"]}, "other": {"servers": ["192.0.2.3:80"]}},
    }));
    let hello = bytes_of(CHROME);
    Box::new(move |n| {
        let hello = Event::Held(Side::Client, black_box(&hello));
        live(&plan, n, &[Event::Accepted, hello, Event::Connected]);
    })
}

/// The same without anything to inspect.
fn session_tcp() -> Operation {
    let plan = plan(json!({
        "listeners": {"plain": {"protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": ["192.0.2.1:80", "192.0.2.2:80"]}},
    }));
    Box::new(move |n| live(&plan, n, &[Event::Accepted, Event::Connected]))
}

/// A session from its first to its last event; what it took is given back.
fn live(plan: &Plan, number: u32, events: &[Event<'_>]) {
    let Ok(permit) = plan.listeners[0].enter() else { unreachable!("there is no limit") };
    let facts = Facts { client: Some(client(number)), ..Facts::default() };
    let mut session = Session::new(plan, 0, facts, permit);
    let scene = Scene { plan, now: 1_000, random: random(number), shard: 0, wall: 0 };
    for event in events.iter().chain(&[Event::Ended(Side::Server), Event::Ended(Side::Client)]) {
        _ = black_box(session.handle(*event, scene));
        _ = black_box(session.deadline(plan));
    }
    assert!(session.reason().is_some(), "the session came to its end");
}

fn proxy_parse(version: HeaderVersion) -> Operation {
    let mut header = Vec::new();
    proxy_protocol::write(version, announced(7), &mut header);
    Box::new(move |_| _ = black_box(proxy_protocol::parse(black_box(&header))))
}

fn proxy_write(version: HeaderVersion) -> Operation {
    let mut out = Vec::with_capacity(256);
    Box::new(move |n| {
        out.clear();
        proxy_protocol::write(version, announced(n), black_box(&mut out));
    })
}

fn announced(number: u32) -> Announced<'static> {
    Announced { client: Some(client(number)), local: Some(local()), tls: None }
}

fn client(number: u32) -> SocketAddr {
    let last = number.to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, last[2], last[3])), 40_000)
}

fn local() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 443)
}

/// A number that looks random and is the same in every run.
fn random(number: u32) -> u64 {
    (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
