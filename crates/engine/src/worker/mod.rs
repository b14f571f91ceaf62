//! Worker: one thread, one poll loop. Accepts clients, hands readiness to its supervisors, reads its mail.
//!
//! A connection never leaves its worker. A panic costs the worker its connections and nothing else: it is reported,
//! and the same thread goes on with the same listening sockets. Must never wait for anything but its poll.

mod mail;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use headworks_core::lock::lock;
use headworks_core::time::Millis;
use mio::{Events, Poll};

pub(crate) use self::mail::{Listening, Mail, Mailbox};
use crate::access_log::{AccessLog, Recorder};
use crate::admission::{self, Accepted};
use crate::bind::Key;
use crate::clock;
use crate::deployment::LocalPlan;
use crate::notice::{Notice, Notices};
use crate::supervisor::Supervisors;
use crate::sys;
use crate::tls::Deployment;
use crate::token::{self, Kind};
use crate::tools::Tools;

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
    supervisors: Supervisors,
    tools: Tools,
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
        let tools = tools(number, &poll, &shared)?;
        let supervisors = Supervisors::new(&plan, tools.now);
        Ok(Self {
            number,
            poll,
            mailbox,
            shared,
            plan,
            slots: Vec::new(),
            supervisors,
            tools,
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
        self.tools.now = clock::now();
        for supervisor in self.supervisors.all() {
            supervisor.resume(&mut self.tools);
        }
        for event in &*events {
            let Some(whose) = token::read(event.token()) else { continue };
            match whose.kind {
                Kind::Listener => self.accept(whose.place),
                Kind::Mail => self.read_mail(),
                _ => self.supervisors.ready(&mut self.tools, whose, event),
            }
        }
        for supervisor in self.supervisors.all() {
            supervisor.expire(&mut self.tools);
        }
        self.tools.leaving.turn(self.tools.now);
        self.tools.recorder.flush();
        self.count();
        self.resume_accepting();
    }

    fn count(&mut self) {
        let open = self.connections();
        let before = std::mem::replace(&mut self.counted, open);
        self.shared.count(before, self.counted);
    }

    fn connections(&self) -> usize {
        self.supervisors.len()
    }

    fn timeout(&self) -> Option<Duration> {
        let now = self.tools.now;
        let waits = [self.supervisors.next_deadline(now), self.tools.leaving.next(now), self.paused];
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
                let accepted = Accepted { plan: &self.plan, listener, socket: fd, address: client };
                if let Some(arrival) = admission::admit(&mut self.tools, accepted) {
                    self.supervisors.take(&mut self.tools, arrival);
                }
                true
            }
            Err(error) => match error.raw_os_error() {
                // A client that has gone again is no reason to stop.
                Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => true,
                // Neither is one for whom sockets that are only kept make room.
                Some(libc::EMFILE | libc::ENFILE) if self.make_room() => true,
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
        self.tools.has_spare() || (self.make_room() && self.tools.has_spare())
    }

    /// Closes what can be spared; whether there was anything.
    fn make_room(&mut self) -> bool {
        self.supervisors.all().into_iter().any(|supervisor| supervisor.make_room())
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
                    for supervisor in self.supervisors.all() {
                        supervisor.drain(&mut self.tools);
                    }
                    // Who drains waits for what is counted: the last clients must be among it.
                    self.count();
                    let _ = done.send(());
                }
                Mail::List(limit, answer) => {
                    self.count();
                    let rows = self.supervisors.rows(&self.tools, limit);
                    let _ = answer.send(rows);
                }
                Mail::Stop => {
                    self.slots.clear();
                    for supervisor in self.supervisors.all() {
                        supervisor.cut(&mut self.tools);
                    }
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
        for supervisor in self.supervisors.all() {
            supervisor.apply(&self.plan);
        }
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
        match tools(self.number, &self.poll, &self.shared) {
            Ok(tools) => {
                self.tools = tools;
                self.supervisors = Supervisors::new(&self.plan, self.tools.now);
            }
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

fn tools(number: usize, poll: &Poll, shared: &Shared) -> std::io::Result<Tools> {
    let recorder = Recorder::new(shared.log.clone(), number);
    Ok(Tools::new(poll.registry().try_clone()?, recorder, number, clock::now()))
}
