//! Handshakes: one worker's clients whose TLS handshake is not complete. Only when it is does the accept of their protocol run.
//!
//! ```text
//!   Header -> Hello -> Shaking -> to Exchanges (https) or the Supervisor (tcp), with a TLS side
//!               |  \-> to the Supervisor, untouched, if the name is to be passed through
//!               \----> Lingering -> gone
//! ```
//!
//! The ClientHello is held and read once, by our own parser; whoever gets the client gets the same bytes. `hello.rs` reads
//! what comes before the handshake. Must never choose a server or look at plaintext.

mod hello;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use headworks_core::buffer::Buffer;
use headworks_core::close::CloseReason;
use headworks_core::listener::{HeaderRule, Listener, Permit};
use headworks_core::session::Entrance;
use headworks_core::tally::Count;
use headworks_core::time::Millis;
use headworks_core::tls::HandshakeFault;
use mio::Registry;
use mio::event::Event as Readiness;
use slab::Slab;

use crate::access_log::Recorder;
use crate::admission;
use crate::connection::{LocalPlan, token};
use crate::relay::SCRATCH;
use crate::socket::{Read, Socket};
use crate::stats::ConnectionRow;
use crate::timer::Timer;
use crate::tls::{Acceptor, Failure, fault_of};

/// One worker's clients in their handshakes.
#[derive(Debug)]
pub(crate) struct Handshakes {
    clients: Slab<Newcomer>,
    registry: Registry,
    timer: Timer,
    recorder: Recorder,
    scratch: Box<[u8]>,
    /// Those that are ready to go where they belong.
    ready: Vec<Arrival>,
    /// Reused by `expire`.
    due: Vec<usize>,
    generation: u32,
    /// Number of the worker.
    shard: usize,
    /// The clock, as read at the beginning of this turn.
    now: Millis,
}

/// A client in its handshake.
#[derive(Debug)]
pub(crate) struct Newcomer {
    generation: u32,
    phase: Phase,
    /// Who it is, as far as that is known, and what it brings.
    client: Arrival,
    rule: HeaderRule,
    /// Index of the certificate that it was shown.
    presented: Option<u32>,
    since: Millis,
    /// When its timer fires; 0: it has none.
    armed: Millis,
}

/// A client on its way to where it belongs.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// How it comes there.
    pub(crate) entrance: Entrance,
    /// The Plan it was accepted under.
    pub(crate) plan: LocalPlan,
    /// Its listener in the Plan.
    pub(crate) listener: u32,
    /// Its place at the listener.
    pub(crate) permit: Permit,
    /// Its socket, with a TLS side if TLS ends here.
    pub(crate) socket: Socket,
    /// Its address: as accepted, or from a PROXY header. None for a unix client.
    pub(crate) address: Option<SocketAddr>,
    /// Where it connected to, from a PROXY header.
    pub(crate) local: Option<SocketAddr>,
    /// The name it asked for.
    pub(crate) name: Option<Box<str>>,
    /// What it said and nobody has taken: the ClientHello of one that is passed through.
    pub(crate) held: Buffer,
    /// When it was accepted.
    pub(crate) accepted: Millis,
}

impl Arrival {
    /// Its listener.
    pub(crate) fn owner(&self) -> &Listener {
        &self.plan.listeners[self.listener as usize]
    }
}

/// What a newcomer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its PROXY header, complete.
    Header,
    /// Its ClientHello, complete.
    Hello,
    /// The rest of the handshake.
    Shaking,
    /// Its end, after it was told why it is refused.
    Lingering,
}

/// What a step of a newcomer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It waits for an event or its deadline.
    Wait,
    /// There is more to do now.
    Again,
    /// It goes where it belongs.
    Done,
    /// It failed and was told what there is to tell.
    Failed(HandshakeFault),
    /// It is over, and was counted and recorded before.
    Over,
}

/// How long a refused client may take to read why and close, milliseconds.
const LINGER: Millis = 2_000;
/// Reads of a refused client in one go.
const DISCARDS: usize = 16;

impl Handshakes {
    /// Without clients, for worker number `shard`.
    pub(crate) fn new(registry: Registry, recorder: Recorder, shard: usize, now: Millis) -> Self {
        Self {
            clients: Slab::new(),
            registry,
            timer: Timer::new(now),
            recorder,
            scratch: vec![0; SCRATCH].into(),
            ready: Vec::new(),
            due: Vec::new(),
            generation: 0,
            shard,
            now,
        }
    }

