//! Supervisors: who keeps one worker's connections. Each kind of them has one, and all of them are driven
//! alike.
//!
//! | room | keeps |
//! |---|---|
//! | `lobby` | clients about which analyzers are asked before anything is read |
//! | `handshakes` | clients whose TLS handshake is not complete |
//! | `connections` | clients that are passed through to a server: a Session decides |
//! | `http` | clients that make requests: Exchanges decide |
//!
//! A further kind is one more room and one more member of [`Supervisors`]. Must never decide.

pub(crate) mod connections;
pub(crate) mod handshakes;
pub(crate) mod http;
pub(crate) mod lobby;

use std::collections::HashSet;

use headworks_core::close::CloseReason;
use headworks_core::names::{Resolution, Unresolved};
use headworks_core::time::Millis;
use mio::event::Event as Readiness;

use self::connections::Connections;
use self::handshakes::Handshakes;
use self::http::HttpSupervisor;
use self::lobby::Lobby;
use crate::arrival::Arrival;
use crate::consult::Answer;
use crate::deployment::LocalPlan;
use crate::listing::{ConnectionFilter, Cursor, SLICE, Slice};
use crate::names::Waiter;
use crate::row::ConnectionRow;
use crate::token::{Kind, Meaning};
use crate::tools::Tools;

/// One kind of connections of one worker.
pub(crate) trait Supervisor {
    /// Takes a client over.
    fn take_over(&mut self, tools: &mut Tools, arrival: Arrival);

    /// Takes note that a socket became ready; stale tokens are ignored.
    fn ready(&mut self, tools: &mut Tools, whose: Meaning, readiness: &Readiness);

    /// Gives those a turn that had more to do.
    fn resume(&mut self, tools: &mut Tools);

    /// Tells those whose deadline has passed.
    fn expire(&mut self, tools: &mut Tools);

    /// Returns when it wants to be called although nothing happened, or NEVER.
    fn next_deadline(&self, now: Millis) -> Millis;

    /// Takes a new Plan for what begins from now on.
    fn apply(&mut self, _plan: &LocalPlan) {}

    /// Begins the end: whoever waits for nothing is let go.
    fn drain(&mut self, _tools: &mut Tools) {}

    /// Closes every connection now.
    fn cut(&mut self, tools: &mut Tools);

    /// Closes the connection at a place now, if there is one.
    fn close(&mut self, tools: &mut Tools, place: usize, reason: CloseReason);

    /// Returns the number of the connection at a place, if there is one that is not over.
    fn id(&self, place: usize) -> Option<u64>;

    /// Returns the connection at a place as it is now, if there is one.
    fn row(&self, tools: &Tools, place: usize) -> Option<ConnectionRow>;

    /// Returns a place behind every connection.
    fn end(&self) -> usize;

    /// Returns how many connections there are.
    fn len(&self) -> usize;

    /// Returns the next client that belongs to another supervisor from now on.
    fn next_arrival(&mut self) -> Option<Arrival> {
        None
    }

    /// Takes an answer to a question that was asked here; stale ones are ignored.
    fn advise(&mut self, _tools: &mut Tools, _answer: &Answer) {}

    /// Takes what a name was resolved to that one of its records waits for; stale ones are ignored.
    fn resolved(&mut self, _tools: &mut Tools, _waiter: Waiter, _found: Result<&Resolution, Unresolved>) {}

    /// Closes what can be spared, since no descriptor is left; returns whether there was anything.
    fn make_room(&mut self) -> bool {
        false
    }
}

/// One worker's supervisors.
#[derive(Debug)]
pub(crate) struct Supervisors {
    connections: Connections,
    handshakes: Handshakes,
    http: HttpSupervisor,
    lobby: Lobby,
}

impl Supervisors {
    /// Makes supervisors without connections.
    pub(crate) fn new(plan: &LocalPlan, now: Millis) -> Self {
        Self {
            connections: Connections::new(now),
            handshakes: Handshakes::new(now),
            http: HttpSupervisor::new(plan, now),
            lobby: Lobby::new(now),
        }
    }

    /// Returns all of them.
    pub(crate) fn all(&mut self) -> [&mut dyn Supervisor; 4] {
        [&mut self.connections, &mut self.http, &mut self.handshakes, &mut self.lobby]
    }

    /// Returns all of them, to be asked only.
    fn each(&self) -> [&dyn Supervisor; 4] {
        [&self.connections, &self.http, &self.handshakes, &self.lobby]
    }

