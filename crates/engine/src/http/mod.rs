//! HTTP: one worker's HTTP clients, the exchanges they run and the sockets to servers. What the Supervisor is for connections that are
//! passed through, Exchanges is for requests and responses.
//!
//! | file | does |
//! |---|---|
//! | `mod.rs` | accepts clients, is told of readiness and deadlines, drives each client until it waits |
//! | `request.rs` | reads a request head, has it decided where it goes |
//! | `ask.rs` | finds a socket to a server and sends the request |
//! | `response.rs` | reads the response head, ends the exchange |
//! | `answer.rs` | answers of our own, and last words |
//! | `accounts.rs` | counters and access records |
//! | `transfer.rs`, `compress.rs` | bodies |
//! | `client.rs`, `running.rs`, `servers.rs`, `queue.rs`, `desk.rs`, `date.rs` | what is remembered |
//!
//! ```text
//!   Header -> Head -> [Queued] -> [Connecting] -> Asking -> Awaiting -> Answering -> Kept -> Head ...
//!               \________________ an answer of our own ______________/         \-> Tunnel, Lingering -> gone
//! ```
//!
//! Must never decide what a request is worth (core does).

mod accounts;
mod answer;
mod ask;
mod client;
pub(crate) mod compress;
mod date;
mod desk;
mod queue;
mod request;
mod response;
mod running;
mod servers;
mod transfer;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::listener::HeaderRule;
use headworks_core::time::Millis;
use mio::Registry;
use mio::event::Event as Readiness;
use slab::Slab;

pub(crate) use self::client::{Client, Phase};
use self::compress::Compressors;
use self::date::Date;
use self::desk::Desk;
use self::queue::Queue;
pub(crate) use self::running::{Asked, Running};
use self::servers::Servers;
use crate::aborts::Aborts;
use crate::access_log::Recorder;
use crate::admission;
use crate::connection::{LocalPlan, token};
use crate::handshakes::Arrival;
use crate::pipes::Pipes;
use crate::random::Random;
use crate::socket::{Read, Socket};
use crate::stats::ConnectionRow;
use crate::timer::Timer;

/// One worker's HTTP clients.
#[derive(Debug)]
pub(crate) struct Exchanges {
    clients: Slab<Client>,
    servers: Servers,
    queue: Queue,
    registry: Registry,
    timer: Timer,
    desk: Desk,
    pipes: Pipes,
    compressors: Compressors,
    random: Random,
    date: Date,
    recorder: Recorder,
    /// Sockets of exchanges that were cut off, to be reset when their last bytes have arrived.
    aborts: Aborts,
    /// Exchanges that are over, for the next ones.
    #[expect(clippy::vec_box, reason = "boxes go to clients and come back: an idle client holds one word")]
    spare: Vec<Box<Running>>,
    /// Clients that had their turn and have more to do.
    pending: Vec<usize>,
    /// Reused by `expire`.
    due: Vec<usize>,
    generation: u32,
    /// The Plan in force: each new exchange is decided by it.
    plan: LocalPlan,
    /// No listener is left: exchanges end, and kept clients are let go.
    draining: bool,
    /// Number of the worker.
    shard: usize,
    /// The clock, as read at the beginning of this turn.
    now: Millis,
}

/// What a step of a client came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It waits for an event or its deadline.
    Wait,
    /// There is more to do now.
    Again,
    /// It is over; an exchange under way ends for this reason.
    Over(CloseReason),
}

/// Exchanges of one client in one go before others get their turn.
const TURNS: u32 = 16;
/// Steps of one client in one go before others get their turn: each may read, and get little.
const STEPS: u32 = 256;
/// Exchanges kept for the next ones.
const SPARES: usize = 1024;

impl Exchanges {
    /// Exchanges without clients for worker number `shard`.
    pub(crate) fn new(
        registry: Registry,
        recorder: Recorder,
        shard: usize,
        plan: LocalPlan,
        now: Millis,
    ) -> Self {
        Self {
            clients: Slab::new(),
            servers: Servers::default(),
            queue: Queue::default(),
            registry,
            timer: Timer::new(now),
            desk: Desk::new(),
            pipes: Pipes::default(),
            compressors: Compressors::default(),
            random: Random::new(),
            date: Date::default(),
            recorder,
            aborts: Aborts::default(),
            spare: Vec::new(),
            pending: Vec::new(),
            due: Vec::new(),
            generation: 0,
            plan,
            draining: false,
            shard,
            now,
        }
    }

