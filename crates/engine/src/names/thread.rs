//! The resolver's thread: it takes asks, sends queries, and replies.
//!
//! Whoever asks for what is asked already waits for the same answer. So many queries are under way, others
//! wait in order. An ask that has something in hand, stale or of one family, waits for the rest no longer
//! than one nameserver may take. Must never block but on the poll and on two small files.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use aws_lc_rs::rand;
use headworks_core::names::{
    Cached, Inquiry, InquiryAction, InquiryEvent, Kept, NameAnswer, NameCache, Nameservers, Query,
    Resolution, Search, Unresolved,
};
use headworks_core::time::Millis;
use mio::{Events, Poll, Token, Waker};
use slab::Slab;

use super::ask::Ask;
use super::contact::{Contact, Contacted};
use super::files::SystemFiles;
use super::tally::ResolverTally;
use super::{ResolverSettings, Running};
use crate::clock;
use crate::random::Random;

const WAKE: Token = Token(usize::MAX);
/// Time that a nameserver has, and times that it is asked, if nothing says otherwise.
const TIMEOUT: Millis = 2_000;
const ATTEMPTS: usize = 2;
/// The largest datagram there is.
const LARGEST: usize = 65_535;

/// A word to the thread.
#[derive(Debug)]
pub(super) enum Order {
    /// Somebody wants a name.
    Ask(Ask),
    /// Other settings hold.
    Configure(Box<ResolverSettings>),
}

/// A matter that is due at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ask(u64),
    Query(usize),
}

/// An ask under way.
#[derive(Debug)]
struct Pending {
    ask: Ask,
    search: Search,
    /// Whether it waits for a query.
    waits: bool,
    /// Time at which it is looked at next.
    due: Option<Millis>,
}

/// Asks that wait for a query.
#[derive(Debug, Default)]
struct Awaited {
    asks: BTreeSet<u64>,
    /// Whether it is asked even if nobody waits.
    in_background: bool,
}

/// A query under way.
#[derive(Debug)]
struct UnderWay {
    query: Query,
    inquiry: Inquiry,
    contact: Option<Contact>,
    due: Option<Millis>,
}

/// The thread's world.
pub(super) struct Resolving {
    poll: Poll,
    orders: Receiver<Order>,
    tally: Arc<ResolverTally>,
    settings: ResolverSettings,
    files: SystemFiles,
    nameservers: Nameservers,
    cache: NameCache,
    asks: HashMap<u64, Pending>,
    next_ask: u64,
    /// Every query that waits to be sent or is under way.
    awaited: HashMap<Query, Awaited>,
    /// Queries that wait to be sent, in order.
    waiting: VecDeque<Query>,
    under_way: Slab<UnderWay>,
    deadlines: BTreeSet<(Millis, Due)>,
    buffer: Box<[u8]>,
    random: Random,
}

