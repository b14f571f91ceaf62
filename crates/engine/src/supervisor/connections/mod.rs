//! Connections: one worker's connections that are passed through. Makes them, feeds their Sessions with
//! Events, performs the Actions answered, keeps their deadlines, and removes them.
//!
//! `inspect.rs` shows held bytes to the Session, `consulting.rs` has analyzers asked about them, `connect.rs`
//! is the part between its decision and the relay, `relaying.rs` runs the relay, `account.rs` adds up
//! counters and makes records. Must never decide (Sessions do) or move bytes in autonomous mode (the relay
//! does).

mod account;
mod connect;
mod connection;
mod consulting;
mod inspect;
mod relaying;

use headworks_core::action::{Action, Event, Side, Wait};
use headworks_core::analyze::Facts;
use headworks_core::close::{CloseReason, ConsultFault};
use headworks_core::names::{Resolution, Unresolved};
use headworks_core::session::{Session, State};
use headworks_core::time::Millis;
use mio::Token;
use mio::event::Event as Readiness;

use self::account::{row, tally_bytes, tally_end};
pub(crate) use self::connection::{Connection, ConnectionTimes};
use super::Supervisor;
use crate::arrival::Arrival;
use crate::consult::{Answer, Outcome};
use crate::io::{DISCARDS, Lane};
use crate::names::Waiter;
use crate::outcome::{Read, Written};
use crate::record::Record;
use crate::roster::Roster;
use crate::row::ConnectionRow;
use crate::token::{self, Kind, Meaning};
use crate::tools::Tools;

/// One worker's connections.
#[derive(Debug)]
pub(crate) struct Connections {
    connections: Roster<Connection>,
}

impl Supervisor for Connections {
    /// Takes a client as it was accepted, one that comes from its handshake, or one that is passed through by
    /// what it said there.
    fn take_over(&mut self, tools: &mut Tools, mut arrival: Arrival) {
        let Some(permit) = arrival.permit.take() else { return };
        let facts = Facts {
            client: arrival.address,
            local: arrival.local,
            name: arrival.name.take(),
            alpn: std::mem::take(&mut arrival.alpn),
            ..Facts::default()
        };
        let (plan, listener) = (&arrival.plan, arrival.listener);
        let mut session = Session::new(plan, listener, facts, permit).entered(arrival.entrance);
        if let Some(greeting) = arrival.greeting.take() {
            session = session.greeted(*greeting);
        }
        let held = std::mem::take(&mut arrival.held);
        let nothing_held = held.is_empty();
        let mut connection = Connection {
            who: arrival,
            session,
            server: None,
            lanes: [Lane { buffer: held, ..Lane::default() }, Lane::default()],
            times: ConnectionTimes {
                decided: None,
                connected: None,
                since: tools.now,
                active: tools.now,
                in_flight: 0,
            },
            lost: None,
            announced: false,
            throttle: None,
            asked: None,
        };
        connection.session.count(Side::Client, connection.lanes[0].buffer.len() as u64);
        let limits = connection.who.owner().bandwidth.as_ref();
        connection.throttle = limits.map(|limits| Box::new(limits.throttle()));
        let place = self.connections.insert(connection);
        let action = match self.feed(tools, place, Event::Accepted) {
            Action::Wait => self.inspect(tools, place, Side::Client),
            Action::Connect(choice) if nothing_held => self.open_with_first_bytes(tools, place, choice),
            other => other,
        };
        self.perform(tools, place, action);
    }

    fn ready(&mut self, tools: &mut Tools, whose: Meaning, readiness: &Readiness) {
        let Meaning { generation, place, side, .. } = whose;
        let Some(connection) = self.connections.find(place, generation) else { return };
        let Some(socket) = connection.socket(side) else { return };
        let broken = readiness.is_error();
        socket.became(readiness);
        let action = match connection.session.state() {
            State::Inspecting => self.inspect(tools, place, Side::Client),
            State::Connecting => self.connecting(tools, place, side, readiness),
            // Nothing is read any more from a side that has ended: only this tells of its reset.
            State::HalfClosed(ended) if ended == side && broken => {
                self.feed(tools, place, Event::Reset(side))
            }
            State::Relaying | State::HalfClosed(_) => {
                let action = if readiness.is_writable() {
                    self.relay(tools, place, side.other())
                } else {
                    Action::Wait
                };
                if action == Action::Wait { self.relay(tools, place, side) } else { action }
            }
            // It reads nothing meanwhile: only a reset is seen.
            State::Consulting if broken => self.feed(tools, place, Event::Reset(Side::Client)),
            State::Consulting => Action::Wait,
            State::Refused => self.discard(tools, place),
            State::Closed => Action::Close,
        };
        self.perform(tools, place, action);
    }

