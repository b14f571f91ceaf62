//! A connection of HTTP/2 of either role under arbitrary bytes: no panic, the same events in whatever pieces, no more
//! waiting to be written than may, and nothing more once it is over.

#![no_main]

use headworks_core::message::Method;
use headworks_core::wire::http1::Limits;
use headworks_core::wire::http2::PREFACE;
use headworks_core::wire::http2::fields::Sheet;
use headworks_core::wire::http2::fields::write::WrittenHead;
use headworks_core::wire::http2::trunk::{OUTPUT_LIMIT, Trunk, TrunkEvent, TrunkLimits, TrunkRole};
use libfuzzer_sys::fuzz_target;

const LIMITS: TrunkLimits = TrunkLimits {
    streams: 3,
    // Larger than any input: credit is given earlier where bytes come in smaller pieces.
    window: 0x100_0000,
    max_window: 0x200_0000,
    upload_buffer: 0x400_0000,
    head: Limits { head: 1_024, fields: 10, line: 512 },
    patience: 200,
    patience_rate: 33,
    first_bytes: 5_000,
    idle: 60_000,
    min_response_rate: 100,
    websocket: true,
    huffman: true,
};

/// What was heard, bodies put together.
fn run(role: TrunkRole, bytes: &[u8], step: usize) -> (Vec<String>, usize) {
    let (mut trunk, mut sheet) = (Trunk::new(role, LIMITS, 0), Sheet::default());
    let (mut events, mut body) = (Vec::new(), 0);
    let greeting;
    let begins = if role == TrunkRole::Server {
        &PREFACE[..]
    } else {
        greeting = WrittenHead { text: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", marked: b"" };
        trunk.open(greeting, b"http", Method::Get, true).expect("the first may be opened");
        b""
    };
    for mut input in begins.chunks(step).chain(bytes.chunks(step)) {
        loop {
            while let Some(event) = trunk.feed(&mut input, &mut sheet, 0) {
                if let TrunkEvent::Body { stream, bytes, end } = event {
                    body += bytes.len();
                    if end {
                        events.push(format!("end {stream}"));
                    }
                    trunk.passed(stream, bytes.len());
                } else {
                    events.push(format!("{event:?}"));
                }
                if let TrunkEvent::Head { stream, .. } = event {
                    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
                    trunk.respond(stream, WrittenHead { text, marked: b"" }, false);
                    trunk.send(stream, b"body", true);
                }
            }
            assert!(trunk.output().len() < OUTPUT_LIMIT + 10_000);
            trunk.written(trunk.output().len());
            if input.is_empty() {
                break;
            }
        }
    }
    while let Some(event) = trunk.expire(100_000) {
        events.push(format!("{event:?}"));
    }
    if trunk.deadline().is_some() {
        assert!(trunk.deadline() > Some(100_000) || !trunk.is_over());
    }
    trunk.relax();
    (events, body)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let role = if first & 0x80 == 0 { TrunkRole::Server } else { TrunkRole::Client };
    let (events, body) = run(role, bytes, usize::MAX);
    let (again, same) = run(role, bytes, usize::from(first & 0x7f).max(1));
    assert_eq!((again, same), (events, body));
});
