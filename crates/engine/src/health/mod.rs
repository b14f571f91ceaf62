//! Active health checks: one thread connects to each server of each backend that asks for it, and where the
//! backend says so makes a request.
//!
//! `rise` successes in a row bring a server up, `fall` failures take it down; checks are spread in time by a
//! tenth either way. What a check found is kept by backend and address, so that a reload does not begin
//! again.

mod probe;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headworks_core::address::Address;
use headworks_core::close::Fault;
use headworks_core::lock::lock;
use headworks_core::pool::{Admin, Server};
use headworks_core::time::Millis;
use mio::event::Event as Readiness;
use mio::{Events, Poll, Token, Waker};

use self::probe::{Examined, Finding, Probe};
use crate::clock;
use crate::notice::{Notice, Notices};
use crate::random::Random;
use crate::tls::Deployment;

/// The thread's handle.
#[derive(Debug)]
pub(crate) struct Checker {
    orders: Mutex<Sender<Order>>,
    waker: Waker,
}

#[derive(Debug)]
enum Order {
    Apply(Arc<Deployment>),
    Stop,
}

impl Checker {
    /// Starts checking the servers of `plan`.
    pub(crate) fn start(plan: Arc<Deployment>, notices: Arc<Notices>) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (sender, orders) = channel();
        let mut checks = Checks {
            poll,
            orders,
            notices,
            random: Random::new(),
            checks: Vec::new(),
            stopped: false,
            plan: Arc::clone(&plan),
        };
        checks.apply(plan);
        std::thread::Builder::new().name("headworks-health".into()).spawn(move || checks.run())?;
        Ok(Self { orders: Mutex::new(sender), waker })
    }

    /// Checks the servers of another Plan from now on.
    pub(crate) fn apply(&self, plan: Arc<Deployment>) {
        self.post(Order::Apply(plan));
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.post(Order::Stop);
    }

    fn post(&self, order: Order) {
        let orders = lock(&self.orders);
        // Both fail only when the thread has ended.
        let _ = orders.send(order);
        let _ = self.waker.wake();
    }
}

const WAKE: Token = Token(usize::MAX);

/// One server being checked.
#[derive(Debug)]
struct Check {
    backend: u32,
    server: Arc<Server>,
    identity: (Box<str>, Address),
    /// The check under way.
    probe: Option<Probe>,
    /// Time at which the next check begins, or the one under way is given up.
    due: Millis,
    /// Results in a row that speak against the present state.
    against: u32,
}

/// The thread's world.
struct Checks {
    poll: Poll,
    orders: Receiver<Order>,
    notices: Arc<Notices>,
    random: Random,
    plan: Arc<Deployment>,
    checks: Vec<Check>,
    stopped: bool,
}

impl Checks {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.stopped {
            let now = clock::now();
            let timeout = self.checks.iter().map(|check| check.due.saturating_sub(now)).min();
            // An interrupted poll is an empty turn.
            let _ = self.poll.poll(&mut events, timeout.map(Duration::from_millis));
            self.read_orders();
            for event in &events {
                self.proceed(event.token().0, event);
            }
            let now = clock::now();
            for number in 0..self.checks.len() {
                if self.checks[number].due <= now {
                    match self.checks[number].probe {
                        Some(_) => self.finish(number, Err(Fault::TimedOut.as_str().into())),
                        None => self.begin(number, now),
                    }
                }
            }
        }
    }

    fn read_orders(&mut self) {
        loop {
            match self.orders.recv_timeout(Duration::ZERO) {
                Ok(Order::Apply(plan)) => self.apply(plan),
                Err(RecvTimeoutError::Timeout) => return,
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.stopped = true;
                    return;
                }
            }
        }
    }

    /// Takes over the Plan's servers, keeping what is known of those that stay.
    fn apply(&mut self, plan: Arc<Deployment>) {
        let mut known: HashMap<_, _> =
            self.checks.drain(..).map(|check| (check.identity.clone(), check)).collect();
        let now = clock::now();
        for (index, backend) in plan.backends.iter().enumerate() {
            for server in backend.servers.list().iter() {
                let identity = (backend.name.clone(), server.address.clone());
                let old = known.remove(&identity);
                let Some(health) = &backend.health else {
                    // Nobody checks it any more, so nobody would bring it up again.
                    if old.is_some() {
                        server.state.set_up(true, now);
                    }
                    continue;
                };
                let spread = self.random.next() % (health.spec.interval / 10 + 1);
                let due = old.as_ref().map_or(now + spread, |old| old.due.min(now + health.spec.interval));
                let against = old.map_or(0, |old| old.against);
                self.checks.push(Check {
                    backend: index as u32,
                    server: Arc::clone(server),
                    identity,
                    probe: None,
                    due,
                    against,
                });
            }
        }
        self.plan = plan;
    }

    fn begin(&mut self, number: usize, now: Millis) {
        let plan = Arc::clone(&self.plan);
        let check = &mut self.checks[number];
        let backend = &plan.backends[check.backend as usize];
        let Some(health) = &backend.health else { return };
        let server = &check.server;
        if server.state.admin() == Admin::Maintenance {
            check.due = now + health.spec.interval;
            return;
        }
        check.due = now + health.spec.timeout;
        let connector = plan.connector(check.backend);
        let examined = Examined { backend, connector, server, kind: &health.kind };
        match Probe::begin(examined, self.poll.registry(), Token(number)) {
            Ok(probe) => check.probe = Some(probe),
            // That we lack descriptors says nothing about the server.
            Err(Fault::Exhausted) => check.due = now + health.spec.interval,
            Err(fault) => self.finish(number, Err(fault.as_str().into())),
        }
    }

    /// Goes on with a check whose socket became ready; one that is over is left alone.
    fn proceed(&mut self, number: usize, readiness: &Readiness) {
        let Some(check) = self.checks.get_mut(number) else { return };
        let health = self.plan.backends[check.backend as usize].health.as_ref();
        let Some((probe, health)) = check.probe.as_mut().zip(health) else { return };
        if let Some(finding) = probe.proceed(readiness, &health.kind) {
            self.finish(number, finding);
        }
    }

    fn finish(&mut self, number: usize, finding: Finding) {
        let plan = Arc::clone(&self.plan);
        let now = clock::now();
        let check = &mut self.checks[number];
        if let Some(probe) = check.probe.take() {
            probe.give_up();
        }
        let backend = &plan.backends[check.backend as usize];
        let Some(health) = &backend.health else { return };
        check.due = now + self.random.around(health.spec.interval);
        let server = &check.server;
        if server.state.is_up() == finding.is_ok() {
            check.against = 0;
            return;
        }
        check.against += 1;
        let needed = if finding.is_ok() { health.spec.rise } else { health.spec.fall };
        if check.against < needed {
            return;
        }
        check.against = 0;
        server.state.set_up(finding.is_ok(), now);
        let (backend, server) = (backend.name.to_string(), server.name.to_string());
        self.notices.push(match finding {
            Ok(()) => Notice::ServerUp { backend, server },
            Err(reason) => Notice::ServerDown { backend, server, reason },
        });
    }
}
