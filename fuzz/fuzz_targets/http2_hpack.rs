//! Header blocks of arbitrary bytes: no panic, no text beyond what a block can stand for, and what was decoded is decoded
//! once more when it is encoded.

#![no_main]

use headworks_core::wire::http2::hpack::{HpackDecoder, HpackEncoder, Indexing, Pseudo, TABLE_SIZE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut decoder, mut again) = (HpackDecoder::default(), HpackDecoder::default());
    let mut encoder = HpackEncoder::new(bytes.first().is_some_and(|first| first & 1 != 0));
    // Blocks, each behind its length.
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first() {
        let (block, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let (mut text, mut encoded) = (Vec::new(), Vec::new());
        encoder.begin(&mut encoded);
        let mut reader = decoder.block(block);
        loop {
            let start = text.len();
            match reader.next(&mut text) {
                Ok(Some(field)) => {
                    assert!(text.len() - start <= block.len() * 8 / 5 + TABLE_SIZE + 4);
                    let (name, value) = (field.name.of(&text), field.value.of(&text));
                    assert_eq!(&text[start..], [name, b": ", value, b"\r\n"].concat());
                    assert_eq!(field.pseudo == Pseudo::None, !name.starts_with(b":"));
                    let indexing =
                        if field.never_indexed { Indexing::Never } else { Indexing::of(name, field.known) };
                    encoder.field(&mut encoded, name, value, indexing);
                }
                Ok(None) => break,
                Err(_) => {
                    assert_eq!(text.len(), start);
                    return;
                }
            }
        }
        let (mut decoded, mut reader) = (Vec::new(), again.block(&encoded));
        while reader.next(&mut decoded).expect("what was encoded").is_some() {}
        assert_eq!(decoded, text);
    }
});
