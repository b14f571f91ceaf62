//! Bandwidth: how many bytes in a time the connections of a listener may move, each and all together.
//!
//! Bytes are granted in portions, and a portion is paid for before it is moved: whoever comes next finds
//! out when its own begins, so that connections take turns, in the order in which they asked. What was
//! granted and not moved is given back. Must never read a clock, wait or move a byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::action::Side;
use crate::problem::{Flaw, Problem};
use crate::spec::{BandwidthSpec, RatesSpec};
use crate::time::Millis;

/// The limits of a listener.
#[derive(Debug, Clone)]
pub struct Bandwidth {
    sides: [Limits; 2],
}

/// Limits of one direction.
#[derive(Debug, Clone, Default)]
struct Limits {
    /// Bytes a second of each connection.
    each: Option<u64>,
    /// The pace that all connections share.
    all: Option<Arc<Pace>>,
}

/// Bytes a second, and the moment up to which they are paid for.
///
/// Worked example: at 1,000 bytes a second and a moment of 5.0 s, a portion of 100 bytes begins at 5.0 s and
/// moves the moment to 5.1 s. Who asks at 5.02 s for as much has to wait until then. After a silence the
/// moment is no more than [`CREDIT`] in the past: that makes up for timers that are late.
#[derive(Debug)]
struct Pace {
    /// Bytes a second.
    rate: u64,
    /// Nanoseconds of the engine's clock.
    paid_until: AtomicU64,
}

/// The limits as one connection meets them.
#[derive(Debug)]
pub struct Throttle {
    sides: [Option<Gate>; 2],
}

/// One direction of a connection.
#[derive(Debug)]
struct Gate {
    each: Option<Pace>,
    all: Option<Arc<Pace>>,
    /// Bytes granted and not yet moved.
    granted: u64,
    /// Time from which on they may be moved.
    from: Millis,
    /// Somebody waits for that.
    waits: bool,
}

/// The bytes that a connection may move in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many bytes now.
    Bytes(u64),
    /// Nothing before then.
    At(Millis),
}

const NANOS_IN_MILLI: u64 = 1_000_000;
const NANOS_IN_SECOND: u128 = 1_000_000_000;

/// Time that may be made up for, in nanoseconds.
const CREDIT: u64 = 100 * NANOS_IN_MILLI;

