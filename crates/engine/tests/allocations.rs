//! No allocation per request: the process allocates nothing between the thousandth and the three thousandth
//! of each case, but for the log's buffers, which grow until they are large enough.
//!
//! Clients and origin allocate nothing themselves, so that whatever is counted is the engine's. One test,
//! because the count is the whole process's.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use common::*;
use headworks_engine::{Format, Options};
use serde_json::{Value, json};

/// Counts every call that takes memory.
struct Counting;

static TAKEN: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the promises of the trait.
#[allow(unsafe_code, reason = "an allocator cannot be counted otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the same promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What ends every message here, so that nobody has to parse: the last content, or the last chunk.
const ENDS: [&[u8]; 2] = [b"<end>", b"\r\n0\r\n\r\n"];

const CLIENTS: usize = 8;
const WARM: u64 = 1_000;
const COUNTED: u64 = 2_000;

/// The log's two buffers double until they hold the lines of one pause of its writer, however many those are.
const LOG_GROWTH: u64 = 16;

/// One kind of request, response and configuration.
struct Case {
    name: &'static str,
    request: String,
    response: String,
    http: Value,
    log: &'static str,
}

fn cases() -> Vec<Case> {
    let minimal = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n<end>".to_owned();
    let browser = "POST /shop/cart?item=1 HTTP/1.1\r\nHost: shop.example:8080\r\nContent-Length: 9\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
        Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nDNT: 1\r\n\
        Referer: http://shop.example:8080/shop/\r\nCookie: session=0123456789abcdef; theme=dark\r\n\
        Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\
        Priority: u=0, i\r\n\r\nbody<end>"
        .to_owned();
    let plain = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nok<end>".to_owned();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: 20005\r\n\r\n{}<end>", "x".repeat(20_000));
    let all = json!({
        "forwarded": ["x_forwarded", "forwarded"], "via": "hw", "request_id": "X-Request-Id",
        "request_headers": {"set": [["X-Client", "{client.address}"]]},
        "response_headers": {"add": [["X-By", "{server}"]]},
        "rate_limit": {"requests": 1_000_000, "per": 1, "burst": 1_000_000, "keys": 1_000},
        "max_requests_per_client": 1_000,
    });
    let case = |name, request: &str, response: &str, http, log| Case {
        name,
        request: request.to_owned(),
        response: response.to_owned(),
        http,
        log,
    };
    vec![
        case("minimal", &minimal, &plain, json!({}), "off"),
        case("recorded", &minimal, &plain, json!({}), "/dev/null"),
        case("browser", &browser, &plain, all, "/dev/null"),
        case("chunked", &minimal, chunked, json!({}), "off"),
        case("20 KB", &minimal, &large, json!({}), "off"),
    ]
}

#[test]
fn a_request_allocates_nothing() {
    for case in cases() {
        let taken = run(&case);
        let allowed = if case.log == "off" { 0 } else { LOG_GROWTH };
        assert!(taken <= allowed, "{}: {taken} allocations in {COUNTED} requests", case.name);
    }
}

/// Allocations between the two marks.
fn run(case: &Case) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut written = json!({
        "listeners": {"web": {"protocol": "http", "backend": "app"}},
        "backends": {"app": {"servers": [address]}},
    });
    written["listeners"]["web"]["http"] = case.http.clone();
    let options = Options { workers: 1, access_log: case.log.into(), log_format: Format::Text, binder: None };
    let proxy = Proxy::start_with(written, options);
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| proxy.client("web")).collect();
    thread::scope(|scope| {
        let response = case.response.as_bytes();
        let serving = scope.spawn(move || {
            // All at once need a connection each; then they are kept.
            let connections: Vec<_> = (0..CLIENTS).map(|_| bounded(listener.accept().unwrap().0)).collect();
            let threads = connections.into_iter().map(|stream| scope.spawn(move || serve(stream, response)));
            threads.collect::<Vec<_>>()
        });
        let mut block = vec![0; 64 * 1024];
        let mut ask_all = || {
            for client in &mut clients {
                client.write_all(case.request.as_bytes()).unwrap();
            }
            for client in &mut clients {
                assert!(read_to_mark(client, &mut block), "an answer");
            }
        };
        (0..WARM / CLIENTS as u64).for_each(|_| ask_all());
        let before = TAKEN.load(Relaxed);
        (0..COUNTED / CLIENTS as u64).for_each(|_| ask_all());
        let taken = TAKEN.load(Relaxed) - before;
        proxy.0.stop();
        for thread in serving.join().unwrap() {
            thread.join().unwrap();
        }
        taken
    })
}

/// Answers until the connection ends.
fn serve(mut stream: TcpStream, response: &[u8]) {
    let mut block = [0; 16 * 1024];
    while read_to_mark(&mut stream, &mut block) && stream.write_all(response).is_ok() {}
}

/// Reads a message up to the mark that ends it; whether there was one.
fn read_to_mark(stream: &mut TcpStream, block: &mut [u8]) -> bool {
    let mut held = 0;
    while !ENDS.iter().any(|end| block[..held].ends_with(end)) {
        match stream.read(&mut block[held..]) {
            Ok(n) if n > 0 => held += n,
            _ => return false,
        }
    }
    true
}
