//! Desk: the queue of one analyzer: questions that wait, and what has become pointless while somebody worked
//! on it.
//!
//! At most `waiting` flows are parked at a time, and a question whose flow is gone is taken out, so that the
//! memory is bounded whatever Python does. Must never hold its lock while Python runs.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
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
    /// Numbers of those that somebody works on in vain.
    cancelled: Vec<u64>,
    /// Connections and exchanges that are over.
    over: Vec<u64>,
    /// Threads that wait for something, less those that were called.
    waiters: usize,
    /// Threads that were called and have not looked yet: at least as many as this are on their way.
    called: usize,
    /// The bell is readable.
    rung: bool,
    closed: bool,
}

/// The number of the next question: no other of the process has it, so that a late answer is nobody else's.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Connections and exchanges whose end is remembered for whoever pulls next; more are forgotten there by
/// themselves.
const MOST_OVER: usize = 65_536;

/// Questions that are told of at once, however long the turn of their worker still is.
const MANY: usize = 16;

/// The desks that a worker has asked at in this turn: they are told of it once, when the turn is over.
#[derive(Debug, Default)]
pub(crate) struct Asking(Vec<Arc<Desk>>);

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

    /// Asks a question, unless as many flows wait as may. Those who answer hear of it when `asking` is told.
    pub(crate) fn ask(
        self: &Arc<Self>,
        asking: &mut Asking,
        ticket: Ticket,
        matter: Matter,
    ) -> Result<Asked, ConsultFault> {
        self.tally.asked();
        let most = self.most.load(Relaxed);
        let place = |parked: u32| (parked < most).then_some(parked + 1);
        if self.parked.fetch_update(Relaxed, Relaxed, place).is_err() {
            self.tally.overflown();
            return Err(ConsultFault::Full);
        }
        let since = clock::instant();
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            self.parked.fetch_sub(1, Relaxed);
            self.tally.ended(ticket.worker, Outcome::Failed(ConsultFault::Stopping), since);
            return Err(ConsultFault::Stopping);
        }
        // Under the lock, so that they come in order here.
        let number = NEXT.fetch_add(1, Relaxed);
        state.questions.push_back(Question::new(Ticket { number, ..ticket }, matter));
        if state.questions.len() >= MANY {
            self.ring(state);
        } else {
            drop(state);
            asking.add(self);
        }
        Ok(Asked { desk: Arc::clone(self), number, since, answered: false })
    }

    /// Wakes one who waits. Nobody needs to be woken while another is on the way: whoever leaves something
    /// behind wakes the next.
    fn ring(&self, mut state: MutexGuard<'_, DeskState>) {
        let calls = state.waiters > 0 && state.called == 0;
        if calls {
            state.waiters -= 1;
            state.called += 1;
        }
        if !state.rung && self.watched.load(Relaxed) {
            state.rung = true;
            self.bell.as_ref().inspect(|bell| sys::ring(bell));
        }
        drop(state);
        // Without the lock, or the one who is woken would have to wait for it at once.
        if calls {
            self.came.notify_one();
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
        let mut state = lock(&self.state);
        state.closed = true;
        state.rung = true;
        drop(state);
        self.came.notify_all();
        self.bell.as_ref().inspect(|bell| sys::ring(bell));
    }

    /// Returns what is counted.
    pub(crate) fn stats(&self) -> DeskStats {
        self.tally.stats(u64::from(self.parked.load(Relaxed)))
    }
}

impl Asking {
    fn add(&mut self, desk: &Arc<Desk>) {
        if !self.0.iter().any(|known| Arc::ptr_eq(known, desk)) {
            self.0.push(Arc::clone(desk));
        }
    }

    /// Tells those who answer of what was asked in this turn.
    #[inline]
    pub(crate) fn tell(&mut self) {
        if !self.0.is_empty() {
            self.tell_all();
        }
    }

    #[inline(never)]
    fn tell_all(&mut self) {
        for desk in self.0.drain(..) {
            let state = lock(&desk.state);
            if state.has_something() {
                desk.ring(state);
            }
        }
    }
}

impl DeskState {
    fn has_something(&self) -> bool {
        !self.questions.is_empty() || !self.cancelled.is_empty()
    }

    fn take(&mut self, most: usize) -> Batch {
        let count = self.questions.len().min(most);
        Batch {
            questions: self.questions.drain(..count).collect(),
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
        } else {
            // An answer is being worked on, or is on its way here: then the number is of no use to anybody.
            state.cancelled.push(*number);
            desk.ring(state);
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
            // A thread whose time was up may take the place of a called one, which counts as a waiter then.
            if state.called > 0 {
                state.called -= 1;
            } else {
                state.waiters -= 1;
            }
        }
        let batch = state.take(most);
        let nothing = batch.questions.is_empty() && batch.cancelled.is_empty() && batch.over.is_empty();
        let is_over = state.closed && nothing;
        if !state.questions.is_empty() {
            self.desk.ring(state);
        } else if state.rung && !state.closed {
            state.rung = false;
            self.desk.bell.as_ref().inspect(|bell| sys::quiet(bell));
        }
        if is_over { None } else { Some(batch) }
    }

    /// Whether `pull` would not have to wait.
    pub fn is_ready(&self) -> bool {
        let state = lock(&self.desk.state);
        state.has_something() || state.closed
    }

    /// Returns the descriptor that is readable while there is something to pull.
    pub fn descriptor(&self) -> Option<RawFd> {
        let mut state = lock(&self.desk.state);
        self.desk.watched.store(true, Relaxed);
        let bell = self.desk.bell.as_ref()?;
        if state.has_something() || state.closed {
            state.rung = true;
            sys::ring(bell);
        }
        Some(bell.as_raw_fd())
    }

