//! Bodies as they pass: chunked, of a known length, to the end; whole, at every split, byte by byte, and
//! unseen.

use headworks_core::message::Framing;
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{Limits, Malformed};

use super::{LIMITS, show};

/// The content, and how many bytes the body took if it is complete.
type Passed = Result<(Vec<u8>, Option<usize>), Malformed>;

/// Passes the pieces one after the other until the body is complete.
fn pass_pieces<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Passed {
    let (mut decoding, mut advancing) = (Body::new(framing, &LIMITS), Body::new(framing, &LIMITS));
    let (mut content, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let decoded = decoding.decode(piece, &mut |bytes| content.extend_from_slice(bytes));
        assert_eq!(advancing.advance(piece), decoded);
        assert_eq!(advancing, decoding);
        if let Err(reason) = decoded {
            // Once refused, for ever refused.
            assert_eq!(decoding.advance(b"0\r\n\r\n"), Err(reason));
            assert!(!decoding.is_done() && decoding.unseen() == 0);
        }
        let (length, done) = decoded?;
        taken += length;
        assert_eq!(done, decoding.is_done());
        if done {
            assert_eq!(decoding.advance(b"next message"), Ok((0, true)));
            return Ok((content, Some(taken)));
        }
        assert_eq!(length, piece.len(), "what is not complete takes all");
    }
    Ok((content, None))
}

/// Passes a body whole, in two pieces at every split, and byte by byte: all must agree.
#[track_caller]
pub(crate) fn pass(framing: Framing, bytes: &[u8]) -> Passed {
    let whole = pass_pieces(framing, [bytes]);
    for split in 0..=bytes.len() {
        let (first, second) = bytes.split_at(split);
        assert_eq!(pass_pieces(framing, [first, second]), whole, "split at {split}: {}", show(bytes));
    }
    assert_eq!(pass_pieces(framing, bytes.chunks(1)), whole, "byte by byte: {}", show(bytes));
    whole
}

#[track_caller]
fn check(text: &str, content: &str, taken: usize) {
    assert_eq!(
        pass(Framing::Chunked, text.as_bytes()),
        Ok((content.as_bytes().to_vec(), Some(taken))),
        "{text:?}"
    );
}

#[track_caller]
fn refuse(text: &str, reason: Malformed) {
    assert_eq!(pass(Framing::Chunked, text.as_bytes()), Err(reason), "{text:?}");
}

#[test]
fn chunks_give_their_content() {
    check("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", 26);
    check("3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0", 13);
    check("0\r\n\r\nGET / HTTP/1.1\r\n", "", 5);
    check("1;a=\"\\\"\\\\ \"\r\nx\r\n0;b\r\nX: y\r\n\r\n", "x", 29);
    assert_eq!(pass(Framing::Chunked, b"5\r\nhel"), Ok((b"hel".to_vec(), None)));
}

#[test]
fn sizes() {
    let begins = |size: &str| {
        let mut body = Body::new(Framing::Chunked, &LIMITS);
        body.advance(format!("{size}\r\n").as_bytes()).map(|_| body.unseen())
    };
    assert_eq!(begins("1000000000000000"), Ok(1 << 60));
    assert_eq!(begins("0fFfFfFfFfFfFfFf"), Ok((1 << 60) - 1));
    assert_eq!(begins("0000000000000001"), Ok(1));
    assert_eq!(begins("1000000000000001"), Err(Malformed::ChunkSize));
    assert_eq!(begins("00000000000000001"), Err(Malformed::ChunkSize));
    assert_eq!(begins("f000000000000000"), Err(Malformed::ChunkSize));
}

#[test]
fn every_byte_where_it_may_not_be() {
    for byte in 0..=255_u8 {
        let with = |before: &str, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
        let accepts = |text: &[u8]| matches!(pass(Framing::Chunked, text), Ok((_, Some(_))));
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let text = byte == b'\t' || !byte.is_ascii_control();
        assert_eq!(accepts(&with("", "\r\n\r\n")), byte == b'0', "size {byte}");
        assert_eq!(accepts(&with("0;", "\r\n\r\n")), token, "extension {byte}");
        assert_eq!(accepts(&with("0;a=", "\r\n\r\n")), token, "value {byte}");
        assert_eq!(accepts(&with("0;a=\"\\", "\"\r\n\r\n")), text, "escaped {byte}");
        assert_eq!(accepts(&with("0;a=\"", "\"\r\n\r\n")), text && !b"\\\"".contains(&byte), "quoted {byte}");
        assert_eq!(accepts(&with("0\r\n", ": b\r\n\r\n")), token, "trailer name {byte}");
        assert_eq!(accepts(&with("0\r\na", ": b\r\n\r\n")), token || byte == b':', "trailer name {byte}");
        assert_eq!(accepts(&with("0\r\na:", "\r\n\r\n")), text, "trailer value {byte}");
    }
}

#[test]
fn size_lines_are_short() {
    let line = |length: usize| format!("0;{}\r\n\r\n", "a".repeat(length - 2));
    check(&line(256), "", 260);
    refuse(&line(257), Malformed::ChunkLineTooLong);
    // Each has a line of its own.
    check(&format!("1;{}\r\nx\r\n{}", "a".repeat(250), line(256)), "x", 517);
}

