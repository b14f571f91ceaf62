//! The loop of every scenario whose operations repeat: slots that begin operations when they are due and are advanced
//! by events. Closed loop: the next operation of a slot begins when the last one has ended. Open loop (`--rate`):
//! operations are due at fixed times, whatever became of those before.
//!
//! In an open loop latency counts from the time an operation was due, so a proxy that stalls pays for all that should
//! have begun meanwhile (nothing is left out in coordination with it). Knows nothing of what an operation is.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::{Order, Tally};
use crate::sys::{self, Poll};

/// How far an operation has come.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on with the next event. So does a slot without operation that has nothing to say.
    Waiting,
    /// It is over; so many bytes were received.
    Finished(usize),
    /// It failed, in words for the report. The slot is given up: the run is invalid already.
    Failed(String),
}

/// A scenario, slot by slot.
pub(super) trait Work {
    /// Begins an operation in an idle slot. An error of `poll` ends the run.
    fn begin(&mut self, slot: usize, poll: &Poll) -> io::Result<Step>;

    /// Something happened at the slot's socket; there may be no operation under way.
    fn advance(&mut self, slot: usize) -> Step;
}

/// When operations are due.
pub(super) struct Pace {
    first: Instant,
    closes: Instant,
    rate: Option<f64>,
    /// No more than so many are begun.
    most: u64,
    begun: u64,
}

struct Drive<'a, W> {
    work: &'a mut W,
    tally: &'a mut Tally,
    poll: Poll,
    pace: Pace,
    /// When the operation of each slot began or was due; None without operation.
    began: Vec<Option<Instant>>,
    idle: VecDeque<usize>,
    /// The slot that is idle longest begins next, so that all take part; else the one that was used last.
    turns: bool,
    busy: usize,
}

/// Keeps the slots at work until the window is over, then waits for the last operations.
pub(super) fn drive(work: &mut impl Work, order: &Order, tally: &mut Tally) -> io::Result<()> {
    if order.rate.is_some() {
        sys::wake_on_time()?;
    }
    let pace =
        Pace { first: tally.started, closes: tally.closes, rate: order.rate, most: order.most, begun: 0 };
    let mut drive = Drive {
        work,
        tally,
        poll: Poll::new()?,
        pace,
        began: vec![None; order.connections],
        idle: (0..order.connections).rev().collect(),
        turns: order.turns,
        busy: 0,
    };
    drive.turn_until_over(order)
}