    /// Gives answers. `busy`: the time that Python worked on them. Each worker concerned is woken once.
    pub fn answer(&self, answers: Vec<Answer>, busy: Duration) {
        self.desk.tally.worked(u64::try_from(busy.as_micros()).unwrap_or(u64::MAX));
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

#[cfg(test)]
mod tests {
    use std::thread;

    use headworks_core::message::Method;
    use headworks_core::spec::{Hook, OnFailure};

    use super::super::question::Texts;
    use super::*;
    use crate::token::Kind;

    const LONG: Duration = Duration::from_secs(60);

    fn desk() -> Arc<Desk> {
        let (version, hooks) = (String::new(), vec![Hook::Accepted]);
        let spec =
            AnalyzerSpec { version, deadline: 1000, on_failure: OnFailure::Reject, waiting: 1000, hooks };
        Arc::new(Desk::new(&Consultant::new("it", &spec), 1))
    }

    fn questions(desk: &Arc<Desk>) -> Questions {
        Questions::new(desk, Vec::new())
    }

    fn asked(desk: &Arc<Desk>, asking: &mut Asking) -> Asked {
        let ticket = Ticket { number: 0, worker: 0, kind: Kind::Lobby, place: 0, generation: 0 };
        let matter = Matter {
            hook: Hook::Accepted,
            connection: 1,
            exchange: 0,
            client: None,
            local: None,
            secure: false,
            tls: None,
            early: false,
            status: 0,
            method: Method::default(),
            wall: 0,
            texts: Texts::default(),
        };
        desk.ask(asking, ticket, matter).expect("there is a place")
    }

    /// Waits until so many threads wait that nobody has called.
    fn until_waiting(desk: &Desk, count: usize) {
        while lock(&desk.state).waiters != count {
            thread::yield_now();
        }
    }

    #[test]
    fn one_turn_calls_one_thread_once() {
        let desk = desk();
        thread::scope(|scope| {
            let pullers: Vec<_> = (0..2).map(|_| scope.spawn(|| questions(&desk).pull(64, LONG))).collect();
            until_waiting(&desk, 2);
            let mut asking = Asking::default();
            let all: Vec<Asked> = (0..MANY - 1).map(|_| asked(&desk, &mut asking)).collect();
            assert_eq!(lock(&desk.state).waiters, 2, "the turn is not over");
            asking.tell();
            until_waiting(&desk, 1);
            while lock(&desk.state).called > 0 {
                thread::yield_now();
            }
            assert_eq!(lock(&desk.state).waiters, 1, "the other one still waits");
            desk.close();
            let pulled = pullers.into_iter().filter_map(|one| one.join().expect("no panic"));
            assert_eq!(pulled.map(|batch| batch.questions.len()).collect::<Vec<_>>(), [all.len()]);
        });
    }

    #[test]
    fn whoever_leaves_questions_behind_calls_the_next() {
        let desk = desk();
        thread::scope(|scope| {
            let pullers: Vec<_> =
                (0..3).map(|_| scope.spawn(|| questions(&desk).pull(1, LONG).expect("open"))).collect();
            until_waiting(&desk, 3);
            let mut asking = Asking::default();
            let _all: Vec<Asked> = (0..3).map(|_| asked(&desk, &mut asking)).collect();
            asking.tell();
            for one in pullers {
                assert_eq!(one.join().expect("no panic").questions.len(), 1);
            }
        });
    }

    #[test]
    fn many_questions_of_one_turn_are_told_of_before_it_ends() {
        let desk = desk();
        thread::scope(|scope| {
            let puller = scope.spawn(|| questions(&desk).pull(64, LONG).expect("open"));
            until_waiting(&desk, 1);
            let mut asking = Asking::default();
            let _all: Vec<Asked> = (0..MANY).map(|_| asked(&desk, &mut asking)).collect();
            assert_eq!(puller.join().expect("no panic").questions.len(), MANY);
        });
    }

    /// Threads whose time is up take the places of those who were called: nothing is left lying for all that.
    #[test]
    fn no_call_is_lost_while_threads_come_and_go() {
        let desk = desk();
        thread::scope(|scope| {
            for most in [1, 2, 3, 64] {
                let desk = &desk;
                scope.spawn(move || {
                    let mut timeout = [Duration::ZERO, Duration::from_micros(20), LONG].into_iter().cycle();
                    while questions(desk).pull(most, timeout.next().unwrap_or(LONG)).is_some() {}
                });
            }
            let mut asking = Asking::default();
            for burst in (0..2000).map(|number| number % 20 + 1) {
                let all: Vec<Asked> = (0..burst).map(|_| asked(&desk, &mut asking)).collect();
                asking.tell();
                // Somebody takes them all, though they come back to nobody until then.
                while !lock(&desk.state).questions.is_empty() {
                    thread::yield_now();
                }
                all.into_iter().for_each(|asked| asked.end(0, Outcome::Answered));
            }
            desk.close();
        });
        assert_eq!(desk.stats().answered, desk.stats().asked);
    }

    #[test]
    fn a_question_that_somebody_works_on_is_called_back_and_one_that_waits_is_taken_out() {
        let desk = desk();
        let mut asking = Asking::default();
        let (first, second) = (asked(&desk, &mut asking), asked(&desk, &mut asking));
        let number = first.number;
        let batch = questions(&desk).pull(1, Duration::ZERO).expect("open");
        assert_eq!(batch.questions[0].ticket.number, number);
        drop((first, second));
        let batch = questions(&desk).pull(64, Duration::ZERO).expect("open");
        assert!(batch.questions.is_empty());
        assert_eq!(batch.cancelled, [number]);
        assert!(!questions(&desk).is_ready());
    }
}
