//! The paths of HTTP/2: a browser's warm header block, and one exchange on a server's side of a connection.

use std::hint::black_box;

use headworks_core::wire::http1::Limits;
use headworks_core::wire::http2::PREFACE;
use headworks_core::wire::http2::fields::write::{self as heads, WrittenHead};
use headworks_core::wire::http2::fields::{BlockKind, Sheet, read};
use headworks_core::wire::http2::frames::{flag, kind, write};
use headworks_core::wire::http2::hpack::{HpackDecoder, HpackEncoder};
use headworks_core::wire::http2::trunk::{Trunk, TrunkEvent, TrunkLimits, TrunkRole};

use crate::Operation;
use crate::paths::{BROWSER, Path, RESPONSE, path};

const LIMITS: TrunkLimits = TrunkLimits {
    streams: 100,
    window: 65_536,
    max_window: 1_048_576,
    upload_buffer: 1_638_400,
    head: Limits { head: 65_536, fields: 100, line: 65_536 },
    patience: 1_000,
    patience_rate: 33,
    first_bytes: 10_000,
    idle: 60_000,
    min_response_rate: 100,
    websocket: true,
    huffman: true,
};

/// Every path of HTTP/2.
pub fn all() -> Vec<Path> {
    vec![path("http2_block_browser", 5_000, block), path("http2_exchange", 5_000, exchange)]
}

fn request(encoder: &mut HpackEncoder, out: &mut Vec<u8>) {
    let head = WrittenHead { text: BROWSER.as_bytes(), marked: b"" };
    assert!(heads::request(encoder, out, head, b"https").is_some());
}

/// Reads a browser's request when its fields are in the table.
fn block() -> Operation {
    let (mut encoder, mut decoder, mut sheet) =
        (HpackEncoder::new(true), HpackDecoder::default(), Sheet::default());
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    request(&mut encoder, &mut first);
    request(&mut encoder, &mut warm);
    let mut read_one = move |block: &[u8]| {
        let kind = BlockKind::Request { extended: true };
        let result = read(decoder.block(block), kind, true, &LIMITS.head, &mut sheet);
        assert!(result.is_ok());
        black_box(&sheet);
    };
    read_one(&first);
    Box::new(move |_| read_one(black_box(&warm)))
}

/// Reads a browser's request from the wire and answers it with a small body.
fn exchange() -> Operation {
    let (mut trunk, mut sheet) = (Trunk::new(TrunkRole::Server, LIMITS, 0), Sheet::default());
    let mut encoder = HpackEncoder::new(true);
    let mut greeting = PREFACE.to_vec();
    write::settings(&mut greeting, &[]);
    write::settings_acknowledged(&mut greeting);
    write::window_update(&mut greeting, 0, 0x7fff_0000);
    assert_eq!(trunk.feed(&mut &greeting[..], &mut sheet, 0), None);
    let body = [b'x'; 64];
    let (mut frame, mut id) = (Vec::new(), 1);
    // A first request fills the table; all others are the same bytes with another number.
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    request(&mut encoder, &mut first);
    request(&mut encoder, &mut warm);
    Box::new(move |_| {
        frame.clear();
        let block = if id == 1 { &first } else { &warm };
        write::header(&mut frame, kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, id, block.len());
        frame.extend_from_slice(block);
        let mut input = black_box(&frame[..]);
        let event = trunk.feed(&mut input, &mut sheet, 0);
        assert_eq!(event, Some(TrunkEvent::Head { stream: id, end: true }));
        let head = WrittenHead { text: RESPONSE.as_bytes(), marked: b"" };
        assert!(trunk.respond(id, head, false));
        assert_eq!(trunk.send(id, &body, true), body.len());
        trunk.release(id);
        black_box(trunk.output());
        trunk.written(trunk.output().len());
        id += 2;
    })
}
