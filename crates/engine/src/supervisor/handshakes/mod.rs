//! Handshakes: one worker's clients whose TLS handshake is not complete. Only when it is does the accept of
//! their protocol run.
//!
//! ```text
//!   Header -> Hello -> Shaking -> to http (https) or connections (tcp), with a TLS side
//!               |  \-> to connections, untouched, if the name is to be passed through
//!               \----> Lingering -> gone
//! ```
//!
//! The ClientHello is held and read once, by our own parser; whoever gets the client gets the same bytes.
//! `hello.rs` reads what comes before the handshake. Must never choose a server or look at plaintext.

mod hello;

use std::rc::Rc;
use std::sync::Arc;

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::listener::HeaderRule;
use headworks_core::session::Entrance;
use headworks_core::tally::Count;
use headworks_core::time::Millis;
use headworks_core::tls::HandshakeFault;
use mio::event::Event as Readiness;

use super::Supervisor;
use crate::arrival::Arrival;
use crate::io::DISCARDS;
use crate::outcome::Read;
use crate::record::{Record, TlsKeys};
use crate::roster::Roster;
use crate::row::ConnectionRow;
use crate::tls::{Acceptor, Failure, fault_of};
use crate::token::{self, Kind, Meaning};
use crate::tools::Tools;

/// One worker's clients in their handshakes.
#[derive(Debug)]
pub(crate) struct Handshakes {
    clients: Roster<Newcomer>,
    /// Newcomers that are ready to go where they belong.
    ready: Vec<Arrival>,
}

/// A client in its handshake.
#[derive(Debug)]
pub(crate) struct Newcomer {
    stage: Stage,
    /// The arrival, as far as it is known, and what it brings.
    who: Arrival,
    rule: HeaderRule,
    /// Index of the certificate that it was shown.
    presented: Option<u32>,
    since: Millis,
}

/// The stage of a newcomer: which event it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The complete PROXY header.
    Header,
    /// The complete ClientHello.
    Hello,
    /// The rest of the handshake.
    Shaking,
    /// The newcomer's end, after it was told why it is refused.
    Lingering,
}

/// The progress of a newcomer at its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The newcomer waits for an event or its deadline.
    Wait,
    /// There is more to do now.
    Again,
    /// The newcomer goes where it belongs.
    Done,
    /// The newcomer failed and was told what there is to tell.
    Failed(HandshakeFault),
    /// The newcomer is over, and was counted and recorded before.
    Over,
}

impl Handshakes {
    /// Makes one without clients.
    pub(crate) fn new(now: Millis) -> Self {
        Self { clients: Roster::new(now), ready: Vec::new() }
    }

    fn expired(&mut self, tools: &mut Tools, place: usize) {
        match self.clients[place].stage {
            Stage::Lingering => drop(self.remove(place)),
            Stage::Shaking => {
                self.account(tools, place, HandshakeFault::TimedOut);
                drop(self.remove(place));
            }
            Stage::Header | Stage::Hello => {
                self.account(tools, place, HandshakeFault::TimedOut);
                self.refuse(tools, place, CloseReason::FirstBytesTimeout);
                self.drive(tools, place);
            }
        }
    }

    /// Takes a client as far as it goes without waiting.
    fn drive(&mut self, tools: &mut Tools, place: usize) {
        loop {
            let progress = match self.clients[place].stage {
                Stage::Header => self.read_header(tools, place),
                Stage::Hello => self.read_hello(tools, place),
                Stage::Shaking => self.shake(tools, place),
                Stage::Lingering => self.linger(tools, place),
            };
            match progress {
                Progress::Again => {}
                Progress::Wait => return self.rest(tools, place),
                Progress::Done => {
                    let arrival = self.remove(place);
                    return self.ready.push(arrival);
                }
                Progress::Failed(fault) => {
                    self.account(tools, place, fault);
                    return drop(self.remove(place));
                }
                Progress::Over => return drop(self.remove(place)),
            }
        }
    }

    /// Takes the handshake as far as it goes without waiting.
    fn shake(&mut self, tools: &mut Tools, place: usize) -> Progress {
        let newcomer = &mut self.clients[place];
        newcomer.who.socket.shake();
        // Asked at once: the next client may be answered with another one.
        newcomer.presented = Acceptor::presented().or(newcomer.presented);
        let plan = Rc::clone(&newcomer.who.plan);
        let client = &mut newcomer.who;
        let (Some(acceptor), Some(tls)) = (plan.acceptor(client.listener), client.socket.tls_mut()) else {
            return Progress::Failed(HandshakeFault::Other);
        };
        match tls.failure() {
            Some(Failure::Wire) => return Progress::Failed(HandshakeFault::Left),
            Some(Failure::Tls(error)) => {
                let fault = fault_of(error);
                self.account(tools, place, fault);
                return self.dismiss(tools, place);
            }
            None if tls.is_shaking() && !tls.is_early() => return Progress::Wait,
            None => {}
        }
        if let Err(error) = acceptor.readmits(tls.state()) {
            self.account(tools, place, fault_of(&error));
            return self.dismiss(tools, place);
        }
        let mut facts = acceptor.facts(tls.state(), client.name.as_deref());
        facts.handshake_ms = tools.now - client.accepted;
        let owner = &plan.listeners[client.listener as usize];
        let certificates = owner.tls.as_ref().map_or(&[][..], |tls| &tls.certificates);
        let shown = newcomer.presented.and_then(|index| certificates.get(index as usize));
        facts.certificate = shown.map(|shown| Arc::clone(&shown.names));
        owner.state.tls.completed(tools.shard, facts.resumed, facts.handshake_ms);
        tls.facts = Some(Box::new(facts));
        Progress::Done
    }

