//! Desk: the queue of one analyzer: questions that wait, those that somebody works on, and what has become
//! pointless meanwhile.
//!
//! At most `waiting` flows are parked at a time, and a question whose flow is gone is taken out, so that the
//! memory is bounded whatever Python does. Must never hold its lock while Python runs.

use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use headworks_core::close::ConsultFault;
use headworks_core::consult::{Advice, Consultant};
use headworks_core::lock::lock;
use headworks_core::spec::AnalyzerSpec;

use super::question::{Matter, Question, Ticket};
use super::tally::{DeskStats, DeskTally, Outcome};
use crate::clock;
use crate::sys;

/// The queue of one analyzer.
#[derive(Debug)]
pub(crate) struct Desk {
    name: Box<str>,
    version: Box<str>,
    /// Flows that may wait at a time.
    most: AtomicU32,
    parked: AtomicU32,
    state: Mutex<DeskState>,
    came: Condvar,
    /// Readable while there is something to pull, once somebody watches it.
    bell: Option<OwnedFd>,
    watched: AtomicBool,
    tally: DeskTally,
}

#[derive(Debug, Default)]
struct DeskState {
    /// In the order of their numbers.
    questions: VecDeque<Question>,
    /// Numbers of those that somebody works on.
    taken: HashSet<u64>,
    /// Numbers of those that somebody works on in vain.
    cancelled: Vec<u64>,
    /// Connections and exchanges that are over.
    over: Vec<u64>,
    /// Threads that wait for something.
    waiters: usize,
    closed: bool,
}

/// The number of the next question: no other of the process has it, so that a late answer is nobody else's.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Connections and exchanges whose end is remembered for whoever pulls next; more are forgotten there by
/// themselves.
const MOST_OVER: usize = 65_536;

/// Everything that has come for those who answer.
#[derive(Debug, Default)]
pub struct Batch {
    /// Questions, oldest first.
    pub questions: Vec<Question>,
    /// Numbers of questions that need no answer any more.
    pub cancelled: Vec<u64>,
    /// Connections and exchanges that are over.
    pub over: Vec<u64>,
}

/// A question that a worker waits for.
#[derive(Debug)]
pub(crate) struct Asked {
    desk: Arc<Desk>,
    number: u64,
    since: Instant,
    answered: bool,
}

/// An answer to a question.
#[derive(Debug)]
pub struct Answer {
    /// The ticket of the question.
    pub ticket: Ticket,
    /// The answer.
    pub advice: Advice,
}

/// The way by which answers reach a worker.
pub(crate) trait AnswerBox: std::fmt::Debug + Send + Sync {
    /// Hands answers to the worker, and wakes it once.
    fn put(&self, answers: Vec<Answer>);
}

/// A desk as those see it who answer.
#[derive(Debug, Clone)]
pub struct Questions {
    desk: Arc<Desk>,
    workers: Vec<Arc<dyn AnswerBox>>,
}

impl Desk {
    /// Makes an empty one.
    pub(super) fn new(consultant: &Consultant, shards: usize) -> Self {
        Self {
            name: consultant.name.clone(),
            version: consultant.spec.version.as_str().into(),
            most: AtomicU32::new(consultant.spec.waiting),
            parked: AtomicU32::new(0),
            state: Mutex::default(),
            came: Condvar::new(),
            bell: sys::bell().ok(),
            watched: AtomicBool::new(false),
            tally: DeskTally::new(shards),
        }
    }

    pub(super) fn is_for(&self, name: &str, version: &str) -> bool {
        *self.name == *name && *self.version == *version
    }

    /// Takes the settings of another configuration.
    pub(super) fn adjust(&self, spec: &AnalyzerSpec) {
        self.most.store(spec.waiting, Relaxed);
    }

    /// Asks a question, unless as many flows wait as may.
    pub(crate) fn ask(self: &Arc<Self>, ticket: Ticket, matter: Matter) -> Result<Asked, ConsultFault> {
        self.tally.asked();
        let most = self.most.load(Relaxed);
        let place = |parked: u32| (parked < most).then_some(parked + 1);
        if self.parked.fetch_update(Relaxed, Relaxed, place).is_err() {
            self.tally.overflown();
            return Err(ConsultFault::Full);
        }
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            self.parked.fetch_sub(1, Relaxed);
            self.tally.ended(ticket.worker, Outcome::Failed(ConsultFault::Stopping), clock::instant());
            return Err(ConsultFault::Stopping);
        }
        // Under the lock, so that they come in order here.
        let number = NEXT.fetch_add(1, Relaxed);
        state.questions.push_back(Question::new(Ticket { number, ..ticket }, matter));
        self.ring(state.waiters, state.questions.len());
        Ok(Asked { desk: Arc::clone(self), number, since: clock::instant(), answered: false })
    }

    /// Wakes somebody who waits. Whoever works looks again before waiting.
    fn ring(&self, waiters: usize, questions: usize) {
        if waiters > 0 {
            self.came.notify_one();
        }
        if questions <= 1 && self.watched.load(Relaxed) {
            self.bell.as_ref().inspect(|bell| sys::ring(bell));
        }
    }

    /// Tells that a connection or exchange is over which was asked about.
    pub(crate) fn is_over(&self, id: u64) {
        let mut state = lock(&self.state);
        if state.over.len() < MOST_OVER && !state.closed {
            state.over.push(id);
        }
    }

    /// Closes it: nothing more is asked.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.came.notify_all();
        self.bell.as_ref().inspect(|bell| sys::ring(bell));
    }

    /// Returns what is counted.
    pub(crate) fn stats(&self) -> DeskStats {
        self.tally.stats(u64::from(self.parked.load(Relaxed)))
    }
}

