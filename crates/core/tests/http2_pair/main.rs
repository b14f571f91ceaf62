//! Two Trunks, a client's and a server's, that talk to each other in any pieces and any order, which a seed
//! decides.
//!
//! Whatever happens: every message comes as it was sent, or its stream is reset; no window is overrun; neither
//! end finds a fault with the other; what is still open at the end goes on as soon as credit is given, so that
//! nothing hangs; and when all is released, both connections end.
//!
//! A seed that fails is run again, and tells its steps. `HEADWORKS_SEED=n cargo test -p headworks-core --test
//! http2_pair -- --nocapture` does that with any seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(clippy::print_stdout, reason = "a seed that fails tells its steps")]

mod ledger;
mod pair;
#[path = "../exchange_pair/random.rs"]
mod random;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pair::Pair;

/// Seeds in a run.
const SEEDS: u64 = 10_000;

/// What comes about in a run, or the seeds have become too tame.
const ENDS: [&str; 8] = [
    "client reset",
    "drained",
    "early answer",
    "goaway refused",
    "refused stream",
    "server reset",
    "trailers",
    "whole",
];

fn run_seeds(next: &AtomicU64) -> (BTreeSet<&'static str>, Option<u64>) {
    let mut reached = BTreeSet::new();
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= SEEDS {
            return (reached, None);
        }
        let run = || Pair::new(seed, false).run();
        match catch_unwind(run) {
            Ok(mut ends) => reached.append(&mut ends),
            Err(_) => {
                next.store(SEEDS, Relaxed);
                return (reached, Some(seed));
            }
        }
    }
}

#[test]
fn whatever_happens() {
    if let Ok(seed) = std::env::var("HEADWORKS_SEED") {
        drop(Pair::new(seed.parse().expect("HEADWORKS_SEED is a number"), true).run());
        return;
    }
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_seeds(&next))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    if let Some(seed) = outcomes.iter().filter_map(|(_, failed)| *failed).min() {
        println!("Seed {seed} fails (HEADWORKS_SEED={seed} runs it alone):");
        drop(Pair::new(seed, true).run());
        panic!("seed {seed} failed, and does not when it is run again");
    }
    let reached: BTreeSet<_> = outcomes.into_iter().flat_map(|(reached, _)| reached).collect();
    assert_eq!(reached, BTreeSet::from(ENDS));
}
