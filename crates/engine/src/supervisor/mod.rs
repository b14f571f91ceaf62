//! Supervisor: one worker's connections. Makes them, feeds their Sessions with Events, performs the Actions answered,
//! keeps their deadlines, and removes them.
//!
//! `connect.rs` is the part between a decision and the relay, `accounts.rs` adds up counters.
//! Must never decide (Sessions do) or move bytes in autonomous mode (the relay does).

mod accounts;
mod connect;

use std::os::fd::OwnedFd;
use std::rc::Rc;

use headworks_core::action::{Action, Event, Side, Wait};
use headworks_core::analyze::Facts;
use headworks_core::close::CloseReason;
use headworks_core::session::{Scene, Session, State};
use headworks_core::time::Millis;
use mio::Registry;
use mio::event::Event as Readiness;
use slab::Slab;

use self::accounts::{tally_bytes, tally_end};
use crate::aborts::Aborts;
use crate::access_log::Recorder;
use crate::admission;
use crate::connection::{Connection, Lane, LocalPlan, Times, token};
use crate::handshakes::Arrival;
use crate::random::Random;
use crate::relay::{Pumped, Tools, pump};
use crate::socket::{Read, Socket, Written};
use crate::stats::ConnectionRow;
use crate::sys;
use crate::timer::Timer;

/// One worker's connections.
#[derive(Debug)]
pub(crate) struct Supervisor {
    connections: Slab<Connection>,
    registry: Registry,
    timer: Timer,
    tools: Tools,
    random: Random,
    /// A descriptor kept for a server's socket when there is no other; see [`Supervisor::has_spare`].
    spare: Option<OwnedFd>,
    recorder: Recorder,
    /// Sockets of connections that are over, to be reset when their last bytes have arrived.
    aborts: Aborts,
    /// Connections that had their turn and have more to do.
    queue: Vec<usize>,
    /// Reused by `expire`.
    due: Vec<usize>,
    generation: u32,
    /// Number of the worker.
    shard: usize,
    /// The clock, as read at the beginning of this turn.
    now: Millis,
}

impl Supervisor {
    /// A supervisor without connections for worker number `shard`.
    pub(crate) fn new(registry: Registry, recorder: Recorder, shard: usize, now: Millis) -> Self {
        Self {
            connections: Slab::new(),
            registry,
            timer: Timer::new(now),
            tools: Tools::default(),
            random: Random::new(),
            spare: sys::spare_descriptor().ok(),
            recorder,
            aborts: Aborts::default(),
            queue: Vec::new(),
            due: Vec::new(),
            generation: 0,
            shard,
            now,
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether a client accepted now could be given a server's socket, even if accepting takes the last descriptor.
    pub(crate) fn has_spare(&mut self) -> bool {
        if self.spare.is_none() {
            self.spare = sys::spare_descriptor().ok();
        }
        self.spare.is_some()
    }

    /// A new turn begins.
    pub(crate) fn tick(&mut self, now: Millis) {
        self.now = now;
    }

    /// When it wants to be called although nothing happened: None for never.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        if !self.queue.is_empty() {
            return Some(self.now);
        }
        let (timer, aborts) = (self.timer.next(), self.aborts.next(self.now));
        timer.into_iter().chain(aborts).min()
    }

    /// Takes a client that was accepted by listener number `listener` of `plan`.
    pub(crate) fn accept(
        &mut self,
        plan: &LocalPlan,
        listener: u32,
        fd: OwnedFd,
        client: Option<std::net::SocketAddr>,
    ) {
        let owner = &plan.listeners[listener as usize];
        let permit = admission::enter(owner, client, self.shard, &mut self.recorder);
        let Some(permit) = permit else { return };
        let facts = Facts { client, ..Facts::default() };
        let session = Session::new(plan, listener, facts, permit);
        let place = self.insert(Rc::clone(plan), session, Socket::accepted(fd), self.now);
        let action = match self.tell(place, Event::Accepted) {
            Action::Wait => self.inspect(place),
            Action::Connect(choice) => self.open_with_first_bytes(place, choice),
            other => other,
        };
        self.perform(place, action);
    }

    /// Takes a client that comes from its handshake, or that is passed through by what it said there.
    pub(crate) fn enter(&mut self, arrival: Arrival) {
        let Arrival { entrance, plan, listener, permit, socket, address, local, name, held, accepted } =
            arrival;
        let session = Session::entered(entrance, listener, Facts { client: address, local, name }, permit);
        let place = self.insert(plan, session, socket, accepted);
        let connection = &mut self.connections[place];
        connection.session.count(Side::Client, held.len() as u64);
        let nothing_held = held.is_empty();
        connection.lanes[Side::Client as usize].buffer = held;
        let action = match self.tell(place, Event::Accepted) {
            Action::Connect(choice) if nothing_held => self.open_with_first_bytes(place, choice),
            other => other,
        };
        self.perform(place, action);
    }

