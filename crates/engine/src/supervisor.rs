//! Supervisor: one worker's connections. Makes them, feeds their Sessions with Events, performs the Actions answered,
//! keeps their deadlines, and removes them.
//!
//! Must never decide (Sessions do) or move bytes in autonomous mode (the relay does).

use std::os::fd::OwnedFd;
use std::rc::Rc;

use headworks_core::action::{Action, Choice, CloseReason, Event, Fault, Side, Wait};
use headworks_core::analyze::Facts;
use headworks_core::backend::{Backend, Millis, Server};
use headworks_core::session::{Scene, Session, State};
use headworks_core::tally::{Count, Tally};
use headworks_core::wire::proxy_protocol;
use mio::Registry;
use mio::event::Event as Readiness;
use slab::Slab;

use crate::access_log::Recorder;
use crate::connection::{Connection, Lane, LocalPlan, Times, token};
use crate::random::Random;
use crate::relay::{Pumped, Tools, pump};
use crate::socket::{Read, Socket, Written};
use crate::stats::ConnectionRow;
use crate::timer::Timer;

/// One worker's connections.
#[derive(Debug)]
pub(crate) struct Supervisor {
    connections: Slab<Connection>,
    registry: Registry,
    timer: Timer,
    tools: Tools,
    random: Random,
    recorder: Recorder,
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
            recorder,
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

    /// A new turn begins.
    pub(crate) fn tick(&mut self, now: Millis) {
        self.now = now;
    }

