//! Queue: streams of one worker that wait for a place at a server, first come first served for each backend.
//!
//! Places given back by this worker are passed on at once; those of other workers are looked for every
//! [`GLANCE`]. Whoever waits stays in line until it has a place or leaves, so that nobody who comes later is
//! served before. Must never decide who gets in: it only says whose turn it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hashbrown::HashMap;
use headworks_core::http::exchange::ExchangeState;
use headworks_core::pool::{Backend, BackendState};
use headworks_core::time::{Millis, NEVER};

use super::stream::Stream;
use crate::roster::Roster;

/// How often places of other workers are looked for.
const GLANCE: Millis = 16;

/// The streams that wait.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: HashMap<usize, Line, foldhash::fast::RandomState>,
    /// Streams whose turn has come, until they are told.
    called: Vec<Waiting>,
    looked: Millis,
}

/// The streams that wait for one backend, which its state counts for as long as they do.
#[derive(Debug)]
struct Line {
    waiting: VecDeque<Waiting>,
    state: Arc<BackendState>,
}

impl Line {
    fn new(backend: &Backend) -> Self {
        Self { waiting: VecDeque::new(), state: Arc::clone(&backend.state) }
    }

    fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
        self.state.waiting.fetch_add(1, Relaxed);
    }

    fn remove(&mut self, waiting: Waiting) {
        let before = self.waiting.len();
        self.waiting.retain(|other| *other != waiting);
        self.state.waiting.fetch_sub(before - self.waiting.len(), Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.waiting.fetch_sub(self.waiting.len(), Relaxed);
    }
}

/// A stream that waits: its place and generation.
pub(crate) type Waiting = (usize, u32);

impl Queue {
    /// Whether `backend` takes one more, who now waits.
    pub(crate) fn join(&mut self, backend: &Backend, waiting: Waiting) -> bool {
        let line = self.lines.entry(key(backend)).or_insert_with(|| Line::new(backend));
        let room = line.waiting.len() < backend.spec.queue_limit as usize;
        if room {
            line.push(waiting);
        }
        room
    }

    /// Returns the stream that waits longest for `backend`.
    pub(crate) fn first(&self, backend: &Backend) -> Option<Waiting> {
        if self.lines.is_empty() {
            return None;
        }
        self.lines.get(&key(backend))?.waiting.front().copied()
    }

    /// Whether nobody waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Calls whoever waits longest for `backend`. It leaves the line when it has got a place: until then
    /// nobody who comes later may take one.
    fn call(&mut self, backend: &Backend) {
        if let Some(first) = self.first(backend) {
            self.called.push(first);
        }
    }

    /// After a change of a stream: whoever leaves the line, or gives a place back, lets the next one look for
    /// a place.
    #[inline(always)]
    pub(super) fn hand_on(&mut self, streams: &Roster<Stream>, at: usize, before: Standing) {
        if before != Standing::default() && before != Standing::of(&streams[at]) {
            self.hand_on_changed(streams, at, before);
        }
    }

    fn hand_on_changed(&mut self, streams: &Roster<Stream>, at: usize, before: Standing) {
        let now = Standing::of(&streams[at]);
        let left_line = before.in_line && !now.in_line;
        let gave_back = before.has_place && !now.has_place;
        let Some(backend) = streams[at].backend().filter(|_| left_line || gave_back) else { return };
        if left_line {
            self.leave(backend, (at, streams.generation(at)));
        }
        self.call(backend);
    }

    /// Calls whoever is first in each line.
    pub(crate) fn call_all(&mut self) {
        self.called.extend(self.lines.values().filter_map(|line| line.waiting.front()));
    }

    /// Takes those that were called.
    pub(crate) fn take_called(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.called)
    }

    /// Whether somebody was called and not told yet.
    pub(crate) fn has_called(&self) -> bool {
        !self.called.is_empty()
    }

    /// Somebody got a place, or gave up waiting.
    fn leave(&mut self, backend: &Backend, waiting: Waiting) {
        if let Some(line) = self.lines.get_mut(&key(backend)) {
            line.remove(waiting);
            if line.waiting.is_empty() {
                self.lines.remove(&key(backend));
            }
        }
    }

    /// Returns when to look for places of other workers; NEVER while nobody waits.
    #[inline]
    pub(crate) fn next(&self) -> Millis {
        if self.lines.is_empty() { NEVER } else { self.looked + GLANCE }
    }

    /// Whether it is time to look, which is taken as done.
    pub(crate) fn is_due(&mut self, now: Millis) -> bool {
        let due = self.next() <= now;
        if due {
            self.looked = now;
        }
        due
    }
}

/// A backend stays the same over reloads as long as its counters are handed on.
fn key(backend: &Backend) -> usize {
    Arc::as_ptr(&backend.tally) as usize
}

/// The things of a stream that others wait for: its place in line, and its place at a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    in_line: bool,
    has_place: bool,
}

impl Standing {
    /// Returns where a stream stands.
    #[inline]
    pub(super) fn of(stream: &Stream) -> Self {
        let exchange = &stream.work.exchange;
        Self {
            in_line: exchange.state() == ExchangeState::InLine,
            has_place: exchange.attempts().has_place(),
        }
    }
}
