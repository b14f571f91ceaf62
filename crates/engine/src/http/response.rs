//! Responses: the head a server answers with, the way of the rest to the client, and the end of the exchange.
//!
//! A malformed head never reaches the client. A server's socket is put away as soon as its response is read, even if the client
//! takes longer. Must never choose a server.

use std::rc::Rc;

use headworks_core::action::Side;
use headworks_core::buffer::Buffer;
use headworks_core::close::CloseReason;
use headworks_core::http::exchange::Answer;
use headworks_core::http::facts::ExchangeFacts;
use headworks_core::http::rewrite::{self, Persistence, Reply, Rewrite};
use headworks_core::message::Message;
use headworks_core::message::{Framing, Version};
use headworks_core::wire::http1::{self, Parsed};

use super::desk::Desk;
use super::servers::{Keep, Server};
use super::transfer::{Coded, Moved, Shape, Transfer};
use super::{Exchanges, Phase, Running, Step};
use crate::connection::token;
use crate::relay::Stop;
use crate::socket::{Read, Written};

impl Exchanges {
    /// Both directions of an exchange, as far as they go.
    pub(super) fn carry_on(&mut self, desk: &mut Desk, place: usize) -> Step {
        match self.pass_request(desk, place) {
            Step::Wait => {}
            other => return other,
        }
        let client = &self.clients[place];
        let Some(running) = client.running.as_ref() else { return Step::Again };
        if running.exchange.is_answered() {
            return self.pass_response(desk, place);
        }
        if self.has_left(desk, place) {
            return self.cancel(place);
        }
        match self.deliver_interim(place) {
            Step::Wait => {}
            other => return other,
        }
        self.read_response(desk, place)
    }

    /// Reads from the server until the head of its response is complete.
    fn read_response(&mut self, desk: &mut Desk, place: usize) -> Step {
        let Some(server) = self.server_of(place) else { return Step::Wait };
        if !server.socket.readable {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut desk.scratch);
        let step = match server.socket.read(&mut scratch) {
            Read::Bytes(n) if server.inbound.is_empty() => self.take_response(desk, place, &scratch[..n]),
            Read::Bytes(n) => {
                let mut held = std::mem::take(&mut server.inbound);
                let seen = held.len();
                held.push(&scratch[..n]);
                self.look_again(desk, place, (held, seen))
            }
            Read::Nothing => Step::Again,
            Read::End | Read::Broken if server.inbound.is_empty() => self.server_lost(desk, place),
            Read::End | Read::Broken => self.refuse(desk, place, CloseReason::BadResponse),
        };
        desk.scratch = scratch;
        step
    }

    /// Looks at bytes that are held, unless it is plain that they do not end a head. `held`: they, and how many of them were
    /// looked at before.
    fn look_again(&mut self, desk: &mut Desk, place: usize, held: (Buffer, usize)) -> Step {
        let (held, seen) = held;
        let limits = self.clients[place].http().limits;
        if http1::may_be_complete(held.pending(), seen, &limits) {
            return self.take_response(desk, place, held.pending());
        }
        if let Some(server) = self.server_of(place) {
            server.inbound = held;
        }
        Step::Again
    }

    /// Delivers what the client has not taken of informational responses.
    fn deliver_interim(&mut self, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        match running.lanes[Side::Server as usize].deliver(&mut client.socket) {
            None => Step::Wait,
            Some(Stop::Full) => self.watch_client(place),
            Some(Stop::Broken) => Step::Over(CloseReason::ClientReset),
        }
    }