    /// Ends our sending after the alert of the machine, and gives it the time to arrive.
    fn dismiss(&mut self, tools: &mut Tools, place: usize) -> Progress {
        self.clients[place].who.socket.end_sending();
        self.go_to(tools, place, Stage::Lingering);
        Progress::Again
    }

    /// Reads and forgets what a refused client still sends, so that closing does not destroy what it was
    /// told.
    fn linger(&mut self, tools: &mut Tools, place: usize) -> Progress {
        let socket = &mut self.clients[place].who.socket;
        for _ in 0..DISCARDS {
            if socket.owes() {
                let _ = socket.write(&[], false);
            }
            match socket.discard(&mut tools.scratch) {
                Read::Bytes(_) => {}
                Read::Nothing => return Progress::Wait,
                Read::End | Read::Broken => return Progress::Over,
            }
        }
        // It was refused and goes on sending: there is nothing more to say.
        Progress::Over
    }

    /// Arranges to be woken for the next event and by the next deadline: there is nothing more to do now.
    fn rest(&mut self, tools: &mut Tools, place: usize) {
        let generation = self.clients.generation(place);
        let newcomer = &mut self.clients[place];
        let token = token::make(Kind::Handshake, generation, place, Side::Client);
        let lingers = newcomer.stage == Stage::Lingering;
        if newcomer.who.socket.watch_reads(&tools.registry, token).is_err() {
            if !lingers {
                self.account(tools, place, HandshakeFault::Other);
            }
            return drop(self.remove(place));
        }
        let at = self.clients[place].deadline();
        self.clients.arm(place, at);
    }

    fn go_to(&mut self, tools: &mut Tools, place: usize, stage: Stage) {
        let newcomer = &mut self.clients[place];
        newcomer.stage = stage;
        newcomer.since = tools.now;
    }

    /// Counts a handshake that failed, and records it as a connection that is over.
    fn account(&mut self, tools: &mut Tools, place: usize, fault: HandshakeFault) {
        let client = &self.clients[place].who;
        let owner = client.owner();
        owner.state.tls.failed(fault);
        owner.state.tally.add(tools.shard, Count::Failed, 1);
        let record = Record {
            original: client.original(),
            sni: client.name.as_deref(),
            total: tools.now - client.accepted,
            tls: TlsKeys { facts: None, error: Some(fault) },
            first_bytes: client.held.pending(),
            ..Record::denied(owner, client.address, client.id, fault.reason())
        };
        tools.record(owner, &record);
    }

    fn remove(&mut self, place: usize) -> Arrival {
        let mut client = self.clients.remove(place).who;
        client.socket.hand_on();
        client
    }
}

impl Supervisor for Handshakes {
    fn take_over(&mut self, tools: &mut Tools, arrival: Arrival) {
        let rule = arrival.owner().header_rule(arrival.address);
        let stage = if rule == HeaderRule::Unknown { Stage::Hello } else { Stage::Header };
        let who = Arrival { entrance: Entrance::Secured, ..arrival };
        let place = self.clients.insert(Newcomer { stage, who, rule, presented: None, since: tools.now });
        self.drive(tools, place);
    }

    fn ready(&mut self, tools: &mut Tools, whose: Meaning, readiness: &Readiness) {
        if let Some(newcomer) = self.clients.find(whose.place, whose.generation) {
            newcomer.who.socket.became(readiness);
            self.drive(tools, whose.place);
        }
    }

    fn resume(&mut self, tools: &mut Tools) {
        let list = self.clients.turns();
        for &place in &list {
            self.drive(tools, place);
        }
        self.clients.give_back(list);
    }

    fn expire(&mut self, tools: &mut Tools) {
        let list = self.clients.due(tools.now);
        for &place in &list {
            match self.clients.get_mut(place).map(|newcomer| newcomer.deadline()) {
                Some(at) if at <= tools.now => self.expired(tools, place),
                Some(_) => self.rest(tools, place),
                None => {}
            }
        }
        self.clients.give_back(list);
    }

    fn next_deadline(&self, now: Millis) -> Millis {
        self.clients.next(now)
    }

    fn cut(&mut self, tools: &mut Tools) {
        self.ready.clear();
        for place in self.clients.places() {
            self.close(tools, place, CloseReason::Drained);
        }
    }

    fn close(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) {
        if self.clients.get(place).is_none() {
            return;
        }
        let Newcomer { stage, who, .. } = self.clients.remove(place);
        // One that lingers was counted and recorded when it was refused.
        if stage != Stage::Lingering {
            let owner = who.owner();
            let record = Record {
                sni: who.name.as_deref(),
                total: tools.now - who.accepted,
                ..Record::denied(owner, who.address, who.id, reason)
            };
            tools.record(owner, &record);
        }
    }

    fn id(&self, place: usize) -> Option<u64> {
        self.clients.get(place).map(|newcomer| newcomer.who.id)
    }

    fn row(&self, tools: &Tools, place: usize) -> Option<ConnectionRow> {
        self.clients.get(place).map(|newcomer| newcomer.who.row("handshake", tools))
    }

    fn end(&self) -> usize {
        self.clients.end()
    }

    fn len(&self) -> usize {
        self.clients.len() + self.ready.len()
    }

    fn next_arrival(&mut self) -> Option<Arrival> {
        self.ready.pop()
    }
}

impl Newcomer {
    /// Returns when its present wait is over.
    fn deadline(&self) -> Millis {
        let owner = self.who.owner();
        match self.stage {
            Stage::Lingering => self.since.saturating_add(owner.spec.timeouts.linger),
            _ => {
                let limit = owner
                    .tls
                    .as_ref()
                    .map_or(owner.spec.timeouts.first_bytes, |tls| tls.spec.handshake_timeout);
                self.who.accepted.saturating_add(limit)
            }
        }
    }
}