    /// How many clients there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// No descriptor is left: closes sockets to servers that nobody uses. Whether there were any.
    pub(crate) fn make_room(&mut self) -> bool {
        self.servers.make_room()
    }

    /// A new turn begins.
    pub(crate) fn tick(&mut self, now: Millis) {
        self.now = now;
    }

    /// When it wants to be called although nothing happened: None for never.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        if !self.pending.is_empty() {
            return Some(self.now);
        }
        let waits = [self.timer.next(), self.aborts.next(self.now), self.servers.next(), self.queue.next()];
        waits.into_iter().flatten().min()
    }

    /// A Plan came into force.
    pub(crate) fn apply(&mut self, plan: &LocalPlan) {
        self.plan = Rc::clone(plan);
    }

    /// The end is near: exchanges under way are the last of their clients, and who waits for none is let go.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.servers.forget();
        let silent = |client: &Client| match client.phase {
            Phase::Kept => true,
            Phase::Head => client.inbound.is_empty(),
            _ => false,
        };
        let kept = self.clients.iter().filter(|(_, client)| silent(client));
        for place in kept.map(|(place, _)| place).collect::<Vec<_>>() {
            self.drive(place);
        }
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
        let place = self.insert(Client {
            phase: if rule == HeaderRule::Unknown { Phase::Head } else { Phase::Header },
            rule,
            address,
            accepted: self.now,
            ..Client::new(Rc::clone(plan), listener, permit, Socket::accepted(fd))
        });
        if rule != HeaderRule::Required {
            self.admit(place);
        }
        self.drive(place);
    }

    /// Takes a client whose handshake is complete.
    pub(crate) fn enter_secured(&mut self, arrival: Arrival) {
        let Arrival { plan, listener, permit, socket, address, local, accepted, .. } = arrival;
        let client = Client { address, local, accepted, ..Client::new(plan, listener, permit, socket) };
        let place = self.insert(client);
        self.admit(place);
        self.drive(place);
    }

    fn insert(&mut self, client: Client) -> usize {
        self.generation = self.generation.wrapping_add(1) & token::GENERATIONS;
        self.clients.insert(Client { generation: self.generation, since: self.now, ..client })
    }

    /// Whether this client may be served; a refusal waits for its first request.
    fn admit(&mut self, place: usize) {
        let Client { plan, listener, permit, address, turned_away, .. } = &mut self.clients[place];
        let owner = &plan.listeners[*listener as usize];
        let address = address.map(|address| address.ip());
        *turned_away = match owner.admits(address) {
            true => owner.enter_client(permit, address).err(),
            false => Some(CloseReason::Denied),
        };
    }

    /// A socket became ready; stale tokens are ignored.
    pub(crate) fn ready(&mut self, generation: u32, place: usize, side: Side, readiness: &Readiness) {
        let place = match side {
            Side::Client => match self.clients.get_mut(place) {
                Some(client) if client.generation == generation => {
                    client.socket.became(readiness);
                    place
                }
                _ => return,
            },
            Side::Server => match self.servers.get_mut(place) {
                Some(server) if server.generation == generation => {
                    server.socket.became(readiness);
                    let Some(client) = server.client else {
                        // Nobody uses it: it has ended, or says what nobody asked for, unless it only takes more again.
                        if server.socket.broken || !server.is_silent() {
                            self.servers.close(place);
                        }
                        return;
                    };
                    client
                }
                _ => return,
            },
        };
        self.drive(place);
    }

    /// Gives those a turn that had more to do.
    pub(crate) fn resume(&mut self) {
        for place in std::mem::take(&mut self.pending) {
            if let Some(client) = self.clients.get_mut(place).filter(|client| client.queued) {
                client.queued = false;
                self.drive(place);
            }
        }
    }

    /// Tells those whose deadline has passed.
    pub(crate) fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.timer.turn(self.now, &mut due);
        for place in due.drain(..) {
            if let Some(client) = self.clients.get_mut(place) {
                client.armed = 0;
                match client.deadline() <= self.now && !self.still_delivers(place) {
                    true => self.act(place, |this, desk| this.expired(desk, place)),
                    false => self.settle(place),
                }
            }
        }
        self.due = due;
        if self.queue.is_due(self.now) {
            for (place, generation) in self.queue.firsts() {
                if self.has_turn(place, generation) {
                    self.drive(place);
                }
            }
        }
        self.servers.expire(self.now);
        self.aborts.turn(self.now);
    }

    /// Whether bytes that we handed to the kernel still move: a slow reader takes from megabytes there.
    fn still_delivers(&mut self, place: usize) -> bool {
        let client = &mut self.clients[place];
        if !matches!(client.phase, Phase::Answering | Phase::Tunnel) {
            return false;
        }
        let Some(running) = client.running.as_mut() else { return false };
        let in_flight = client.socket.unacknowledged();
        let moves = in_flight != 0 && in_flight != std::mem::replace(&mut running.in_flight, in_flight);
        if moves {
            client.since = self.now;
        }
        moves
    }

    /// Closes every connection now.
    pub(crate) fn cut(&mut self) {
        let places: Vec<usize> = self.clients.iter().map(|(place, _)| place).collect();
        for place in places {
            self.remove(place, CloseReason::Drained);
        }
        self.servers.forget();
    }

    /// Hands the lines of this turn to the log.
    pub(crate) fn flush_records(&mut self) {
        self.recorder.flush();
    }

    /// At most `limit` clients as they are now.
    pub(crate) fn rows(&self, limit: usize) -> Vec<ConnectionRow> {
        let rows = self.clients.iter().take(limit);
        rows.map(|(_, client)| ConnectionRow::of_client(client, self.shard, self.now)).collect()
    }

    /// Takes a client as far as it goes without waiting.
    fn drive(&mut self, place: usize) {
        self.act(place, |_, _| Step::Again);
    }

    /// Takes one step and then as many as there are to take.
    fn act(&mut self, place: usize, first: impl FnOnce(&mut Self, &mut Desk) -> Step) {
        let mut desk = std::mem::take(&mut self.desk);
        let mut step = first(self, &mut desk);
        let before = self.clients[place].requests;
        let mut steps = 0;
        while step == Step::Again {
            steps += 1;
            if steps > STEPS || self.clients[place].requests.wrapping_sub(before) >= TURNS {
                self.enqueue(place);
                break;
            }
            step = self.step(&mut desk, place);
        }
        self.desk = desk;
        match step {
            Step::Over(reason) => self.remove(place, reason),
            Step::Wait | Step::Again => self.settle(place),
        }
    }

    fn step(&mut self, desk: &mut Desk, place: usize) -> Step {
        match self.clients[place].phase {
            Phase::Header => self.read_header(desk, place),
            Phase::Head | Phase::Kept => self.read_head(desk, place),
            Phase::Queued => self.wait_for_turn(desk, place),
            Phase::Connecting => self.connecting(desk, place),
            Phase::Asking | Phase::Awaiting | Phase::Answering | Phase::Tunnel => self.carry_on(desk, place),
            Phase::Lingering => self.linger(desk, place),
        }
    }

    /// Nothing more to do now: be woken for the next event and by the next deadline.
    fn settle(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let token = token::http(client.generation, place, Side::Client);
        if client.socket.watch_reads(&self.registry, token).is_err() {
            return self.remove(place, CloseReason::ClientReset);
        }
        let at = client.deadline();
        // A timer that fires too early finds out and is armed again; that is rarer than a change of phase.
        if client.armed == 0 || at < client.armed {
            client.armed = at;
            self.timer.arm(place, at);
        }
    }

    fn enter(&mut self, place: usize, phase: Phase) {
        let client = &mut self.clients[place];
        client.phase = phase;
        client.since = self.now;
    }

    fn enqueue(&mut self, place: usize) {
        if !std::mem::replace(&mut self.clients[place].queued, true) {
            self.pending.push(place);
        }
    }

    /// It is this client's turn to look for a place at a server; whether it still waits for one.
    fn has_turn(&mut self, place: usize, generation: u32) -> bool {
        let client = self.clients.get_mut(place);
        let waiting =
            client.filter(|client| client.generation == generation && client.phase == Phase::Queued);
        let running = waiting.and_then(|client| client.running.as_mut());
        running.map(|running| running.turn = true).is_some()
    }

    /// Reads and forgets what a client still sends after its last answer, so that closing does not destroy that.
    fn linger(&mut self, desk: &mut Desk, place: usize) -> Step {
        let socket = &mut self.clients[place].socket;
        for _ in 0..DISCARDS {
            if !socket.readable {
                return Step::Wait;
            }
            match socket.read(&mut desk.scratch) {
                Read::Bytes(_) | Read::Nothing => {}
                Read::End | Read::Broken => return Step::Over(CloseReason::ClientClosed),
            }
        }
        // To close on what is unread would destroy the answer: it goes on until its time is up.
        self.enqueue(place);
        Step::Wait
    }
}

/// Reads of a client that got its last answer in one go before others get their turn.
const DISCARDS: usize = 16;
