//! Worker: one thread, one poll loop. Accepts clients, hands readiness to its Supervisor, reads its mail.
//!
//! A connection never leaves its worker. A panic costs the worker its connections and nothing else: it is reported,
//! and the same thread goes on with the same listening sockets. Must never wait for anything but its poll.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use headworks_core::lock::lock;
use headworks_core::session::Entrance;
use headworks_core::time::Millis;
use mio::{Events, Poll};

use crate::access_log::{AccessLog, Recorder};
use crate::bind::Key;
use crate::clock;
use crate::connection::LocalPlan;
use crate::connection::token::{self, Meaning};
use crate::handshakes::Handshakes;
use crate::http::Exchanges;
use crate::mailbox::{Listening, Mail, Mailbox};
use crate::notice::{Notice, Notices};
use crate::supervisor::Supervisor;
use crate::sys;
use crate::tls::Deployment;

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Open connections of all workers.
    pub(crate) open: AtomicUsize,
    /// As many may be open: each takes two descriptors.
    pub(crate) most_open: usize,
    /// The access log.
    pub(crate) log: Option<Arc<AccessLog>>,
    /// Rare events.
    pub(crate) notices: Arc<Notices>,
    idle: Mutex<()>,
    became_idle: Condvar,
}

impl Shared {
    /// For a process that may open `descriptors`.
    pub(crate) fn new(descriptors: usize, log: Option<Arc<AccessLog>>, notices: Arc<Notices>) -> Self {
        Self {
            open: AtomicUsize::new(0),
            most_open: (descriptors.saturating_sub(RESERVED) / 2).max(1),
            log,
            notices,
            idle: Mutex::default(),
            became_idle: Condvar::new(),
        }
    }

    /// Waits until no connection is open; whether that is so.
    pub(crate) fn wait_idle(&self, timeout: Duration) -> bool {
        let idle = lock(&self.idle);
        let open = |_: &mut ()| self.open.load(Relaxed) > 0;
        let _ = self.became_idle.wait_timeout_while(idle, timeout, open);
        self.open.load(Relaxed) == 0
    }

    fn count(&self, before: usize, after: usize) {
        if before == after {
            return;
        }
        let open =
            self.open.fetch_add(after.wrapping_sub(before), Relaxed).wrapping_add(after.wrapping_sub(before));
        if open == 0 {
            let _idle = lock(&self.idle);
            self.became_idle.notify_all();
        }
    }
}

/// Descriptors kept for everything that is not a connection: polls, listeners, logs, checks, pipes, Python.
const RESERVED: usize = 96;
/// Clients accepted from one socket before others get their turn.
const BURST: usize = 64;
/// How long accepting stays paused before it is tried again.
const PAUSE: Millis = 50;

/// A listening socket of this worker.
#[derive(Debug)]
struct Slot {
    key: Key,
    socket: Arc<OwnedFd>,
    listener: u32,
    /// More than one client waited last time: the next turn accepts until none is left.
    busy: bool,
}

/// One thread's whole world.
pub(crate) struct Worker {
    number: usize,
    poll: Poll,
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
    plan: LocalPlan,
    slots: Vec<Option<Slot>>,
    supervisor: Supervisor,
    exchanges: Exchanges,
    handshakes: Handshakes,
    /// When accepting is tried again; None: it is not paused.
    paused: Option<Millis>,
    /// Pausing was told; going on is told with the next client accepted, however often it is tried before.
    told: bool,
    /// How many of its connections `Shared::open` counts.
    counted: usize,
    stopped: bool,
}