    fn resume(&mut self, tools: &mut Tools) {
        let list = self.connections.turns();
        for &place in &list {
            self.perform(tools, place, Action::Relay);
        }
        self.connections.give_back(list);
    }

    fn expire(&mut self, tools: &mut Tools) {
        let list = self.connections.due(tools.now);
        for &place in &list {
            if self.connections.get_mut(place).is_some() {
                let action = self.judge_deadline(tools, place);
                self.perform(tools, place, action);
            }
        }
        self.connections.give_back(list);
    }

    fn next_deadline(&self, now: Millis) -> Millis {
        self.connections.next(now)
    }

    fn cut(&mut self, tools: &mut Tools) {
        for place in self.connections.places() {
            self.close(tools, place, CloseReason::Drained);
        }
    }

    fn close(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) {
        if let Some(connection) = self.connections.get_mut(place) {
            let action = connection.session.cut(reason);
            self.perform(tools, place, action);
        }
    }

    fn id(&self, place: usize) -> Option<u64> {
        self.connections.get(place).map(|connection| connection.who.id)
    }

    fn row(&self, tools: &Tools, place: usize) -> Option<ConnectionRow> {
        self.connections.get(place).map(|connection| row(connection, tools))
    }

    fn end(&self) -> usize {
        self.connections.end()
    }

    fn len(&self) -> usize {
        self.connections.len()
    }

    fn advise(&mut self, tools: &mut Tools, answer: &Answer) {
        self.take_answer(tools, answer);
    }

    fn resolved(&mut self, tools: &mut Tools, waiter: Waiter, found: Result<&Resolution, Unresolved>) {
        if self.connections.find(waiter.place, waiter.generation).is_some() {
            let action = self.feed(tools, waiter.place, Event::Resolved(found));
            self.perform(tools, waiter.place, action);
        }
    }
}

impl Connections {
    /// Makes one without connections.
    pub(crate) fn new(now: Millis) -> Self {
        Self { connections: Roster::new(now) }
    }

    /// Returns the token of one of a connection's sockets.
    fn token(&self, place: usize, side: Side) -> Token {
        token::make(Kind::Connection, self.connections.generation(place), place, side)
    }

    /// Tells the Session of a deadline that has passed. A timer may also fire for one that had moved since.
    fn judge_deadline(&mut self, tools: &mut Tools, place: usize) -> Action {
        let connection = &mut self.connections[place];
        if let Some(at) = connection.resumes() {
            // It is not idle: it is kept waiting.
            connection.times.active = tools.now;
            return if at <= tools.now { Action::Relay } else { Action::Wait };
        }
        if deadline(connection).is_none_or(|at| at > tools.now) || connection.still_delivers(tools.now) {
            return Action::Wait;
        }
        match (connection.session.state(), connection.broken_side()) {
            (State::Relaying | State::HalfClosed(_), Some(side)) => {
                self.feed(tools, place, Event::Reset(side))
            }
            _ => {
                self.give_up_answer(tools, place, Outcome::Failed(ConsultFault::Late));
                self.feed(tools, place, Event::Expired)
            }
        }
    }

    fn feed(&mut self, tools: &mut Tools, place: usize, event: Event<'_>) -> Action {
        let connection = &mut self.connections[place];
        let random = tools.random.next();
        let scene = tools.scene(&connection.who.plan, random);
        connection.session.handle(event, scene)
    }

    /// Performs actions until there is nothing left to do.
    fn perform(&mut self, tools: &mut Tools, place: usize, mut action: Action) {
        loop {
            action = match action {
                Action::Wait => return self.rest(tools, place),
                Action::Close => return self.remove(tools, place),
                Action::Connect(choice) => self.open(tools, place, choice, &[]),
                Action::Resolve(backend) => self.resolve(tools, place, backend),
                Action::Show(side) => match self.show_held(tools, place, side) {
                    // What has come meanwhile is not announced again.
                    Action::Wait => match self.inspect(tools, place, side) {
                        Action::Wait => return self.rest(tools, place),
                        other => other,
                    },
                    other => other,
                },
                Action::Consult { analyzer, hook } => self.consult(tools, place, analyzer, hook),
                Action::Refuse(bytes) => self.refuse(tools, place, bytes),
                Action::Relay => match self.relay(tools, place, Side::Client) {
                    Action::Wait => self.relay(tools, place, Side::Server),
                    other => other,
                },
                Action::Finish(side) => {
                    if let Some(socket) = self.connections[place].socket(side) {
                        socket.end_sending();
                    }
                    // The end of the other side may have been read before.
                    self.relay(tools, place, side)
                }
            };
        }
    }