    /// Takes heads from the front of `bytes`: interim ones, and the final one with what of its body came along.
    fn take_response(&mut self, desk: &mut Desk, place: usize, mut bytes: &[u8]) -> Step {
        loop {
            let client = &mut self.clients[place];
            let limits = client.http().limits;
            let Some(running) = client.running.as_mut() else { return Step::Wait };
            match http1::response(bytes, &limits, running.exchange.method(), &mut desk.head) {
                Parsed::Complete => {}
                Parsed::Partial => {
                    if let Some(server) = self.server_of(place) {
                        server.inbound.push(bytes);
                    }
                    return Step::Again;
                }
                Parsed::Invalid(_) => return self.refuse(desk, place, CloseReason::BadResponse),
            }
            let answer = running.exchange.respond(Message::new(&desk.head, bytes));
            let length = desk.head.length;
            let step = match answer {
                None => return self.refuse(desk, place, CloseReason::BadResponse),
                Some(Answer::Hidden) => Step::Again,
                Some(Answer::Interim) => self.pass_interim(desk, place, bytes),
                Some(Answer::Final | Answer::Tunnel) => return self.respond(desk, place, bytes),
            };
            if step != Step::Again {
                return step;
            }
            bytes = &bytes[length..];
            if bytes.is_empty() {
                return Step::Again;
            }
        }
    }

    /// Passes an informational response on.
    fn pass_interim(&mut self, desk: &mut Desk, place: usize, bytes: &[u8]) -> Step {
        desk.out.clear();
        match self.write_head(desk, place, bytes) {
            Ok(()) => {
                if let Some(running) = self.clients[place].running.as_mut() {
                    running.bytes[Side::Server as usize] += desk.out.len() as u64;
                }
                self.tell(desk, place, false)
            }
            Err(reason) => self.refuse(desk, place, reason),
        }
    }

    /// Passes the final head on, with what of the body came along.
    fn respond(&mut self, desk: &mut Desk, place: usize, bytes: &[u8]) -> Step {
        self.shape(desk, place, bytes);
        desk.out.clear();
        if let Err(reason) = self.write_head(desk, place, bytes) {
            return self.spoiled(desk, place, reason);
        }
        let now = self.now;
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_deref_mut() else { return Step::Wait };
        running.times.answered = Some(now);
        let rest = &bytes[desk.head.length..];
        let Running { shape, exchange, .. } = running;
        let Ok(taken) = shape.convert(&mut exchange.response, rest, &mut desk.out) else {
            return self.spoiled(desk, place, CloseReason::BadResponse);
        };
        if taken < rest.len() {
            // Bytes beyond the response: nothing that follows on this connection can be trusted.
            exchange.close_server();
        }
        running.bytes[Side::Server as usize] += desk.out.len() as u64;
        let tunnel = exchange.is_tunnel();
        if tunnel {
            // What the client has said already belongs to the other protocol.
            running.lanes[Side::Client as usize].buffer.push(client.inbound.pending());
            client.inbound.clear();
        }
        let exchange = &running.exchange;
        let whole = exchange.response.is_done() && !tunnel;
        let last = whole && !exchange.keeps_client() && exchange.is_asked();
        self.judge_server(place, desk.head.status);
        self.enter(place, if tunnel { Phase::Tunnel } else { Phase::Answering });
        // More of the body is read in a later step: `bytes` are still in the scratch that it would be read into.
        match self.tell(desk, place, last) {
            Step::Again if whole => self.pass_response(desk, place),
            other => other,
        }
    }

    /// A response turned out to be none before any of it was passed on.
    fn spoiled(&mut self, desk: &mut Desk, place: usize, reason: CloseReason) -> Step {
        if let Some(running) = self.clients[place].running.as_mut() {
            running.exchange.withdraw();
        }
        self.refuse(desk, place, reason)
    }

    /// Decides the form in which the body is passed on.
    fn shape(&mut self, desk: &mut Desk, place: usize, bytes: &[u8]) {
        let client = &mut self.clients[place];
        let owner = &client.plan.listeners[client.listener as usize];
        let Some(running) = client.running.as_mut() else { return };
        let suits = owner.http.compression.as_ref().is_some_and(|rules| rules.suits(&desk.head, bytes));
        let offer = running.offer.filter(|_| suits);
        let compressor = offer.and_then(|coding| self.compressors.take(coding).ok());
        running.coding = match &compressor {
            Some(compressor) => rewrite::Coding::Applied(compressor.coding().as_str()),
            None if suits => rewrite::Coding::Varies,
            None => rewrite::Coding::Never,
        };
        running.shape = match compressor {
            Some(compressor) => Shape::Compressed(Box::new(Coded::new(compressor))),
            None if running.exchange.needs_bare_body() => Shape::Bare,
            None => Shape::Same,
        };
        let to_end = desk.head.framing == Framing::ToEnd && !matches!(running.shape, Shape::Compressed(_));
        if self.draining || to_end || matches!(running.shape, Shape::Bare) {
            running.exchange.close_client();
        }
    }

