//! Laws that every registered analyzer obeys: how bytes are split does not matter, and no bytes make it
//! panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::hello;
use headworks_core::analyze::{Analyzer, Facts, REGISTRY, Verdict};
use proptest::prelude::*;

/// What an analyzer decides when it is shown `bytes` cut at `cuts`, with what it learned and how much was
/// held.
fn decide(analyzer: &dyn Analyzer, bytes: &[u8], cuts: &[usize]) -> Option<(Verdict, String, usize)> {
    let mut facts = Facts::default();
    let mut need = 1;
    for held in cuts.iter().copied().chain([bytes.len()]) {
        if held < need {
            continue;
        }
        match analyzer.inspect(&bytes[..held], &mut facts) {
            Verdict::Wait { need: more } => {
                assert!(more > held, "{} waits for {more} and has {held}", analyzer.name());
                need = more;
            }
            decided => return Some((decided, format!("{facts:?}"), held)),
        }
    }
    None
}

/// Every split gives what the whole gives. Only a refusal may come later: at the length that was waited for.
fn check(analyzer: &dyn Analyzer, bytes: &[u8], cuts: &[usize]) {
    let every: Vec<_> = (1..bytes.len()).collect();
    let whole = decide(analyzer, bytes, &[]).map(|(verdict, facts, _)| (verdict, facts));
    let refused = matches!(whole, Some((Verdict::Reject(_), _)));
    for cuts in [&every, cuts] {
        match decide(analyzer, bytes, cuts) {
            None if refused => {}
            None => assert_eq!(None, whole, "{} at {cuts:?}: {bytes:?}", analyzer.name()),
            Some((verdict, facts, held)) => {
                assert_eq!(Some((verdict, facts)), whole, "{} at {cuts:?}: {bytes:?}", analyzer.name());
                // What follows the deciding byte changes nothing.
                let again = decide(analyzer, &bytes[..held], &[]).map(|(verdict, facts, _)| (verdict, facts));
                assert_eq!(again, whole, "{}", analyzer.name());
            }
        }
    }
}

/// What clients begin with, right and wrong.
fn beginnings() -> Vec<Vec<u8>> {
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x01\x0f\xa0\x01\xbb".to_vec();
    let v1 = b"PROXY TCP6 2001:db8::1 ::1 4000 443\r\n".to_vec();
    vec![
        hello(Some("app.example")),
        hello(None),
        [v1.clone(), hello(Some("a.example"))].concat(),
        [v2.clone(), hello(Some("a.example"))].concat(),
        v2,
        v1,
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 nonsense\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0".to_vec(),
        vec![22, 3, 1, 0, 0],
        vec![b'P'; 200],
        vec![0; 3000],
        Vec::new(),
    ]
}

#[test]
fn names_are_unique() {
    for analyzer in REGISTRY {
        assert_eq!(REGISTRY.iter().filter(|other| other.name() == analyzer.name()).count(), 1);
    }
}

#[test]
fn every_split_of_every_beginning_gives_the_same_verdict() {
    for analyzer in REGISTRY {
        for bytes in beginnings() {
            for cut in 1..bytes.len().max(1) {
                check(*analyzer, &bytes, &[cut]);
            }
        }
    }
}

#[test]
fn none_decides_without_a_byte() {
    for analyzer in REGISTRY {
        let verdict = analyzer.inspect(&[], &mut Facts::default());
        assert!(matches!(verdict, Verdict::Wait { need: 1.. }), "{}: {verdict:?}", analyzer.name());
    }
}

#[test]
fn whatever_a_listener_attaches_keeps_the_laws() {
    for protocol in headworks_core::protocol::REGISTRY {
        for analyzer in protocol.analyzers() {
            assert!(REGISTRY.iter().any(|known| known.name() == analyzer.name()), "{}", analyzer.name());
        }
    }
}

#[test]
fn what_is_consumed_is_held() {
    for analyzer in REGISTRY {
        for bytes in beginnings() {
            if let Some((Verdict::Pass { consumed }, _, held)) = decide(*analyzer, &bytes, &[]) {
                assert!(consumed <= held, "{}", analyzer.name());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in cuts()) {
        for analyzer in REGISTRY {
            check(*analyzer, &bytes, &within(&cuts, bytes.len()));
        }
    }

    #[test]
    fn bytes_that_begin_well(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        rest in prop::collection::vec(any::<u8>(), 0..50),
        cuts in cuts(),
    ) {
        let mut bytes = which.get(&beginnings()).clone();
        bytes.extend(rest);
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        for analyzer in REGISTRY {
            check(*analyzer, &bytes, &within(&cuts, bytes.len()));
        }
    }
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..6)
}

fn within(cuts: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}