impl Resolving {
    /// Starts the thread.
    pub(super) fn start(settings: ResolverSettings, tally: Arc<ResolverTally>) -> io::Result<Running> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, orders) = channel();
        let held = Arc::clone(&waker);
        let begin = move || {
            let files = SystemFiles::new(&settings, clock::now());
            let nameservers = Nameservers::new(&files.conf.nameservers);
            let cache = NameCache::new(settings.cache.clone());
            let resolving = Self {
                poll,
                orders,
                tally,
                settings,
                files,
                nameservers,
                cache,
                asks: HashMap::new(),
                next_ask: 0,
                awaited: HashMap::new(),
                waiting: VecDeque::new(),
                under_way: Slab::new(),
                deadlines: BTreeSet::new(),
                buffer: vec![0; LARGEST].into(),
                random: Random::new(),
            };
            resolving.run();
            // One that is closed wakes nobody: the last handle must not be the last to hold it.
            drop(held);
        };
        std::thread::Builder::new().name("headworks-names".into()).spawn(begin)?;
        Ok(Running { orders: sender, waker })
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let now = clock::now();
            let timeout = self.deadlines.first().map(|(due, _)| due.saturating_sub(now));
            // An interrupted poll is an empty turn.
            let _ = self.poll.poll(&mut events, timeout.map(Duration::from_millis));
            if !self.read_orders() {
                return;
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.proceed(event.token().0);
            }
            self.expire();
            self.send_waiting();
        }
    }

    /// Takes orders; returns false when nobody is left to give any.
    fn read_orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Ask(ask)) => self.begin(ask),
                Ok(Order::Configure(settings)) => self.configure(*settings),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn configure(&mut self, settings: ResolverSettings) {
        self.cache.limit(settings.cache.clone());
        self.files = SystemFiles::new(&settings, clock::now());
        self.settings = settings;
        self.take_nameservers(clock::now());
    }

    fn take_nameservers(&mut self, now: Millis) {
        if !self.nameservers.are(&self.files.conf.nameservers) {
            self.nameservers = Nameservers::new(&self.files.conf.nameservers);
            self.cache.expire(now);
        }
    }

    fn timeout(&self) -> Millis {
        self.settings.timeout.or(self.files.conf.timeout).unwrap_or(TIMEOUT).max(1)
    }

    fn random(&mut self) -> u128 {
        let mut bytes = [0; 16];
        if rand::fill(&mut bytes).is_err() {
            return u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        }
        u128::from_ne_bytes(bytes)
    }
}

/// Asks: from the name to the queries that it takes, and to the reply.
impl Resolving {
    fn begin(&mut self, ask: Ask) {
        let now = clock::now();
        self.files.look(&self.settings, now);
        self.take_nameservers(now);
        let search = Search::new(&ask.sought, &self.files.hosts, &self.files.conf);
        let id = self.next_ask;
        self.next_ask += 1;
        let first_look = ask.until.min(now.saturating_add(self.timeout()));
        self.asks.insert(id, Pending { ask, search, waits: false, due: None });
        self.advance(id);
        self.set_ask_due(id, first_look);
    }

    /// Opens what the search needs now; replies when it needs nothing more.
    fn advance(&mut self, id: u64) {
        loop {
            let Some(pending) = self.asks.get_mut(&id) else { return };
            if let Some(outcome) = pending.search.outcome(&self.files.hosts) {
                return self.finish_ask(id, outcome);
            }
            let waits = |query: &&Query| self.awaited.get(*query).is_some_and(|them| them.asks.contains(&id));
            let fresh: Vec<Query> = pending.search.open().filter(|query| !waits(query)).cloned().collect();
            let mut settled = Vec::new();
            for query in fresh {
                if let Some(outcome) = self.look(&query, id) {
                    settled.push((query, outcome));
                }
            }
            if settled.is_empty() {
                return;
            }
            let Some(pending) = self.asks.get_mut(&id) else { return };
            settled.iter().for_each(|(query, outcome)| pending.search.settle(query, outcome));
        }
    }

    /// Returns what the cache says. None: nameservers are asked, and the ask waits.
    fn look(&mut self, query: &Query, id: u64) -> Option<Result<Kept, Unresolved>> {
        match self.cache.look(query, clock::now()) {
            Cached::Settled(outcome) => Some(outcome),
            Cached::Failing(kept) => {
                self.want(query, None);
                Some(Ok(kept))
            }
            Cached::Unknown => (!self.want(query, Some(id))).then_some(Err(Unresolved::Busy)),
        }
    }

    /// Has a query asked, for an ask or in the background; returns false if there are too many.
    fn want(&mut self, query: &Query, id: Option<u64>) -> bool {
        if !self.awaited.contains_key(query) {
            if self.waiting.len() >= self.settings.most_waiting {
                return false;
            }
            self.waiting.push_back(query.clone());
        }
        let awaited = self.awaited.entry(query.clone()).or_default();
        awaited.asks.extend(id);
        awaited.in_background |= id.is_none();
        true
    }