#[test]
fn trailers_are_as_few_and_small_as_fields_of_a_head() {
    let few = |count| format!("0\r\n{}\r\n", "a:\r\n".repeat(count));
    check(&few(LIMITS.fields), "", 3 + LIMITS.fields * 4 + 2);
    refuse(&few(LIMITS.fields + 1), Malformed::TrailersTooLong);
    let large = |size: usize| format!("0\r\na:{}\r\nb:\r\n\r\n", "x".repeat(size - 6)).into_bytes();
    let others = Limits { head: 300, fields: 2, line: 100 };
    for limits in [LIMITS, others] {
        let take = |held: &[u8]| Body::new(Framing::Chunked, &limits).advance(held);
        let held = large(limits.head);
        assert_eq!(take(&held), Ok((held.len(), true)));
        assert_eq!(take(&large(limits.head + 1)), Err(Malformed::TrailersTooLong));
        assert!(take(few(limits.fields).as_bytes()).is_ok());
        assert_eq!(take(few(limits.fields + 1).as_bytes()), Err(Malformed::TrailersTooLong));
    }
    let none = Limits { fields: 0, ..LIMITS };
    assert!(Body::new(Framing::Chunked, &none).advance(few(0).as_bytes()).is_ok());
    assert!(Body::new(Framing::Chunked, &none).advance(few(1).as_bytes()).is_err());
}

#[test]
fn trailer_names_are_compared_whole() {
    for name in
        ["Hos", "Hosts", "X-Content-Length", "Proxy-Authorization-Of-Another", "Content-Length-Of-It", "T"]
    {
        let text = format!("0\r\n{name}: 1\r\n\r\n");
        check(&text, "", text.len());
    }
    for name in ["hOST", "TE", "Trailer", "Proxy-Authorization", "Content-Type", "Range", "Expect", "Via"] {
        refuse(&format!("0\r\nX: 1\r\n{name}: 1\r\n\r\n"), Malformed::TrailerField);
    }
    for name in ["Transfer_Encoding", "Content_Length", "X_Forwarded_Proto"] {
        refuse(&format!("0\r\n{name}: 1\r\n\r\n"), Malformed::Underscore);
    }
}

#[test]
fn known_lengths_and_the_end() {
    assert_eq!(pass(Framing::None, b"next"), Ok((vec![], Some(0))));
    assert_eq!(pass(Framing::Length(0), b"next"), Ok((vec![], Some(0))));
    assert_eq!(pass(Framing::Length(3), b"abcnext"), Ok((b"abc".to_vec(), Some(3))));
    assert_eq!(pass(Framing::Length(u64::MAX), b"abc"), Ok((b"abc".to_vec(), None)));
    assert_eq!(pass(Framing::ToEnd, b"abc"), Ok((b"abc".to_vec(), None)));
}

#[test]
fn what_surely_follows_passes_unseen() {
    let mut body = Body::new(Framing::Length(10), &LIMITS);
    assert_eq!(body.unseen(), 10);
    body.skip(4);
    assert_eq!(body.advance(b"abc"), Ok((3, false)));
    assert_eq!((body.unseen(), body.is_done()), (3, false));
    body.skip(3);
    assert!(body.is_done() && body.unseen() == 0);

    let mut body = Body::new(Framing::Chunked, &LIMITS);
    assert_eq!(body.unseen(), 0);
    assert_eq!(body.advance(b"10\r"), Ok((3, false)));
    assert_eq!(body.unseen(), 0);
    assert_eq!(body.advance(b"\nab"), Ok((3, false)));
    assert_eq!(body.unseen(), 14);
    body.skip(10);
    assert_eq!(body.advance(b"op"), Ok((2, false)));
    body.skip(2);
    assert_eq!(body.unseen(), 0);
    assert_eq!(body.advance(b"\r\n0\r\n\r\n?"), Ok((7, true)));

    let mut body = Body::new(Framing::ToEnd, &LIMITS);
    body.skip(body.unseen());
    assert_eq!((body.unseen(), body.is_done()), (u64::MAX, false));
    assert_eq!(
        (Body::new(Framing::None, &LIMITS).unseen(), Body::new(Framing::None, &LIMITS).is_done()),
        (0, true)
    );
}

#[test]
fn content_is_known_when_its_chunk_begins() {
    let mut body = Body::new(Framing::Chunked, &LIMITS);
    let steps: [(&[u8], u64); 6] = [
        (b"5", 0),
        (b";a=b\r\n", 5),
        (b"12345\r\n", 5),
        (b"10\r\n", 21),
        (b"0123456789abcdef\r\n", 21),
        (b"0\r\n\r\n", 21),
    ];
    for (bytes, announced) in steps {
        body.advance(bytes).unwrap();
        assert_eq!(body.announced(), announced, "{}", show(bytes));
    }
    assert!(body.is_done());
    assert_eq!(Body::new(Framing::Length(9), &LIMITS).announced(), 0);
}