    /// Writes the head on the desk as the client gets it.
    fn write_head(&mut self, desk: &mut Desk, place: usize, bytes: &[u8]) -> Result<(), CloseReason> {
        let client = &self.clients[place];
        let owner = client.owner();
        let Some(running) = client.running.as_deref() else { return Ok(()) };
        let Some((backend, server)) = running.chosen(&client.plan) else { return Ok(()) };
        let facts = ExchangeFacts { status: desk.head.status, ..running.facts(client, owner, &client.plan) };
        let rewrite = Rewrite { listener: &owner.http.rules, backend: &backend.http.rules, facts: &facts };
        let reply = Reply {
            framing: match &running.shape {
                Shape::Same => desk.head.framing,
                Shape::Bare => Framing::ToEnd,
                Shape::Compressed(_) => Framing::Chunked,
            },
            persistence: match (running.exchange.keeps_client(), running.exchange.version()) {
                (false, _) => Persistence::Close,
                (true, Version::Http10) => Persistence::KeepSaid,
                (true, Version::Http11) => Persistence::Keep,
            },
            coding: running.coding,
            affinity: running.needs_cookie.then_some(server.identity),
        };
        let message = Message::new(&desk.head, bytes);
        rewrite.response(&mut desk.out, message, &reply).map_err(|_| CloseReason::BadResponse)
    }

