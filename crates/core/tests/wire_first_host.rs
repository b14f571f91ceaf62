//! The host of a first request: every dialect of HTTP/1, HTTP/2 with prior knowledge, and whatever the bytes:
//! no panic, and the same answer in every split.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use headworks_core::analyze::{Analyzer, Facts, FirstHost, Verdict};
use headworks_core::wire::first_host::{HostParsed, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The name, or why there is none: `""` is a request without one, `"..."` one that is not complete.
fn read(bytes: &[u8]) -> String {
    match parse(bytes) {
        HostParsed::Complete(name) => name.map(String::from).unwrap_or_default(),
        HostParsed::Partial { .. } => "...".to_owned(),
    }
}

#[test]
fn dialects_of_http1() {
    for (head, name) in [
        ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example"),
        ("GET / HTTP/1.1\nHost: a.example\n\n", "a.example"),
        ("GET / HTTP/1.1\r\nhOsT:A.Example.\n\r\n", "a.example"),
        ("GET / HTTP/1.1\r\nHost :\t a.example \t\r\n\r\n", "a.example"),
        ("GET /  HTTP/1.1 \r\nX: 1\r\nHost: a.example:8080\r\n\r\nHost: b.example\r\n\r\n", "a.example"),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a.example:\r\n\r\n", "a.example"),
        ("GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example"),
        ("GET /\u{e9} HTTP/1.1\r\nno field\r\nHost: a.example\r\n\r\n", "a.example"),
        ("GET / HTTP/1.1\r\nX: folded\r\n Host: b.example\r\nHost: a.example\r\n\r\n", "a.example"),
        ("GET / HTTP/1.1\r\nHost: a.example\r\nHost: A.example\r\n\r\n", "a.example"),
        ("REQMOD icap://x/ ICAP/1.0\r\nHost: a.example\r\n\r\n", "a.example"),
        ("GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n", "[2001:db8::1]"),
        ("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "192.0.2.1"),
        ("GET / HTTP/1.1\r\nHost: a_b.example\r\n\r\n", "a_b.example"),
        // Without a name.
        ("GET / HTTP/1.0\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a.example\r\n .evil.example\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a.example/b\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: user@a.example\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a.example:80:80\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nHost: *\r\n\r\n", ""),
        ("GET / HTTP/1.1\r\nX-Host: a.example\r\n\r\n", ""),
        ("GET /\r\n", ""),
        ("GET\r\n", ""),
        ("\u{16}\u{3}\u{1}", ""),
        ("EHLO mail.example\r\n", ""),
        ("SSH-2.0-OpenSSH_9.9\r\n", ""),
        ("GET /\0", ""),
        ("PRI * HTTP/2.0\r\n\r\nX", ""),
        ("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", ""),
        // Not yet.
        ("", "..."),
        ("\r\n", "..."),
        ("GET / HTTP/1.1\r\nHost: a.example\r\n", "..."),
        ("GET / HTTP/1.1\r\nHost: a.example\r\n\r", "..."),
        ("GET /", "..."),
        ("PRI * HTTP/2.0\r\n\r\n", "..."),
    ] {
        assert_eq!(read(head.as_bytes()), name, "{head:?}");
    }
}

/// A frame on a stream.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A client of HTTP/2 up to these frames.
fn client(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), frames.concat()].concat()
}

/// A field that is not kept, its name and value in plain text.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The fields in front of every request: GET, http and `/` of the static table.
const BEGINNING: [u8; 3] = [0x82, 0x86, 0x84];

fn request(fields: &[Vec<u8>]) -> Vec<u8> {
    [BEGINNING.to_vec(), fields.concat()].concat()
}

