//! The ClientHello parser on arbitrary bytes: no panic, and the answer is a property of the bytes, not of how they came.

#![no_main]

use headworks_core::wire::client_hello::{HelloParsed, ServerName, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    check(&whole, bytes.len());
    // What is decided at a prefix is decided for good; asking only at `need` finds a complete hello too.
    let mut need = 1;
    while need <= bytes.len() {
        match parse(&bytes[..need]) {
            HelloParsed::Partial { need: more } => {
                assert!(more > need);
                need = more;
            }
            decided => {
                assert_eq!(decided, whole);
                return;
            }
        }
    }
    assert!(!matches!(whole, HelloParsed::Complete(_)));
});

fn check(parsed: &HelloParsed, held: usize) {
    match parsed {
        HelloParsed::Partial { need } => assert!(*need > held),
        HelloParsed::Complete(hello) => {
            if let ServerName::Host(name) = &hello.name {
                assert!((1..=253).contains(&name.len()) && !name.ends_with('.'));
                assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
            }
            assert!(hello.alpn.iter().all(|protocol| !protocol.is_empty()));
        }
        HelloParsed::Invalid(defect) => assert!(!defect.as_str().is_empty()),
    }
}
