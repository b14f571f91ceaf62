//! Timer: the deadlines of one worker's connections, in a hierarchical wheel.
//!
//! Five levels of 64 slots; a slot of level L is `16 ms * 64^L` wide, so that the widest holds 8.3 days.
//! Arming and disarming are O(1): a slot is a doubly linked list through [`Node`]s that are indexed like the
//! connections. A deadline far away moves down a level when its slot's time comes, at most four times.
//!
//! ```text
//!   level 0   16 ms   [....x...........]   exact to one tick
//!   level 1    1 s    [..x.............]   moved to level 0 when its second begins
//!   level 2   65 s    [................]
//! ```
//!
//! A timer never fires early, and at most one tick late. Must never read a clock or know what a deadline is
//! for.

use headworks_core::time::{Millis, NEVER};

const TICK: Millis = 16;
const SLOTS: usize = 64;
const LEVELS: usize = 5;
const NONE: u32 = u32::MAX;

/// One connection's place in the wheel.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The tick at which it fires; 0: it is not armed.
    tick: u64,
    slot: u16,
    next: u32,
    previous: u32,
}

const IDLE: Node = Node { tick: 0, slot: 0, next: NONE, previous: NONE };

/// The deadlines of one worker.
#[derive(Debug)]
pub(crate) struct Timer {
    nodes: Vec<Node>,
    heads: [u32; SLOTS * LEVELS],
    /// One bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// The last tick that has fired.
    done: u64,
    /// No slot that holds anything begins before this tick. Disarming leaves it: then it is early.
    next: u64,
}