    /// When it wants to be called although nothing happened: None for never.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        if self.queue.is_empty() { self.timer.next() } else { Some(self.now) }
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
        owner.state.tally.add(self.shard, Count::Connections, 1);
        let Ok(permit) = owner.enter() else {
            owner.state.tally.add(self.shard, Count::Denied, 1);
            owner.state.tally.add(self.shard, Count::Ended, 1);
            self.recorder.denied(owner, client, CloseReason::LimitReached);
            return;
        };
        let facts = Facts { client, ..Facts::default() };
        let session = Session::new(plan, listener, facts, permit);
        self.generation = self.generation.wrapping_add(1);
        let now = self.now;
        let place = self.connections.insert(Connection {
            generation: self.generation & 0x7fff_ffff,
            plan: Rc::clone(plan),
            session,
            client: Socket::accepted(fd),
            server: None,
            lanes: [Lane::default(), Lane::default()],
            times: Times { accepted: now, decided: None, connected: None, since: now, active: now },
            armed: 0,
            lost: None,
            announced: false,
            queued: false,
        });
        let action = match self.tell(place, Event::Accepted) {
            Action::Wait => self.inspect(place),
            Action::Connect(choice) => self.open_with_first_bytes(place, choice),
            other => other,
        };
        self.perform(place, action);
    }

    /// A socket of a connection became ready; stale tokens are ignored.
    pub(crate) fn ready(&mut self, generation: u32, place: usize, side: Side, readiness: &Readiness) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        if connection.generation != generation {
            return;
        }
        let Some(socket) = connection.socket(side) else { return };
        let broken = readiness.is_error();
        socket.readable |= readiness.is_readable() || broken;
        socket.ending |= readiness.is_read_closed() || broken;
        socket.writable |= readiness.is_writable() || broken;
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
            let Some(connection) = self.connections.get_mut(place) else { continue };
            connection.armed = 0;
            let passed = deadline(connection).is_some_and(|at| at <= self.now);
            let action = if passed { self.tell(place, Event::Expired) } else { Action::Wait };
            self.perform(place, action);
        }
        self.due = due;
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

    /// A protocol that routes without looking: what the client has said already goes with the connect.
    fn open_with_first_bytes(&mut self, place: usize, choice: Choice) -> Action {
        let connection = &mut self.connections[place];
        if connection.session.flow(Side::Client).hold {
            return self.open(place, choice, &[]);
        }
        let mut scratch = std::mem::take(&mut self.tools.scratch);
        let action = match connection.client.read(&mut scratch) {
            Read::Bytes(n) => {
                connection.session.count(Side::Client, n as u64);
                self.open(place, choice, &scratch[..n])
            }
            Read::Nothing => self.open(place, choice, &[]),
            Read::End => {
                connection.lanes[Side::Client as usize].ended = true;
                self.open(place, choice, &[])
            }
            Read::Broken => self.tell(place, Event::Reset(Side::Client)),
        };
        self.tools.scratch = scratch;
        action
    }

    #[cfg(feature = "fault-injection")]
    #[expect(clippy::panic, reason = "the fault that is injected")]
    fn inject_fault(&self, place: usize) {
        if self.connections[place].session.facts().name.as_deref() == Some("panic.invalid") {
            panic!("injected by a client that asked for panic.invalid");
        }
    }

    /// Opens a socket to the server chosen and tries to send `opening`, or what is kept, at once.
    fn open(&mut self, place: usize, choice: Choice, opening: &[u8]) -> Action {
        #[cfg(feature = "fault-injection")]
        self.inject_fault(place);
        let connection = &mut self.connections[place];
        connection.times.since = self.now;
        connection.times.decided.get_or_insert(self.now);
        let plan = Rc::clone(&connection.plan);
        let backend = &plan.backends[choice.backend as usize];
        let opening = announce(connection, backend, opening);
        let speaks_first = !opening.is_empty() || !connection.lanes[Side::Client as usize].buffer.is_empty();
        let address = &backend.servers[usize::from(choice.server)].address;
        let opened = Socket::connect(address, backend, speaks_first);
        let (action, sent) = match opened {
            Err(fault) => (self.tell(place, Event::ConnectFailed(fault)), 0),
            Ok(socket) => self.first_write(place, socket, opening),
        };
        self.connections[place].lanes[Side::Client as usize].buffer.push(&opening[sent..]);
        action
    }

    /// On a short path the connection stands as soon as it was begun: a write tells. Otherwise waits for it.
    fn first_write(&mut self, place: usize, mut socket: Socket, opening: &[u8]) -> (Action, usize) {
        let connection = &mut self.connections[place];
        let kept = &mut connection.lanes[Side::Client as usize].buffer;
        let written = match (opening, kept.pending()) {
            ([], []) => Written::Bytes(0),
            ([], kept) => socket.write(kept, false),
            (opening, _) => socket.write(opening, false),
        };
        match written {
            Written::Bytes(0) => {
                // Not connected yet (or nothing to send): being writable will say so.
                socket.writable = false;
                let token = token::connection(connection.generation, place, Side::Server);
                let watched = socket.watch_both(&self.registry, token);
                connection.server = Some(socket);
                match watched {
                    Ok(()) => (Action::Wait, 0),
                    Err(_) => (self.tell(place, Event::ConnectFailed(Fault::Exhausted)), 0),
                }
            }
            Written::Bytes(n) => {
                connection.server = Some(socket);
                if opening.is_empty() {
                    kept.take(n);
                    return (self.connected(place), 0);
                }
                (self.connected(place), n)
            }
            Written::Broken => {
                let fault = socket.connect_result().err().unwrap_or(Fault::Refused);
                (self.tell(place, Event::ConnectFailed(fault)), 0)
            }
        }
    }

    fn connected(&mut self, place: usize) -> Action {
        let connection = &mut self.connections[place];
        connection.times.connected = Some(self.now);
        connection.times.active = self.now;
        let token = token::connection(connection.generation, place, Side::Server);
        let watched = connection.server.as_mut().map(|server| server.watch_reads(&self.registry, token));
        if let (true, Some(server)) = (connection.session.flow(Side::Client).hold, &mut connection.server) {
            // Nothing of a held flow was read yet: what waits is our PROXY header, which no analyzer may see and a
            // fresh socket takes whole.
            let header = &mut connection.lanes[Side::Client as usize].buffer;
            if !header.is_empty() && server.write(header.pending(), false) != Written::Bytes(header.len()) {
                connection.server = None;
                return self.tell(place, Event::ConnectFailed(Fault::Reset));
            }
            header.take(usize::MAX);
        }
        match watched {
            Some(Ok(())) => self.tell(place, Event::Connected),
            _ => self.tell(place, Event::ConnectFailed(Fault::Exhausted)),
        }
    }

    /// Something happened while a server is being connected.
    fn connecting(&mut self, place: usize, side: Side, readiness: &Readiness) -> Action {
        let connection = &mut self.connections[place];
        match (side, &connection.server) {
            (Side::Client, _) if readiness.is_error() => self.tell(place, Event::Reset(Side::Client)),
            (Side::Server, Some(server)) if server.writable => match server.connect_result() {
                Ok(()) => self.connected(place),
                Err(fault) => {
                    connection.server = None;
                    self.tell(place, Event::ConnectFailed(fault))
                }
            },
            _ => Action::Wait,
        }
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
        let (why, read) = pump(connection, from, &mut self.tools);
        if read > 0 {
            connection.session.count(from, read);
            connection.times.active = self.now;
            tally_bytes(connection, self.shard, false);
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
            Pumped::Dry | Pumped::Ended | Pumped::Broken(_) => self.tell(place, Event::Reset(from)),
        }
    }

    /// A side takes nothing more; what it had sent before is still delivered, then the connection ends.
    fn lose(&mut self, place: usize, side: Side) -> Action {
        let connection = &mut self.connections[place];
        let lane = &mut connection.lanes[side.other() as usize];
        lane.buffer = headworks_core::buffer::Buffer::default();
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
        connection.lanes[Side::Client as usize].buffer = headworks_core::buffer::Buffer::default();
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
        // A reset is passed on as one, so that nobody takes a broken transfer for a complete one.
        match (connection.session.reason(), &connection.server) {
            (Some(CloseReason::ClientReset), Some(server)) => server.abort(),
            (Some(CloseReason::ServerReset), Some(_)) => connection.client.abort(),
            _ => {}
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
    Some(from.saturating_add(limit))
}

/// Puts the PROXY header that the backend wants in front of what the server gets. Returns what is left to send
/// from `opening` (all of it, or nothing once it was copied behind the header).
fn announce<'a>(connection: &mut Connection, backend: &Backend, opening: &'a [u8]) -> &'a [u8] {
    let Some(version) = backend.proxy_header.filter(|_| !connection.announced) else { return opening };
    connection.announced = true;
    let facts = connection.session.facts();
    let local = facts.local.or_else(|| connection.client.local());
    let mut header = Vec::with_capacity(128 + opening.len());
    proxy_protocol::write(version, facts.client, local, &mut header);
    let buffer = &mut connection.lanes[Side::Client as usize].buffer;
    header.extend_from_slice(buffer.pending());
    header.extend_from_slice(opening);
    buffer.take(usize::MAX);
    buffer.push(&header);
    &[]
}

