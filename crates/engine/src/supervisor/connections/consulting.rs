//! Consulting: connections that are held while an analyzer is asked about them.
//!
//! Nothing more is read meanwhile. Must never judge an answer: the Session does.

use headworks_core::action::{Action, Event, Side};
use headworks_core::close::ConsultFault;
use headworks_core::consult::ConsultantIndex;
use headworks_core::message::Method;
use headworks_core::spec::Hook;

use super::Connections;
use crate::consult::{Answer, Asked, Matter, Outcome, Texts, Ticket};
use crate::token::Kind;
use crate::tools::{Tools, wall};

impl Connections {
    /// Asks an analyzer about what is held.
    pub(super) fn consult(
        &mut self,
        tools: &mut Tools,
        place: usize,
        analyzer: ConsultantIndex,
        hook: Hook,
    ) -> Action {
        match self.ask(tools, place, analyzer, hook) {
            Ok(asked) => {
                self.connections[place].asked = Some(asked);
                Action::Wait
            }
            Err(fault) => self.feed(tools, place, Event::Unadvised(fault)),
        }
    }

    fn ask(
        &mut self,
        tools: &mut Tools,
        place: usize,
        analyzer: ConsultantIndex,
        hook: Hook,
    ) -> Result<Asked, ConsultFault> {
        let generation = self.connections.generation(place);
        let ticket = Ticket { number: 0, worker: tools.shard, kind: Kind::Connection, place, generation };
        let who = &self.connections[place].who;
        let desk = who.plan.desk(analyzer).cloned().ok_or(ConsultFault::Stopping)?;
        desk.ask(&mut tools.asking, ticket, self.matter(place, hook))
    }

    /// Returns what an analyzer may know of a connection.
    fn matter(&self, place: usize, hook: Hook) -> Matter {
        let connection = &self.connections[place];
        let (who, facts) = (&connection.who, connection.session.facts());
        let mut texts = Texts::default();
        let consumed = connection.session.flow(Side::Client).consumed as usize;
        let held = connection.lanes[Side::Client as usize].buffer.pending();
        texts.chunk = texts.keep(held.get(consumed..).unwrap_or_default());
        texts.listener = texts.keep(who.owner().name.as_bytes());
        texts.name = texts.keep(facts.name.as_deref().unwrap_or_default().as_bytes());
        let tls = who.socket.tls_facts();
        Matter {
            hook,
            connection: who.id,
            exchange: 0,
            client: facts.client,
            local: facts.local,
            secure: tls.is_some(),
            tls: tls.map(|tls| Box::new(tls.clone())),
            early: false,
            status: 0,
            method: Method::default(),
            wall: wall(&who.plan),
            texts,
        }
    }

    /// Takes an answer, unless its connection waits for another one or for none.
    pub(super) fn take_answer(&mut self, tools: &mut Tools, answer: &Answer) {
        let Ticket { number, place, generation, .. } = answer.ticket;
        let Some(connection) = self.connections.find(place, generation) else { return };
        let Some(asked) = connection.asked.take_if(|asked| asked.is(number)) else { return };
        connection.who.told = Some(asked.desk().clone());
        asked.end(tools.shard, Outcome::of(&answer.advice));
        let action = self.feed(tools, place, Event::Advised(&answer.advice));
        self.perform(tools, place, action);
    }

    /// Waits no longer for an answer.
    pub(super) fn give_up_answer(&mut self, tools: &Tools, place: usize, outcome: Outcome) {
        let connection = &mut self.connections[place];
        if let Some(asked) = connection.asked.take() {
            connection.who.told = Some(asked.desk().clone());
            asked.end(tools.shard, outcome);
        }
    }
}