impl Bandwidth {
    /// Compiles limits; the paths of the errors are those below `bandwidth`.
    pub fn compile(spec: &BandwidthSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        for (key, rates) in [("per_connection", &spec.per_connection), ("listener", &spec.listener)] {
            let Some(rates) = rates else { continue };
            for (side, rate) in [("upload", rates.upload), ("download", rates.download)] {
                if rate == Some(0) {
                    errors.push(Flaw::new("0 would let nothing pass").at(&[key, side]));
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let rates = |rates: &Option<RatesSpec>, side| match (rates, side) {
            (None, _) => None,
            (Some(rates), Side::Client) => rates.upload,
            (Some(rates), Side::Server) => rates.download,
        };
        let limits = |side| Limits {
            each: rates(&spec.per_connection, side),
            all: rates(&spec.listener, side).map(|rate| Arc::new(Pace::new(rate))),
        };
        Ok(Self { sides: [limits(Side::Client), limits(Side::Server)] })
    }

    /// Copies the limits. What all connections share goes on with those of `previous` where it is the same.
    pub(crate) fn adopt(&self, previous: Option<&Self>) -> Self {
        let mut next = self.clone();
        for (side, limits) in next.sides.iter_mut().enumerate() {
            let Some(all) = &mut limits.all else { continue };
            let before = previous.and_then(|previous| previous.sides[side].all.as_ref());
            *all = match before {
                Some(before) if before.rate == all.rate => Arc::clone(before),
                _ => Arc::new(Pace::new(all.rate)),
            };
        }
        next
    }

    /// Returns the limits as one more connection meets them.
    pub fn throttle(&self) -> Throttle {
        let gate = |limits: &Limits| {
            let any = limits.each.is_some() || limits.all.is_some();
            any.then(|| Gate {
                each: limits.each.map(Pace::new),
                all: limits.all.clone(),
                granted: 0,
                from: 0,
                waits: false,
            })
        };
        let [client, server] = &self.sides;
        Throttle { sides: [gate(client), gate(server)] }
    }
}

impl Throttle {
    /// Returns what may be read from `side` now; something has come of it.
    pub fn allow(&mut self, side: Side, now: Millis) -> Allowance {
        let Some(gate) = &mut self.sides[side as usize] else { return Allowance::Bytes(u64::MAX) };
        if gate.granted == 0 {
            gate.grant(now);
        }
        gate.waits = gate.from > now;
        if gate.waits { Allowance::At(gate.from) } else { Allowance::Bytes(gate.granted) }
    }

    /// Notes what was read from `side`. `more`: it has more, and what is left of its portion is for that.
    pub fn moved(&mut self, side: Side, bytes: u64, more: bool, now: Millis) {
        let Some(gate) = &mut self.sides[side as usize] else { return };
        let excess = bytes.saturating_sub(gate.granted);
        gate.granted = gate.granted.saturating_sub(bytes);
        if excess > 0 {
            gate.reserve(excess, now);
        }
        if !more {
            gate.give_back();
        }
    }

    /// Gives back what was granted to a side of which nothing more is read.
    pub fn cancel(&mut self, side: Side) {
        if let Some(gate) = &mut self.sides[side as usize] {
            gate.give_back();
        }
    }

    /// Returns when somebody who waits may go on; None: nobody waits.
    pub fn next(&self) -> Option<Millis> {
        self.sides.iter().flatten().filter(|gate| gate.waits).map(|gate| gate.from).min()
    }
}

impl Gate {
    fn grant(&mut self, now: Millis) {
        let each = self.each.as_ref().map(|pace| pace.portion(50, 1 << 10, 1 << 20));
        // Many share it: with small portions each comes soon.
        let all = self.all.as_ref().map(|pace| pace.portion(500, 4 << 10, 64 << 10));
        self.granted = [each, all].into_iter().flatten().min().unwrap_or(1);
        self.from = self.reserve(self.granted, now).div_ceil(NANOS_IN_MILLI);
    }

    /// Pays for so many bytes; returns when they may be moved.
    fn reserve(&self, bytes: u64, now: Millis) -> u64 {
        let now = now.saturating_mul(NANOS_IN_MILLI);
        let paces = self.each.iter().chain(self.all.as_deref());
        paces.map(|pace| pace.reserve(bytes, now)).max().unwrap_or(0)
    }

    fn give_back(&mut self) {
        for pace in self.each.iter().chain(self.all.as_deref()) {
            pace.give_back(self.granted);
        }
        (self.granted, self.waits) = (0, false);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Pace {
    fn new(rate: u64) -> Self {
        Self { rate, paid_until: AtomicU64::new(0) }
    }

    /// Returns the bytes of a portion, of which there are so many in a second.
    fn portion(&self, in_second: u64, least: u64, most: u64) -> u64 {
        (self.rate / in_second).clamp(least, most)
    }

    /// Pays for so many bytes; returns the moment at which they begin, which may be past.
    fn reserve(&self, bytes: u64, now: u64) -> u64 {
        let cost = self.cost(bytes);
        let begin = |paid: u64| paid.max(now.saturating_sub(CREDIT));
        let pay = |paid| Some(begin(paid).saturating_add(cost));
        self.paid_until.fetch_update(Relaxed, Relaxed, pay).map_or(now, begin)
    }

    fn give_back(&self, bytes: u64) {
        if bytes > 0 {
            let cost = self.cost(bytes);
            let _ = self.paid_until.fetch_update(Relaxed, Relaxed, |paid| Some(paid.saturating_sub(cost)));
        }
    }

    fn cost(&self, bytes: u64) -> u64 {
        let nanos = u128::from(bytes) * NANOS_IN_SECOND / u128::from(self.rate);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use proptest::prelude::*;

    use super::*;

    fn rates(rate: u64) -> Option<RatesSpec> {
        Some(RatesSpec { upload: None, download: Some(rate) })
    }

    fn bandwidth(each: Option<u64>, all: Option<u64>) -> Bandwidth {
        let spec = BandwidthSpec { per_connection: each.and_then(rates), listener: all.and_then(rates) };
        Bandwidth::compile(&spec).unwrap()
    }

    /// Moves as much as it may for as long as `until`, by timers that are late by `late`; returns the bytes.
    fn run(throttles: &mut [Throttle], from: Millis, until: Millis, late: Millis) -> Vec<u64> {
        let mut moved = vec![0; throttles.len()];
        let mut wakes = vec![from; throttles.len()];
        while let Some(now) = wakes.iter().copied().min().filter(|now| *now < until) {
            for (index, throttle) in throttles.iter_mut().enumerate() {
                if wakes[index] > now {
                    continue;
                }
                match throttle.allow(Side::Server, now) {
                    Allowance::At(at) => wakes[index] = at.max(now + 1) + late,
                    Allowance::Bytes(bytes) => {
                        throttle.moved(Side::Server, bytes, true, now);
                        moved[index] += bytes;
                    }
                }
            }
        }
        moved
    }

    #[test]
    fn a_connection_moves_what_it_may_however_late_timers_are() {
        for rate in [10_000, 1 << 20, 100 << 20] {
            for late in [0, 7, 16] {
                let mut throttles = [bandwidth(Some(rate), None).throttle()];
                let moved = run(&mut throttles, 10_000, 20_000, late)[0] as f64;
                let expected = rate as f64 * 10.0;
                assert!((moved / expected - 1.0).abs() < 0.03, "{rate} {late}: {moved} of {expected}");
            }
        }
    }

    #[test]
    fn connections_share_what_is_for_all_in_equal_parts() {
        let shared = bandwidth(None, Some(1 << 20));
        let mut throttles: Vec<_> = (0..10).map(|_| shared.throttle()).collect();
        let moved = run(&mut throttles, 10_000, 20_000, 3);
        let all: u64 = moved.iter().sum();
        assert!((all as f64 / (10 << 20) as f64 - 1.0).abs() < 0.03, "{all}");
        let (least, most) = (moved.iter().min().unwrap(), moved.iter().max().unwrap());
        assert!(*most as f64 / *least as f64 <= 1.05, "{moved:?}");
    }

    #[test]
    fn what_was_not_moved_is_given_back() {
        let shared = bandwidth(None, Some(1 << 20));
        let mut quiet: Vec<_> = (0..1000).map(|_| shared.throttle()).collect();
        for throttle in &mut quiet {
            assert!(matches!(throttle.allow(Side::Server, 10_000), Allowance::Bytes(_) | Allowance::At(_)));
            throttle.moved(Side::Server, 1, false, 10_000);
        }
        let mut left = shared.throttle();
        assert!(matches!(left.allow(Side::Server, 10_000), Allowance::Bytes(_)), "1,000 bytes were moved");
        let waiting: Vec<_> = (0..1000)
            .map(|_| {
                let mut throttle = shared.throttle();
                throttle.allow(Side::Server, 10_000);
                throttle
            })
            .collect();
        assert!(matches!(shared.throttle().allow(Side::Server, 10_000), Allowance::At(at) if at > 13_000));
        drop((waiting, left));
        assert!(matches!(shared.throttle().allow(Side::Server, 10_000), Allowance::Bytes(_)));
    }

    #[test]
    fn the_other_direction_and_other_listeners_are_free() {
        let mut throttle = bandwidth(Some(1000), Some(1000)).throttle();
        assert_eq!(throttle.allow(Side::Client, 5), Allowance::Bytes(u64::MAX));
        throttle.moved(Side::Client, 1 << 30, true, 5);
        assert_eq!(throttle.next(), None);
    }

    #[test]
    fn a_reload_keeps_what_is_shared_where_it_stays() {
        let before = bandwidth(None, Some(1000));
        let mut throttle = before.throttle();
        while matches!(throttle.allow(Side::Server, 10_000), Allowance::Bytes(_)) {
            throttle.moved(Side::Server, 4096, true, 10_000);
        }
        let same = bandwidth(None, Some(1000)).adopt(Some(&before));
        assert!(matches!(same.throttle().allow(Side::Server, 10_000), Allowance::At(_)));
        let more = bandwidth(None, Some(2000)).adopt(Some(&before));
        assert!(matches!(more.throttle().allow(Side::Server, 10_000), Allowance::Bytes(_)));
    }

    #[test]
    fn nothing_at_all_is_no_rate() {
        let spec = BandwidthSpec { per_connection: rates(0), listener: rates(0) };
        let errors = Bandwidth::compile(&spec).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    proptest! {
        /// However little is read at a time, and however much more than was granted, the rate is kept.
        #[test]
        fn no_way_of_reading_moves_more(
            rate in 1_000_u64..100_000_000,
            steps in prop::collection::vec((0_u64..200_000, any::<bool>(), 0_u64..50), 1..300),
        ) {
            let mut throttle = bandwidth(Some(rate), None).throttle();
            let (mut now, mut moved, mut largest) = (10_000_u64, 0_u64, 0_u64);
            for (bytes, more, pause) in steps {
                now += pause;
                if let Allowance::Bytes(granted) = throttle.allow(Side::Server, now) {
                    // A read may exceed what is left by as much as it took before.
                    let bytes = bytes.min(granted * 2);
                    throttle.moved(Side::Server, bytes, more, now);
                    moved += bytes;
                    largest = largest.max(granted * 2);
                }
            }
            let time = (now - 10_000 + 100 + 1) as f64 / 1000.0;
            prop_assert!(moved as f64 <= rate as f64 * time + 2.0 * largest as f64, "{moved} in {time}");
        }
    }
}