/// Adds bytes not yet counted; while a connection runs, only in steps worth the writes.
fn tally_bytes(connection: &mut Connection, shard: usize, all: bool) {
    const STEP: u64 = 64 * 1024;
    for (side, count) in [(Side::Client, Count::BytesIn), (Side::Server, Count::BytesOut)] {
        let total = connection.session.flow(side).bytes;
        let lane = &mut connection.lanes[side as usize];
        let fresh = total - lane.tallied;
        if fresh == 0 || (fresh < STEP && !all) {
            continue;
        }
        lane.tallied = total;
        let plan = &connection.plan;
        plan.listeners[connection.session.listener() as usize].state.tally.add(shard, count, fresh);
        if let Some((backend, server)) = chosen(connection) {
            backend.tally.add(shard, count, fresh);
            server.state.tally.add(shard, count, fresh);
        }
    }
}

/// The backend and server a connection was last given.
fn chosen(connection: &Connection) -> Option<(&Backend, &Server)> {
    let choice = connection.session.choice()?;
    let backend = &connection.plan.backends[choice.backend as usize];
    Some((backend, backend.servers.get(usize::from(choice.server))?))
}

/// Counts the end of a connection: at its listener, and at its server if it was connected.
fn tally_end(connection: &Connection, shard: usize) {
    let listener = &connection.plan.listeners[connection.session.listener() as usize].state.tally;
    let reason = connection.session.reason();
    let count = match reason {
        Some(CloseReason::Denied | CloseReason::LimitReached) => Count::Denied,
        Some(reason) if reason.is_failure() => Count::Failed,
        _ => Count::Ended,
    };
    let count_at = |tally: &Tally| {
        tally.add(shard, Count::Ended, 1);
        if count != Count::Ended {
            tally.add(shard, count, 1);
        }
    };
    count_at(listener);
    if let Some((backend, server)) = chosen(connection).filter(|_| connection.times.connected.is_some()) {
        count_at(&backend.tally);
        count_at(&server.state.tally);
    }
}