    /// Writes what is on the desk to the client; what it does not take waits.
    pub(super) fn tell(&mut self, desk: &mut Desk, place: usize, last: bool) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        let waiting = &mut running.lanes[Side::Server as usize].buffer;
        if !waiting.is_empty() || !client.socket.writable {
            waiting.push(&desk.out);
            return Step::Again;
        }
        match client.socket.write(&desk.out, last) {
            Written::Bytes(n) => waiting.push(&desk.out[n..]),
            Written::Broken => return Step::Over(CloseReason::ClientReset),
        }
        Step::Again
    }

    /// Passes on what is left of the response.
    pub(super) fn pass_response(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_deref_mut() else { return Step::Again };
        let Some(server) = running.server.and_then(|at| self.servers.get_mut(at)) else {
            return self.deliver(place);
        };
        let last = !running.exchange.keeps_client() && running.exchange.is_asked();
        let mut transfer = Transfer {
            source: &mut server.socket,
            sink: &mut client.socket,
            lane: &mut running.lanes[Side::Server as usize],
            body: &mut running.exchange.response,
            shape: &mut running.shape,
            excess: &mut server.inbound,
            read: 0,
            passed: 0,
            limit: u64::MAX,
            last,
        };
        let waiting = transfer.lane.waiting();
        let moved = transfer.run(desk, &mut self.pipes);
        let (read, passed) = (transfer.read, transfer.passed);
        let truncated = transfer.source.was_truncated();
        if read > 0 || transfer.lane.waiting() != waiting {
            client.since = self.now;
        }
        running.bytes[Side::Server as usize] += passed;
        if running.exchange.response.is_done() && !running.exchange.is_tunnel() {
            self.put_away(place);
        }
        match moved {
            Moved::Dry if self.has_left(desk, place) => self.cancel(place),
            Moved::Dry => Step::Wait,
            Moved::Full => self.watch_client(place),
            Moved::Unfinished => {
                self.enqueue(place);
                Step::Wait
            }
            Moved::Done => self.finish(place),
            Moved::Cut => Step::Over(CloseReason::ServerClosed),
            Moved::Malformed | Moved::TooLarge => Step::Over(CloseReason::BadResponse),
            Moved::SourceBroken if truncated => Step::Over(CloseReason::ServerTruncated),
            Moved::SourceBroken => Step::Over(CloseReason::ServerReset),
            Moved::SinkBroken => Step::Over(CloseReason::ClientReset),
        }
    }

    /// Delivers what waits for the client of a response that is read to its end.
    pub(super) fn deliver(&mut self, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Again };
        let lane = &mut running.lanes[Side::Server as usize];
        let waiting = lane.waiting();
        let stop = lane.deliver(&mut client.socket);
        if lane.waiting() != waiting {
            client.since = self.now;
        }
        match stop {
            None => self.finish(place),
            Some(Stop::Full) => self.watch_client(place),
            Some(Stop::Broken) => Step::Over(CloseReason::ClientReset),
        }
    }

    fn watch_client(&mut self, place: usize) -> Step {
        let client = &mut self.clients[place];
        let token = token::http(client.generation, place, Side::Client);
        match client.socket.watch_both(&self.registry, token) {
            Ok(()) => Step::Wait,
            Err(_) => Step::Over(CloseReason::ClientReset),
        }
    }

    /// The server has done its part: its socket is kept for another exchange, or closed.
    pub(super) fn put_away(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return };
        let Some(at) = running.server.take() else { return };
        let plan = Rc::clone(&client.plan);
        let Some((backend, _)) = running.chosen(&plan) else { return self.servers.close(at) };
        let http = &backend.http;
        let sound = running.exchange.keeps_server()
            && !running.unheard
            && backend.proxy_header.is_none()
            && !self.draining
            && running.is_sent()
            && self.servers.get_mut(at).is_some_and(Server::is_silent);
        match sound {
            true => self.servers.keep(at, Keep { most: http.pool_size, time: http.pool_timeout }, self.now),
            false => self.servers.close(at),
        }
        if running.place.take().is_some() {
            self.next_in_line(backend);
        }
    }

    /// The response is delivered: the client may ask again, or is let go.
    fn finish(&mut self, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Again };
        if running.exchange.is_tunnel() {
            // The server ended; the client may go on.
            client.socket.finish();
            let asked = running.exchange.is_asked() && running.lanes[Side::Client as usize].waiting() == 0;
            return match asked {
                true => Step::Over(CloseReason::Completed),
                false => Step::Wait,
            };
        }
        let (keeps, asked) = (running.exchange.keeps_client(), running.exchange.is_asked());
        self.put_away(place);
        self.end_exchange(place, CloseReason::Completed);
        if keeps && !self.draining {
            self.enter(place, Phase::Kept);
            return Step::Again;
        }
        let client = &mut self.clients[place];
        if asked && client.inbound.is_empty() && !client.socket.readable {
            return Step::Over(CloseReason::Completed);
        }
        client.socket.finish();
        self.enter(place, Phase::Lingering);
        Step::Again
    }

    /// Whether the client has left without waiting for its answer: it ended after it had asked. One that ended with its
    /// request has only finished sending, and waits.
    pub(super) fn has_left(&mut self, desk: &mut Desk, place: usize) -> bool {
        let client = &mut self.clients[place];
        let asked = |running: &&Running| running.exchange.is_asked() && !running.exchange.is_tunnel();
        let Some(running) = client.running.as_deref().filter(asked) else {
            return client.socket.broken;
        };
        let may_have_left = client.socket.ending && client.socket.readable && client.inbound.is_empty();
        if client.socket.broken || running.ended_asking || !may_have_left {
            return client.socket.broken;
        }
        // Its next request may stand before the end.
        match client.socket.read(&mut desk.scratch) {
            Read::Bytes(n) => client.inbound.push(&desk.scratch[..n]),
            Read::Nothing => {}
            Read::End | Read::Broken => return true,
        }
        false
    }

    fn server_of(&mut self, place: usize) -> Option<&mut super::servers::Server> {
        let at = self.clients[place].running.as_ref()?.server?;
        self.servers.get_mut(at)
    }
}