impl<W: Work> Drive<'_, W> {
    fn turn_until_over(&mut self, order: &Order) -> io::Result<()> {
        loop {
            self.begin_all_due()?;
            let now = Instant::now();
            if self.busy == 0 && (self.idle.is_empty() || self.pace.is_over(now)) {
                return Ok(());
            }
            if self.tally.out_of_patience(now, order) {
                let stuck = self.busy as u64 + self.pace.missed();
                (0..stuck).for_each(|_| self.tally.failed("timeout"));
                return Ok(());
            }
            let longest = if self.idle.is_empty() { LONGEST_WAIT } else { self.pace.until_next(now) };
            for index in 0..self.poll.wait_exactly(longest)? {
                self.advance(self.poll.token(index))?;
            }
        }
    }

    fn begin_all_due(&mut self) -> io::Result<()> {
        while !self.idle.is_empty() {
            let Some(due) = self.pace.take_due(Instant::now()) else { break };
            let next = if self.turns { self.idle.pop_front() } else { self.idle.pop_back() };
            if let Some(slot) = next {
                self.begin(slot, due)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, slot: usize, due: Instant) -> io::Result<()> {
        self.note_begun(slot, due);
        let step = self.work.begin(slot, &self.poll)?;
        self.settle(slot, step)
    }

    fn advance(&mut self, slot: usize) -> io::Result<()> {
        let step = self.work.advance(slot);
        self.settle(slot, step)
    }

    fn note_begun(&mut self, slot: usize, due: Instant) {
        self.began[slot] = Some(due);
        self.busy += 1;
    }

    /// Does what follows from a step; a slot that has finished begins again at once if something is due.
    fn settle(&mut self, slot: usize, mut step: Step) -> io::Result<()> {
        while let Step::Finished(bytes) = step {
            let Some(began) = self.began[slot].take() else { return Ok(()) };
            self.busy -= 1;
            let now = Instant::now();
            self.tally.finished(began, now, bytes);
            if self.turns && !self.idle.is_empty() {
                // Others wait for their turn.
                self.idle.push_back(slot);
                return Ok(());
            }
            let Some(due) = self.pace.take_due(now) else {
                self.idle.push_back(slot);
                return Ok(());
            };
            self.note_begun(slot, due);
            step = self.work.begin(slot, &self.poll)?;
        }
        if let Step::Failed(kind) = step {
            self.tally.failed(&kind);
            match self.began[slot].take() {
                Some(_) => self.busy -= 1,
                None => self.idle.retain(|idle| *idle != slot),
            }
        }
        Ok(())
    }
}

/// How often the loop looks whether patience is at its end.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Pace {
    /// The time the next operation was due, if that is not after `now`; it counts as begun.
    fn take_due(&mut self, now: Instant) -> Option<Instant> {
        let due = match self.rate {
            Some(_) => self.next_due(),
            None => now,
        };
        let is_due = due <= now && due < self.closes && self.begun < self.most;
        self.begun += u64::from(is_due);
        is_due.then_some(due)
    }

    fn next_due(&self) -> Instant {
        let rate = self.rate.unwrap_or(f64::INFINITY);
        self.first + Duration::from_secs_f64(self.begun as f64 / rate)
    }

    fn until_next(&self, now: Instant) -> Duration {
        match self.rate {
            Some(_) if !self.is_over(now) => self.next_due().saturating_duration_since(now).min(LONGEST_WAIT),
            _ => LONGEST_WAIT,
        }
    }

    /// Whether no operation begins any more.
    fn is_over(&self, now: Instant) -> bool {
        match self.rate {
            _ if self.begun >= self.most => true,
            Some(_) => self.next_due() >= self.closes,
            None => now >= self.closes,
        }
    }

    /// How many operations were due before the window closed and have not begun.
    fn missed(&self) -> u64 {
        let all = self.rate.map_or(0.0, |rate| (self.closes - self.first).as_secs_f64() * rate);
        (all.ceil() as u64).saturating_sub(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: Option<f64>) -> (Pace, Instant) {
        let first = Instant::now();
        (Pace { first, closes: first + Duration::from_secs(1), rate, most: u64::MAX, begun: 0 }, first)
    }

    #[test]
    fn a_closed_loop_is_always_due_until_the_window_closes() {
        let (mut pace, first) = pace(None);
        let later = first + Duration::from_millis(999);
        assert_eq!(pace.take_due(later), Some(later));
        assert!(!pace.is_over(later));
        let end = first + Duration::from_secs(1);
        assert_eq!(pace.take_due(end), None);
        assert!(pace.is_over(end) && pace.missed() == 0);
    }

    #[test]
    fn an_open_loop_is_due_at_its_own_times() {
        let (mut pace, first) = pace(Some(10.0));
        assert_eq!(pace.take_due(first), Some(first));
        assert_eq!(pace.take_due(first), None);
        assert_eq!(pace.until_next(first), Duration::from_millis(100));
        assert_eq!(pace.until_next(first + Duration::from_millis(60)), Duration::from_millis(40));
    }

    #[test]
    fn after_a_stall_everything_missed_is_due_at_the_time_it_was() {
        let (mut pace, first) = pace(Some(10.0));
        let stalled = first + Duration::from_secs(5);
        assert_eq!((pace.missed(), pace.is_over(stalled)), (10, false));
        let due: Vec<_> = std::iter::from_fn(|| pace.take_due(stalled)).collect();
        let expected: Vec<_> = (0..10).map(|n| first + Duration::from_millis(100 * n)).collect();
        assert_eq!(due, expected);
        assert!(pace.is_over(stalled) && pace.missed() == 0);
    }

    #[test]
    fn no_more_are_begun_than_were_asked_for() {
        let (pace, first) = pace(None);
        let mut pace = Pace { most: 2, ..pace };
        let due: Vec<_> = std::iter::from_fn(|| pace.take_due(first)).take(5).collect();
        assert_eq!(due.len(), 2);
        assert!(pace.is_over(first));
    }

    /// Work of so many turns a begin; what it does is written down.
    struct Script {
        outcomes: Vec<Step>,
    }

    impl Work for Script {
        fn begin(&mut self, _slot: usize, _poll: &Poll) -> io::Result<Step> {
            Ok(self.outcomes.pop().unwrap_or(Step::Finished(1)))
        }

        fn advance(&mut self, _slot: usize) -> Step {
            Step::Waiting
        }
    }

    fn order(rate: Option<f64>, seconds: f64) -> Order {
        let words = format!("--target 127.0.0.1:1 --seconds {seconds} --connections 3 --patience 0");
        let mut args = crate::args::Args::parse(words.split(' ').map(str::to_owned)).unwrap();
        Order { rate, ..Order::take(&mut args).unwrap() }
    }

    #[test]
    fn every_operation_of_an_open_loop_is_counted_once() {
        let order = order(Some(2_000.0), 0.05);
        let mut tally = Tally::new(&order);
        drive(&mut Script { outcomes: Vec::new() }, &order, &mut tally).unwrap();
        assert_eq!((tally.operations, tally.operations_all, tally.errors.len()), (100, 100, 0));
    }

    #[test]
    fn in_turns_every_slot_takes_part() {
        struct Seen(Vec<usize>);
        impl Work for Seen {
            fn begin(&mut self, slot: usize, _poll: &Poll) -> io::Result<Step> {
                self.0.push(slot);
                Ok(Step::Finished(1))
            }

            fn advance(&mut self, _slot: usize) -> Step {
                Step::Waiting
            }
        }
        for (turns, expected) in [(true, vec![2, 1, 0, 2, 1, 0]), (false, vec![0; 6])] {
            let order = Order { turns, most: 6, ..order(None, 5.0) };
            let mut seen = Seen(Vec::new());
            drive(&mut seen, &order, &mut Tally::new(&order)).unwrap();
            assert_eq!(seen.0, expected);
        }
    }

    #[test]
    fn a_failed_slot_is_given_up_and_a_stuck_one_times_out() {
        let order = order(None, 0.02);
        let mut tally = Tally::new(&order);
        let outcomes = vec![Step::Waiting, Step::Failed("broken".to_owned())];
        drive(&mut Script { outcomes }, &order, &mut tally).unwrap();
        let errors: Vec<_> = tally.errors.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(errors, [("broken", 1), ("timeout", 1)]);
        assert!(tally.operations > 0, "the third slot goes on");
    }
}
