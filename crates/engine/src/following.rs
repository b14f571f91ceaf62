//! Following: the names of servers are resolved before anybody is served, and again whenever their answers
//! end.
//!
//! One thread, started when the first Plan has names: it asks the resolver, waits for nothing else, and hands
//! what was found to the backend, whose list of servers changes while it runs. A name that has no answer
//! keeps its last good one and is asked for again, ever more seldom. Must never make a worker wait.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headworks_core::address::Address;
use headworks_core::lock::lock;
use headworks_core::names::{Resolution, Sought, Unresolved};
use headworks_core::pool::{Backend, RollChange};
use headworks_core::time::{Millis, NEVER};

use crate::clock;
use crate::health::Checker;
use crate::names::{NameResolver, ResolverSettings};
use crate::notice::{Notice, Notices};
use crate::random::Random;
use crate::tls::Deployment;

/// Time that one name may take before it counts as unresolved.
const PATIENCE: Millis = 20_000;
/// Time after which a name without an answer is asked for again, at first; it doubles with every failure.
const AGAIN: Millis = 1_000;
/// The longest such time.
const SELDOM: Millis = 30_000;
/// Orders that are read in one go.
const TOGETHER: usize = 256;
/// Time for which what was found is gathered before others are told.
const GATHERED: Millis = 20;

/// The thread's handle.
#[derive(Debug)]
pub(crate) struct Follower {
    resolver: NameResolver,
    checker: Arc<Checker>,
    notices: Arc<Notices>,
    orders: Mutex<Option<Sender<Order>>>,
}

enum Order {
    /// Follow the names of this Plan; answered once each of them was asked for once.
    Apply(Arc<Deployment>, Sender<()>),
    /// The outcome of a name: its number among those followed, and that of the Plan.
    Found(u64, usize, Result<Resolution, Unresolved>),
    Stop,
}

impl Follower {
    /// Makes one that has nothing to follow.
    pub(crate) fn new(resolver: NameResolver, checker: Arc<Checker>, notices: Arc<Notices>) -> Self {
        Self { resolver, checker, notices, orders: Mutex::new(None) }
    }

    /// Follows the names of another Plan from now on. Waits until each was asked for, at most `patience`.
    pub(crate) fn apply(&self, plan: &Arc<Deployment>, patience: Duration) {
        self.resolver.configure(settings(plan));
        let mut orders = lock(&self.orders);
        if orders.is_none() {
            if names(plan).next().is_none() {
                return;
            }
            *orders = self.begin();
        }
        let Some(thread) = &*orders else { return };
        let (done, asked) = channel();
        if thread.send(Order::Apply(Arc::clone(plan), done)).is_ok() {
            let _ = asked.recv_timeout(patience);
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        if let Some(thread) = lock(&self.orders).take() {
            // Fails only when it has ended.
            let _ = thread.send(Order::Stop);
        }
    }

    fn begin(&self) -> Option<Sender<Order>> {
        let (sender, orders) = channel();
        let following = Following {
            orders,
            replies: sender.clone(),
            resolver: self.resolver.clone(),
            checker: Arc::clone(&self.checker),
            notices: Arc::clone(&self.notices),
            random: Random::new(),
            plan: None,
            number: 0,
            names: Vec::new(),
            open: 0,
            done: None,
            dirty: BTreeSet::new(),
            gathered: None,
        };
        let thread = std::thread::Builder::new().name("headworks-following".into());
        thread.spawn(move || following.run()).ok().map(|_| sender)
    }
}

/// One name that is followed.
struct Followed {
    backend: usize,
    /// The number in the backend's roll.
    number: usize,
    sought: Sought,
    /// Time at which it is asked for; NEVER while it is.
    due: Millis,
    /// Failures in a row.
    failures: u32,
    /// Whether it was asked for once under this Plan, or known before.
    asked: bool,
}

struct Following {
    orders: Receiver<Order>,
    replies: Sender<Order>,
    resolver: NameResolver,
    checker: Arc<Checker>,
    notices: Arc<Notices>,
    random: Random,
    plan: Option<Arc<Deployment>>,
    /// Number of the Plan: replies to those before are not for this one.
    number: u64,
    names: Vec<Followed>,
    /// Names that were never answered for, either way.
    open: usize,
    done: Option<Sender<()>>,
    /// Backends whose names lead elsewhere, which do not know yet.
    dirty: BTreeSet<usize>,
    /// Time at which the checker is told of lists of servers that have changed.
    gathered: Option<Millis>,
}

impl Following {
    fn run(mut self) {
        loop {
            let now = clock::now();
            let due = self.names.iter().map(|name| name.due).min().unwrap_or(NEVER);
            let next = due.min(self.gathered.unwrap_or(NEVER));
            let wait = next.saturating_sub(now).min(3_600_000);
            let mut order = match self.orders.recv_timeout(Duration::from_millis(wait)) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Whatever has come together changes each list of servers once.
            for _ in 0..TOGETHER {
                match order {
                    None => break,
                    Some(Order::Stop) => return,
                    Some(Order::Apply(plan, done)) => self.apply(plan, done),
                    Some(Order::Found(number, at, found)) if number == self.number => self.found(at, found),
                    Some(Order::Found(..)) => {}
                }
                order = self.orders.try_recv().ok();
            }
            if let Some(order) = order {
                // Fails only when nobody follows any more.
                let _ = self.replies.send(order);
            }
            self.refresh();
            self.settle();
            self.tell();
            self.ask_due();
        }
    }

