//! Asking: a server for the request, a socket to it (kept or new), and the request's way there.
//!
//! A kept socket may have ended without our knowing: what failed there is sent again on another one, where that is safe
//! (see `Exchange::may_repeat`). Must never decide where a request goes.

use std::rc::Rc;

use headworks_core::action::{Choice, Side};
use headworks_core::balance::Seed;
use headworks_core::close::{CloseReason, Fault};
use headworks_core::http::exchange::Sent;
use headworks_core::http::request_id::RequestId;
use headworks_core::http::rewrite::Rewrite;
use headworks_core::message::Message;
use headworks_core::pool::Backend;
use headworks_core::table::BackendIndex;
use headworks_core::tally::Count;
use headworks_core::wire::proxy_protocol::{self, Announced};

use super::client::Client;
use super::desk::Desk;
use super::transfer::{Moved, Shape, Transfer};
use super::{Exchanges, Phase, Step};
use crate::connection::token;
use crate::socket::{Socket, Written};
use crate::sys;

impl Exchanges {
    /// Sends the request whose head is on the desk and in `bytes`, with what of its body came along, to a backend.
    pub(super) fn ask(&mut self, desk: &mut Desk, place: usize, index: BackendIndex, bytes: &[u8]) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let backend = &plan.backends[index as usize];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.choice = Some(Choice { backend: index, server: NONE });
        let message = Message::new(&desk.head, bytes);
        if backend.http.maintenance {
            return self.refuse(desk, place, CloseReason::Maintenance);
        }
        if let Some(value) = backend.http.hash_header.as_deref().and_then(|name| message.value(name)) {
            running.asked.fill_key(value);
        }
        if running.asked.id.is_empty() && backend.http.rules.wants_request_id() {
            let id = RequestId::made([self.random.next(), self.random.next()]);
            running.asked.id.extend_from_slice(id.as_bytes());
        }
        running.cookie = backend.http.rules.affinity.as_ref().and_then(|affinity| affinity.read(message));
        if let Err(reason) = self.render(desk, place, bytes) {
            return self.refuse(desk, place, reason);
        }
        self.ask_again(desk, place)
    }

    /// Writes the request as the server gets it.
    fn render(&mut self, desk: &mut Desk, place: usize, bytes: &[u8]) -> Result<(), CloseReason> {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let Some(mut running) = client.running.take() else { return Ok(()) };
        let owner = &plan.listeners[client.listener as usize];
        let Some(backend) = running.backend(&plan) else { return Ok(()) };
        if client.local.is_none()
            && (owner.http.rules.asks_local()
                || backend.http.rules.asks_local()
                || backend.proxy_header.is_some())
        {
            client.local = client.socket.local();
        }
        let mut request = std::mem::take(&mut running.request);
        request.clear();
        if plan.connector(running.choice.map_or(0, |choice| choice.backend)).is_none() {
            announce(client, backend, &mut request);
        }
        let facts = running.facts(client, owner, &plan);
        let rewrite = Rewrite { listener: &owner.http.rules, backend: &backend.http.rules, facts: &facts };
        let written = rewrite.request(&mut request, Message::new(&desk.head, bytes));
        request.extend_from_slice(&bytes[desk.head.length..]);
        running.request = request;
        client.running = Some(running);
        written.map_err(|_| CloseReason::Overflow)
    }

    /// A client waits in line: for its turn, unless it leaves.
    pub(super) fn wait_for_turn(&mut self, desk: &mut Desk, place: usize) -> Step {
        if self.has_left(desk, place) {
            return self.cancel(place);
        }
        let Some(running) = self.clients[place].running.as_mut() else { return Step::Wait };
        match std::mem::take(&mut running.turn) {
            true => self.ask_again(desk, place),
            false => Step::Wait,
        }
    }

    /// Chooses a server, or waits for one that has a place.
    fn ask_again(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let random = self.random.next();
        let plan = Rc::clone(&client.plan);
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        let Some(backend) = running.backend(&plan) else { return Step::Wait };
        let waited = client.phase == Phase::Queued;
        if !waited && running.tried.is_empty() && self.queue.first(backend).is_some() {
            // Others have waited longer.
            return self.wait_in_line(desk, place);
        }
        let seed = Seed {
            client: client.address.map(|address| address.ip()),
            host: running.asked.name(),
            path: Some(running.asked.target()),
            header: running.asked.key(),
            random,
            now: self.now,
        };
        let bound =
            running.cookie.and_then(|identity| backend.engage_identity(identity, self.now, &running.tried));
        running.needs_cookie = bound.is_none() && backend.http.rules.affinity.is_some();
        match bound.or_else(|| backend.engage(&seed, &running.tried)) {
            Some((server, taken)) => {
                running.times.decided.get_or_insert(self.now);
                running.place = Some(taken);
                running.set_server(server);
                if waited {
                    self.leave_line(place);
                    // There may be a place for the next one, too.
                    self.next_in_line(backend);
                }
                self.send(desk, place)
            }
            None if running.tried.is_empty() && backend.is_full(self.now) => self.wait_in_line(desk, place),
            None => {
                let reason = running.failure.unwrap_or(CloseReason::NoServer);
                if waited {
                    self.leave_line(place);
                    self.next_in_line(backend);
                }
                self.refuse(desk, place, reason)
            }
        }
    }

    /// Every usable server holds as many as it may: wait, if the line is not too long.
    fn wait_in_line(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let waiting = (place, client.generation);
        let Some(running) = client.running.as_ref() else { return Step::Wait };
        let Some(backend) = running.backend(&plan) else { return Step::Wait };
        if client.phase == Phase::Queued {
            return Step::Wait;
        }
        match self.queue.join(backend, waiting) {
            true => self.enter(place, Phase::Queued),
            false => return self.refuse(desk, place, CloseReason::QueueFull),
        }
        Step::Wait
    }

    /// Sends the request through a kept socket, or opens one.
    fn send(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.sent = 0;
        running.unheard = false;
        let Some((backend, server)) = running.chosen(&plan) else { return Step::Wait };
        // A PROXY header speaks for one client only.
        let pooled = backend.proxy_header.is_none() && !running.fresh;
        if let Some(at) = pooled.then(|| self.servers.reuse(&server.state, place)).flatten() {
            running.server = Some(at);
            running.times.connected.get_or_insert(self.now);
            self.enter(place, Phase::Asking);
            return Step::Again;
        }
        match self.dial(place) {
            Err(fault) => self.connect_failed(desk, place, fault),
            Ok(socket) => {
                let (at, _) = self.servers.add(socket, &server.state, place);
                if let Some(running) = self.clients[place].running.as_mut() {
                    running.server = Some(at);
                }
                self.enter(place, Phase::Connecting);
                self.connecting(desk, place)
            }
        }
    }

    /// The same as [`Self::dial_once`]; where no descriptor is left for it, sockets that are only kept give way.
    fn dial(&mut self, place: usize) -> Result<Socket, Fault> {
        match self.dial_once(place) {
            // Ports run out, too: that is told by a descriptor that can still be had.
            Err(Fault::Exhausted) if sys::spare_descriptor().is_err() && self.make_room() => {
                self.dial_once(place)
            }
            dialled => dialled,
        }
    }

    /// Begins to connect to the server chosen, by TLS if its backend says so.
    fn dial_once(&self, place: usize) -> Result<Socket, Fault> {
        let client = &self.clients[place];
        let chosen =
            client.running.as_ref().and_then(|running| running.chosen(&client.plan).zip(running.choice));
        let Some(((backend, server), choice)) = chosen else { return Err(Fault::Exhausted) };
        let mut socket = Socket::connect(&server.address, backend, true)?;
        if let Some(connector) = client.plan.connector(choice.backend) {
            let mut preface = Vec::new();
            announce(client, backend, &mut preface);
            socket.secure_to(connector, &server.address, &preface)?;
        }
        Ok(socket)
    }

    /// On a short path the connection stands as soon as it was begun: a write tells. Otherwise waits for it.
    pub(super) fn connecting(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        if client.socket.broken {
            return self.cancel(place);
        }
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        let Some((at, server)) = running.server.and_then(|at| Some((at, self.servers.get_mut(at)?))) else {
            return Step::Over(CloseReason::NoServer);
        };
        if !server.socket.writable {
            return Step::Wait;
        }
        match server.socket.write(&running.request[running.sent..], false) {
            Written::Bytes(0) => {
                let token = token::http(server.generation, at, Side::Server);
                if let Ok(()) = server.socket.watch_both(&self.registry, token) {
                    return Step::Wait;
                }
                self.connect_failed(desk, place, Fault::Exhausted)
            }
            Written::Bytes(n) => {
                running.sent += n;
                self.connected(desk, place, at)
            }
            Written::Broken => {
                let fault = server.socket.connect_result().err().unwrap_or(Fault::Refused);
                self.connect_failed(desk, place, fault)
            }
        }
    }

    fn connected(&mut self, desk: &mut Desk, place: usize, at: usize) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.times.connected = Some(self.now);
        let Some((backend, chosen)) = running.chosen(&plan) else { return Step::Wait };
        chosen.state.connected(self.now);
        chosen.state.tally.add(self.shard, Count::Connections, 1);
        backend.tally.add(self.shard, Count::Connections, 1);
        let watched = self.servers.get_mut(at).map(|server| {
            let token = token::http(server.generation, at, Side::Server);
            server.socket.watch_reads(&self.registry, token)
        });
        if !matches!(watched, Some(Ok(()))) {
            return self.connect_failed(desk, place, Fault::Exhausted);
        }
        self.enter(place, Phase::Asking);
        Step::Again
    }

    /// A server cannot be connected to.
    pub(super) fn connect_failed(&mut self, desk: &mut Desk, place: usize, fault: Fault) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.fault = Some(fault);
        if let Some(at) = running.server.take() {
            self.servers.close(at);
        }
        let Some((backend, chosen)) = running.chosen(&plan) else { return Step::Wait };
        chosen.state.tally.add(self.shard, Count::ConnectFailures, 1);
        if fault.blames_server() {
            chosen.state.connect_failed(self.now, backend.eject_after, backend.eject_for);
        }
        self.ask_another(desk, place, CloseReason::NoServer)
    }

    /// Tries another server, as often as the backend says; if there is none it ends for `reason`.
    fn ask_another(&mut self, desk: &mut Desk, place: usize, reason: CloseReason) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        let Some(backend) = running.backend(&plan) else { return Step::Wait };
        running.place = None;
        running.failure = Some(reason);
        running.tried.push(running.choice.map_or(NONE, |choice| choice.server));
        if running.tried.len() > backend.retries as usize {
            return self.refuse(desk, place, reason);
        }
        backend.tally.add(self.shard, Count::Retries, 1);
        self.ask_again(desk, place)
    }

    /// Passes on what is left of the request.
    pub(super) fn pass_request(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_deref_mut() else { return Step::Wait };
        let Some((at, server)) = running.server.and_then(|at| Some((at, self.servers.get_mut(at)?))) else {
            return Step::Wait;
        };
        if running.unheard {
            return Step::Wait;
        }
        if running.sent < running.request.len() {
            if !server.socket.writable {
                return Step::Wait;
            }
            match server.socket.write(&running.request[running.sent..], false) {
                Written::Bytes(n) => running.sent += n,
                Written::Broken => return self.unheard(place),
            }
            if running.sent < running.request.len() {
                return self.watch_server(desk, place, at);
            }
        }
        if running.exchange.is_asked() && running.lanes[0].waiting() == 0 {
            return self.asked(place);
        }
        let mut shape = Shape::Same;
        let owner = &client.plan.listeners[client.listener as usize];
        let limit = owner.http.body_limit.unwrap_or(u64::MAX);
        let mut transfer = Transfer {
            source: &mut client.socket,
            sink: &mut server.socket,
            lane: &mut running.lanes[0],
            body: &mut running.exchange.request,
            shape: &mut shape,
            excess: &mut client.inbound,
            read: 0,
            passed: 0,
            limit,
            last: false,
        };
        let waiting = transfer.lane.waiting();
        let moved = transfer.run(desk, &mut self.pipes);
        let (read, truncated) = (transfer.read, transfer.source.was_truncated());
        // A server that reads slowly is one that reads.
        if transfer.lane.waiting() != waiting {
            client.since = self.now;
        }
        running.full = matches!(moved, Moved::Full);
        let tunnel = running.exchange.is_tunnel();
        if read > 0 {
            running.gone = true;
            running.body += read;
            running.body_begun.get_or_insert(self.now);
            running.bytes[0] += read;
            client.since = self.now;
            if let Some(reason) = unwelcome(client, self.now) {
                return self.refuse(desk, place, reason);
            }
        }
        match moved {
            Moved::Dry => Step::Wait,
            Moved::Full => self.watch_server(desk, place, at),
            Moved::Unfinished => {
                self.enqueue(place);
                Step::Wait
            }
            Moved::Done => self.asked(place),
            Moved::TooLarge => self.refuse(desk, place, CloseReason::BodyTooLarge),
            Moved::Malformed => self.refuse(desk, place, CloseReason::BadRequest),
            Moved::Cut => self.cancel(place),
            Moved::SourceBroken if truncated => Step::Over(CloseReason::ClientTruncated),
            Moved::SourceBroken => Step::Over(CloseReason::ClientReset),
            Moved::SinkBroken if tunnel => Step::Over(CloseReason::ServerReset),
            Moved::SinkBroken => self.unheard(place),
        }
    }

    /// The server takes no more of the request. What it has said before may be its answer: it is read to its end first.
    fn unheard(&mut self, place: usize) -> Step {
        let Some(running) = self.clients[place].running.as_mut() else { return Step::Wait };
        running.unheard = true;
        if let Some(server) = running.server.and_then(|at| self.servers.get_mut(at)) {
            server.socket.readable = true;
        }
        Step::Wait
    }

    /// All of the request is on its way.
    fn asked(&mut self, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        if running.exchange.is_tunnel() {
            return self.finish_server(place);
        }
        if client.phase == Phase::Asking {
            self.enter(place, Phase::Awaiting);
        }
        Step::Wait
    }

    /// The client has ended a tunnel, and all it sent is delivered. The server may go on.
    fn finish_server(&mut self, place: usize) -> Step {
        let Some(running) = self.clients[place].running.as_mut() else { return Step::Wait };
        if running.exchange.response.is_done() && running.lanes[Side::Server as usize].waiting() == 0 {
            return Step::Over(CloseReason::Completed);
        }
        if !std::mem::replace(&mut running.finished, true)
            && let Some(server) = running.server.and_then(|at| self.servers.get_mut(at))
        {
            server.socket.finish();
        }
        Step::Wait
    }

    fn watch_server(&mut self, desk: &mut Desk, place: usize, at: usize) -> Step {
        let watched = self.servers.get_mut(at).map(|server| {
            let token = token::http(server.generation, at, Side::Server);
            server.socket.watch_both(&self.registry, token)
        });
        match watched {
            Some(Ok(())) => Step::Wait,
            _ => self.server_lost(desk, place),
        }
    }

    /// The server's connection failed or ended before a response. The request is sent again where that is safe: a kept
    /// connection may end at any moment, which says nothing of its server; a fresh one that does speaks against it.
    pub(super) fn server_lost(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        let lost = running.server.take().and_then(|at| self.servers.remove(at));
        let reused = lost.is_some_and(|server| server.reused);
        let sent = match (running.sent, running.gone) {
            (0, false) => Sent::Nothing,
            (_, false) => Sent::Repeatable,
            (_, true) => Sent::Gone,
        };
        if running.exchange.is_answered() {
            return Step::Over(CloseReason::ServerReset);
        }
        if !running.exchange.may_repeat(sent) {
            return self.refuse(desk, place, CloseReason::ServerReset);
        }
        if !reused {
            return self.ask_another(desk, place, CloseReason::ServerReset);
        }
        // One kept connection that failed says the same of all others that are as old.
        running.fresh = true;
        self.send(desk, place)
    }

    /// The client has gone: so does its request.
    pub(super) fn cancel(&mut self, place: usize) -> Step {
        let broken = self.clients[place].socket.broken;
        Step::Over(if broken { CloseReason::ClientReset } else { CloseReason::ClientClosed })
    }
}

/// Appends the PROXY header that the backend wants: before the request, or where TLS is spoken before all of it.
fn announce(client: &Client, backend: &Backend, out: &mut Vec<u8>) {
    if let Some(version) = backend.proxy_header {
        let announced =
            Announced { client: client.address, local: client.local, tls: client.socket.tls_facts() };
        proxy_protocol::write(version, announced, out);
    }
}

/// No server yet.
pub(super) const NONE: u16 = u16::MAX;
/// Milliseconds before the rate of a body is judged.
const GRACE: u64 = 2_000;

/// Why the body that a client sends is not waited for any longer.
fn unwelcome(client: &Client, now: u64) -> Option<CloseReason> {
    let (http, running) = (client.http(), client.running.as_ref()?);
    if running.exchange.is_tunnel() {
        return None;
    }
    // A client may have waited, for a server or to be told that it may go on: that is no slowness of its own.
    let elapsed = now - running.body_begun.unwrap_or(now);
    let slow = elapsed > GRACE && running.body.saturating_mul(1000) / elapsed < http.min_body_rate;
    (slow && !running.exchange.is_asked()).then_some(CloseReason::BodyTimeout)
}
