//! Tap: access records as they are made, for whoever listens in this process, whatever the access log is.
//!
//! Owns a bounded queue of JSON lines, filled only while somebody listens. Must never make a worker wait for
//! a listener: what finds no place is dropped and counted.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use headworks_core::lock::lock;

/// Bytes of records that may wait to be taken.
const MOST: usize = 4 << 20;

/// The way by which records leave the workers.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    open: AtomicBool,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

/// Records that wait.
#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    dropped: u64,
    closed: bool,
}

/// Records that were taken at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tapped {
    /// Whole lines of JSON, oldest first.
    pub lines: String,
    /// Number of later records that found no place.
    pub dropped: u64,
}

impl Tap {
    /// Begins or ends to listen. What nobody has taken is forgotten.
    pub(crate) fn set(&self, open: bool) {
        let mut queue = lock(&self.queue);
        self.open.store(open, Relaxed);
        queue.lines.clear();
        queue.dropped = 0;
        self.arrived.notify_all();
    }

    /// Whether somebody listens: otherwise a record need not be made.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// Takes a worker's lines.
    pub(crate) fn append(&self, lines: &[u8], count: u64) {
        let mut queue = lock(&self.queue);
        if !self.is_open() {
            return;
        }
        if queue.lines.len() + lines.len() > MOST {
            queue.dropped += count;
            return;
        }
        queue.lines.extend_from_slice(lines);
        self.arrived.notify_one();
    }

    /// Ends the queue: nobody waits any longer. What waits can still be taken.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.arrived.notify_all();
    }

    /// Takes everything, waiting for something at most `timeout`; None when nobody listens or none come.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Tapped> {
        let queue = lock(&self.queue);
        let waits = |queue: &mut Queue| queue.lines.is_empty() && !queue.closed && self.is_open();
        let (mut queue, _) =
            self.arrived.wait_timeout_while(queue, timeout, waits).unwrap_or_else(PoisonError::into_inner);
        if queue.lines.is_empty() {
            return None;
        }
        let lines = std::mem::take(&mut queue.lines);
        let dropped = std::mem::take(&mut queue.dropped);
        // Every line is UTF-8, see `record`.
        Some(Tapped { lines: String::from_utf8_lossy(&lines).into_owned(), dropped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn nothing_is_kept_while_nobody_listens() {
        let tap = Tap::default();
        tap.append(b"{}\n", 1);
        assert_eq!(tap.next(AT_ONCE), None);
        tap.set(true);
        tap.append(b"{}\n", 1);
        tap.set(false);
        assert_eq!(tap.next(AT_ONCE), None);
    }

    #[test]
    fn what_finds_no_place_is_counted() {
        let tap = Tap::default();
        tap.set(true);
        let lines = vec![b'\n'; MOST];
        tap.append(&lines, 7);
        tap.append(b"{}\n", 1);
        let taken = tap.next(AT_ONCE).unwrap();
        assert_eq!((taken.lines.len(), taken.dropped), (MOST, 1));
        tap.append(b"{}\n", 1);
        assert_eq!(tap.next(AT_ONCE), Some(Tapped { lines: "{}\n".into(), dropped: 0 }));
    }

    #[test]
    fn what_waits_can_be_taken_after_the_end() {
        let tap = Tap::default();
        tap.set(true);
        tap.append(b"{}\n", 1);
        tap.close();
        assert!(tap.next(Duration::MAX).is_some());
        assert_eq!(tap.next(Duration::MAX), None);
    }
}