    /// Has backends know where their names lead now.
    fn refresh(&mut self) {
        let Some(plan) = &self.plan else { return };
        for backend in std::mem::take(&mut self.dirty) {
            let backend = &plan.backends[backend];
            let change = backend.refresh_servers();
            if tell_change(&self.notices, backend.name.to_string(), &change) {
                self.gathered.get_or_insert(clock::now() + GATHERED);
            }
        }
    }

    /// Follows the names of a Plan. All are asked for again: what came meanwhile was for the Plan before.
    fn apply(&mut self, plan: Arc<Deployment>, done: Sender<()>) {
        self.number += 1;
        let mut known = HashMap::new();
        for name in &self.names {
            if let Some(plan) = &self.plan {
                let backend = &plan.backends[name.backend];
                known.insert((&backend.name, backend.roll.locator(name.number)), (name.failures, name.asked));
            }
        }
        let due = clock::now();
        let follow = |(at, number, sought): (usize, usize, Sought)| {
            let backend = &plan.backends[at];
            let before = known.get(&(&backend.name, backend.roll.locator(number))).copied();
            let (failures, asked) = before.unwrap_or_default();
            Followed { backend: at, number, sought, due, failures, asked }
        };
        self.names = names(&plan).map(follow).collect();
        self.plan = Some(plan);
        self.open = self.names.iter().filter(|name| !name.asked).count();
        self.done = Some(done);
        self.dirty.clear();
    }

    /// Says that every name was asked for, once that is so.
    fn settle(&mut self) {
        if self.open == 0 {
            self.done = None;
        }
    }

    fn ask_due(&mut self) {
        let now = clock::now();
        for (at, name) in self.names.iter_mut().enumerate().filter(|(_, name)| name.due <= now) {
            name.due = NEVER;
            let (number, replies) = (self.number, self.replies.clone());
            self.resolver.ask(name.sought.clone(), PATIENCE, move |found| {
                // Fails only when nobody follows any more.
                let _ = replies.send(Order::Found(number, at, found));
            });
        }
    }

    fn found(&mut self, at: usize, found: Result<Resolution, Unresolved>) {
        let Some(plan) = self.plan.clone() else { return };
        let name = &mut self.names[at];
        let backend = &plan.backends[name.backend];
        let (roll, now) = (&backend.roll, clock::now());
        let had = roll.failure(name.number);
        let taken = match &found {
            Ok(found) => roll.resolved(name.number, found, now),
            Err(reason) => {
                roll.unresolved(name.number, *reason);
                None
            }
        };
        if taken == Some(true) {
            self.dirty.insert(name.backend);
        }
        let fresh_for = match (&found, taken) {
            (Ok(found), Some(_)) if found.stale_since.is_none() => {
                name.failures = 0;
                found.fresh_for
            }
            _ => {
                name.failures += 1;
                (AGAIN << (name.failures - 1).min(5)).min(SELDOM)
            }
        };
        name.due = now.saturating_add(self.random.around(fresh_for.max(1)));
        if !std::mem::replace(&mut name.asked, true) {
            self.open -= 1;
        }
        let (backend, name, number) = (&backend.name, roll.locator(name.number), name.number);
        let (backend, name) = (backend.to_string(), name.to_string());
        match (had, roll.failure(number)) {
            (None, Some(reason)) => {
                let (reason, kept) = (reason.as_str().to_owned(), roll.has_answer(number));
                self.notices.push(Notice::NameUnresolved { backend, name, reason, kept });
            }
            (Some(_), None) => self.notices.push(Notice::NameResolved { backend, name }),
            _ => {}
        }
    }

    /// Has the checker look at the servers that there are now.
    fn tell(&mut self) {
        let is_due = self.gathered.is_some_and(|at| at <= clock::now());
        if let Some(plan) = self.plan.as_ref().filter(|_| is_due) {
            self.gathered = None;
            self.checker.apply(Arc::clone(plan));
        }
    }
}

/// Tells of servers that came or left; whether any did.
pub(crate) fn tell_change(notices: &Notices, backend: String, change: &RollChange) -> bool {
    let names = |list: &[Address]| list.iter().map(ToString::to_string).collect();
    let (added, removed): (Vec<String>, Vec<String>) = (names(&change.added), names(&change.removed));
    let any = !added.is_empty() || !removed.is_empty();
    if any {
        notices.push(Notice::ServersChanged { backend, added, removed });
    }
    any
}

/// Yields every name of a Plan: its backend, its number there, and what is sought.
fn names(plan: &Deployment) -> impl Iterator<Item = (usize, usize, Sought)> + '_ {
    let families = plan.resolver.families;
    let of_backend = move |(at, backend): (usize, &'_ Backend)| {
        backend.roll.sought(families).map(|(number, sought)| (at, number, sought)).collect::<Vec<_>>()
    };
    plan.backends.iter().enumerate().flat_map(of_backend)
}

/// Returns how names of a Plan are resolved.
pub(crate) fn settings(plan: &Deployment) -> ResolverSettings {
    let resolver = &*plan.resolver;
    ResolverSettings {
        nameservers: resolver.nameservers.clone(),
        timeout: resolver.spec.timeout,
        attempts: resolver.spec.attempts,
        cache: resolver.cache.clone(),
        hosts: (&resolver.spec.hosts).into(),
        resolver_conf: (&resolver.spec.resolv_conf).into(),
        ..ResolverSettings::default()
    }
}