    fn insert(&mut self, plan: LocalPlan, session: Session, client: Socket, accepted: Millis) -> usize {
        self.generation = self.generation.wrapping_add(1);
        let now = self.now;
        self.connections.insert(Connection {
            generation: self.generation & token::GENERATIONS,
            plan,
            session,
            client,
            server: None,
            lanes: [Lane::default(), Lane::default()],
            times: Times { accepted, decided: None, connected: None, since: now, active: now, in_flight: 0 },
            armed: 0,
            lost: None,
            announced: false,
            queued: false,
        })
    }

    /// A socket of a connection became ready; stale tokens are ignored.
    pub(crate) fn ready(&mut self, generation: u32, place: usize, side: Side, readiness: &Readiness) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        if connection.generation != generation {
            return;
        }
        let Some(socket) = connection.socket(side) else { return };
        let broken = readiness.is_error();
        socket.became(readiness);
        let action = match connection.session.state() {
            State::Inspecting => self.inspect(place),
            State::Connecting => self.connecting(place, side, readiness),
            // Nothing is read any more from a side that has ended: only this tells of its reset.
            State::HalfClosed(ended) if ended == side && broken => self.tell(place, Event::Reset(side)),
            State::Relaying | State::HalfClosed(_) => {
                let action =
                    if readiness.is_writable() { self.relay(place, side.other()) } else { Action::Wait };
                if action == Action::Wait { self.relay(place, side) } else { action }
            }
            State::Refused => self.discard(place),
            State::Closed => Action::Close,
        };
        self.perform(place, action);
    }

    /// Gives those a turn that had more to do.
    pub(crate) fn resume(&mut self) {
        for place in std::mem::take(&mut self.queue) {
            let Some(connection) = self.connections.get_mut(place).filter(|connection| connection.queued)
            else {
                continue;
            };
            connection.queued = false;
            self.perform(place, Action::Relay);
        }
    }

    /// Tells those whose deadline has passed.
    pub(crate) fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.timer.turn(self.now, &mut due);
        for place in due.drain(..) {
            if self.connections.contains(place) {
                let action = self.judge_deadline(place);
                self.perform(place, action);
            }
        }
        self.aborts.turn(self.now);
        self.due = due;
    }

    /// A timer fired: its deadline has passed, or had moved since it was armed.
    fn judge_deadline(&mut self, place: usize) -> Action {
        let connection = &mut self.connections[place];
        connection.armed = 0;
        if deadline(connection).is_none_or(|at| at > self.now) || connection.still_delivers(self.now) {
            return Action::Wait;
        }
        match (connection.session.state(), connection.broken_side()) {
            (State::Relaying | State::HalfClosed(_), Some(side)) => self.tell(place, Event::Reset(side)),
            _ => self.tell(place, Event::Expired),
        }
    }

    /// Closes every connection now.
    pub(crate) fn cut(&mut self) {
        let places: Vec<usize> = self.connections.iter().map(|(place, _)| place).collect();
        for place in places {
            if let Some(connection) = self.connections.get_mut(place) {
                let action = connection.session.cut();
                self.perform(place, action);
            }
        }
    }

    /// Hands the lines of this turn to the log.
    pub(crate) fn flush_records(&mut self) {
        self.recorder.flush();
    }

    /// At most `limit` connections as they are now.
    pub(crate) fn rows(&self, limit: usize) -> Vec<ConnectionRow> {
        self.connections
            .iter()
            .take(limit)
            .map(|(_, connection)| ConnectionRow::new(connection, self.shard, self.now))
            .collect()
    }

    fn tell(&mut self, place: usize, event: Event<'_>) -> Action {
        let connection = &mut self.connections[place];
        let random = self.random.next();
        let scene = Scene { plan: &connection.plan, now: self.now, random, shard: self.shard };
        connection.session.handle(event, scene)
    }

    /// Performs actions until there is nothing left to do.
    fn perform(&mut self, place: usize, mut action: Action) {
        loop {
            action = match action {
                Action::Wait => return self.settle(place),
                Action::Close => return self.remove(place),
                Action::Connect(choice) => self.open(place, choice, &[]),
                Action::Refuse(bytes) => self.refuse(place, bytes),
                Action::Relay => match self.relay(place, Side::Client) {
                    Action::Wait => self.relay(place, Side::Server),
                    other => other,
                },
                Action::Finish(side) => {
                    if let Some(socket) = self.connections[place].socket(side) {
                        socket.finish();
                    }
                    // The end of the other side may have been read before.
                    self.relay(place, side)
                }
            };
        }
    }

    /// Nothing more to do now: be woken for the next event and by the next deadline.
    fn settle(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        let client = token::connection(connection.generation, place, Side::Client);
        if connection.client.watch_reads(&self.registry, client).is_err() {
            connection.session.cut();
            return self.remove(place);
        }
        let Some(at) = deadline(connection) else { return };
        // A timer that fires too early finds out and is armed again; that is rarer than a change of state.
        if connection.armed == 0 || at < connection.armed {
            connection.armed = at;
            self.timer.arm(place, at);
        }
    }

    /// Reads what the client said and shows it to the Session, with what it said before.
    fn inspect(&mut self, place: usize) -> Action {
        let mut scratch = std::mem::take(&mut self.tools.scratch);
        let mut action = Action::Wait;
        while action == Action::Wait && self.connections[place].session.flow(Side::Client).hold {
            let connection = &mut self.connections[place];
            if !connection.client.readable {
                break;
            }
            let limit = connection.plan.listeners[connection.session.listener() as usize].first_bytes_limit;
            let room = limit.saturating_sub(connection.lanes[0].buffer.len()).clamp(1, scratch.len());
            action = match connection.client.read(&mut scratch[..room]) {
                Read::Bytes(n) => self.show(place, &scratch[..n]),
                Read::Nothing => Action::Wait,
                Read::End => self.ended_while_held(place),
                Read::Broken => self.tell(place, Event::Reset(Side::Client)),
            };
        }
        self.tools.scratch = scratch;
        action
    }

    /// The client ended while its flow was held. With a server connected, what is held is all there will be: it goes.
    fn ended_while_held(&mut self, place: usize) -> Action {
        let connection = &mut self.connections[place];
        if connection.session.state() == State::Inspecting {
            return self.tell(place, Event::Ended(Side::Client));
        }
        connection.session.release(Side::Client);
        connection.lanes[Side::Client as usize].ended = true;
        Action::Relay
    }

    /// Shows fresh bytes to the Session; they are kept only if they cannot be sent on at once.
    fn show(&mut self, place: usize, fresh: &[u8]) -> Action {
        let connection = &mut self.connections[place];
        connection.session.count(Side::Client, fresh.len() as u64);
        let lane = &mut connection.lanes[Side::Client as usize];
        let random = self.random.next();
        let scene = Scene { plan: &connection.plan, now: self.now, random, shard: self.shard };
        if lane.buffer.is_empty() {
            let action = connection.session.handle(Event::Held(Side::Client, fresh), scene);
            let flow = connection.session.flow(Side::Client);
            let kept = if flow.hold { fresh } else { &fresh[flow.consumed as usize..] };
            return match action {
                Action::Connect(choice) => self.open(place, choice, kept),
                Action::Wait | Action::Relay => {
                    lane.buffer.push(kept);
                    action
                }
                refused => refused,
            };
        }
        lane.buffer.push(fresh);
        let action = connection.session.handle(Event::Held(Side::Client, lane.buffer.pending()), scene);
        let flow = connection.session.flow(Side::Client);
        if !flow.hold {
            lane.buffer.take(flow.consumed as usize);
        }
        action
    }

    /// Lets the relay move bytes from one side, and tells the Session only of ends and errors.
    fn relay(&mut self, place: usize, from: Side) -> Action {
        let connection = &mut self.connections[place];
        let flow = connection.session.flow(from);
        if flow.hold {
            return self.inspect(place);
        }
        if flow.ended || connection.lost == Some(from.other()) {
            return Action::Wait;
        }
        let waiting = connection.lanes[from as usize].waiting();
        let (why, read) = pump(connection, from, &mut self.tools);
        if read > 0 {
            connection.session.count(from, read);
            tally_bytes(connection, self.shard, false);
        }
        if read > 0 || connection.lanes[from as usize].waiting() != waiting {
            connection.times.active = self.now;
        }
        match why {
            Pumped::Dry if connection.lost != Some(from) => Action::Wait,
            Pumped::Full => self.watch_writes(place, from.other()),
            Pumped::Unfinished => {
                self.enqueue(place);
                Action::Wait
            }
            Pumped::Ended if connection.lost != Some(from) => {
                // After a long silence the other side still has all of `half_close` to answer.
                connection.times.active = self.now;
                self.tell(place, Event::Ended(from))
            }
            Pumped::Broken(side) if side != from => self.lose(place, side),
            Pumped::Dry | Pumped::Ended | Pumped::Broken(_) => {
                let truncated = connection.socket(from).is_some_and(|socket| socket.was_truncated());
                self.tell(place, if truncated { Event::Truncated(from) } else { Event::Reset(from) })
            }
        }
    }

    /// A side takes nothing more; what it had sent before is still delivered, then the connection ends.
    fn lose(&mut self, place: usize, side: Side) -> Action {
        let connection = &mut self.connections[place];
        let lane = &mut connection.lanes[side.other() as usize];
        lane.buffer.clear();
        if let Some(pipe) = lane.pipe.take() {
            self.tools.pipes.give_back(pipe);
        }
        connection.lost = Some(side);
        match connection.session.flow(side).ended {
            true => self.tell(place, Event::Reset(side)),
            false => self.relay(place, side),
        }
    }

    fn watch_writes(&mut self, place: usize, side: Side) -> Action {
        let connection = &mut self.connections[place];
        let token = token::connection(connection.generation, place, side);
        let registry = &self.registry;
        let watched = match side {
            Side::Client => connection.client.watch_both(registry, token),
            Side::Server => {
                connection.server.as_mut().map_or(Ok(()), |server| server.watch_both(registry, token))
            }
        };
        match watched {
            Ok(()) => Action::Wait,
            Err(_) => self.tell(place, Event::Reset(side)),
        }
    }

    fn enqueue(&mut self, place: usize) {
        if !std::mem::replace(&mut self.connections[place].queued, true) {
            self.queue.push(place);
        }
    }

    /// Says why, ends our sending, and reads on so that closing does not destroy what was said.
    fn refuse(&mut self, place: usize, bytes: &[u8]) -> Action {
        let connection = &mut self.connections[place];
        connection.times.since = self.now;
        connection.times.decided.get_or_insert(self.now);
        connection.server = None;
        connection.lanes[Side::Client as usize].buffer.clear();
        if connection.client.write(bytes, false) == Written::Broken {
            return self.tell(place, Event::Reset(Side::Client));
        }
        connection.session.count(Side::Server, bytes.len() as u64);
        connection.client.finish();
        self.discard(place)
    }

    /// Reads and forgets what a refused client still sends.
    fn discard(&mut self, place: usize) -> Action {
        let connection = &mut self.connections[place];
        for _ in 0..DISCARDS {
            if !connection.client.readable {
                return Action::Wait;
            }
            match connection.client.read(&mut self.tools.scratch) {
                Read::Bytes(_) | Read::Nothing => {}
                Read::End => return self.tell(place, Event::Ended(Side::Client)),
                Read::Broken => return self.tell(place, Event::Reset(Side::Client)),
            }
        }
        // It was refused and goes on sending: there is nothing more to say.
        Action::Close
    }

    /// The end: one access record, counters, and everything given back.
    fn remove(&mut self, place: usize) {
        self.timer.disarm(place);
        let mut connection = self.connections.remove(place);
        tally_bytes(&mut connection, self.shard, true);
        tally_end(&connection, self.shard);
        self.recorder.ended(&connection, self.now);
        for lane in &mut connection.lanes {
            if let Some(pipe) = lane.pipe.take() {
                self.tools.pipes.give_back(pipe);
            }
        }
        // What was broken off is passed on as a reset, so that nobody takes it for complete.
        use CloseReason::{ClientReset, ClientTruncated, ServerReset, ServerTruncated};
        let Connection { session, client, server, .. } = connection;
        match (session.reason(), server) {
            (Some(ClientReset | ClientTruncated), Some(server)) => self.aborts.add(server, self.now),
            (Some(ServerReset | ServerTruncated), Some(_)) => self.aborts.add(client, self.now),
            (_, server) => {
                server.into_iter().chain([client]).for_each(|socket| self.aborts.part(socket, self.now));
            }
        }
    }
}

/// Reads of a refused client before its connection is closed for good, [`SCRATCH`](crate::relay::SCRATCH) bytes each.
const DISCARDS: usize = 16;

/// When a connection's present wait is over.
fn deadline(connection: &Connection) -> Option<Millis> {
    let (wait, limit) = connection.session.deadline(&connection.plan)?;
    let times = &connection.times;
    let from = match wait {
        Wait::FirstBytes => times.accepted,
        Wait::Connect | Wait::Linger => times.since,
        Wait::Idle | Wait::HalfClose => times.active,
    };
    // Of a side that is broken nothing more comes: the other one gets no longer than after an ordinary end.
    let half_close = connection.plan.listeners[connection.session.listener() as usize].timeouts.half_close;
    let limit =
        if wait == Wait::Idle && connection.broken_side().is_some() { limit.min(half_close) } else { limit };
    Some(from.saturating_add(limit))
}
