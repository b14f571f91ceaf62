//! Laws of the codec on arbitrary and on nearly valid bytes: no panic, one answer whatever the splits, and
//! nothing accepted that another reader refuses.

use headworks_core::message::{Framing, Head, Method, Span};
use headworks_core::wire::http1::{Limits, Malformed, Parsed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::chunks::pass;
use super::{LIMITS, corpus, decide, show};

const METHODS: [Method; 3] = [Method::Get, Method::Head, Method::Connect];
/// Bytes that parsers trip over.
const TRICKY: &[u8] = b"\r\n\t \0\x0b\x7f\x85\xa0\xff:;,=\"\\/@#?%_-+0123456789afxAHTTP.[]";

/// A case of the corpus with a few bytes replaced, inserted, removed or repeated.
fn mutated(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => select(TRICKY), 1 => any::<u8>()];
    let change = (0..5_u8, any::<Index>(), byte, any::<Index>());
    (select(corpus), vec(change, 0..4)).prop_map(|(mut bytes, changes)| {
        for (kind, at, byte, other) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => {
                    let piece = bytes[at..at + (bytes.len() - at).min(other.index(30))].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

fn spans(head: &Head) -> impl Iterator<Item = Span> {
    let parts = [head.method_span, head.authority, head.scheme, head.target, head.host, head.reason];
    parts.into_iter().chain(head.fields.iter().flat_map(|field| [field.name, field.value]))
}

/// What holds for every head that is accepted.
fn check_head(bytes: &[u8], head: &Head) {
    assert!(head.length <= bytes.len() && bytes[..head.length].ends_with(b"\r\n\r\n"));
    let text = &bytes[..head.length];
    assert!(spans(head).all(|span| span.start <= span.end && span.end as usize <= head.length));
    assert!(head.fields.iter().all(|field| !field.name.is_empty()));
    let lines = text.split(|byte| *byte == b'\n').count() - 1;
    assert!((head.fields.len() + 2..=head.fields.len() + 3).contains(&lines), "{}", show(text));
    assert_eq!(text.iter().filter(|byte| **byte == b'\r').count(), lines);
    assert!(!text.iter().any(|byte| byte.is_ascii_control() && !b"\r\n\t".contains(byte)));
}

/// httparse reads it too, and sees the same parts. It is more lenient, but for one thing: what it takes for a
/// request line.
fn check_against_httparse(bytes: &[u8], head: &Head, to: Option<Method>) {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let length = if to.is_none() {
        let mut request = httparse::Request::new(&mut fields);
        let length = request.parse(bytes).unwrap().unwrap();
        assert_eq!(request.method.unwrap().as_bytes(), head.method_span.of(bytes));
        assert_eq!(request.version, Some(head.version as u8));
        length
    } else {
        let mut response = httparse::Response::new(&mut fields);
        let length = response.parse(bytes).unwrap().unwrap();
        assert_eq!(response.code, Some(head.status));
        assert_eq!(response.version, Some(head.version as u8));
        length
    };
    assert_eq!(length, head.length);
    let theirs = fields.iter().filter(|field| !field.name.is_empty());
    let theirs: Vec<_> = theirs.map(|field| (field.name.as_bytes(), field.value)).collect();
    let ours: Vec<_> =
        head.fields.iter().map(|field| (field.name.of(bytes), field.value.of(bytes))).collect();
    assert_eq!(ours, theirs);
}

fn check(bytes: &[u8], to: Option<Method>) {
    let (parsed, head) = decide(bytes, to, &LIMITS);
    if parsed == Parsed::Complete {
        check_head(bytes, &head);
        check_against_httparse(bytes, &head, to);
    }
}

/// The chunked coding once more, written from the grammar and for whole bodies only: content and length of
/// the body.
fn dechunk(mut bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let all = bytes.len();
    let mut content = Vec::new();
    loop {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = line.split(';').next()?;
        let size = usize::from_str_radix(size, 16).ok().filter(|_| !size.starts_with('+'))?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            break;
        }
        content.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
    while !bytes.starts_with(b"\r\n") {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        bytes = &bytes[end + 2..];
    }
    Some((content, all - bytes.len() + 2))
}

fn check_chunks(bytes: &[u8]) {
    if let Ok((content, Some(taken))) = pass(Framing::Chunked, bytes) {
        // Extensions may have bytes that are no UTF-8: those that read lines as text are no measure.
        if bytes[..taken].is_ascii() {
            assert_eq!(dechunk(bytes), Some((content, taken)), "{}", show(bytes));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..80), to in select(&METHODS[..])) {
        check(&bytes, None);
        check(&bytes, Some(to));
        check_chunks(&bytes);
    }

    #[test]
    fn nearly_requests(bytes in mutated(corpus::requests())) {
        check(&bytes, None);
    }

    #[test]
    fn nearly_responses(bytes in mutated(corpus::responses()), to in select(&METHODS[..])) {
        check(&bytes, Some(to));
    }

    #[test]
    fn nearly_chunks(bytes in mutated(corpus::chunked())) {
        check_chunks(&bytes);
    }

    #[test]
    fn limits_of_any_size(
        bytes in mutated(corpus::requests()),
        head in 0..300_usize,
        fields in 0..6_usize,
        line in 0..60_usize,
    ) {
        let limits = Limits { head, fields, line };
        let (parsed, read) = decide(&bytes, None, &limits);
        match parsed {
            Parsed::Complete => prop_assert!(read.length <= head && read.fields.len() <= fields),
            Parsed::Partial => prop_assert!(bytes.len() < head),
            Parsed::Invalid(_) => {}
        }
        // Limits only ever refuse more, and what they refuse is refused for its size.
        let unlimited = decide(&bytes, None, &LIMITS).0;
        if parsed != unlimited {
            let sizes = [
                Malformed::HeadTooLong,
                Malformed::RequestLineTooLong,
                Malformed::FieldTooLong,
                Malformed::TooManyFields,
            ];
            prop_assert!(sizes.iter().any(|size| parsed == Parsed::Invalid(*size)));
        }
    }

    #[test]
    fn what_is_written_is_read(
        names in vec("[!#$%&'*+.^`|~0-9A-Za-z-]{1,40}", 0..12),
        value in "[ -~\u{80}-\u{ff}]([\t -~]{0,60}[!-~])?",
        path in "/[!\"$-~]{0,40}",
    ) {
        let value = value.trim_matches([' ', '\t']);
        let fields: String = names.iter().map(|name| format!("x{name}:\t {value} \r\n")).collect();
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let (parsed, head) = decide(text.as_bytes(), None, &LIMITS);
        prop_assert_eq!(parsed, Parsed::Complete);
        prop_assert_eq!(head.target.of(text.as_bytes()), path.as_bytes());
        prop_assert_eq!(head.fields.len(), names.len() + 1);
        for (field, name) in head.fields[1..].iter().zip(&names) {
            prop_assert_eq!(&field.name.of(text.as_bytes())[1..], name.as_bytes());
            prop_assert_eq!(field.value.of(text.as_bytes()), value.as_bytes());
        }
    }

    #[test]
    fn chunks_of_any_size(pieces in vec(vec(any::<u8>(), 1..40), 0..6)) {
        let mut bytes = Vec::new();
        for piece in &pieces {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let taken = Some(bytes.len());
        prop_assert_eq!(pass(Framing::Chunked, &[&bytes[..], b"5\r\n"].concat()), Ok((pieces.concat(), taken)));
    }
}
