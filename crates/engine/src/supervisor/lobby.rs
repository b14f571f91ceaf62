//! Lobby: clients that have connected, while analyzers are asked whether they may come in: nothing is read of
//! them, whatever their listener speaks.
//!
//! Must never decide: the Greeting does.

use std::rc::Rc;
use std::sync::Arc;

use headworks_core::close::{CloseReason, ConsultFault};
use headworks_core::consult::ConsultantIndex;
use headworks_core::message::Method;
use headworks_core::session::{Greeted, Greeting};
use headworks_core::spec::Hook;
use headworks_core::tally::Count;
use headworks_core::time::{Millis, NEVER};
use mio::event::Event as Readiness;

use super::Supervisor;
use crate::arrival::Arrival;
use crate::consult::{Answer, Asked, Matter, Outcome, Texts, Ticket};
use crate::record::Record;
use crate::roster::Roster;
use crate::row::ConnectionRow;
use crate::token::{Kind, Meaning};
use crate::tools::{Tools, wall};

/// One worker's clients that wait to be let in.
#[derive(Debug)]
pub(crate) struct Lobby {
    guests: Roster<Guest>,
    ready: Vec<Arrival>,
}

/// A client that waits.
#[derive(Debug)]
struct Guest {
    who: Arrival,
    greeting: Greeting,
    asked: Option<Asked>,
    /// The end of the wait for the present answer.
    until: Millis,
}

impl Lobby {
    /// Makes one without clients.
    pub(crate) fn new(now: Millis) -> Self {
        Self { guests: Roster::new(now), ready: Vec::new() }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.guests.len() == 0
    }

    /// Whether somebody is to be asked about clients of a listener.
    pub(crate) fn is_for(arrival: &Arrival) -> bool {
        let owner = arrival.owner();
        !owner.consultants.at(Hook::Accepted).is_empty()
            // Others are turned away where they belong.
            && owner.admits(arrival.address.map(|address| address.ip()))
    }

    /// Takes the steps of a client until somebody is asked, or it is let in or turned away.
    fn go_on(&mut self, tools: &mut Tools, place: usize, mut greeted: Greeted) {
        loop {
            match greeted {
                Greeted::Ask(analyzer) => match self.ask(tools, place, analyzer) {
                    Ok(()) => return,
                    Err(fault) => {
                        let Guest { who, greeting, .. } = &mut self.guests[place];
                        greeted = greeting.unadvised(fault, &who.plan, who.listener);
                    }
                },
                Greeted::Enter => {
                    let Guest { who, greeting, .. } = self.guests.remove(place);
                    self.ready.push(Arrival { greeting: Some(Box::new(greeting)), ..who });
                    return;
                }
                Greeted::Refuse(reason) => return self.refuse(tools, place, reason),
            }
        }
    }

    fn ask(
        &mut self,
        tools: &mut Tools,
        place: usize,
        analyzer: ConsultantIndex,
    ) -> Result<(), ConsultFault> {
        let generation = self.guests.generation(place);
        let Guest { who, asked, until, .. } = &mut self.guests[place];
        let mut texts = Texts::default();
        texts.listener = texts.keep(who.owner().name.as_bytes());
        let matter = Matter {
            hook: Hook::Accepted,
            connection: who.id,
            exchange: 0,
            client: who.address,
            local: who.local,
            secure: false,
            tls: None,
            early: false,
            status: 0,
            method: Method::default(),
            wall: wall(&who.plan),
            texts,
        };
        let ticket = Ticket { number: 0, worker: tools.shard, kind: Kind::Lobby, place, generation };
        let desk = who.plan.desk(analyzer).cloned().ok_or(ConsultFault::Stopping)?;
        *asked = Some(desk.ask(&mut tools.asking, ticket, matter)?);
        *until = tools.now.saturating_add(who.plan.consultants[usize::from(analyzer)].spec.deadline);
        let until = *until;
        self.guests.arm(place, until);
        Ok(())
    }

