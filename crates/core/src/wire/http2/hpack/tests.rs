//! Blocks against the examples of RFC 7541 appendix C, against a decoder written a second time, as simply as
//! can be, and against the encoder.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::statics::STATIC;
use super::{BlockField, HpackDecoder, HpackEncoder, HpackError, Indexing, TABLE_SIZE, huffman};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|char| char.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// Decodes a block whole; what it wrote.
fn decode(decoder: &mut HpackDecoder, block: &[u8]) -> Result<(String, Vec<BlockField>), HpackError> {
    let (mut out, mut fields) = (Vec::new(), Vec::new());
    let mut reader = decoder.block(block);
    while let Some(field) = reader.next(&mut out)? {
        let line = &out[field.name.start as usize..];
        assert_eq!(line, [field.name.of(&out), b": ", field.value.of(&out), b"\r\n"].concat());
        fields.push(field);
    }
    Ok((String::from_utf8_lossy(&out).into_owned(), fields))
}

#[track_caller]
fn decodes(decoder: &mut HpackDecoder, hex: &str, lines: &[&str]) {
    let (text, _) = decode(decoder, &bytes(hex)).unwrap();
    assert_eq!(text, lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
}

#[test]
fn literals_of_the_standard() {
    let mut decoder = HpackDecoder::default();
    decodes(
        &mut decoder,
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        &["custom-key: custom-header"],
    );
    decodes(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468", &[":path: /sample/path"]);
    decodes(&mut decoder, "82 be", &[":method: GET", "custom-key: custom-header"]);
    let secret = bytes("1008 7061 7373 776f 7264 0673 6563 7265 74");
    let (text, fields) = decode(&mut decoder, &secret).unwrap();
    assert_eq!(text, "password: secret\r\n");
    assert!(fields[0].never_indexed && fields[0].sound);
    let mut out = Vec::new();
    let mut encoder = HpackEncoder::new(false);
    encoder.field(&mut out, b"password", b"secret", Indexing::Never);
    assert_eq!(out, secret);
}

const REQUESTS: [&[&str]; 3] = [
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
    &[
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ],
];

const PLAIN: [&str; 3] = [
    "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "8286 84be 5808 6e6f 2d63 6163 6865",
    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];

const CODED: [&str; 3] = [
    "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
    "8286 84be 5886 a8eb 1064 9cbf",
    "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

#[test]
fn requests_of_the_standard() {
    for (huffman, hexes) in [(false, PLAIN), (true, CODED)] {
        let (mut decoder, mut encoder) = (HpackDecoder::default(), HpackEncoder::new(huffman));
        for (hex, lines) in hexes.iter().zip(REQUESTS) {
            decodes(&mut decoder, hex, lines);
            let mut out = Vec::new();
            for line in lines {
                let (name, value) = line.split_once(": ").unwrap();
                encoder.field(&mut out, name.as_bytes(), value.as_bytes(), Indexing::Kept);
            }
            assert_eq!(out, bytes(hex));
        }
    }
}

#[test]
fn responses_of_the_standard() {
    let (mut first, date) = ("3fe1 01".to_owned(), "date: Mon, 21 Oct 2013 20:13:21 GMT");
    first.push_str(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
         29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    );
    let mut decoder = HpackDecoder::default();
    let location = "location: https://www.example.com";
    decodes(&mut decoder, &first, &[":status: 302", "cache-control: private", date, location]);
    decodes(&mut decoder, "4883 640e ffc1 c0bf", &[":status: 307", "cache-control: private", date, location]);
    let last =
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
        e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    decodes(
        &mut decoder,
        last,
        &[
            ":status: 200",
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:22 GMT",
            location,
            "content-encoding: gzip",
            "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
    );
    // What was in the table before is not any more.
    assert_eq!(decode(&mut decoder, &[0xc1]), Err(HpackError::Index));
}

#[test]
fn what_cannot_be_is_refused() {
    for (hex, error) in [
        ("80", HpackError::Index),
        ("be", HpackError::Index),
        ("ff", HpackError::Integer),
        ("ff ff ff ff ff 01", HpackError::Integer),
        ("ff 80 80 80 80 00", HpackError::Integer),
        ("7f 00 00", HpackError::Index),
        ("40", HpackError::Short),
        ("40 01", HpackError::Short),
        ("40 01 61", HpackError::Short),
        ("40 01 61 7f ff ff ff 01", HpackError::Short),
        ("44 81 06", HpackError::Huffman),
        ("44 84 ff ff ff ff", HpackError::Huffman),
        ("82 20", HpackError::TableSize),
        ("20 20 20", HpackError::TableSize),
        ("3f e2 1f", HpackError::TableSize),
    ] {
        assert_eq!(decode(&mut HpackDecoder::default(), &bytes(hex)).unwrap_err(), error, "{hex}");
    }
    // Two changes of the size, and the limit itself, may be.
    assert!(decode(&mut HpackDecoder::default(), &bytes("20 3f e1 1f 82")).is_ok());
}

#[test]
fn what_is_unsound_is_told_again_from_the_table() {
    let unsound = [
        ("A", "x"),
        ("a b", "x"),
        ("", "x"),
        ("a", " x"),
        ("a", "x\t"),
        ("a", "x\ry"),
        ("a", "\0"),
        ("content_length", "1"),
        ("a:", "x"),
    ];
    for (name, value) in unsound {
        let mut block = vec![0x40, name.len() as u8];
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
        // The same entry again, and its name with another value.
        block.extend_from_slice(&[0xbe, 0x7e, 1, b'y']);
        let (_, fields) = decode(&mut HpackDecoder::default(), &block).unwrap();
        let good_name = name == "a";
        let sound: Vec<bool> = fields.iter().map(|field| field.sound).collect();
        assert_eq!(sound, [false, false, good_name], "{name:?} {value:?}");
    }
}

#[test]
fn changes_of_the_size_are_told() {
    let (mut encoder, mut decoder) = (HpackEncoder::new(true), HpackDecoder::default());
    let mut send = |encoder: &mut HpackEncoder| {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.field(&mut out, b"x-name", b"value", Indexing::Kept);
        assert_eq!(decode(&mut decoder, &out).unwrap().0, "x-name: value\r\n");
        out
    };
    let first = send(&mut encoder).len();
    assert_eq!(send(&mut encoder), [0xbe]);
    encoder.set_limit(65_536);
    assert_eq!(send(&mut encoder), [0xbe], "a limit beyond ours changes nothing");
    encoder.set_limit(0);
    encoder.set_limit(4_096);
    assert_eq!(send(&mut encoder).len(), 1 + 3 + first, "both the least and the last are told");
    encoder.set_limit(300);
    assert_eq!(send(&mut encoder)[3..], [0xbe]);
    encoder.set_limit(0);
    assert_eq!(send(&mut encoder).len(), 1 + first);
    assert_eq!(send(&mut encoder).len(), first);
}

/// A decoder once more: a list of texts, and no haste.
struct Plain {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    limit: usize,
}

impl Plain {
    fn evict(&mut self) {
        let size = |table: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
            table.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        };
        while size(&self.table) > self.limit {
            self.table.pop_back();
        }
    }

    fn entry(&self, index: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        let index = usize::try_from(index).ok()?.checked_sub(1)?;
        match STATIC.get(index) {
            Some(entry) => Some((entry.name().to_vec(), entry.value().to_vec())),
            None => self.table.get(index - 61).cloned(),
        }
    }

    fn decode(&mut self, mut block: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut updates, mut begun) = (Vec::new(), 0, false);
        while let Some(&first) = block.first() {
            let (name, value) = if first >= 0x80 {
                self.entry(integer(&mut block, 7)?)?
            } else if first >= 0x40 {
                let index = integer(&mut block, 6)?;
                let field = self.literal(index, &mut block)?;
                self.table.push_front(field.clone());
                self.evict();
                field
            } else if first >= 0x20 {
                let limit = integer(&mut block, 5)?;
                updates += 1;
                if begun || updates > 2 || limit > TABLE_SIZE as u64 {
                    return None;
                }
                self.limit = limit as usize;
                self.evict();
                continue;
            } else {
                let index = integer(&mut block, 4)?;
                self.literal(index, &mut block)?
            };
            begun = true;
            out.extend_from_slice(&[&name[..], b": ", &value, b"\r\n"].concat());
        }
        Some(out)
    }

    fn literal(&self, index: u64, block: &mut &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let name = if index == 0 { string(block)? } else { self.entry(index)?.0 };
        Some((name, string(block)?))
    }
}

fn integer(block: &mut &[u8], bits: u32) -> Option<u64> {
    let mask = (1_u64 << bits) - 1;
    let mut value = u64::from(block[0]) & mask;
    *block = &block[1..];
    if value < mask {
        return Some(value);
    }
    for place in 0..4 {
        let (first, rest) = block.split_first()?;
        *block = rest;
        value += u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn string(block: &mut &[u8]) -> Option<Vec<u8>> {
    let coded = *block.first()? & 0x80 != 0;
    let length = integer(block, 7)? as usize;
    let text = block.get(..length)?;
    *block = &block[length..];
    if !coded {
        return Some(text.to_vec());
    }
    let mut out = Vec::new();
    huffman::decode(text, &mut out)?;
    Some(out)
}

/// Pieces of blocks that mean something, so that not all are refused at their first byte.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (0x80_u8..0xc8).prop_map(|byte| vec![byte]),
        3 => (0x40_u8..0x7f, 0_u8..6, vec(any::<u8>(), 6)).prop_map(|(first, length, text)| {
            let strings = if first == 0x40 { 2 } else { 1 };
            let string = [&[length], &text[..usize::from(length)]].concat();
            [&[first][..], &string.repeat(strings)].concat()
        }),
        1 => (0_u8..0x20).prop_map(|first| vec![first, 1, b'x', 1, b'y']),
        1 => (0x20_u8..0x40, 0_u8..0x40).prop_map(|(first, second)| vec![first, second]),
        1 => (0_usize..900).prop_map(|length| {
            let head = [0x41, 0x7f, (length % 128) as u8 | 0x80, (length / 128) as u8];
            [&head[..], &vec![b'v'; length + 127]].concat()
        }),
        1 => vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_blocks_are_decoded_as_they_are_plainly(blocks in vec(vec(piece(), 0..12), 1..6)) {
        let mut plain = Plain { table: VecDeque::new(), limit: TABLE_SIZE };
        let mut decoder = HpackDecoder::default();
        for pieces in blocks {
            let block = pieces.concat();
            let mut out = Vec::new();
            let mut reader = decoder.block(&block);
            let result = loop {
                let before = out.len();
                match reader.next(&mut out) {
                    Ok(Some(field)) => prop_assert_eq!(field.name.start as usize, before),
                    Ok(None) => break Some(out),
                    Err(_) => {
                        prop_assert_eq!(out.len(), before);
                        break None;
                    }
                }
            };
            prop_assert_eq!(&result, &plain.decode(&block));
            if result.is_none() {
                break;
            }
        }
    }

    #[test]
    fn what_is_encoded_is_decoded(
        messages in vec(vec((0_usize..6, "[a-z-]{1,12}", "[ -~]{0,40}|v{0,1200}"), 0..12), 1..8),
        huffman: bool,
        sizes in vec(0_usize..6_000, 8),
    ) {
        const NAMES: [&str; 6] = ["", ":path", "cookie", "user-agent", "accept-encoding", "x-own"];
        let (mut encoder, mut decoder) = (HpackEncoder::new(huffman), HpackDecoder::default());
        for (message, size) in messages.into_iter().zip(sizes) {
            if size % 3 == 0 {
                encoder.set_limit(size);
            }
            let (mut block, mut text) = (Vec::new(), String::new());
            encoder.begin(&mut block);
            let mut never = Vec::new();
            for (kind, own, value) in &message {
                let name = if *kind == 0 { own.as_str() } else { NAMES[*kind] };
                let indexing = Indexing::of(name.as_bytes(), crate::message::Known::of(name.as_bytes()));
                encoder.field(&mut block, name.as_bytes(), value.as_bytes(), indexing);
                text.push_str(&format!("{name}: {value}\r\n"));
                never.push(indexing == Indexing::Never);
            }
            let (decoded, fields) = decode(&mut decoder, &block).unwrap();
            prop_assert_eq!(decoded, text);
            prop_assert_eq!(fields.iter().map(|field| field.never_indexed).collect::<Vec<_>>(), never);
        }
    }
}
