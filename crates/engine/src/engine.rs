//! Engine: the threads that serve one configuration, and the calls by which everybody else reaches them.
//!
//! Every method may be called from any thread. Changes (start, apply, drain, stop) are made one at a time;
//! what fails changes nothing.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use headworks_core::address::Address;
use headworks_core::lock::lock;
use headworks_core::plan::Plan;
use headworks_core::pool::{Admin, Backend, MOST_SERVERS, RollChange, ServerSettings};
use headworks_core::spec::ServerSpec;
use mio::{Poll, Waker};
use serde::Deserialize;

use crate::access_log::AccessLog;
use crate::bind::{self, BindError, Binder, Bound, BoundKey};
use crate::clock;
use crate::consult::{AnswerBox, Questions};
use crate::following::{Follower, tell_change};
use crate::health::Checker;
use crate::io::Socket;
use crate::listing::{ConnectionFilter, ConnectionPage, Cursor};
use crate::metrics::{self, EngineCounts, MetricsRequest};
use crate::names::{NameResolver, ResolverSettings};
use crate::notice::{Notice, Notices};
use crate::record::Format;
use crate::row::ConnectionRow;
use crate::stats::Stats;
use crate::sys;
use crate::tap::Tapped;
use crate::tls::Deployment;
use crate::token;
use crate::worker::{Listening, Mail, Mailbox};
use crate::worker::{Shared, Worker};

/// The things that an Engine needs besides its configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// `-` for standard error, `off`, or a path.
    pub access_log: String,
    /// Form of the access records.
    pub log_format: Format,
    /// A connected unix socket to a process that binds for us; it is duplicated and stays the caller's.
    #[serde(skip)]
    pub binder: Option<RawFd>,
}

/// The reason why a configuration could not be started or applied.
#[derive(Debug)]
pub enum ApplyError {
    /// Addresses cannot be bound.
    Bind(Vec<BindError>),
    /// The system refuses something else.
    Io(io::Error),
}

impl From<io::Error> for ApplyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The reason why a server could not be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerError {
    /// There is no such backend, or no such server in it.
    Unknown,
    /// No server can be as it was said.
    Wrong(String),
}

/// A running configuration.
#[derive(Debug)]
pub struct Engine {
    control: Mutex<Control>,
    mailboxes: Vec<Arc<Mailbox>>,
    shared: Arc<Shared>,
    checker: Arc<Checker>,
    follower: Follower,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The state that changes with the configuration.
#[derive(Debug)]
struct Control {
    plan: Arc<Deployment>,
    binder: Binder,
    bound: BTreeMap<BoundKey, Bound>,
    draining: bool,
}

/// Time that a worker may take to answer its mail; a worker's turn is far shorter.
const ANSWER: Duration = Duration::from_secs(10);

/// Time that the names of servers may take to be resolved before clients are served without them.
const RESOLVED: Duration = Duration::from_secs(5);

/// Connections that a worker closes before others get its turn.
const CLOSED: usize = 256;

impl Engine {
    /// Binds every listener of what was compiled, and serves.
    pub fn start(compiled: &Deployment, options: Options) -> Result<Self, ApplyError> {
        let Options { workers, access_log, log_format, binder } = options;
        let workers = workers.max(1);
        let plan = Arc::new(compiled.adopt(None, workers));
        let binder = Binder::new(binder.map(sys::duplicate).transpose()?, workers);
        try_options(&plan)?;
        let bound = bind_all(&plan, &binder, &BTreeMap::new()).map_err(ApplyError::Bind)?;
        let notices = Arc::new(Notices::default());
        tell_what_is_missing(&plan, &bound, &notices);
        let log = AccessLog::open(&access_log, log_format, workers, Arc::clone(&notices))?;
        let resolver = NameResolver::new(ResolverSettings::default());
        let shared =
            Arc::new(Shared::new(sys::descriptor_limit(), log, Arc::clone(&notices), resolver.clone()));
        let (mailboxes, threads) = spawn(workers, &plan, &shared)?;
        let checker = Arc::new(Checker::start(Arc::clone(&plan), Arc::clone(&notices))?);
        let follower = Follower::new(resolver, Arc::clone(&checker), notices);
        follower.apply(&plan, RESOLVED);
        let control = Control { plan, binder, bound, draining: false };
        let engine = Self {
            control: Mutex::new(control),
            mailboxes,
            shared,
            checker,
            follower,
            threads: Mutex::new(threads),
        };
        engine.publish(&engine.control());
        Ok(engine)
    }