impl DeskState {
    fn has_something(&self) -> bool {
        !self.questions.is_empty() || !self.cancelled.is_empty()
    }

    fn take(&mut self, most: usize) -> Batch {
        let count = self.questions.len().min(most);
        let questions: Vec<Question> = self.questions.drain(..count).collect();
        self.taken.extend(questions.iter().map(|question| question.ticket.number));
        Batch {
            questions,
            cancelled: std::mem::take(&mut self.cancelled),
            over: std::mem::take(&mut self.over),
        }
    }
}

impl Asked {
    /// Whether this is the question of that number.
    pub(crate) fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// Ends the wait for an answer.
    pub(crate) fn end(mut self, shard: usize, outcome: Outcome) {
        self.desk.tally.ended(shard, outcome, self.since);
        self.answered = outcome == Outcome::Answered;
    }

    /// Returns the desk it was asked at.
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }
}

impl Drop for Asked {
    /// Gives the place back, also when its worker panicked. A question that nobody waits for is taken back.
    fn drop(&mut self) {
        let Self { desk, number, answered, .. } = self;
        desk.parked.fetch_sub(1, Relaxed);
        if *answered {
            return;
        }
        let mut state = lock(&desk.state);
        if let Ok(at) = state.questions.binary_search_by_key(number, |question| question.ticket.number) {
            state.questions.remove(at);
        } else if state.taken.remove(number) {
            state.cancelled.push(*number);
            desk.ring(state.waiters, 1);
        }
    }
}

impl Questions {
    /// Makes the answering side of a desk; the boxes are those of the workers, in their order.
    pub(crate) fn new(desk: &Arc<Desk>, workers: Vec<Arc<dyn AnswerBox>>) -> Self {
        Self { desk: Arc::clone(desk), workers }
    }

    /// Takes at most `most` questions, and all else that has come; waits for something at most `timeout`.
    /// None: the desk is closed, and nothing is left.
    pub fn pull(&self, most: usize, timeout: Duration) -> Option<Batch> {
        let deadline = clock::instant().checked_add(timeout);
        let mut state = lock(&self.desk.state);
        while !state.has_something() && !state.closed {
            let left =
                deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(clock::instant()));
            if left.is_zero() {
                break;
            }
            state.waiters += 1;
            let (back, _) =
                self.desk.came.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner);
            state = back;
            state.waiters -= 1;
        }
        let batch = state.take(most);
        if state.questions.is_empty() && !state.closed {
            if self.desk.watched.load(Relaxed) {
                self.desk.bell.as_ref().inspect(|bell| sys::quiet(bell));
            }
        } else if state.waiters > 0 && !state.questions.is_empty() {
            self.desk.came.notify_one();
        }
        let nothing = batch.questions.is_empty() && batch.cancelled.is_empty() && batch.over.is_empty();
        if state.closed && nothing { None } else { Some(batch) }
    }

    /// Returns the descriptor that is readable while there is something to pull.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.desk.watched.store(true, Relaxed);
        let state = lock(&self.desk.state);
        let bell = self.desk.bell.as_ref()?;
        if state.has_something() || state.closed {
            sys::ring(bell);
        }
        Some(bell.as_raw_fd())
    }

    /// Gives answers. `busy`: the time that Python worked on them. Each worker concerned is woken once.
    pub fn answer(&self, answers: Vec<Answer>, busy: Duration) {
        self.desk.tally.worked(u64::try_from(busy.as_micros()).unwrap_or(u64::MAX));
        {
            let mut state = lock(&self.desk.state);
            for answer in &answers {
                state.taken.remove(&answer.ticket.number);
            }
        }
        let mut by_worker: Vec<Vec<Answer>> = Vec::new();
        by_worker.resize_with(self.workers.len(), Vec::new);
        for answer in answers {
            if let Some(list) = by_worker.get_mut(answer.ticket.worker) {
                list.push(answer);
            }
        }
        for (worker, list) in self.workers.iter().zip(by_worker) {
            if !list.is_empty() {
                worker.put(list);
            }
        }
    }

    /// Returns what is counted of it.
    pub fn stats(&self) -> DeskStats {
        self.desk.stats()
    }
}
