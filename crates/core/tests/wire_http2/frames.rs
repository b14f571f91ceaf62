//! Frames: what each may look like, in any pieces.

use headworks_core::wire::http2::frames::{Frame, FrameReader, Piece, write};
use headworks_core::wire::http2::{ErrorCode, LARGEST_FRAME};
use proptest::collection::vec;
use proptest::prelude::*;

/// A frame in words; the pieces of a DATA frame are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Frame(String),
    Body { stream: u32, bytes: Vec<u8>, counted: u32, end: bool, empty: bool },
}

/// Reads frames from bytes that come in pieces of the lengths given, over and over.
fn read(bytes: &[u8], pieces: &[usize]) -> (Vec<Seen>, Option<ErrorCode>) {
    let (mut reader, mut seen, mut open) = (FrameReader::default(), Vec::new(), false);
    let mut lengths = pieces.iter().copied().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (mut input, after) = rest.split_at(lengths.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
        rest = after;
        loop {
            match reader.next(&mut input) {
                Ok(Some(Frame::Data(piece))) => {
                    assert_eq!(piece.first, !open, "a frame begins once");
                    note(&mut seen, piece);
                    open = reader.is_within_frame();
                }
                Ok(Some(frame)) => seen.push(Seen::Frame(format!("{frame:?}"))),
                Ok(None) => break,
                Err(code) => return (seen, Some(code)),
            }
        }
        assert!(input.is_empty());
    }
    (seen, None)
}

fn note(seen: &mut Vec<Seen>, piece: Piece<'_>) {
    if piece.first {
        seen.push(Seen::Body {
            stream: piece.stream,
            bytes: Vec::new(),
            counted: 0,
            end: false,
            empty: piece.content == 0,
        });
    }
    let Some(Seen::Body { bytes, counted, end, .. }) = seen.last_mut() else { panic!("a piece alone") };
    bytes.extend_from_slice(piece.bytes);
    *counted += piece.counted;
    *end |= piece.end_stream;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::header(&mut out, kind, flags, stream, payload.len());
    out.extend_from_slice(payload);
    out
}