    /// Replies with what is in hand, if there is something, or if there is no more time.
    fn hurry(&mut self, id: u64, now: Millis) {
        let Some(pending) = self.asks.get_mut(&id) else { return };
        pending.due = None;
        let until = pending.ask.until;
        let open: Vec<Query> = pending.search.open().cloned().collect();
        let in_hand =
            pending.search.has_some() || open.iter().any(|query| self.cache.stale(query, now).is_some());
        if now < until && !in_hand {
            return self.set_ask_due(id, until);
        }
        for query in &open {
            let outcome = self.cache.stale(query, now).ok_or(Unresolved::Timeout);
            pending.search.settle(query, &outcome);
            if let Some(awaited) = self.awaited.get_mut(query) {
                awaited.asks.remove(&id);
            }
        }
        if now < until {
            self.advance(id);
            return self.set_ask_due(id, until);
        }
        let outcome = pending.search.outcome(&self.files.hosts).unwrap_or(Err(Unresolved::Timeout));
        self.finish_ask(id, outcome);
    }

    fn finish_ask(&mut self, id: u64, outcome: Result<Resolution, Unresolved>) {
        let Some(Pending { ask, waits, due, .. }) = self.asks.remove(&id) else { return };
        if !waits {
            self.tally.count_cached();
        }
        if let Some(due) = due {
            self.deadlines.remove(&(due, Due::Ask(id)));
        }
        ask.answer(outcome);
    }

    /// Has an ask looked at again, if it still waits.
    fn set_ask_due(&mut self, id: u64, due: Millis) {
        if let Some(pending) = self.asks.get_mut(&id) {
            pending.waits = true;
            pending.due = Some(due);
            self.deadlines.insert((due, Due::Ask(id)));
        }
    }
}

/// Queries: from one nameserver to the next, until there is an answer.
impl Resolving {
    /// Sends queries that wait, as many as may be under way.
    fn send_waiting(&mut self) {
        while self.under_way.len() < self.settings.most_queries.max(1) {
            let Some(query) = self.waiting.pop_front() else { return };
            // Those who asked may have gone.
            if self.awaited.get(&query).is_none_or(|them| them.asks.is_empty() && !them.in_background) {
                self.awaited.remove(&query);
                continue;
            }
            let attempts = self.settings.attempts.or(self.files.conf.attempts).unwrap_or(ATTEMPTS);
            let nameservers = self.nameservers.order(clock::now());
            let mut inquiry = Inquiry::new(query.clone(), nameservers, attempts);
            let action = inquiry.begin(self.random());
            let key = self.under_way.insert(UnderWay { query, inquiry, contact: None, due: None });
            if !self.act(key, action) {
                return;
            }
        }
    }

    /// Goes on with a query whose socket became ready; one that is over is left alone.
    fn proceed(&mut self, key: usize) {
        loop {
            let random = self.random();
            let Some(under_way) = self.under_way.get_mut(key) else { return };
            let Some(contact) = &mut under_way.contact else { return };
            let inquiry = &mut under_way.inquiry;
            let action = match contact.proceed(&mut self.buffer) {
                Contacted::Nothing => return,
                Contacted::Datagram(length) => {
                    inquiry.handle(InquiryEvent::Datagram(&self.buffer[..length]), random)
                }
                Contacted::Message(message) => inquiry.handle(InquiryEvent::Stream(&message), random),
                Contacted::Broken => self.pass_by(key, InquiryEvent::Unreachable),
            };
            // Nameservers cannot keep us here: after a number of answers that are none, another way is tried.
            if action != InquiryAction::Wait {
                self.act(key, action);
                return;
            }
        }
    }

    /// Tells an inquiry that its nameserver is of no use now.
    fn pass_by(&mut self, key: usize, event: InquiryEvent<'_>) -> InquiryAction {
        let random = self.random();
        let Some(under_way) = self.under_way.get_mut(key) else { return InquiryAction::Wait };
        if let Some(nameserver) = under_way.inquiry.nameserver() {
            self.nameservers.was_silent(nameserver, clock::now());
        }
        under_way.inquiry.handle(event, random)
    }

