//! The corpus in `tests/corpus`: each case gets the answer written beside it, at every split.

use headworks_core::message::{Framing, Method};
use headworks_core::wire::http1::{Malformed, Parsed};

use super::chunks::pass;
use super::{LIMITS, decide};

const REQUESTS: &str = include_str!("../../../../tests/corpus/requests.txt");
const RESPONSES: &str = include_str!("../../../../tests/corpus/responses.txt");
const CHUNKED: &str = include_str!("../../../../tests/corpus/chunked.txt");

/// Name, answer and bytes of each case.
pub(crate) fn cases(text: &'static str) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut cases: Vec<(&str, &str, Vec<u8>)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, answer)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            cases.push((name, answer, Vec::new()));
        } else if let Some((_, _, bytes)) = cases.last_mut() {
            bytes.extend(unescape(line));
        }
    }
    cases
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    cases(REQUESTS).into_iter().map(|(_, _, bytes)| bytes).collect()
}

pub(crate) fn responses() -> Vec<Vec<u8>> {
    cases(RESPONSES).into_iter().map(|(_, _, bytes)| bytes).collect()
}

pub(crate) fn chunked() -> Vec<Vec<u8>> {
    cases(CHUNKED).into_iter().map(|(_, _, bytes)| bytes).collect()
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = line.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        plain.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("{other:?} after a backslash in {line}"),
        });
    }
    plain
}

/// The answer as the corpus writes it.
fn written(reason: Malformed) -> String {
    format!("{} {reason:?}", reason.status())
}

#[track_caller]
fn check(text: &'static str, answer: impl Fn(&[u8]) -> String) {
    let wrong: Vec<String> = cases(text)
        .iter()
        .filter(|(_, expected, bytes)| answer(bytes) != *expected)
        .map(|(name, expected, bytes)| format!("{name}: {} instead of {expected}", answer(bytes)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn read_head(bytes: &[u8], to: Option<Method>) -> String {
    match decide(bytes, to, &LIMITS).0 {
        Parsed::Complete => "accepted".to_owned(),
        Parsed::Partial => "partial".to_owned(),
        Parsed::Invalid(reason) => written(reason),
    }
}

#[test]
fn requests_of_the_corpus() {
    check(REQUESTS, |bytes| read_head(bytes, None));
}

#[test]
fn responses_of_the_corpus() {
    check(RESPONSES, |bytes| read_head(bytes, Some(Method::Get)));
}

#[test]
fn chunked_bodies_of_the_corpus() {
    check(CHUNKED, |bytes| match pass(Framing::Chunked, bytes) {
        Ok((_, Some(taken))) if taken == bytes.len() => "accepted".to_owned(),
        Ok((_, taken)) => format!("complete after {taken:?}"),
        Err(reason) => written(reason),
    });
}

#[test]
fn names_are_given_once_and_reasons_are_told_apart() {
    for text in [REQUESTS, RESPONSES, CHUNKED] {
        let all = cases(text);
        let mut names: Vec<&str> = all.iter().map(|(name, _, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }
    let mut texts: Vec<&str> = Malformed::ALL.iter().map(|reason| reason.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Malformed::ALL.len());
    assert!(Malformed::ALL.iter().all(|reason| matches!(reason.status(), 400 | 414 | 417 | 431 | 501 | 505)));
}