/// Reads one frame, in one piece and in many.
#[track_caller]
fn one(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<String, ErrorCode> {
    let bytes = frame(kind, flags, stream, payload);
    let whole = read(&bytes, &[]);
    for pieces in [&[1][..], &[2], &[9], &[10], &[7, 100]] {
        assert_eq!(read(&bytes, pieces), whole);
    }
    match whole {
        (_, Some(code)) => Err(code),
        (seen, None) => match &seen[..] {
            [Seen::Frame(text)] => Ok(text.clone()),
            [Seen::Body { stream, bytes, counted, end, empty }] => {
                Ok(format!("Body {stream} {} {counted} {end} {empty}", bytes.escape_ascii()))
            }
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn what_each_frame_is() {
    let refused = |code: &str| format!("Refused {{ stream: 3, code: {code} }}");
    for ((kind, flags, stream, payload), expected) in [
        ((0, 0, 1, &b"body"[..]), "Body 1 body 4 false false".to_owned()),
        ((0, 1, 1, b""), "Body 1  0 true true".into()),
        ((0, 9, 1, b"\x02ab\0\0"), "Body 1 ab 5 true false".into()),
        ((0, 8, 1, b"\x03\0\0\0"), "Body 1  4 false true".into()),
        ((0, 8, 1, b"\0"), "Body 1  1 false true".into()),
        // The reserved bit means nothing.
        ((0, 0, 0x8000_0001, b"x"), "Body 1 x 1 false false".into()),
        (
            (1, 5, 3, b"\x82"),
            "Headers { stream: 3, fragment: [130], end_stream: true, end_headers: true, depends_on_itself: false }".into(),
        ),
        (
            (1, 0x2c, 3, b"\x01\0\0\0\x03\x10\x82\0"),
            "Headers { stream: 3, fragment: [130], end_stream: false, end_headers: true, depends_on_itself: true }".into(),
        ),
        ((2, 0, 3, b"\0\0\0\x01\x10"), "Priority { stream: 3 }".into()),
        ((2, 0, 3, b"\0\0\0\x01"), refused("FRAME_SIZE_ERROR")),
        ((2, 0, 3, b"\x80\0\0\x03\x10"), refused("PROTOCOL_ERROR")),
        ((3, 0, 3, b"\0\0\0\x08"), "Reset { stream: 3, code: CANCEL }".into()),
        ((4, 0, 0, b""), "Settings(SettingsList([]))".into()),
        ((4, 1, 0, b""), "SettingsAcknowledged".into()),
        ((5, 4, 3, b"\0\0\0\x02"), "Push".into()),
        ((6, 0, 0, b"12345678"), "Ping { payload: [49, 50, 51, 52, 53, 54, 55, 56], acknowledged: false }".into()),
        ((7, 0, 0, b"\0\0\0\x05\0\0\0\x0bbye"), "GoAway { last: 5, code: ENHANCE_YOUR_CALM }".into()),
        ((8, 0, 0, b"\x80\0\0\x05"), "WindowUpdate { stream: 0, increment: 5 }".into()),
        ((8, 0, 3, b"\0\0\0\0"), refused("PROTOCOL_ERROR")),
        ((16, 0, 0, b"\0\0\0\x03u=1"), "PriorityUpdate { stream: 3, value: [117, 61, 49] }".into()),
        ((10, 0xff, 3, b"what"), "Unknown".into()),
        ((0xff, 0, 0, b""), "Unknown".into()),
    ] {
        assert_eq!(one(kind, flags, stream, payload), Ok(expected), "{kind} {flags} {payload:?}");
    }
}

#[test]
fn what_no_frame_is() {
    const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
    const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
    let large = vec![0; LARGEST_FRAME + 1];
    for ((kind, flags, stream, payload), expected) in [
        ((0, 0, 0, &b"x"[..]), PROTOCOL),
        ((0, 8, 1, b""), SIZE),
        ((0, 8, 1, b"\x01"), PROTOCOL),
        ((0, 8, 1, b"\x05abcd"), PROTOCOL),
        ((1, 4, 0, b"\x82"), PROTOCOL),
        ((1, 0xc, 1, b""), SIZE),
        ((1, 0xc, 1, b"\x01"), PROTOCOL),
        ((1, 0x24, 1, b"\0\0\0\0"), SIZE),
        ((1, 0x2c, 1, b"\x02\0\0\0\0\0\x82"), PROTOCOL),
        ((2, 0, 0, b"\0\0\0\x01\x10"), PROTOCOL),
        ((3, 0, 0, b"\0\0\0\0"), PROTOCOL),
        ((3, 0, 1, b"\0\0\0"), SIZE),
        ((4, 0, 1, b""), PROTOCOL),
        ((4, 0, 0, b"\0\0\0\0\0"), SIZE),
        ((4, 1, 0, b"\0\x01\0\0\0\0"), SIZE),
        ((4, 0, 0, &large[..33 * 6]), ErrorCode::ENHANCE_YOUR_CALM),
        ((5, 4, 0, b"\0\0\0\x02"), PROTOCOL),
        ((6, 0, 1, b"12345678"), PROTOCOL),
        ((6, 0, 0, b"1234567"), SIZE),
        ((7, 0, 1, b"\0\0\0\x05\0\0\0\0"), PROTOCOL),
        ((7, 0, 0, b"\0\0\0\x05\0\0\0"), SIZE),
        ((8, 0, 0, b"\0\0\0\0"), PROTOCOL),
        ((8, 0, 1, b"\0\0\0"), SIZE),
        ((9, 4, 1, b"\x82"), PROTOCOL),
        ((16, 0, 1, b"\0\0\0\x03u=1"), PROTOCOL),
        ((16, 0, 0, b"\0\0\0"), SIZE),
        ((16, 0, 0, &large[..4 + 1_025]), ErrorCode::ENHANCE_YOUR_CALM),
        ((0, 0, 1, &large), SIZE),
        ((10, 0, 1, &large), SIZE),
    ] {
        assert_eq!(one(kind, flags, stream, payload), Err(expected), "{kind} {flags}");
    }
}

#[test]
fn nothing_comes_between_the_parts_of_a_block() {
    let begun = frame(1, 0, 3, b"\x82");
    for (next, expected) in [
        (frame(9, 4, 3, b"\x84"), None),
        (frame(9, 4, 5, b"\x84"), Some(ErrorCode::PROTOCOL_ERROR)),
        (frame(0, 0, 3, b"x"), Some(ErrorCode::PROTOCOL_ERROR)),
        (frame(6, 0, 0, b"12345678"), Some(ErrorCode::PROTOCOL_ERROR)),
        (frame(0x77, 0, 0, b""), Some(ErrorCode::PROTOCOL_ERROR)),
        (frame(1, 4, 3, b""), Some(ErrorCode::PROTOCOL_ERROR)),
    ] {
        let (seen, code) = read(&[&begun[..], &next].concat(), &[]);
        assert_eq!((seen.len(), code), (if code.is_some() { 1 } else { 2 }, expected));
    }
}

#[test]
fn what_is_refused_is_not_waited_for() {
    // A header alone says that the payload would be wrong.
    let (_, code) = read(&frame(6, 0, 0, &[0; 200])[..9], &[]);
    assert_eq!(code, Some(ErrorCode::FRAME_SIZE_ERROR));
}

#[test]
fn long_blocks_are_divided() {
    for length in [0, 1, LARGEST_FRAME, LARGEST_FRAME + 1, 2 * LARGEST_FRAME, 40_000] {
        let mut out = b"before".to_vec();
        let start = write::gap(&mut out);
        let block: Vec<u8> = (0..length).map(|at| at as u8).collect();
        out.extend_from_slice(&block);
        write::end_block(&mut out, start, 7, true);
        let (mut reader, mut input, mut fragments) = (FrameReader::default(), &out[6..], Vec::new());
        while let Some(frame) = reader.next(&mut input).unwrap() {
            match frame {
                Frame::Headers { stream: 7, fragment, end_stream: true, .. }
                | Frame::Continuation { stream: 7, fragment, .. } => fragments.extend_from_slice(fragment),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(fragments, block);
        assert!(!reader.is_within_head() && !reader.is_within_frame());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Frames of any kind, nearly right, read the same however they are split.
    #[test]
    fn any_split_gives_the_same(
        frames in vec((0_u8..18, any::<u8>(), 0_u32..6, vec(any::<u8>(), 0..20)), 0..12),
        pieces in vec(1_usize..30, 1..8),
    ) {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload)).collect();
        prop_assert_eq!(read(&bytes, &pieces), read(&bytes, &[]));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200), pieces in vec(1_usize..30, 1..8)) {
        prop_assert_eq!(read(&bytes, &pieces), read(&bytes, &[]));
    }
}
