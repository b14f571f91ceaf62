//! Names: one thread that resolves them for everybody, started when the first one is asked for.
//!
//! | file | owns |
//! |---|---|
//! | `thread` | the thread: who asked for what, which queries are under way |
//! | `contact` | one query on its way to a nameserver: a socket |
//! | `files` | the system's files, read again when they change |
//! | `waiter` | a record of a worker that waits for a name |
//! | `ask`, `tally` | one who waits for a name; what is counted |
//!
//! What to ask, what to believe and what to keep is decided in core. Must never make a caller wait, and
//! never leave one without a reply.

mod ask;
mod contact;
mod files;
mod tally;
mod thread;
mod waiter;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use headworks_core::lock::lock;
use headworks_core::names::{CacheLimits, Resolution, Sought, Unresolved};
use headworks_core::time::Millis;
use mio::Waker;

use self::ask::{Ask, Reply};
pub use self::tally::ResolverStats;
use self::tally::ResolverTally;
use self::thread::{Order, Resolving};
pub(crate) use self::waiter::{FoundBox, Waiter};
use crate::clock;

/// How names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverSettings {
    /// Nameservers that are asked instead of the system's; names are then not searched in domains. Empty: the
    /// system's.
    pub nameservers: Vec<SocketAddr>,
    /// Time that a nameserver has to answer. None: what the system's configuration says, or two seconds.
    pub timeout: Option<Millis>,
    /// Times that each nameserver is asked. None: what the system's configuration says, or two.
    pub attempts: Option<usize>,
    /// Limits of the cache.
    pub cache: CacheLimits,
    /// Queries under way at once, a socket each; others wait in order.
    pub most_queries: usize,
    /// Asks that wait for their reply at once, and queries that wait to be sent; more are too many.
    pub most_waiting: usize,
    /// The file of hosts.
    pub hosts: PathBuf,
    /// The configuration of the system's resolver.
    pub resolver_conf: PathBuf,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            timeout: None,
            attempts: None,
            cache: CacheLimits::default(),
            most_queries: 256,
            most_waiting: 16_384,
            hosts: "/etc/hosts".into(),
            resolver_conf: "/etc/resolv.conf".into(),
        }
    }
}

/// Resolves names; a handle that is cheap to clone. When the last one is dropped, whoever still waits is
/// told that the resolver has stopped, and its thread ends.
#[derive(Debug, Clone)]
pub struct NameResolver(Arc<Desired>);

/// State that all handles share.
#[derive(Debug)]
struct Desired {
    settings: Mutex<ResolverSettings>,
    running: Mutex<Option<Running>>,
    tally: Arc<ResolverTally>,
}

/// The thread, seen from outside.
#[derive(Debug)]
struct Running {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

impl Running {
    /// Gives an order; gives it back if the thread has ended.
    fn post(&self, order: Order) -> Result<(), Order> {
        self.orders.send(order).map_err(|unsent| unsent.0)?;
        // Fails only when the thread has ended, which drops the order and so replies to it.
        let _ = self.waker.wake();
        Ok(())
    }
}

impl NameResolver {
    /// Makes a resolver; its thread starts when the first name is asked for.
    pub fn new(settings: ResolverSettings) -> Self {
        let tally = Arc::new(ResolverTally::default());
        Self(Arc::new(Desired { settings: Mutex::new(settings), running: Mutex::new(None), tally }))
    }

    /// Asks for a name. The reply comes once, within `patience`: on the resolver's thread, or at once on
    /// the caller's if the name is a literal address or too much is asked already. It must not take long:
    /// others wait for theirs.
    pub fn ask(
        &self,
        sought: Sought,
        patience: Millis,
        reply: impl FnOnce(Result<Resolution, Unresolved>) + Send + 'static,
    ) {
        let reply: Reply = Box::new(reply);
        let literal = sought.literal();
        let until = clock::now().saturating_add(patience);
        let ask = Ask::new(sought, until, reply, Arc::clone(&self.0.tally));
        if let Some(outcome) = literal {
            return ask.answer(outcome);
        }
        if self.0.tally.waiting() > lock(&self.0.settings).most_waiting {
            return ask.answer(Err(Unresolved::Busy));
        }
        // Whoever replies may ask again: no lock is held.
        if let Some(Order::Ask(ask)) = self.post(Order::Ask(ask)) {
            ask.answer(Err(Unresolved::Exhausted));
        }
    }

    /// Goes on with other settings. Answers of other nameservers than before are asked for anew.
    pub fn configure(&self, settings: ResolverSettings) {
        *lock(&self.0.settings) = settings.clone();
        if let Some(running) = &*lock(&self.0.running) {
            // A thread that has ended takes the settings when it starts again.
            let _ = running.post(Order::Configure(Box::new(settings)));
        }
    }

    /// Returns what was counted.
    pub fn stats(&self) -> ResolverStats {
        self.0.tally.stats()
    }

    /// Gives an order to the thread, which is started if it has to be. Some: it cannot be.
    fn post(&self, mut order: Order) -> Option<Order> {
        let mut running = lock(&self.0.running);
        if let Some(thread) = &*running {
            match thread.post(order) {
                Ok(()) => return None,
                Err(unsent) => order = unsent,
            }
        }
        let settings = lock(&self.0.settings).clone();
        let Ok(thread) = Resolving::start(settings, Arc::clone(&self.0.tally)) else { return Some(order) };
        let unsent = thread.post(order).err();
        *running = Some(thread);
        unsent
    }
}

impl Drop for Desired {
    fn drop(&mut self) {
        if let Some(Running { orders, waker }) = lock(&self.running).take() {
            drop(orders);
            let _ = waker.wake();
        }
    }
}