impl Worker {
    /// A worker that serves `plan` once its mail names the sockets.
    pub(crate) fn new(
        number: usize,
        poll: Poll,
        mailbox: Arc<Mailbox>,
        shared: Arc<Shared>,
        plan: Arc<Deployment>,
    ) -> std::io::Result<Self> {
        let plan = Rc::new(plan);
        let (supervisor, exchanges, handshakes) = rooms(number, &poll, &shared, &plan)?;
        Ok(Self {
            number,
            poll,
            mailbox,
            shared,
            plan,
            slots: Vec::new(),
            supervisor,
            exchanges,
            handshakes,
            paused: None,
            told: false,
            counted: 0,
            stopped: false,
        })
    }

    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        while !self.stopped {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(&mut events)));
            if let Err(panic) = turn {
                self.recover(&*panic);
            }
        }
    }

    fn turn(&mut self, events: &mut Events) {
        // An interrupted poll is an empty turn.
        let _ = self.poll.poll(events, self.timeout());
        let now = clock::now();
        self.supervisor.tick(now);
        self.exchanges.tick(now);
        self.handshakes.tick(now);
        self.supervisor.resume();
        self.exchanges.resume();
        for event in &*events {
            match token::read(event.token()) {
                Meaning::Connection(generation, place, side) => {
                    self.supervisor.ready(generation, place, side, event);
                }
                Meaning::Http(generation, place, side) => {
                    self.exchanges.ready(generation, place, side, event);
                }
                Meaning::Handshake(generation, place) => {
                    self.handshakes.ready(generation, place, event);
                    self.welcome();
                }
                Meaning::Listener(slot) => self.accept(slot),
                Meaning::Mail => self.read_mail(),
            }
        }
        self.supervisor.expire();
        self.exchanges.expire();
        self.handshakes.expire();
        self.supervisor.flush_records();
        self.exchanges.flush_records();
        self.handshakes.flush_records();
        self.count();
        self.resume_accepting();
    }

    fn count(&mut self) {
        let open = self.connections();
        let before = std::mem::replace(&mut self.counted, open);
        self.shared.count(before, self.counted);
    }

    fn connections(&self) -> usize {
        self.supervisor.len() + self.exchanges.len() + self.handshakes.len()
    }

    /// Those whose handshakes are complete go where they belong.
    fn welcome(&mut self) {
        while let Some(arrival) = self.handshakes.next_arrival() {
            match arrival.entrance == Entrance::Secured && arrival.owner().protocol.exchanges() {
                true => self.exchanges.enter_secured(arrival),
                false => self.supervisor.enter(arrival),
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let waits = [
            self.supervisor.next_deadline(),
            self.exchanges.next_deadline(),
            self.handshakes.next_deadline(),
            self.paused,
        ];
        let next = waits.into_iter().flatten().min()?;
        Some(Duration::from_millis(next.saturating_sub(clock::now())))
    }

    /// Accepts from one socket: one client, or all there are when several waited last time.
    fn accept(&mut self, slot: usize) {
        let Some(Some(entry)) = self.slots.get_mut(slot) else { return };
        let (socket, listener) = (Arc::clone(&entry.socket), entry.listener);
        let most = if entry.busy { BURST } else { 2 };
        let mut accepted = 0;
        while accepted < most && self.paused.is_none() {
            if !self.accept_one(&socket, listener) {
                break;
            }
            accepted += 1;
        }
        if let Some(Some(entry)) = self.slots.get_mut(slot) {
            entry.busy = accepted > 1;
        }
    }

    /// Whether there was a client to accept.
    fn accept_one(&mut self, socket: &OwnedFd, listener: u32) -> bool {
        // A burst counts as it goes, so that it cannot take more than there are descriptors for.
        self.count();
        if self.shared.open.load(Relaxed) >= self.shared.most_open {
            self.pause("as many connections are open as there are descriptors for");
            return false;
        }
        if !self.has_spare() {
            self.pause("no descriptor would be left to connect to a server");
            return false;
        }
        match sys::accept(socket.as_fd()) {
            Ok((fd, client)) => {
                if std::mem::take(&mut self.told) {
                    self.shared.notices.push(Notice::AcceptResumed { worker: self.number });
                }
                let owner = &self.plan.listeners[listener as usize];
                match (owner.tls.is_some(), owner.protocol.exchanges()) {
                    (true, _) => {
                        self.handshakes.accept(&self.plan, listener, fd, client);
                        self.welcome();
                    }
                    (false, true) => self.exchanges.accept(&self.plan, listener, fd, client),
                    (false, false) => self.supervisor.accept(&self.plan, listener, fd, client),
                }
                true
            }
            Err(error) => match error.raw_os_error() {
                // A client that has gone again is no reason to stop.
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => true,
                // Neither is one for whom sockets that are only kept make room.
                Some(libc::EMFILE | libc::ENFILE) if self.exchanges.make_room() => true,
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                    self.pause(&error.to_string());
                    false
                }
                _ => false,
            },
        }
    }

    /// Whether there is a descriptor to connect to a server with; sockets that are only kept make room for it.
    fn has_spare(&mut self) -> bool {
        self.supervisor.has_spare() || (self.exchanges.make_room() && self.supervisor.has_spare())
    }

    /// Stops watching the listening sockets, so that waiting clients do not keep the poll spinning.
    fn pause(&mut self, reason: &str) {
        for slot in self.slots.iter().flatten() {
            // It is watched, or already gone.
            let _ = sys::unwatch(self.poll.as_raw_fd(), slot.socket.as_fd());
        }
        self.paused = Some(clock::now() + PAUSE);
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (worker, connections) = (self.number, self.counted);
        self.shared.notices.push(Notice::AcceptPaused { worker, connections, reason: reason.into() });
    }

    fn resume_accepting(&mut self) {
        let Some(at) = self.paused else { return };
        let now = clock::now();
        if now < at {
            return;
        }
        if self.shared.open.load(Relaxed) >= self.shared.most_open {
            self.paused = Some(now + PAUSE);
            return;
        }
        self.paused = None;
        for (number, slot) in self.slots.iter().enumerate() {
            if let Some(slot) = slot {
                watch(&self.poll, number, &slot.socket);
            }
        }
    }

    fn read_mail(&mut self) {
        while let Some(mail) = self.mailbox.take() {
            match mail {
                Mail::Apply { plan, sockets, done } => {
                    self.apply(plan, sockets);
                    self.count();
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
                Mail::Drain(done) => {
                    self.apply(Arc::clone(&self.plan), Vec::new());
                    self.exchanges.drain();
                    // Who drains waits for what is counted: the last clients must be among it.
                    self.count();
                    let _ = done.send(());
                }
                Mail::List(limit, answer) => {
                    self.count();
                    let mut rows = self.supervisor.rows(limit);
                    rows.extend(self.exchanges.rows(limit - rows.len()));
                    rows.extend(self.handshakes.rows(limit - rows.len()));
                    let _ = answer.send(rows);
                }
                Mail::Stop => {
                    self.slots.clear();
                    self.supervisor.cut();
                    self.exchanges.cut();
                    self.handshakes.cut();
                    self.stopped = true;
                }
            }
        }
    }

    /// Swaps Plan and sockets. Clients that wait at a socket about to close are accepted first, under the old Plan.
    fn apply(&mut self, plan: Arc<Deployment>, sockets: Vec<Listening>) {
        for number in 0..self.slots.len() {
            let keep = |slot: &Slot| sockets.iter().any(|socket| socket.key == slot.key);
            if let Some(slot) = self.slots[number].take_if(|slot| !keep(slot)) {
                while self.accept_one(&slot.socket, slot.listener) {}
                let _ = sys::unwatch(self.poll.as_raw_fd(), slot.socket.as_fd());
            }
        }
        self.plan = Rc::new(plan);
        self.exchanges.apply(&self.plan);
        for Listening { key, socket, listener } in sockets {
            match self.slots.iter_mut().flatten().find(|slot| slot.key == key) {
                Some(slot) => slot.listener = listener,
                None => self.listen(Slot { key, socket, listener, busy: false }),
            }
        }
    }

    fn listen(&mut self, slot: Slot) {
        let number = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if self.paused.is_none() {
            watch(&self.poll, number, &slot.socket);
        }
        match self.slots.get_mut(number) {
            Some(free) => *free = Some(slot),
            None => self.slots.push(Some(slot)),
        }
    }

    /// After a panic: the connections are gone, everything else goes on.
    fn recover(&mut self, panic: &(dyn std::any::Any + Send)) {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let lost = self.connections();
        match rooms(self.number, &self.poll, &self.shared, &self.plan) {
            Ok(fresh) => (self.supervisor, self.exchanges, self.handshakes) = fresh,
            Err(_) => self.stopped = true,
        }
        self.count();
        // The panic may have cut off a turn with mail: that is announced once only.
        self.mailbox.wake();
        self.shared.notices.push(Notice::WorkerPanicked { worker: self.number, lost, message });
    }
}

fn watch(poll: &Poll, slot: usize, socket: &OwnedFd) {
    // Fails only for lack of kernel memory; the next pause and resume tries again.
    let _ = sys::watch_listener(poll.as_raw_fd(), socket.as_fd(), token::listener(slot).0 as u64);
}

/// The three that hold connections: those passed through, those of exchanges, and those in their handshakes.
fn rooms(
    number: usize,
    poll: &Poll,
    shared: &Shared,
    plan: &LocalPlan,
) -> std::io::Result<(Supervisor, Exchanges, Handshakes)> {
    let recorder = || Recorder::new(shared.log.clone(), number);
    let registry = || poll.registry().try_clone();
    let now = clock::now();
    Ok((
        Supervisor::new(registry()?, recorder(), number, now),
        Exchanges::new(registry()?, recorder(), number, Rc::clone(plan), now),
        Handshakes::new(registry()?, recorder(), number, now),
    ))
}