    /// Closes a client without a byte: it was counted and is recorded.
    fn refuse(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) {
        let Guest { mut who, greeting, asked, .. } = self.guests.remove(place);
        if let Some(asked) = asked {
            who.told = Some(Arc::clone(asked.desk()));
            asked.end(tools.shard, Outcome::Cancelled);
        }
        who.is_over();
        let owner = who.owner();
        if reason.is_failure() {
            owner.state.tally.add(tools.shard, Count::Denied, 1);
        }
        let record = Record {
            total: tools.now - who.accepted,
            findings: greeting.findings.as_deref(),
            ..Record::denied(owner, who.address, who.id, reason)
        };
        tools.record(owner, &record);
        tools.leaving.close(who.socket, tools.now);
    }

    fn expired(&mut self, tools: &mut Tools, place: usize) {
        let Guest { who, greeting, asked, .. } = &mut self.guests[place];
        if let Some(asked) = asked.take() {
            who.told = Some(Arc::clone(asked.desk()));
            asked.end(tools.shard, Outcome::Failed(ConsultFault::Late));
        }
        let greeted = greeting.unadvised(ConsultFault::Late, &who.plan, who.listener);
        self.go_on(tools, place, greeted);
    }
}

impl Supervisor for Lobby {
    fn take_over(&mut self, tools: &mut Tools, arrival: Arrival) {
        let mut greeting = Greeting::default();
        let greeted = greeting.begin(&arrival.plan, arrival.listener);
        let place = self.guests.insert(Guest { who: arrival, greeting, asked: None, until: NEVER });
        self.go_on(tools, place, greeted);
    }

    /// Nothing is watched: whether a client has gone is seen once it is let in.
    fn ready(&mut self, _tools: &mut Tools, _whose: Meaning, _readiness: &Readiness) {}

    fn resume(&mut self, _tools: &mut Tools) {}

    fn expire(&mut self, tools: &mut Tools) {
        let list = self.guests.due(tools.now);
        for &place in &list {
            match self.guests.get_mut(place).map(|guest| guest.until) {
                Some(until) if until <= tools.now => self.expired(tools, place),
                Some(until) => self.guests.arm(place, until),
                None => {}
            }
        }
        self.guests.give_back(list);
    }

    fn next_deadline(&self, now: Millis) -> Millis {
        self.guests.next(now)
    }

    fn cut(&mut self, tools: &mut Tools) {
        self.ready.clear();
        for place in self.guests.places() {
            self.refuse(tools, place, CloseReason::Drained);
        }
    }

    fn close(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) {
        if self.guests.get(place).is_some() {
            self.refuse(tools, place, reason);
        }
    }

    fn id(&self, place: usize) -> Option<u64> {
        self.guests.get(place).map(|guest| guest.who.id)
    }

    fn row(&self, tools: &Tools, place: usize) -> Option<ConnectionRow> {
        self.guests.get(place).map(|guest| guest.who.row("consulting", tools))
    }

    fn end(&self) -> usize {
        self.guests.end()
    }

    fn len(&self) -> usize {
        self.guests.len() + self.ready.len()
    }

    fn next_arrival(&mut self) -> Option<Arrival> {
        self.ready.pop()
    }

    fn advise(&mut self, tools: &mut Tools, answer: &Answer) {
        let Ticket { number, place, generation, .. } = answer.ticket;
        let Some(guest) = self.guests.find(place, generation) else { return };
        let Some(asked) = guest.asked.take_if(|asked| asked.is(number)) else { return };
        guest.who.told = Some(Arc::clone(asked.desk()));
        asked.end(tools.shard, Outcome::of(&answer.advice));
        let (plan, listener) = (Rc::clone(&guest.who.plan), guest.who.listener);
        let greeted = guest.greeting.advised(&answer.advice, &plan, listener, tools.now);
        self.go_on(tools, place, greeted);
    }
}