    /// Swaps to another configuration without dropping a connection.
    pub fn apply(&self, compiled: &Deployment) -> Result<(), ApplyError> {
        let mut control = self.control();
        let plan = compiled.adopt(Some(&control.plan), self.mailboxes.len());
        try_options(&plan)?;
        // Nobody would accept from sockets bound while draining.
        let fresh = if control.draining {
            BTreeMap::new()
        } else {
            bind_all(&plan, &control.binder, &control.bound).map_err(ApplyError::Bind)?
        };
        control.plan = Arc::new(plan);
        self.follower.apply(&control.plan, RESOLVED);
        let wanted = keys(&control.plan);
        tell_what_is_missing(&control.plan, &fresh, &self.shared.notices);
        control.bound.extend(fresh);
        for (key, listener) in &wanted {
            if let Some(bound) = control.bound.get(key) {
                bind::adjust(bound, &control.plan.listeners[*listener as usize].spec);
            }
        }
        self.publish(&control);
        self.checker.apply(Arc::clone(&control.plan));
        // Closed only now: until the workers have answered, clients may still wait there.
        control.bound.retain(|key, _| wanted.iter().any(|(wanted, _)| wanted == key));
        Ok(())
    }

    /// Returns the bound addresses of every listener, in the order of its `bind`.
    pub fn addresses(&self) -> Vec<(String, Vec<String>)> {
        self.control().addresses().into_iter().collect()
    }

    /// Returns all counters.
    pub fn stats(&self) -> Stats {
        let control = self.control();
        let mut stats = Stats::new(&control.plan, self.mailboxes.len(), &control.addresses(), clock::now());
        stats.connections = self.open(&control.plan);
        stats.resolver = self.shared.resolver.stats();
        stats.records_dropped = self.shared.log.as_ref().map_or(0, |log| log.dropped());
        stats
    }

    /// Returns all counters as text for scrapers.
    pub fn metrics(&self, request: &MetricsRequest) -> String {
        let plan = Arc::clone(&self.control().plan);
        let counts = EngineCounts {
            workers: self.mailboxes.len(),
            open: self.open(&plan),
            records_dropped: self.shared.log.as_ref().map_or(0, |log| log.dropped()),
            resolver: self.shared.resolver.stats(),
        };
        metrics::write(&plan, &counts, request)
    }

    /// Returns how many connections are open.
    fn open(&self, plan: &Plan) -> u64 {
        // Of every listener that ever was: connections outlast the configuration they came under. Workers
        // count at the end of a turn; who was accepted in this very turn has its permit already.
        let permits: u64 = plan.listeners.iter().map(|listener| u64::from(listener.state.active())).sum();
        permits.max(self.shared.open.load(Relaxed) as u64)
    }

    /// Returns at most `limit` live connections.
    pub fn connections(&self, limit: usize) -> Vec<ConnectionRow> {
        self.connection_page(limit, ConnectionFilter::default(), Cursor::default()).connections
    }

