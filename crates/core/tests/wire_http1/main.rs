//! Traces of the HTTP/1.1 codec: bytes in, heads and bodies out.

#![allow(clippy::panic, clippy::unwrap_used)] // the lints spare only functions marked as tests, not what they call

mod chunks;
mod corpus;
mod properties;
mod requests;
mod responses;

use headworks_core::message::{Head, Method};
use headworks_core::wire::http1::{Limits, Malformed, Parsed, may_be_complete, request, response};

const LIMITS: Limits = Limits { head: 16 * 1024, fields: 100, line: 8192 };

fn read(bytes: &[u8], to: Option<Method>, limits: &Limits) -> (Parsed, Head) {
    let mut head = Head::default();
    let parsed = match to {
        None => request(bytes, limits, &mut head),
        Some(method) => response(bytes, limits, method, &mut head),
    };
    (parsed, head)
}

/// What all splits agree on: Partial at every prefix until the answer, and the same answer from there on. A
/// head that is complete is so with its last byte, and no reading is missed by those who ask
/// [`may_be_complete`] first.
#[track_caller]
fn decide(bytes: &[u8], to: Option<Method>, limits: &Limits) -> (Parsed, Head) {
    let (answer, head) = read(bytes, to, limits);
    let mut decided = None;
    for held in 0..=bytes.len() {
        let (parsed, part) = read(&bytes[..held], to, limits);
        match parsed {
            Parsed::Partial => assert!(decided.is_none(), "undecided again at {held}: {}", show(bytes)),
            _ => {
                assert_eq!(parsed, answer, "at {held}: {}", show(bytes));
                decided = decided.or(Some(held));
            }
        }
        if parsed == Parsed::Complete {
            assert_eq!(part.length, head.length);
            assert_eq!(part.fields, head.fields);
            let all: Vec<usize> = (0..held).filter(|seen| *seen < part.length).collect();
            assert!(all.iter().all(|seen| may_be_complete(&bytes[..held], *seen, limits)));
        }
    }
    if answer == Parsed::Complete {
        assert_eq!(decided, Some(head.length));
    }
    (answer, head)
}

#[track_caller]
fn accept_request(text: &str) -> Head {
    let (parsed, head) = decide(text.as_bytes(), None, &LIMITS);
    assert_eq!(parsed, Parsed::Complete, "{text:?}");
    head
}

#[track_caller]
fn refuse_request(text: &str, reason: Malformed) {
    let (parsed, _) = decide(text.as_bytes(), None, &LIMITS);
    assert_eq!(parsed, Parsed::Invalid(reason), "{text:?}");
}

#[track_caller]
fn accept_response(text: &str, to: Method) -> Head {
    let (parsed, head) = decide(text.as_bytes(), Some(to), &LIMITS);
    assert_eq!(parsed, Parsed::Complete, "{text:?}");
    head
}

#[track_caller]
fn refuse_response(text: &str, to: Method, reason: Malformed) {
    let (parsed, _) = decide(text.as_bytes(), Some(to), &LIMITS);
    assert_eq!(parsed, Parsed::Invalid(reason), "{text:?}");
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
