//! Header blocks of arbitrary bytes as messages: no panic, field lines without gaps, and no request that HTTP/1 would take
//! for two, or for another one.

#![no_main]

use headworks_core::message::{Head, Method};
use headworks_core::wire::http1::{self, Limits, Parsed};
use headworks_core::wire::http2::fields::write::{self, WrittenHead};
use headworks_core::wire::http2::fields::{BlockKind, Sheet, read};
use headworks_core::wire::http2::hpack::{HpackDecoder, HpackEncoder};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 2_048, fields: 16, line: 512 };
const WIDER: Limits = Limits { head: 8_192, fields: 20, line: 1_024 };

fuzz_target!(|bytes: &[u8]| {
    let Some((first, block)) = bytes.split_first() else { return };
    let (kind, end) = match first % 4 {
        0 => (BlockKind::Request { extended: true }, first & 4 != 0),
        1 => (BlockKind::Request { extended: false }, first & 4 != 0),
        2 => (BlockKind::Response(Method::Get), first & 4 != 0),
        _ => (BlockKind::Trailers, true),
    };
    let (mut sheet, mut decoder) = (Sheet::default(), HpackDecoder::default());
    if read(decoder.block(block), kind, end, &LIMITS, &mut sheet).is_err() {
        return;
    }
    let (head, text) = (&sheet.head, &sheet.text);
    assert!(text.len() <= 2 * LIMITS.head && head.fields.len() <= LIMITS.fields + 2);
    let start = head.fields.first().map_or(text.len() - 2, |field| field.name.start as usize);
    let end = head.fields.iter().fold(start, |at, field| {
        assert_eq!((field.name.start as usize, field.value.start), (at, field.name.end + 2));
        field.value.end as usize + 2
    });
    assert_eq!((&text[end..], head.length), (&b"\r\n"[..], text.len()));
    if let BlockKind::Request { .. } = kind {
        check_request(&sheet, start);
    }
});

/// Whether HTTP/1 reads the same request, and it is the same after it was sent on.
fn check_request(sheet: &Sheet, start: usize) {
    let message = sheet.message();
    let line = [message.text(message.head.method_span), b" ", message.target(), b" HTTP/1.1\r\n"].concat();
    let text = [&line[..], &sheet.text[start..]].concat();
    let mut head = Head::default();
    // An upgrade without Connection is none, and a TE alone is let be.
    assert_eq!(http1::request(&text, &WIDER, &mut head), Parsed::Complete);
    assert_eq!((head.length, head.fields.len()), (text.len(), message.head.fields.len()));
    assert_eq!((head.method, head.host.of(&text)), (message.head.method, message.host()));
    let (mut encoder, mut decoder) = (HpackEncoder::new(true), HpackDecoder::default());
    let (mut block, mut again) = (Vec::new(), Sheet::default());
    let written = WrittenHead { text: &text, marked: &sheet.marked };
    write::request(&mut encoder, &mut block, written, b"https").expect("a request");
    let kind = BlockKind::Request { extended: false };
    read(decoder.block(&block), kind, false, &WIDER, &mut again).expect("a request that was read before");
    assert_eq!((again.message().target(), again.message().host()), (message.target(), message.host()));
}