    /// Does what an inquiry says; returns false if there is no descriptor to do it with, and the query
    /// waits again.
    fn act(&mut self, key: usize, mut action: InquiryAction) -> bool {
        loop {
            let contact = match action {
                InquiryAction::Wait => return true,
                InquiryAction::Finish(outcome) => {
                    self.finish_query(key, outcome);
                    return true;
                }
                InquiryAction::Send | InquiryAction::Connect => self.contact(key, &action),
            };
            match contact {
                Ok(contact) => {
                    self.wait_for(key, contact);
                    return true;
                }
                Err(error) if is_exhausted(&error) => return self.put_back(key),
                Err(_) => action = self.pass_by(key, InquiryEvent::Unreachable),
            }
        }
    }

    fn contact(&mut self, key: usize, action: &InquiryAction) -> io::Result<Contact> {
        let Some(under_way) = self.under_way.get_mut(key) else { return Err(io::ErrorKind::NotFound.into()) };
        // The old socket gives its descriptor back first.
        under_way.contact = None;
        let Some((nameserver, query)) = under_way.inquiry.nameserver().zip(under_way.inquiry.sent()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let registry = self.poll.registry();
        if *action == InquiryAction::Connect {
            self.tally.count_connection();
            return Contact::connect(nameserver, query, registry, Token(key));
        }
        self.tally.count_datagram();
        Contact::send(nameserver, query, registry, Token(key))
    }

    fn wait_for(&mut self, key: usize, contact: Contact) {
        let due = clock::now() + self.timeout();
        self.forget_due(key);
        if let Some(under_way) = self.under_way.get_mut(key) {
            under_way.contact = Some(contact);
            under_way.due = Some(due);
            self.deadlines.insert((due, Due::Query(key)));
        }
    }

    /// Has a query wait for a descriptor; if no other query will give one back, it fails.
    fn put_back(&mut self, key: usize) -> bool {
        if self.under_way.len() <= 1 {
            self.finish_query(key, Err(Unresolved::Exhausted));
            return true;
        }
        self.forget_due(key);
        if let Some(UnderWay { query, .. }) = self.under_way.try_remove(key) {
            self.waiting.push_front(query);
        }
        false
    }

    fn finish_query(&mut self, key: usize, outcome: Result<NameAnswer, Unresolved>) {
        self.forget_due(key);
        let Some(UnderWay { query, inquiry, .. }) = self.under_way.try_remove(key) else { return };
        if let Some(nameserver) = inquiry.nameserver().filter(|_| outcome.is_ok()) {
            self.nameservers.answered(nameserver);
        }
        let kept = self.cache.keep(query.clone(), outcome, clock::now());
        let Some(awaited) = self.awaited.remove(&query) else { return };
        for id in awaited.asks {
            if let Some(pending) = self.asks.get_mut(&id) {
                pending.search.settle(&query, &kept);
                self.advance(id);
            }
        }
    }

    fn forget_due(&mut self, key: usize) {
        if let Some(due) = self.under_way.get_mut(key).and_then(|under_way| under_way.due.take()) {
            self.deadlines.remove(&(due, Due::Query(key)));
        }
    }

    /// Ends waits that are over.
    fn expire(&mut self) {
        let now = clock::now();
        while let Some((due, what)) = self.deadlines.first().copied().filter(|(due, _)| *due <= now) {
            self.deadlines.remove(&(due, what));
            match what {
                Due::Ask(id) => self.hurry(id, now),
                Due::Query(key) => {
                    if let Some(under_way) = self.under_way.get_mut(key) {
                        under_way.due = None;
                    }
                    let action = self.pass_by(key, InquiryEvent::TimedOut);
                    self.act(key, action);
                }
            }
        }
    }
}

/// Whether we lack descriptors or memory, which says nothing about the nameserver.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
