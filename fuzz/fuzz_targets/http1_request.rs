//! Request heads of arbitrary bytes: no panic, one answer at every prefix that decides, and no accepted head that has other
//! line ends than CRLF or two ways to end its body.

#![no_main]

use headworks_core::message::{Framing, Head, Known, Method};
use headworks_core::wire::http1::{Limits, Malformed, Parsed, may_be_complete, request};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 2048, fields: 16, line: 512 };

fuzz_target!(|bytes: &[u8]| {
    let (mut head, mut part) = (Head::default(), Head::default());
    let whole = request(bytes, &LIMITS, &mut head);
    // Whoever asks only when it is worth asking gets the same answer, and a head with its last byte.
    let mut seen = 0;
    for held in 1..=bytes.len().min(LIMITS.head) {
        if !may_be_complete(&bytes[..held], seen, &LIMITS) {
            continue;
        }
        let parsed = request(&bytes[..held], &LIMITS, &mut part);
        assert!(parsed == Parsed::Partial || parsed == whole);
        if parsed != Parsed::Partial {
            assert!(parsed != Parsed::Complete || held == head.length);
            break;
        }
        seen = held;
    }
    match whole {
        Parsed::Partial => assert!(bytes.len() < LIMITS.head),
        Parsed::Complete => check(&bytes[..head.length], &head),
        Parsed::Invalid(reason) => assert!(Malformed::ALL.contains(&reason)),
    }
});

fn check(text: &[u8], head: &Head) {
    assert!(text.len() <= LIMITS.head && head.fields.len() <= LIMITS.fields);
    assert!(text.ends_with(b"\r\n\r\n"));
    let count = |wanted: u8| text.iter().filter(|byte| **byte == wanted).count();
    assert_eq!(count(b'\r'), count(b'\n'));
    assert_eq!(text.windows(2).filter(|pair| pair == b"\r\n").count(), count(b'\n'));
    let named = |known: Known| head.fields.iter().filter(|field| field.known == known).count();
    let framed = usize::from(head.framing != Framing::None);
    assert_eq!(named(Known::ContentLength) + named(Known::TransferEncoding), framed);
    assert!(named(Known::Host) <= 1 && head.framing != Framing::ToEnd);
    let forms = [b"/".as_slice(), b"*", b""];
    assert!(forms.iter().any(|form| head.target.of(text).starts_with(form)));
    assert_eq!(head.target.is_empty(), head.method == Method::Connect || text_has_no_path(text, head));
}

/// An absolute target that ends with its authority.
fn text_has_no_path(text: &[u8], head: &Head) -> bool {
    !head.scheme.is_empty() && text[head.authority.end as usize] == b' '
}