#[test]
fn names_of_http2() {
    let authority = || field(":authority", "a.example:80");
    for (what, block, name) in [
        ("authority", request(&[authority()]), "a.example"),
        ("host", request(&[field("host", "a.example")]), "a.example"),
        ("both", request(&[authority(), field("host", "A.example:80")]), "a.example"),
        (
            "coded",
            request(&[b"\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff".to_vec()]),
            "www.example.com",
        ),
        ("a new size of the table", [vec![0x3f, 0xe1, 0x1f], request(&[authority()])].concat(), "a.example"),
        ("from the table", request(&[vec![0x41, 1, b'a'], vec![0xbe]]), ""),
        ("two that differ", request(&[authority(), field("host", "b.example")]), ""),
        ("twice", request(&[authority(), authority()]), ""),
        ("none", request(&[]), ""),
        ("behind a field", request(&[field("x", "y"), authority()]), ""),
        ("no host", request(&[field(":authority", "a example")]), ""),
        ("long", request(&[field(":authority", &"a.".repeat(60))]), &"a.".repeat(60)[..119]),
        ("a size that is too large", [vec![0x3f, 0xff, 0x7f], request(&[authority()])].concat(), ""),
        ("broken", vec![0x80], ""),
    ] {
        assert_eq!(read(&client(&[frame(HEADERS, END_HEADERS, 1, &block)])), name, "{what}");
        // In three frames, and with padding and a priority.
        let (a, b) = block.split_at(block.len() / 3);
        let (b, c) = b.split_at(b.len() / 2);
        let whole = [
            frame(HEADERS, 0x28, 1, &[&[3, 0, 0, 0, 0, 16], a, &[0; 3]].concat()),
            frame(CONTINUATION, 0, 1, b),
            frame(CONTINUATION, END_HEADERS, 1, c),
        ];
        assert_eq!(read(&client(&whole)), name, "{what}, in frames");
        assert_eq!(read(&client(&whole[..2])), "...", "{what}, of which the end is missing");
    }
}

#[test]
fn frames_before_the_request() {
    let good = frame(HEADERS, END_HEADERS, 1, &request(&[field(":authority", "a.example")]));
    for (what, before, name) in [
        ("a window", frame(8, 0, 0, &[0, 0, 0, 1]), "a.example"),
        ("a ping", frame(6, 0, 0, &[0; 8]), "a.example"),
        ("a priority", frame(2, 0, 3, &[0; 5]), "a.example"),
        ("a priority of today", frame(16, 0, 0, b"\0\0\0\x01u=1"), "a.example"),
        ("settings and their acknowledgement", frame(SETTINGS, 1, 0, &[]), "a.example"),
        ("data", frame(0, 0, 1, b"x"), ""),
        ("a reset", frame(3, 0, 1, &[0; 4]), ""),
        ("a push", frame(5, END_HEADERS, 1, &[0; 4]), ""),
        ("the end", frame(7, 0, 0, &[0; 8]), ""),
        ("the rest of nothing", frame(CONTINUATION, END_HEADERS, 1, &[]), ""),
        ("half a setting", frame(SETTINGS, 0, 0, &[0; 5]), ""),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[]), ""),
        ("a window of three bytes", frame(8, 0, 0, &[0; 3]), ""),
        ("too many", frame(6, 0, 0, &[0; 8]).repeat(80), ""),
    ] {
        assert_eq!(read(&client(&[before, good.clone()])), name, "{what}");
    }
    let first = [PREFACE, &good].concat();
    assert_eq!(read(&first), "", "settings come first");
    let even = frame(HEADERS, END_HEADERS, 2, &request(&[field(":authority", "a.example")]));
    assert_eq!(read(&client(&[even])), "", "streams of clients are odd");
    let long = [PREFACE, &[1, 0, 0, 4, 0, 0, 0, 0, 0][..]].concat();
    assert_eq!(read(&long), "", "a frame that is longer than any may be");
    let padded = frame(HEADERS, 0xc, 1, &[9, 0, 0]);
    assert_eq!(read(&client(&[padded])), "", "more padding than there are bytes");
}