impl Timer {
    /// Makes an empty wheel.
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            nodes: Vec::new(),
            heads: [NONE; SLOTS * LEVELS],
            occupied: [0; LEVELS],
            done: now / TICK,
            next: NEVER,
        }
    }

    /// Arms `index` to fire at `at`, instead of any earlier arming.
    pub(crate) fn arm(&mut self, index: usize, at: Millis) {
        self.disarm(index);
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, IDLE);
        }
        self.nodes[index].tick = at.div_ceil(TICK).max(self.done + 1);
        self.link(index as u32);
    }

    /// Forgets `index`.
    fn disarm(&mut self, index: usize) {
        if self.nodes.get(index).is_some_and(|node| node.tick != 0) {
            self.unlink(index as u32);
            self.nodes[index] = IDLE;
        }
    }

    /// Returns when the wheel wants to be turned next, or NEVER when nothing is armed. May be early, never
    /// late.
    #[inline]
    pub(crate) fn next(&self) -> Millis {
        self.next.saturating_mul(TICK)
    }

    /// Turns the wheel to `now` and appends every index whose time has come; those are no longer armed.
    #[inline]
    pub(crate) fn advance(&mut self, now: Millis, due: &mut Vec<usize>) {
        let target = now / TICK;
        if target < self.next {
            self.done = self.done.max(target);
        } else {
            self.advance_to(target, due);
        }
    }

    fn advance_to(&mut self, target: u64, due: &mut Vec<usize>) {
        while self.done < target {
            // Skips to the next slot that holds anything.
            self.next = self.first_begin();
            if self.next > target {
                self.done = target;
                return;
            }
            self.done = self.next;
            self.fire(due);
        }
        self.next = self.first_begin();
    }

    /// Returns the first tick after `done` at which a slot that holds something begins.
    fn first_begin(&self) -> u64 {
        (0..LEVELS).filter_map(|level| self.next_of_level(level)).min().unwrap_or(NEVER)
    }

    /// Fires or moves down a level everything in the slots that begin at tick `done`.
    fn fire(&mut self, due: &mut Vec<usize>) {
        for level in (0..LEVELS).rev() {
            let width = 6 * level;
            if self.done & ((1 << width) - 1) != 0 {
                continue;
            }
            let slot = (self.done >> width) as usize % SLOTS;
            let mut index = std::mem::replace(&mut self.heads[level * SLOTS + slot], NONE);
            self.occupied[level] &= !(1 << slot);
            while index != NONE {
                let node = self.nodes[index as usize];
                if node.tick <= self.done {
                    self.nodes[index as usize] = IDLE;
                    due.push(index as usize);
                } else {
                    self.link(index);
                }
                index = node.next;
            }
        }
    }

    /// Returns the first tick after `done` at which a slot of `level` that holds something begins.
    fn next_of_level(&self, level: usize) -> Option<u64> {
        let occupied = self.occupied[level];
        if occupied == 0 {
            return None;
        }
        let current = self.done >> (6 * level);
        let ahead = occupied.rotate_right(((current + 1) % SLOTS as u64) as u32).trailing_zeros();
        Some((current + 1 + u64::from(ahead)) << (6 * level))
    }

    fn link(&mut self, index: u32) {
        let slot = self.slot_for(self.nodes[index as usize].tick);
        let head = self.heads[slot];
        let node = &mut self.nodes[index as usize];
        (node.slot, node.next, node.previous) = (slot as u16, head, NONE);
        if head != NONE {
            self.nodes[head as usize].previous = index;
        }
        self.heads[slot] = index;
        let level = slot / SLOTS;
        self.occupied[level] |= 1 << (slot % SLOTS);
        self.next = self.next.min(self.begin_of(level, slot % SLOTS));
    }

    /// Returns the first tick after `done` at which slot `number` of `level` begins.
    fn begin_of(&self, level: usize, number: usize) -> u64 {
        let width = 6 * level;
        let current = self.done >> width;
        let ahead = (number as u64).wrapping_sub(current + 1) % SLOTS as u64;
        (current + 1 + ahead) << width
    }

    fn unlink(&mut self, index: u32) {
        let Node { slot, next, previous, .. } = self.nodes[index as usize];
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous != NONE {
            self.nodes[previous as usize].next = next;
            return;
        }
        let slot = usize::from(slot);
        self.heads[slot] = next;
        if next == NONE {
            self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
        }
    }

    /// Returns the finest level whose 64 slots reach as far as `tick`; what lies past the coarsest waits in
    /// its last slot.
    fn slot_for(&self, tick: u64) -> usize {
        for level in 0..LEVELS {
            let width = 6 * level;
            let distance = (tick >> width) - (self.done >> width);
            if distance < SLOTS as u64 {
                return level * SLOTS + (tick >> width) as usize % SLOTS;
            }
        }
        let width = 6 * (LEVELS - 1);
        (LEVELS - 1) * SLOTS + ((self.done >> width) as usize + SLOTS - 1) % SLOTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns a wheel in steps and checks that each timer fires once, never early and at most a tick late.
    fn check(ats: &[Millis], step: Millis) {
        let start = 5_000;
        let mut timer = Timer::new(start);
        for (index, at) in ats.iter().enumerate() {
            timer.arm(index, start + at);
        }
        let (mut now, mut fired) = (start, vec![false; ats.len()]);
        let mut due = Vec::new();
        while fired.contains(&false) {
            let next = timer.next();
            now = next.max(now + step);
            timer.advance(now, &mut due);
            for index in due.drain(..) {
                let at = start + ats[index];
                assert!(!fired[index], "fired twice");
                assert!(now >= at, "{at} fired early, at {now}");
                assert!(now <= at + step + 2 * TICK, "{at} fired late, at {now}");
                fired[index] = true;
            }
        }
        timer.advance(now + TICK, &mut due);
        assert_eq!((timer.next(), due.len()), (NEVER, 0));
    }

    #[test]
    fn fires_once_and_in_time() {
        check(&[1, 15, 16, 17, 500, 1000, 1023, 1024, 1025, 10_000, 65_535, 65_536, 600_000, 3_600_000], 1);
        check(&[700_000_000, 86_400_000 * 20, 3], 7);
        check(&(0..2000).map(|n| n * 37 % 100_000).collect::<Vec<_>>(), 5);
    }

    #[test]
    fn a_disarmed_timer_does_not_fire() {
        let mut timer = Timer::new(1000);
        for index in 0..3 {
            timer.arm(index, 2000);
        }
        timer.disarm(1);
        timer.arm(2, 9000);
        timer.disarm(7);
        let mut due = Vec::new();
        timer.advance(3000, &mut due);
        assert_eq!(due, [0]);
        timer.disarm(2);
        // What was disarmed may wake the wheel once more, for nothing.
        timer.advance(10_000, &mut due);
        assert_eq!((timer.next(), due.len()), (NEVER, 1));
    }

    proptest::proptest! {
        #[test]
        fn any_deadlines(ats in proptest::collection::vec(0_u64..5_000_000, 1..60), step in 1_u64..300) {
            check(&ats, step);
        }
    }
}
