//! HTTP: one worker's HTTP clients, the streams under way and the connections to servers. What `connections`
//! is for clients that are passed through, this is for requests and responses.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | accepting clients, readiness and deadlines; driving each client until it waits |
//! | `client.rs`, `head.rs` | a client's connection; what it says between exchanges |
//! | `stream.rs` | one exchange under way: what decides, and the bytes in between |
//! | `perform.rs` | telling an Exchange what happened, and performing what it answers: one match |
//! | `passing.rs` | a step of a stream: its parts, and the bytes that they move |
//! | `server.rs`, `pool.rs` | connections to servers: in use; all of them, and those that are kept |
//! | `consulting.rs` | streams that are held while an analyzer is asked |
//! | `queue.rs` | streams that wait for a place at a server |
//! | `answers.rs`, `account.rs` | answers of our own; counters and access records |
//!
//! ```text
//!   client   Header -> Head -> Exchange(stream) -> Kept -> Head ...
//!                        \_ refused _/        \-> Lingering -> gone
//!   stream   see core's http::exchange
//! ```
//!
//! Must never decide what a request is worth, where it goes or whether it is repeated (core's Exchange does).

mod account;
mod answers;
mod client;
mod consulting;
mod head;
mod passing;
mod perform;
mod pool;
mod queue;
mod server;
mod stream;

use std::rc::Rc;

use headworks_core::action::Side;
use headworks_core::close::{CloseReason, ConsultFault};
use headworks_core::http::exchange::ExchangeEvent;
use headworks_core::names::{Resolution, Unresolved};
use headworks_core::time::Millis;
use mio::event::Event as Readiness;

use self::account::row;
use self::client::{Client, Phase};
use self::pool::Servers;
use self::queue::{Queue, Standing};
use self::stream::{Stream, Work};
use super::Supervisor;
use crate::arrival::Arrival;
use crate::consult::{Answer, Outcome};
use crate::deployment::LocalPlan;
use crate::io::BodyForm;
use crate::names::Waiter;
use crate::roster::Roster;
use crate::row::ConnectionRow;
use crate::token::{self, Kind, Meaning};
use crate::tools::Tools;

/// One worker's HTTP clients.
#[derive(Debug)]
pub(crate) struct HttpSupervisor {
    clients: Roster<Client>,
    streams: Roster<Stream>,
    servers: Servers,
    queue: Queue,
    /// The work of streams that are over, for the next ones.
    #[expect(clippy::vec_box, reason = "boxes go to streams and come back: a stream moves by a word")]
    spare: Vec<Box<Work>>,
    /// The Plan in force: each new exchange is decided by it.
    plan: LocalPlan,
    /// No listener is left: exchanges end, and kept clients are let go.
    draining: bool,
}

/// The outcome of a step of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// An event or a deadline is waited for.
    Wait,
    /// There is more to do now.
    Again,
    /// The exchange is over: its response is delivered.
    Finished {
        /// The client's connection serves for another exchange.
        keep: bool,
    },
    /// The client's connection is over; an exchange under way ends for this reason.
    Over(CloseReason),
}

/// Exchanges of one client in one go before others get their turn.
const TURNS: u32 = 16;
/// Steps of one client in one go before others get their turn: each may read, and get little.
const STEPS: u32 = 256;
/// Work kept for the next streams.
const SPARES: usize = 1024;

impl Supervisor for HttpSupervisor {
    fn take_over(&mut self, tools: &mut Tools, arrival: Arrival) {
        let mut client = Client::new(arrival, tools.now);
        if client.is_known() {
            client.admit();
        }
        let place = self.clients.insert(client);
        self.drive(tools, place);
    }

    fn ready(&mut self, tools: &mut Tools, whose: Meaning, readiness: &Readiness) {
        let Meaning { generation, place, side, .. } = whose;
        let place = match side {
            Side::Client => match self.clients.find(place, generation) {
                Some(client) => {
                    client.who.socket.became(readiness);
                    place
                }
                None => return,
            },
            Side::Server => match self.server_ready(place, generation, readiness) {
                Some(stream) => self.streams[stream].client,
                None => return,
            },
        };
        self.drive(tools, place);
    }

    /// Gives a turn to the streams that were called to a place, too.
    fn resume(&mut self, tools: &mut Tools) {
        let list = self.clients.turns();
        for &place in &list {
            if self.clients.get_mut(place).is_some() {
                self.drive(tools, place);
            }
        }
        self.clients.give_back(list);
        if self.queue.has_called() {
            for (at, generation) in self.queue.take_called() {
                self.call(tools, at, generation);
            }
        }
    }