    /// Returns how many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.each().iter().map(|one| one.len()).sum()
    }

    /// Returns when one of them wants to be called although nothing happened, or NEVER.
    pub(crate) fn next_deadline(&self, now: Millis) -> Millis {
        let mut next = self.connections.next_deadline(now).min(self.http.next_deadline(now));
        next = next.min(self.handshakes.next_deadline(now));
        if self.lobby.is_empty() { next } else { next.min(self.lobby.next_deadline(now)) }
    }

    /// Returns the connections that are wanted of a slice that begins at `from`, at most `most`.
    pub(crate) fn slice(&self, tools: &Tools, from: Cursor, wanted: (&ConnectionFilter, usize)) -> Slice {
        let (filter, most) = wanted;
        let (mut rows, mut seen) = (Vec::new(), 0);
        let mut next = from;
        for (number, one) in self.each().iter().enumerate().skip(from.supervisor) {
            if number > next.supervisor {
                (next.supervisor, next.place) = (number, 0);
            }
            while next.place < one.end() {
                if rows.len() >= most || seen >= SLICE {
                    return Slice { rows, next: Some(next) };
                }
                rows.extend(one.row(tools, next.place).filter(|row| filter.wants(row)));
                next.place += 1;
                seen += 1;
            }
        }
        Slice { rows, next: None }
    }

    /// Closes those of these connections that are here; returns how many.
    pub(crate) fn close(&mut self, tools: &mut Tools, ids: &HashSet<u64>) -> usize {
        let mut closed = 0;
        for one in self.all() {
            for place in 0..one.end() {
                if one.id(place).is_some_and(|id| ids.contains(&id)) {
                    one.close(tools, place, CloseReason::ClosedByOperator);
                    closed += 1;
                }
            }
        }
        closed
    }

    /// Tells whoever has this socket that it became ready.
    #[inline]
    pub(crate) fn ready(&mut self, tools: &mut Tools, whose: Meaning, readiness: &Readiness) {
        match whose.kind {
            Kind::Connection => self.connections.ready(tools, whose, readiness),
            Kind::Http => self.http.ready(tools, whose, readiness),
            Kind::Handshake => {
                self.handshakes.ready(tools, whose, readiness);
                self.pass_on(tools);
            }
            Kind::Mail | Kind::Listener | Kind::Lobby => {}
        }
    }

    /// Gives an answer to whoever asked.
    pub(crate) fn advise(&mut self, tools: &mut Tools, answer: &Answer) {
        match answer.ticket.kind {
            Kind::Connection => self.connections.advise(tools, answer),
            Kind::Http => self.http.advise(tools, answer),
            Kind::Lobby => {
                self.lobby.advise(tools, answer);
                self.let_in(tools);
            }
            Kind::Handshake | Kind::Mail | Kind::Listener => {}
        }
    }

    /// Gives what a name was resolved to, to whoever waits for it.
    pub(crate) fn resolved(
        &mut self,
        tools: &mut Tools,
        waiter: Waiter,
        found: Result<&Resolution, Unresolved>,
    ) {
        match waiter.kind {
            Kind::Connection => self.connections.resolved(tools, waiter, found),
            Kind::Http => self.http.resolved(tools, waiter, found),
            Kind::Lobby | Kind::Handshake | Kind::Mail | Kind::Listener => {}
        }
    }

    /// Passes those on that were let in.
    pub(crate) fn let_in(&mut self, tools: &mut Tools) {
        while let Some(arrival) = self.lobby.next_arrival() {
            self.enter(tools, arrival);
        }
    }

    /// Takes a client that was just accepted.
    pub(crate) fn take(&mut self, tools: &mut Tools, arrival: Arrival) {
        if Lobby::is_for(&arrival) {
            self.lobby.take_over(tools, arrival);
            self.let_in(tools);
        } else {
            self.enter(tools, arrival);
        }
    }

    /// Takes a client that may come in: to its handshake, where TLS ends here, or where it belongs.
    fn enter(&mut self, tools: &mut Tools, arrival: Arrival) {
        let owner = arrival.owner();
        match (owner.tls.is_some(), owner.protocol.exchanges()) {
            (true, _) => {
                self.handshakes.take_over(tools, arrival);
                self.pass_on(tools);
            }
            (false, true) => self.http.take_over(tools, arrival),
            (false, false) => self.connections.take_over(tools, arrival),
        }
    }

    /// Passes those on whose handshakes are complete.
    fn pass_on(&mut self, tools: &mut Tools) {
        while let Some(arrival) = self.handshakes.next_arrival() {
            if arrival.makes_requests() {
                self.http.take_over(tools, arrival);
            } else {
                self.connections.take_over(tools, arrival);
            }
        }
    }
}