    /// Returns at most `limit` live connections that are wanted, from a cursor on.
    pub fn connection_page(&self, limit: usize, filter: ConnectionFilter, from: Cursor) -> ConnectionPage {
        let (filter, mut page) = (Arc::new(filter), ConnectionPage::default());
        let mut next = Some(from);
        while let Some(at) = next.filter(|at| at.worker < self.mailboxes.len()) {
            if page.connections.len() >= limit {
                page.cursor = Some(at.to_string());
                break;
            }
            let (sender, answers) = channel();
            let wanted = (Arc::clone(&filter), limit - page.connections.len());
            self.mailboxes[at.worker].post(Mail::List(at, wanted, sender));
            let slice = receive(&answers, 1).pop();
            next = slice.as_ref().and_then(|slice| slice.next);
            page.connections.extend(slice.into_iter().flat_map(|slice| slice.rows));
            next = next.or(Some(Cursor { worker: at.worker + 1, ..Cursor::default() }));
        }
        page
    }

    /// Tells the last refusals of every worker as objects in JSON, oldest first.
    pub fn refusals(&self) -> Vec<String> {
        let (sender, answers) = channel();
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Refusals(sender.clone()));
        }
        drop(sender);
        let mut told: Vec<_> = receive(&answers, self.mailboxes.len()).into_iter().flatten().collect();
        told.sort_by_key(|(at, _)| *at);
        told.into_iter().map(|(_, refusal)| refusal).collect()
    }

    /// Closes the connections that have these numbers; returns how many there were.
    pub fn close(&self, ids: &[u64]) -> usize {
        let closed = ids.chunks(CLOSED).map(|chunk| {
            let (sender, answers) = channel();
            let chunk: Arc<HashSet<u64>> = Arc::new(chunk.iter().copied().collect());
            for mailbox in &self.mailboxes {
                mailbox.post(Mail::Close(Arc::clone(&chunk), sender.clone()));
            }
            drop(sender);
            receive(&answers, self.mailboxes.len()).into_iter().sum::<usize>()
        });
        closed.sum()
    }

    /// Returns the next rare event. Waits for one at most `timeout`, and not at all once the engine is
    /// stopped.
    pub fn next_notice(&self, timeout: Duration) -> Option<Notice> {
        self.shared.notices.next(timeout)
    }

    /// Begins or ends to hand out access records, whether or not there is an access log.
    pub fn tap_records(&self, open: bool) {
        self.shared.tap.set(open);
    }

    /// Returns the access records made since the last call. Waits for one at most `timeout`, and not at all
    /// once the engine is stopped or its records are not handed out.
    pub fn next_records(&self, timeout: Duration) -> Option<Tapped> {
        self.shared.tap.next(timeout)
    }

    /// Sets what an operator says of a server, and its weight (None: as configured).
    pub fn set_server(
        &self,
        backend: &str,
        server: &str,
        admin: Option<Admin>,
        weight: Option<u32>,
    ) -> Result<(), ServerError> {
        let control = self.control();
        let backend = control.plan.backend(backend).ok_or(ServerError::Unknown)?;
        let list = backend.servers.list();
        let server = list.iter().find(|entry| &*entry.name == server).ok_or(ServerError::Unknown)?;
        if let Some(admin) = admin {
            server.state.set_admin(admin);
        }
        server.state.set_weight(weight);
        Ok(())
    }

    /// Adds a server to a backend, or gives the one with its address other settings, until the configuration
    /// of the backend's servers changes.
    pub fn add_server(&self, backend: &str, server: &ServerSpec) -> Result<(), ServerError> {
        let settings = ServerSettings::read(server).map_err(ServerError::Wrong)?;
        self.change_servers(backend, |backend| {
            let most = backend.servers.list().len() >= MOST_SERVERS;
            if most {
                Err(format!("it has {MOST_SERVERS} servers already"))
            } else {
                Ok(backend.add_server(settings))
            }
        })
    }

    /// Removes a server from a backend, whoever put it there; connections to it go on.
    pub fn remove_server(&self, backend: &str, server: &str) -> Result<(), ServerError> {
        let address = Address::parse(server).map_err(|_| ServerError::Unknown)?;
        let has = |backend: &Backend| backend.servers.list().iter().any(|one| one.address == address);
        if !self.control().plan.backend(backend).is_some_and(has) {
            return Err(ServerError::Unknown);
        }
        self.change_servers(backend, |backend| Ok(backend.remove_server(&address)))
    }

    /// Makes these the servers that `source` gives to a backend, beside those that are configured.
    pub fn give_servers(
        &self,
        backend: &str,
        source: &str,
        servers: &[ServerSpec],
    ) -> Result<(), ServerError> {
        let settings: Result<Vec<_>, String> = servers.iter().map(ServerSettings::read).collect();
        let settings = settings.map_err(ServerError::Wrong)?;
        self.change_servers(backend, |backend| Ok(backend.give_servers(source, settings)))
    }

    fn change_servers(
        &self,
        name: &str,
        change: impl FnOnce(&Backend) -> Result<RollChange, String>,
    ) -> Result<(), ServerError> {
        let control = self.control();
        let backend = control.plan.backend(name).ok_or(ServerError::Unknown)?;
        if backend.asked_for.is_some() {
            return Err(ServerError::Wrong("its servers are those that clients name".into()));
        }
        let change = change(backend).map_err(ServerError::Wrong)?;
        if tell_change(&self.shared.notices, name.to_owned(), &change) {
            self.checker.apply(Arc::clone(&control.plan));
        }
        Ok(())
    }

    /// Returns the questions put to an analyzer of the configuration that runs.
    pub fn analyzer(&self, name: &str) -> Option<Questions> {
        let control = self.control();
        let index = control.plan.consultant_named(name.as_bytes())?;
        let boxes = self.mailboxes.iter().map(|mailbox| Arc::clone(mailbox) as Arc<dyn AnswerBox>);
        Some(Questions::new(control.plan.desk(index)?, boxes.collect()))
    }

    /// Opens the access log by its path again.
    pub fn reopen_logs(&self) -> io::Result<()> {
        self.shared.log.as_ref().map_or(Ok(()), |log| log.reopen())
    }

    /// Stops accepting; connections go on.
    pub fn drain(&self) {
        let mut control = self.control();
        if std::mem::replace(&mut control.draining, true) {
            return;
        }
        let (sender, answers) = channel();
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Drain(sender.clone()));
        }
        drop(sender);
        receive(&answers, self.mailboxes.len());
        control.bound.clear();
    }

    /// Waits until no connection is left, at most `timeout`; returns whether that is so.
    pub fn wait_idle(&self, timeout: Duration) -> bool {
        self.shared.wait_idle(timeout)
    }

    /// Closes every connection, writes the last records and ends the threads. Again: nothing.
    pub fn stop(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        if threads.is_empty() {
            return;
        }
        for mailbox in &self.mailboxes {
            mailbox.post(Mail::Stop);
        }
        for thread in threads {
            // A worker that panicked at the very end has ended all the same.
            let _ = thread.join();
        }
        self.control().plan.close_desks();
        self.follower.stop();
        self.checker.stop();
        self.shared.notices.close();
        self.shared.tap.close();
        self.control().bound.clear();
        if let Some(log) = &self.shared.log {
            log.stop();
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        lock(&self.control)
    }

    /// Gives every worker the Plan and its sockets, and waits until all serve it.
    fn publish(&self, control: &Control) {
        let (done, answers) = channel();
        let wanted = if control.draining { Vec::new() } else { keys(&control.plan) };
        for (worker, mailbox) in self.mailboxes.iter().enumerate() {
            let sockets = wanted
                .iter()
                .filter_map(|(key, listener)| {
                    let socket = Arc::clone(&control.bound.get(key)?.sockets[worker]);
                    Some(Listening { key: key.clone(), socket, listener: *listener })
                })
                .collect();
            mailbox.post(Mail::Apply { plan: Arc::clone(&control.plan), sockets, done: done.clone() });
        }
        drop(done);
        receive(&answers, self.mailboxes.len());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Control {
    fn addresses(&self) -> BTreeMap<String, Vec<String>> {
        let mut addresses: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, listener) in keys(&self.plan) {
            let name = &self.plan.listeners[listener as usize].name;
            if let Some(bound) = self.bound.get(&key) {
                addresses.entry(name.to_string()).or_default().push(bound.address.clone());
            }
        }
        addresses
    }
}

/// Returns the identity of every address of every listener, with the listener's index.
fn keys(plan: &Plan) -> Vec<(BoundKey, u32)> {
    let mut keys = Vec::new();
    for (index, listener) in plan.listeners.iter().enumerate() {
        for (nth, address) in listener.bind.iter().enumerate() {
            keys.push((BoundKey::new(&listener.name, nth, address, &listener.spec), index as u32));
        }
    }
    keys
}

/// Fails where sockets to servers cannot have what their backend asks for.
fn try_options(plan: &Plan) -> io::Result<()> {
    for backend in &plan.backends {
        Socket::can_connect(backend)
            .map_err(|error| io::Error::new(error.kind(), format!("backends.{}: {error}", backend.name)))?;
    }
    Ok(())
}

/// Binds what is not bound yet, all of it or nothing.
fn bind_all(
    plan: &Plan,
    binder: &Binder,
    bound: &BTreeMap<BoundKey, Bound>,
) -> Result<BTreeMap<BoundKey, Bound>, Vec<BindError>> {
    let (mut fresh, mut errors) = (BTreeMap::new(), Vec::new());
    for listener in &plan.listeners {
        for (nth, address) in listener.bind.iter().enumerate() {
            let key = BoundKey::new(&listener.name, nth, address, &listener.spec);
            if bound.contains_key(&key) {
                continue;
            }
            let ours = bound.keys().chain(fresh.keys()).any(|other| other.overlaps(&key));
            match binder.bind(address, &listener.spec, ours) {
                Ok(socket) => {
                    fresh.insert(key, socket);
                }
                Err(error) => errors.push(BindError {
                    listener: listener.name.to_string(),
                    address: address.to_string(),
                    reason: bind::explain(&error),
                }),
            }
        }
    }
    if errors.is_empty() { Ok(fresh) } else { Err(errors) }
}

/// Tells of addresses that stand for less than was asked for.
fn tell_what_is_missing(plan: &Plan, bound: &BTreeMap<BoundKey, Bound>, notices: &Notices) {
    for (key, listener) in keys(plan) {
        if let Some(bound) = bound.get(&key).filter(|bound| bound.lacks_ipv6) {
            let listener = plan.listeners[listener as usize].name.to_string();
            notices.push(Notice::Ipv6Missing { listener, address: bound.address.clone() });
        }
    }
}

/// Starts the workers.
#[expect(clippy::type_complexity, reason = "two parallel lists of workers")]
fn spawn(
    workers: usize,
    plan: &Arc<Deployment>,
    shared: &Arc<Shared>,
) -> io::Result<(Vec<Arc<Mailbox>>, Vec<JoinHandle<()>>)> {
    let (mut mailboxes, mut threads) = (Vec::new(), Vec::new());
    for number in 0..workers {
        let poll = Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(Waker::new(poll.registry(), token::MAIL)?));
        mailboxes.push(Arc::clone(&mailbox));
        let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
        let thread = std::thread::Builder::new().name(format!("headworks-{number}"));
        threads.push(thread.spawn(move || {
            // Without its poll a worker can do nothing; its mail is then never answered.
            if let Ok(worker) = Worker::new(number, poll, mailbox, shared, plan) {
                worker.run();
            }
        })?);
    }
    Ok((mailboxes, threads))
}

/// Returns up to `count` answers, as many as come in time.
fn receive<T>(answers: &Receiver<T>, count: usize) -> Vec<T> {
    (0..count).map_while(|_| answers.recv_timeout(ANSWER).ok()).collect()
}
