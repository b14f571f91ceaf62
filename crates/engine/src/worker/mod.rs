//! Worker: one thread, one poll loop. Accepts clients, hands readiness to its supervisors, reads its mail.
//!
//! A connection never leaves its worker. A panic costs the worker its connections and nothing else: it is
//! reported, and the same thread goes on with the same listening sockets. Must never wait for anything but
//! its poll.

mod mail;
mod slots;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use headworks_core::lock::lock;
use headworks_core::time::{Millis, NEVER};
use mio::{Events, Poll};

pub(crate) use self::mail::{Listening, Mail, Mailbox};
use self::slots::Slot;
use crate::access_log::{AccessLog, Recorder};
use crate::clock;
use crate::deployment::LocalPlan;
use crate::io::Pipes;
use crate::names::NameResolver;
use crate::notice::{Notice, Notices};
use crate::supervisor::Supervisors;
use crate::tap::Tap;
use crate::tls::Deployment;
use crate::token::{self, Kind};
use crate::tools::{Names, Tools};

/// The state that all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Open connections of all workers.
    pub(crate) open: AtomicUsize,
    /// Descriptors that the process may open.
    descriptors: usize,
    /// The access log.
    pub(crate) log: Option<Arc<AccessLog>>,
    /// Access records for whoever listens.
    pub(crate) tap: Arc<Tap>,
    /// Rare events.
    pub(crate) notices: Arc<Notices>,
    /// Resolves names.
    pub(crate) resolver: NameResolver,
    idle: Mutex<()>,
    became_idle: Condvar,
}

impl Shared {
    /// For a process that may open `descriptors`.
    pub(crate) fn new(
        descriptors: usize,
        log: Option<Arc<AccessLog>>,
        notices: Arc<Notices>,
        resolver: NameResolver,
    ) -> Self {
        Self {
            open: AtomicUsize::new(0),
            descriptors,
            log,
            resolver,
            tap: Arc::default(),
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
        let tools = tools(number, &poll, Arc::clone(&mailbox), &shared, &plan)?;
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
        let wake = self.supervisors.next_deadline(self.tools.now);
        // An interrupted poll is an empty turn.
        let _ = self.poll.poll(events, self.timeout(wake));
        self.tools.now = clock::now();
        // What the events of this turn give others to do, or to wait for, is due in a later turn.
        let due = wake <= self.tools.now;
        if due {
            for supervisor in self.supervisors.all() {
                supervisor.resume(&mut self.tools);
            }
        }
        for event in &*events {
            let Some(whose) = token::read(event.token()) else { continue };
            match whose.kind {
                Kind::Listener => self.accept(whose.place),
                Kind::Mail => self.read_mail(),
                _ => self.supervisors.ready(&mut self.tools, whose, event),
            }
        }
        if due {
            for supervisor in self.supervisors.all() {
                supervisor.expire(&mut self.tools);
            }
            self.supervisors.let_in(&mut self.tools);
        }
        self.tools.asking.tell();
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

    /// Returns how long to wait for events at most. It counts from the beginning of the turn that was, so
    /// that a deadline may be late by as long as that took.
    fn timeout(&self, wake: Millis) -> Option<Duration> {
        let now = self.tools.now;
        let next = wake.min(self.tools.leaving.next(now)).min(self.paused.unwrap_or(NEVER));
        (next != NEVER).then(|| Duration::from_millis(next.saturating_sub(now)))
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
                Mail::Advice(answers) => {
                    for answer in &answers {
                        self.supervisors.advise(&mut self.tools, answer);
                    }
                }
                Mail::Found(waiter, found) => {
                    let found = found.as_ref().map_err(|reason| *reason);
                    self.supervisors.resolved(&mut self.tools, waiter, found);
                }
                Mail::List(from, (filter, most), answer) => {
                    self.count();
                    let _ = answer.send(self.supervisors.slice(&self.tools, from, (&filter, most)));
                }
                Mail::Refusals(answer) => {
                    let _ = answer.send(self.tools.recorder.told_refusals());
                }
                Mail::Close(ids, answer) => {
                    let closed = self.supervisors.close(&mut self.tools, &ids);
                    self.count();
                    let _ = answer.send(closed);
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

    /// Swaps Plan and sockets. Clients that wait at a socket about to close are accepted first, under the old
    /// Plan.
    fn apply(&mut self, plan: Arc<Deployment>, sockets: Vec<Listening>) {
        self.leave_sockets(&sockets);
        self.plan = Rc::new(plan);
        self.tools.pipes.apply(self.plan.proxy.resources);
        for supervisor in self.supervisors.all() {
            supervisor.apply(&self.plan);
        }
        self.take_sockets(sockets);
    }

    /// After a panic: the connections are gone, everything else goes on.
    fn recover(&mut self, panic: &(dyn std::any::Any + Send)) {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let lost = self.connections();
        match tools(self.number, &self.poll, Arc::clone(&self.mailbox), &self.shared, &self.plan) {
            Ok(mut tools) => {
                tools.recorder.remember(&mut self.tools.recorder);
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

fn tools(
    number: usize,
    poll: &Poll,
    mailbox: Arc<Mailbox>,
    shared: &Shared,
    plan: &LocalPlan,
) -> std::io::Result<Tools> {
    let recorder = Recorder::new(shared.log.clone(), Arc::clone(&shared.tap), number);
    let pipes = Pipes::new(plan.proxy.resources);
    let names = Names { resolver: shared.resolver.clone(), found: mailbox };
    Ok(Tools::new(poll.registry().try_clone()?, recorder, pipes, names, number))
}
