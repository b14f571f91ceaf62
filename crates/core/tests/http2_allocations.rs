//! A connection of HTTP/2 takes no memory per request, at either end, once its lists have grown.
//!
//! The memory counted is this thread's: that of the harness allocates when it likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use headworks_core::message::Method;
use headworks_core::wire::http1::Limits;
use headworks_core::wire::http2::fields::Sheet;
use headworks_core::wire::http2::fields::write::WrittenHead;
use headworks_core::wire::http2::trunk::{Trunk, TrunkEvent, TrunkLimits, TrunkRole};

/// Counts every call that takes memory, and the bytes held.
struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the promises of the trait.
#[allow(unsafe_code, reason = "an allocator cannot be counted otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
        let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(layout.size())));
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|held| held.set(held.get().wrapping_sub(layout.size())));
        // SAFETY: the caller keeps the same promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LIMITS: TrunkLimits = TrunkLimits {
    streams: 100,
    window: 65_536,
    max_window: 1_048_576,
    upload_buffer: 1_638_400,
    head: Limits { head: 16_384, fields: 100, line: 8_192 },
    patience: 1_000,
    patience_rate: 33,
    first_bytes: 10_000,
    idle: 60_000,
    min_response_rate: 100,
    websocket: true,
    huffman: true,
};

const REQUEST: &str = "POST /catalogue?page=2 HTTP/1.1\r\nHost: www.bench.example\r\nUser-Agent: Mozilla/5.0 (X11)\r\n\
    Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n\
    Content-Length: 11\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Length: 200\r\n\r\n";

struct Ends {
    client: Trunk,
    server: Trunk,
    sheets: [Sheet; 2],
}

impl Ends {
    /// One request with a body, and its response.
    fn exchange(&mut self, now: u64) {
        let Self { client, server, sheets: [asked, answered] } = self;
        let head = |text: &'static str| WrittenHead { text: text.as_bytes(), marked: b"" };
        let id = client.open(head(REQUEST), b"https", Method::Post, false).unwrap();
        assert_eq!(client.send(id, b"hello world", true), 11);
        let mut input = client.output();
        while let Some(event) = server.feed(&mut input, asked, now) {
            match event {
                TrunkEvent::Body { stream, bytes, end: true } => {
                    let length = bytes.len();
                    server.passed(stream, length);
                    assert!(server.respond(stream, head(RESPONSE), false));
                    assert_eq!(server.send(stream, &[b'x'; 200], true), 200);
                    server.release(stream);
                }
                TrunkEvent::Head { end: false, .. } => {
                    assert_eq!(asked.message().target(), b"/catalogue?page=2");
                }
                other => panic!("{other:?}"),
            }
        }
        client.written(client.output().len());
        let mut input = server.output();
        let mut whole = false;
        while let Some(event) = client.feed(&mut input, answered, now) {
            match event {
                TrunkEvent::Head { .. } => assert_eq!(answered.head.status, 200),
                TrunkEvent::Body { stream, bytes, end } => {
                    client.passed(stream, bytes.len());
                    whole = end;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(whole);
        client.release(id);
        server.written(server.output().len());
    }
}

#[test]
fn an_exchange_takes_no_memory() {
    let mut ends = Ends {
        client: Trunk::new(TrunkRole::Client, LIMITS, 0),
        server: Trunk::new(TrunkRole::Server, LIMITS, 0),
        sheets: [Sheet::default(), Sheet::default()],
    };
    (0..10).for_each(|now| ends.exchange(now));
    let before = TAKEN.get();
    assert!(before > 0, "what is taken is counted");
    (10..10_000).for_each(|now| ends.exchange(now));
    assert_eq!(TAKEN.get() - before, 0);
}

#[test]
fn a_connection_is_small_until_it_uses_its_tables() {
    let before = HELD.get();
    let mut server = Trunk::new(TrunkRole::Server, LIMITS, 0);
    let mut sheet = Sheet::default();
    let greeting = Trunk::new(TrunkRole::Client, LIMITS, 0);
    let mut input = greeting.output();
    assert_eq!(server.feed(&mut input, &mut sheet, 0), None);
    drop(greeting);
    server.written(server.output().len());
    server.relax();
    let held = HELD.get() - before + size_of::<Trunk>();
    assert!(held <= 2_048, "{held}");
}