    fn expire(&mut self, tools: &mut Tools) {
        let list = self.clients.due(tools.now);
        for &place in &list {
            match self.clients.get_mut(place).map(|client| client.deadline()) {
                Some(Some(at)) if at <= tools.now => {
                    self.act(tools, place, |this, tools| this.client_expired(tools, place));
                }
                Some(_) => self.rest(tools, place),
                None => {}
            }
        }
        self.clients.give_back(list);
        let list = self.streams.due(tools.now);
        for &at in &list {
            self.judge_deadline(tools, at);
        }
        self.streams.give_back(list);
        if self.queue.is_due(tools.now) {
            self.queue.call_all();
        }
        self.servers.expire(tools.now);
    }

    fn next_deadline(&self, now: Millis) -> Millis {
        if self.queue.has_called() {
            return now;
        }
        let own = self.clients.next(now).min(self.streams.next(now));
        own.min(self.servers.next()).min(self.queue.next())
    }

    fn apply(&mut self, plan: &LocalPlan) {
        self.plan = Rc::clone(plan);
    }

    /// Exchanges under way are the last of their clients.
    fn drain(&mut self, tools: &mut Tools) {
        self.draining = true;
        self.servers.forget();
        let silent = self.clients.iter().filter(|(_, client)| client.is_silent());
        for place in silent.map(|(place, _)| place).collect::<Vec<_>>() {
            self.drive(tools, place);
        }
    }

    fn cut(&mut self, tools: &mut Tools) {
        for place in self.clients.places() {
            self.remove(tools, place, CloseReason::Drained);
        }
        self.servers.forget();
    }

    fn close(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) {
        if self.clients.get(place).is_some() {
            self.remove(tools, place, reason);
        }
    }

    fn id(&self, place: usize) -> Option<u64> {
        self.clients.get(place).map(|client| client.who.id)
    }

    fn row(&self, tools: &Tools, place: usize) -> Option<ConnectionRow> {
        let client = self.clients.get(place)?;
        Some(row(client, client.stream().map(|at| &self.streams[at]), tools))
    }

    fn end(&self) -> usize {
        self.clients.end()
    }

    fn len(&self) -> usize {
        self.clients.len()
    }

    fn advise(&mut self, tools: &mut Tools, answer: &Answer) {
        self.take_answer(tools, answer);
    }

    fn resolved(&mut self, tools: &mut Tools, waiter: Waiter, found: Result<&Resolution, Unresolved>) {
        let Some(stream) = self.streams.find(waiter.place, waiter.generation) else { return };
        let place = stream.client;
        self.act(tools, place, |this, tools| this.turn(tools, waiter.place, ExchangeEvent::Resolved(found)));
    }

    /// Connections to servers that nobody uses can be spared.
    fn make_room(&mut self) -> bool {
        self.servers.make_room()
    }
}

impl HttpSupervisor {
    /// Makes one without clients.
    pub(crate) fn new(plan: &LocalPlan, now: Millis) -> Self {
        Self {
            clients: Roster::new(now),
            streams: Roster::new(now),
            servers: Servers::default(),
            queue: Queue::default(),
            spare: Vec::new(),
            plan: Rc::clone(plan),
            draining: false,
        }
    }

    /// Takes note that a server's connection became ready; returns the stream that it works for.
    fn server_ready(&mut self, number: usize, generation: u32, readiness: &Readiness) -> Option<usize> {
        let server = self.servers.get_mut(number).filter(|server| server.generation == generation)?;
        server.socket.became(readiness);
        // An idle socket that becomes readable has ended or speaks out of turn. Writability alone changes
        // nothing.
        if server.stream.is_none() && (server.socket.broken || !server.is_silent()) {
            self.servers.close(number);
            return None;
        }
        server.stream
    }

    /// Tells a stream that its turn has come, if it is still there.
    fn call(&mut self, tools: &mut Tools, at: usize, generation: u32) {
        if self.streams.find(at, generation).is_some() {
            self.tell(tools, at, ExchangeEvent::Called);
        }
    }

    /// Tells a stream what happened, and takes its client as far as it goes.
    fn tell(&mut self, tools: &mut Tools, at: usize, event: ExchangeEvent<'static>) {
        let place = self.streams[at].client;
        self.act(tools, place, |this, tools| this.turn(tools, at, event));
    }