/// What the analyzer says of bytes that come cut at `cuts`, and how many it had then.
fn told(bytes: &[u8], cuts: &[usize]) -> Option<(Option<Box<str>>, usize)> {
    let (mut facts, mut need) = (Facts::default(), 1);
    for held in cuts.iter().copied().chain([bytes.len()]).filter(|held| *held > 0) {
        if held < need {
            continue;
        }
        match FirstHost.inspect(&bytes[..held], &mut facts) {
            Verdict::Wait { need: more } => {
                assert!(more > held);
                need = more;
            }
            Verdict::Pass { consumed: 0 } => return Some((facts.name, held)),
            other => unreachable!("{other:?}"),
        }
    }
    None
}

/// The answer does not depend on how the bytes came, nor on what follows those that decided.
fn split_law(bytes: &[u8], cuts: &[Index]) -> Result<(), TestCaseError> {
    let whole = match parse(bytes) {
        HostParsed::Partial { .. } => None,
        HostParsed::Complete(name) => Some(name),
    };
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let every: Vec<_> = (1..bytes.len()).collect();
    for cuts in [&cuts, &every] {
        let answer = told(bytes, cuts);
        prop_assert_eq!(answer.clone().map(|(name, _)| name), whole.clone());
        if let (Some((_, held)), Some(name)) = (answer, whole.clone()) {
            prop_assert_eq!(parse(&bytes[..held]), HostParsed::Complete(name));
        }
    }
    Ok(())
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        "[hH]ost ?: ?[a-z.:0-9]{0,12}",
        " [a-z]{0,4}",
        "[A-Za-z-]{1,8}: [ -~]{0,10}",
        "[A-Z]{1,5} /[a-z]{0,3} (HTTP|icap)/1.[01]",
        "PRI \\* HTTP/2.0",
        Just(String::new()),
    ];
    (text, prop_oneof![4 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r"), 1 => Just("\0\n")])
        .prop_map(|(text, end)| [text.as_bytes(), end.as_bytes()].concat())
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let block = vec(
        prop_oneof![
            "[a-z.:0-9]{0,12}".prop_map(|value| field(":authority", &value)),
            "[a-z.:0-9]{0,12}".prop_map(|value| field("host", &value)),
            vec(any::<u8>(), 0..8),
            Just(BEGINNING.to_vec()),
        ],
        0..4,
    )
    .prop_map(|fields| fields.concat());
    prop_oneof![
        (any::<u8>(), 0_u32..3, block.clone())
            .prop_map(|(flags, stream, block)| frame(HEADERS, flags, stream, &block)),
        (0_u8..6, block).prop_map(|(flags, block)| frame(CONTINUATION, flags, 1, &block)),
        (0_u8..12, any::<u8>(), 0_u32..2, vec(any::<u8>(), 0..13))
            .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload)),
        Just(frame(SETTINGS, 0, 0, &[])),
    ]
}

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200), cuts in vec(any::<Index>(), 0..6)) {
        split_law(&bytes, &cuts)?;
    }

    #[test]
    fn any_lines(lines in vec(any_line(), 0..8), cuts in vec(any::<Index>(), 0..6)) {
        split_law(&lines.concat(), &cuts)?;
    }

    #[test]
    fn any_frames(frames in vec(any_frame(), 0..6), cuts in vec(any::<Index>(), 0..6)) {
        split_law(&client(&frames), &cuts)?;
    }

    /// What is a name is one that tables could have: of letters, digits and marks, in lower case.
    #[test]
    fn any_host(value in prop_oneof!["[ -~]{0,40}", "[a-zA-Z0-9.:\\[\\]_-]{0,20}"]) {
        let head = format!("GET / HTTP/1.1\r\nHost: {value}\r\n\r\n");
        let HostParsed::Complete(name) = parse(head.as_bytes()) else { return Err(TestCaseError::fail("partial")) };
        if let Some(name) = name {
            prop_assert!(!name.is_empty() && name.len() <= 254);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
            prop_assert!(value.to_ascii_lowercase().contains(&*name));
        }
    }
}
