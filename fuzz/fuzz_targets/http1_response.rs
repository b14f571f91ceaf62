//! Response heads of arbitrary bytes, as answers to any method: no panic, one answer at every prefix that decides, and no
//! body where there can be none.

#![no_main]

use headworks_core::message::{Framing, Head, Known, Method};
use headworks_core::wire::http1::{Limits, Malformed, Parsed, response};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 2048, fields: 16, line: 512 };

fuzz_target!(|bytes: &[u8]| {
    for to in [Method::Get, Method::Head, Method::Connect] {
        let (mut head, mut part) = (Head::default(), Head::default());
        let whole = response(bytes, &LIMITS, to, &mut head);
        for held in 0..bytes.len().min(LIMITS.head) {
            let parsed = response(&bytes[..held], &LIMITS, to, &mut part);
            assert!(parsed == Parsed::Partial || parsed == whole);
        }
        match whole {
            Parsed::Partial => assert!(bytes.len() < LIMITS.head),
            Parsed::Complete => check(&bytes[..head.length], to, &head),
            Parsed::Invalid(reason) => assert!(Malformed::ALL.contains(&reason)),
        }
    }
});

fn check(text: &[u8], to: Method, head: &Head) {
    assert!(text.ends_with(b"\r\n\r\n"));
    assert!((100..600).contains(&head.status));
    assert!(head.fields.len() <= LIMITS.fields);
    let named = |known: Known| head.fields.iter().filter(|field| field.known == known).count();
    assert!(named(Known::ContentLength) + named(Known::TransferEncoding) <= 1);
    let tunnel = head.status == 101 || to == Method::Connect && head.status / 100 == 2;
    assert_eq!(head.upgrade, tunnel);
    let bodiless = tunnel || to == Method::Head || matches!(head.status, 100..200 | 204 | 304);
    assert_eq!(head.framing == Framing::None, bodiless);
    assert!(head.framing != Framing::ToEnd || !head.persistent);
}