    /// Tells a stream whose timer fired that its deadline has passed, unless that had moved, or bytes that
    /// were handed to the kernel still do.
    fn judge_deadline(&mut self, tools: &mut Tools, at: usize) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        let place = stream.client;
        let passed = stream.work.exchange.deadline(&stream.around(tools)).is_some_and(|at| at <= tools.now);
        let in_flight = if passed { self.clients[place].who.socket.unacknowledged() } else { 0 };
        if passed && !self.streams[at].work.exchange.still_delivers(in_flight, tools.now) {
            self.give_up_answer(tools, at, Outcome::Failed(ConsultFault::Late));
            self.tell(tools, at, ExchangeEvent::Expired);
        } else {
            self.rest(tools, place);
        }
    }

    /// Takes a client as far as it goes without waiting.
    fn drive(&mut self, tools: &mut Tools, place: usize) {
        self.act(tools, place, |_, _| Step::Again);
    }

    /// Takes one step and then as many as there are to take.
    fn act(&mut self, tools: &mut Tools, place: usize, first: impl FnOnce(&mut Self, &mut Tools) -> Step) {
        let mut step = first(self, tools);
        let before = self.clients[place].requests;
        let mut steps = 0;
        loop {
            step = match step {
                Step::Wait => return self.rest(tools, place),
                Step::Over(reason) => return self.remove(tools, place, reason),
                Step::Finished { keep } => self.finish(tools, place, keep),
                Step::Again => {
                    steps += 1;
                    if steps > STEPS || self.clients[place].requests.wrapping_sub(before) >= TURNS {
                        self.clients.enqueue(place);
                        return self.rest(tools, place);
                    }
                    self.attend(tools, place)
                }
            }
        }
    }

    /// The response is delivered: the client may ask again, or is let go.
    fn finish(&mut self, tools: &mut Tools, place: usize, keep: bool) -> Step {
        let Some(at) = self.clients[place].stream() else { return Step::Again };
        let asked = self.streams[at].work.exchange.is_asked();
        self.end_stream(tools, at, CloseReason::Completed);
        if keep && !self.draining {
            return Step::Again;
        }
        self.let_go(tools.now, place, asked)
    }

    /// Waits: for the next event, and for the next deadline.
    fn rest(&mut self, tools: &mut Tools, place: usize) {
        let token = token::make(Kind::Http, self.clients.generation(place), place, Side::Client);
        let client = &mut self.clients[place];
        if client.who.socket.watch_reads(&tools.registry, token).is_err() {
            return self.remove(tools, place, CloseReason::ClientReset);
        }
        match client.phase {
            Phase::Exchange(at) => {
                let stream = &self.streams[at];
                if let Some(deadline) = stream.work.exchange.deadline(&stream.around(tools)) {
                    self.streams.arm(at, deadline);
                }
            }
            _ => {
                if let Some(deadline) = client.deadline() {
                    self.clients.arm(place, deadline);
                }
            }
        }
    }

    /// Ends a stream: it is counted and recorded, and what it used is given back.
    fn end_stream(&mut self, tools: &mut Tools, at: usize, reason: CloseReason) {
        let before = Standing::of(&self.streams[at]);
        let reason = self.streams[at].work.exchange.end(reason);
        self.queue.hand_on(&self.streams, at, before);
        self.give_up_answer(tools, at, Outcome::Cancelled);
        let mut stream = self.streams.remove(at);
        let client = &mut self.clients[stream.client];
        (client.phase, client.since) = (Phase::Kept, tools.now);
        self.account(tools, &stream, reason);
        let work = &mut stream.work;
        if let Some((id, desk)) = work.consulted.take().and_then(|one| Some((one.id, one.told?))) {
            desk.is_over(id);
            self.clients[stream.client].who.told = Some(desk);
        }
        if let Some(server) = stream.server.and_then(|number| self.servers.remove(number)) {
            if !work.exchange.is_tunnel() {
                drop(server);
            } else if stream::breaks_off(reason) {
                tools.leaving.break_off(server.socket, tools.now);
            } else {
                tools.leaving.close(server.socket, tools.now);
            }
        }
        if let BodyForm::Compressed(compressed) = std::mem::take(&mut work.form) {
            tools.compressors.give_back(compressed.compressor);
        }
        for lane in &mut work.lanes {
            if let Some(pipe) = lane.pipe.take() {
                tools.pipes.give_back(pipe);
            }
        }
        if self.spare.len() < SPARES {
            stream.work.clear();
            self.spare.push(stream.work);
        }
    }

    /// Ends a client, and its stream if one is under way.
    fn remove(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) {
        let stream = self.clients[place].stream();
        let cut_short = stream.is_some_and(|at| self.streams[at].work.is_cut_short());
        if let Some(at) = stream {
            self.end_stream(tools, at, reason);
        }
        let client = self.clients.remove(place);
        client.who.is_over();
        // A response that broke off must not look as if it were complete.
        if cut_short && reason != CloseReason::ClientReset {
            tools.leaving.break_off(client.who.socket, tools.now);
        } else {
            tools.leaving.close(client.who.socket, tools.now);
        }
    }
}