    /// How many clients there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.ready.len()
    }

    /// A new turn begins.
    pub(crate) fn tick(&mut self, now: Millis) {
        self.now = now;
    }

    /// When it wants to be called although nothing happened: None for never.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.timer.next()
    }

    /// Takes a client that was accepted by listener number `listener` of `plan`.
    pub(crate) fn accept(
        &mut self,
        plan: &LocalPlan,
        listener: u32,
        fd: OwnedFd,
        address: Option<SocketAddr>,
    ) {
        let owner = &plan.listeners[listener as usize];
        let permit = admission::enter(owner, address, self.shard, &mut self.recorder);
        let Some(permit) = permit else { return };
        let rule = owner.header_rule(address);
        self.generation = self.generation.wrapping_add(1) & token::GENERATIONS;
        let client = Arrival {
            entrance: Entrance::Secured,
            plan: Rc::clone(plan),
            listener,
            permit,
            socket: Socket::accepted(fd),
            address,
            local: None,
            name: None,
            held: Buffer::default(),
            accepted: self.now,
        };
        let phase = if rule == HeaderRule::Unknown { Phase::Hello } else { Phase::Header };
        let newcomer = Newcomer {
            generation: self.generation,
            phase,
            client,
            rule,
            presented: None,
            since: self.now,
            armed: 0,
        };
        let place = self.clients.insert(newcomer);
        self.drive(place);
    }

    /// A socket became ready; stale tokens are ignored.
    pub(crate) fn ready(&mut self, generation: u32, place: usize, readiness: &Readiness) {
        match self.clients.get_mut(place) {
            Some(newcomer) if newcomer.generation == generation => newcomer.client.socket.became(readiness),
            _ => return,
        }
        self.drive(place);
    }

    /// Tells those whose deadline has passed.
    pub(crate) fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.timer.turn(self.now, &mut due);
        for place in due.drain(..) {
            let Some(newcomer) = self.clients.get_mut(place) else { continue };
            newcomer.armed = 0;
            match newcomer.deadline() <= self.now {
                true => self.expired(place),
                false => self.settle(place),
            }
        }
        self.due = due;
    }

    fn expired(&mut self, place: usize) {
        match self.clients[place].phase {
            Phase::Lingering => drop(self.remove(place)),
            Phase::Shaking => {
                self.account(place, HandshakeFault::TimedOut);
                drop(self.remove(place));
            }
            Phase::Header | Phase::Hello => {
                self.account(place, HandshakeFault::TimedOut);
                self.refuse(place, CloseReason::FirstBytesTimeout);
                self.drive(place);
            }
        }
    }

    /// The next client that is ready to go where it belongs.
    pub(crate) fn next_arrival(&mut self) -> Option<Arrival> {
        self.ready.pop()
    }

    /// Closes every connection now.
    pub(crate) fn cut(&mut self) {
        self.ready.clear();
        for newcomer in self.clients.drain() {
            if newcomer.phase == Phase::Lingering {
                // It was counted and recorded when it was refused.
                continue;
            }
            let owner = newcomer.client.owner();
            owner.state.tally.add(self.shard, Count::Ended, 1);
            self.recorder.denied(owner, newcomer.client.address, CloseReason::Drained);
        }
    }

    /// Hands the lines of this turn to the log.
    pub(crate) fn flush_records(&mut self) {
        self.recorder.flush();
    }

    /// At most `limit` clients as they are now.
    pub(crate) fn rows(&self, limit: usize) -> Vec<ConnectionRow> {
        let rows = self.clients.iter().take(limit);
        rows.map(|(_, newcomer)| ConnectionRow::of_newcomer(&newcomer.client, self.shard, self.now)).collect()
    }

    /// Takes a client as far as it goes without waiting.
    fn drive(&mut self, place: usize) {
        loop {
            let step = match self.clients[place].phase {
                Phase::Header => self.read_header(place),
                Phase::Hello => self.read_hello(place),
                Phase::Shaking => self.shake(place),
                Phase::Lingering => self.linger(place),
            };
            match step {
                Step::Again => {}
                Step::Wait => return self.settle(place),
                Step::Done => {
                    let arrival = self.remove(place);
                    return self.ready.push(arrival);
                }
                Step::Failed(fault) => {
                    self.account(place, fault);
                    return drop(self.remove(place));
                }
                Step::Over => return drop(self.remove(place)),
            }
        }
    }

    /// The handshake went as far as it goes.
    fn shake(&mut self, place: usize) -> Step {
        let newcomer = &mut self.clients[place];
        newcomer.client.socket.shake();
        // Asked at once: the next client may be answered with another one.
        newcomer.presented = Acceptor::presented().or(newcomer.presented);
        let plan = Rc::clone(&newcomer.client.plan);
        let client = &mut newcomer.client;
        let (Some(acceptor), Some(tls)) = (plan.acceptor(client.listener), client.socket.tls_mut()) else {
            return Step::Failed(HandshakeFault::Other);
        };
        match tls.failure() {
            Some(Failure::Wire) => return Step::Failed(HandshakeFault::Left),
            Some(Failure::Tls(error)) => {
                let fault = fault_of(error);
                self.account(place, fault);
                return self.part(place);
            }
            None if tls.is_shaking() && !tls.is_early() => return Step::Wait,
            None => {}
        }
        if let Err(error) = acceptor.readmits(tls.state()) {
            self.account(place, fault_of(&error));
            return self.part(place);
        }
        let mut facts = acceptor.facts(tls.state(), client.name.as_deref());
        facts.handshake_ms = self.now - client.accepted;
        let owner = &plan.listeners[client.listener as usize];
        let certificates = owner.tls.as_ref().map_or(&[][..], |tls| &tls.certificates);
        let shown = newcomer.presented.and_then(|index| certificates.get(index as usize));
        facts.certificate = shown.map(|shown| Arc::clone(&shown.names));
        owner.state.tls.completed(self.shard, facts.resumed, facts.handshake_ms);
        tls.facts = Some(Box::new(facts));
        Step::Done
    }

    /// The machine has said its alert: it is given the time to arrive.
    fn part(&mut self, place: usize) -> Step {
        self.clients[place].client.socket.finish();
        self.enter(place, Phase::Lingering);
        Step::Again
    }

    /// Reads and forgets what a refused client still sends, so that closing does not destroy what it was told.
    fn linger(&mut self, place: usize) -> Step {
        let socket = &mut self.clients[place].client.socket;
        for _ in 0..DISCARDS {
            if socket.owes() {
                let _ = socket.write(&[], false);
            }
            match socket.discard(&mut self.scratch) {
                Read::Bytes(_) => {}
                Read::Nothing => return Step::Wait,
                Read::End | Read::Broken => return Step::Over,
            }
        }
        // It was refused and goes on sending: there is nothing more to say.
        Step::Over
    }

    /// Nothing more to do now: be woken for the next event and by the next deadline.
    fn settle(&mut self, place: usize) {
        let newcomer = &mut self.clients[place];
        let token = token::handshake(newcomer.generation, place);
        let lingers = newcomer.phase == Phase::Lingering;
        if newcomer.client.socket.watch_reads(&self.registry, token).is_err() {
            if !lingers {
                self.account(place, HandshakeFault::Other);
            }
            return drop(self.remove(place));
        }
        let newcomer = &mut self.clients[place];
        let at = newcomer.deadline();
        if newcomer.armed == 0 || at < newcomer.armed {
            newcomer.armed = at;
            self.timer.arm(place, at);
        }
    }

    fn enter(&mut self, place: usize, phase: Phase) {
        let newcomer = &mut self.clients[place];
        newcomer.phase = phase;
        newcomer.since = self.now;
    }

    /// A handshake failed: it is counted, and recorded as a connection that is over.
    fn account(&mut self, place: usize, fault: HandshakeFault) {
        let client = &self.clients[place].client;
        let owner = client.owner();
        owner.state.tls.failed(fault);
        owner.state.tally.add(self.shard, Count::Failed, 1);
        owner.state.tally.add(self.shard, Count::Ended, 1);
        self.recorder.failed(client, fault, self.now);
    }

    fn remove(&mut self, place: usize) -> Arrival {
        self.timer.disarm(place);
        let mut client = self.clients.remove(place).client;
        client.socket.hand_on();
        client
    }
}

impl Newcomer {
    /// When its present wait is over.
    fn deadline(&self) -> Millis {
        let owner = self.client.owner();
        match self.phase {
            Phase::Lingering => self.since.saturating_add(LINGER),
            _ => {
                let limit =
                    owner.tls.as_ref().map_or(owner.timeouts.first_bytes, |tls| tls.handshake_timeout);
                self.client.accepted.saturating_add(limit)
            }
        }
    }
}

/// Why a handshake that took so long, or so failed, ends its connection.
pub(crate) fn reason_of(fault: HandshakeFault) -> CloseReason {
    match fault {
        HandshakeFault::TimedOut => CloseReason::HandshakeTimeout,
        HandshakeFault::PlainHttp => CloseReason::PlainHttp,
        _ => CloseReason::HandshakeFailed,
    }
}