    /// Arranges to be woken for the next event and by the next deadline: there is nothing more to do now.
    fn rest(&mut self, tools: &mut Tools, place: usize) {
        let client = self.token(place, Side::Client);
        let connection = &mut self.connections[place];
        if connection.who.socket.watch_reads(&tools.registry, client).is_err() {
            connection.session.cut(CloseReason::Drained);
            return self.remove(tools, place);
        }
        let Some(at) = deadline(connection) else { return };
        let at = connection.resumes().map_or(at, |resumes| resumes.min(at));
        self.connections.arm(place, at);
    }

    /// Says why, ends our sending, and reads on so that closing does not destroy what was said.
    fn refuse(&mut self, tools: &mut Tools, place: usize, bytes: &[u8]) -> Action {
        let connection = &mut self.connections[place];
        connection.times.since = tools.now;
        connection.times.decided.get_or_insert(tools.now);
        connection.server = None;
        connection.lanes[Side::Client as usize].buffer.clear();
        if connection.who.socket.write(bytes, false) == Written::Broken {
            return self.feed(tools, place, Event::Reset(Side::Client));
        }
        connection.session.count(Side::Server, bytes.len() as u64);
        connection.who.socket.end_sending();
        self.discard(tools, place)
    }

    /// Reads and forgets what a refused client still sends.
    fn discard(&mut self, tools: &mut Tools, place: usize) -> Action {
        let connection = &mut self.connections[place];
        for _ in 0..DISCARDS {
            if !connection.who.socket.readable {
                return Action::Wait;
            }
            match connection.who.socket.read(&mut tools.scratch) {
                Read::Bytes(_) | Read::Nothing => {}
                Read::End => return self.feed(tools, place, Event::Ended(Side::Client)),
                Read::Broken => return self.feed(tools, place, Event::Reset(Side::Client)),
            }
        }
        // It was refused and goes on sending: there is nothing more to say.
        Action::Close
    }

    /// Ends a connection: writes one access record, counts, and gives everything back.
    fn remove(&mut self, tools: &mut Tools, place: usize) {
        self.give_up_answer(tools, place, Outcome::Cancelled);
        let mut connection = self.connections.remove(place);
        connection.who.is_over();
        tally_bytes(&mut connection, tools.shard, true);
        tally_end(&connection, tools.shard);
        tools.record(connection.who.owner(), &Record::of(&connection, tools.now));
        for lane in &mut connection.lanes {
            if let Some(pipe) = lane.pipe.take() {
                tools.pipes.give_back(pipe);
            }
        }
        // What was broken off is passed on as a reset, so that nobody takes it for complete.
        use CloseReason::{ClientReset, ClientTruncated, ClosedByOperator, ServerReset, ServerTruncated};
        let Connection { session, who: Arrival { socket: client, .. }, server, .. } = connection;
        match (session.reason(), server) {
            (Some(ClientReset | ClientTruncated), Some(server)) => tools.leaving.break_off(server, tools.now),
            (Some(ServerReset | ServerTruncated), Some(_)) => tools.leaving.break_off(client, tools.now),
            (Some(ClosedByOperator), server) => {
                server
                    .into_iter()
                    .chain([client])
                    .for_each(|socket| tools.leaving.break_off(socket, tools.now));
            }
            (_, server) => {
                server.into_iter().chain([client]).for_each(|socket| tools.leaving.close(socket, tools.now));
            }
        }
    }
}

/// Returns when a connection's present wait is over.
fn deadline(connection: &Connection) -> Option<Millis> {
    let (wait, limit) = connection.session.deadline(&connection.who.plan)?;
    let times = &connection.times;
    let from = match wait {
        Wait::FirstBytes => connection.who.accepted,
        Wait::Verdict(side) => connection.session.flow(side).since,
        Wait::Connect | Wait::Linger => times.since,
        Wait::Idle | Wait::HalfClose => times.active,
    };
    // Of a side that is broken nothing more comes: the other one gets no longer than after an ordinary end.
    let half_close = connection.who.owner().spec.timeouts.half_close;
    let limit =
        if wait == Wait::Idle && connection.broken_side().is_some() { limit.min(half_close) } else { limit };
    Some(from.saturating_add(limit))
}
