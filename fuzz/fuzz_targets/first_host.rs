//! The host of a first request on arbitrary bytes: no panic, and the answer is a property of the bytes, not of how they
//! came. Every input is also read as the frames of a client of HTTP/2.

#![no_main]

use headworks_core::wire::first_host::{HostParsed, may_be_complete, parse};
use headworks_core::wire::http2::PREFACE;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&[PREFACE, bytes].concat());
});

fn check(bytes: &[u8]) {
    let whole = parse(bytes);
    let (mut need, mut seen) = (1, 0);
    while need <= bytes.len() {
        let held = &bytes[..need];
        let parsed = parse(held);
        match parsed {
            HostParsed::Partial { need: more } => {
                assert!(more > need);
                (need, seen) = (more, need);
            }
            HostParsed::Complete(name) => {
                assert!(may_be_complete(held, seen), "it was found only by looking without need");
                if let Some(name) = &name {
                    assert!((1..=254).contains(&name.len()));
                    assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
                }
                assert_eq!(HostParsed::Complete(name), whole);
                return;
            }
        }
    }
    assert!(matches!(whole, HostParsed::Partial { .. }));
}
