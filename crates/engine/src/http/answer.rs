//! Answers of our own (redirects, static answers, refusals), and the end of exchanges and clients: one access record, counters,
//! and everything given back.
//!
//! Must never decide why a request is refused.

use std::rc::Rc;

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::http::answers::Occasion;
use headworks_core::http::pages::Page;
use headworks_core::http::status::Always;
use headworks_core::message::Message;
use headworks_core::message::Method;
use headworks_core::pool::Backend;
use headworks_core::table::AnswerIndex;
use headworks_core::tally::Count;

use super::desk::Desk;
use super::transfer::Shape;
use super::{Exchanges, Phase, SPARES, Step};
use crate::clock;

impl Exchanges {
    /// Gives the answer that a table or a listener has for such requests.
    pub(super) fn answer(&mut self, desk: &mut Desk, place: usize, index: AnswerIndex, bytes: &[u8]) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let answer = &plan.answers[index as usize];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.times.decided = Some(self.now);
        running.exchange.answered(answer.status());
        desk.out.clear();
        let Some(running) = self.clients[place].running.as_deref() else { return Step::Wait };
        let client = &self.clients[place];
        let occasion = Occasion {
            facts: &running.facts(client, client.owner(), &plan),
            message: Some(Message::new(&desk.head, bytes)),
            always: Always {
                date: self.date.at(clock::wall()),
                hsts: client.http().rules.hsts(),
                close: !running.exchange.keeps_client(),
            },
        };
        answer.write(&mut desk.out, occasion);
        self.say(desk, place)
    }

    /// Refuses a request, with a page that says why, unless a response has begun.
    pub(super) fn refuse(&mut self, desk: &mut Desk, place: usize, reason: CloseReason) -> Step {
        let Some(status) = reason.status() else { return Step::Over(reason) };
        self.give_up(place, reason);
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Over(reason) };
        if running.exchange.is_answered() {
            return Step::Over(reason);
        }
        running.reason = Some(reason);
        running.times.decided.get_or_insert(self.now);
        running.exchange.answered(status);
        // Whoever was too slow, or may not be here at all, is not asked again.
        // What follows CONNECT may be meant for a tunnel.
        let unwelcome = [
            CloseReason::FirstBytesTimeout,
            CloseReason::Denied,
            CloseReason::LimitReached,
            CloseReason::MethodNotAllowed,
        ];
        if unwelcome.contains(&reason) {
            running.exchange.close_client();
        }
        self.write_page(desk, place, status);
        self.say(desk, place)
    }

    fn write_page(&mut self, desk: &mut Desk, place: usize, status: u16) {
        let client = &self.clients[place];
        let Some(running) = client.running.as_deref() else { return };
        let page = Page {
            status,
            accept: running.asked.accept(),
            request_id: &running.asked.id,
            head_only: running.exchange.method() == Method::Head,
            retry_after: running.retry_after,
            always: Always {
                date: self.date.at(clock::wall()),
                hsts: client.http().rules.hsts(),
                close: !running.exchange.keeps_client(),
            },
        };
        let backend = running.backend(&client.plan).map(|backend| &backend.http.pages);
        desk.out.clear();
        client.owner().http.pages.write(&mut desk.out, backend, &page);
    }

    /// No server will answer: what was taken there is given back. What is no request gets an exchange all the same.
    fn give_up(&mut self, place: usize, reason: CloseReason) {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let running = client.running.get_or_insert_with(|| {
            let mut running = self.spare.pop().unwrap_or_default();
            running.begin_malformed(self.now);
            running
        });
        if reason == CloseReason::BadRequest {
            // What follows is not to be understood, either.
            running.exchange.close_client();
        }
        if let Some(at) = running.server.take() {
            self.servers.close(at);
        }
        if running.place.take().is_some()
            && let Some(backend) = running.backend(&plan)
        {
            self.next_in_line(backend);
        }
    }

    /// Says what is on the desk, as the whole answer.
    fn say(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.bytes[Side::Server as usize] += desk.out.len() as u64;
        let last = !running.exchange.keeps_client() && running.exchange.is_asked();
        self.enter(place, Phase::Answering);
        match self.tell(desk, place, last) {
            Step::Again => self.deliver(place),
            other => other,
        }
    }

    /// A deadline has passed.
    pub(super) fn expired(&mut self, desk: &mut Desk, place: usize) -> Step {
        match self.clients[place].phase {
            Phase::Header | Phase::Head => self.refuse(desk, place, CloseReason::FirstBytesTimeout),
            Phase::Kept => Step::Over(CloseReason::IdleTimeout),
            Phase::Queued => {
                self.leave_line(place);
                self.refuse(desk, place, CloseReason::QueueTimeout)
            }
            Phase::Connecting => self.connect_failed(desk, place, headworks_core::close::Fault::TimedOut),
            Phase::Asking if self.clients[place].is_held_up() => {
                self.refuse(desk, place, CloseReason::ResponseTimeout)
            }
            Phase::Asking => self.refuse(desk, place, CloseReason::BodyTimeout),
            Phase::Awaiting => self.refuse(desk, place, CloseReason::ResponseTimeout),
            Phase::Answering => Step::Over(CloseReason::IdleTimeout),
            Phase::Tunnel => Step::Over(CloseReason::TunnelTimeout),
            Phase::Lingering => Step::Over(CloseReason::ClientClosed),
        }
    }

    /// A client does not wait for a place any more.
    pub(super) fn leave_line(&mut self, place: usize) {
        let client = &self.clients[place];
        let backend = client.running.as_ref().and_then(|running| running.backend(&client.plan));
        if let Some(backend) = backend {
            self.queue.leave(backend, (place, client.generation));
        }
    }

    /// Whoever waits longest for a place at `backend` gets a turn.
    pub(super) fn next_in_line(&mut self, backend: &Backend) {
        // It leaves the line when it has got one: until then nobody who comes later may take it.
        if let Some((place, generation)) = self.queue.first(backend)
            && self.has_turn(place, generation)
        {
            self.enqueue(place);
        }
    }

    /// An exchange is over: it is counted and recorded, and what it used is given back.
    pub(super) fn end_exchange(&mut self, place: usize, reason: CloseReason) {
        let client = &mut self.clients[place];
        let Some(mut running) = client.running.take() else { return };
        let reason = *running.reason.get_or_insert(reason);
        let plan = Rc::clone(&client.plan);
        if client.phase == Phase::Queued
            && let Some(backend) = running.backend(&plan)
        {
            // Who leaves the line makes room in it, and hands on a turn that was not used.
            self.queue.leave(backend, (place, client.generation));
            if running.turn {
                self.next_in_line(backend);
            }
        }
        if let Some(server) = running.server.take().and_then(|at| self.servers.remove(at)) {
            // In a tunnel nothing but its end says whether what went through it was all.
            match (running.exchange.is_tunnel(), reason) {
                (true, CloseReason::ClientReset | CloseReason::ClientTruncated) => {
                    self.aborts.add(server.socket, self.now);
                }
                (true, _) => self.aborts.part(server.socket, self.now),
                (false, _) => drop(server),
            }
        }
        if let Shape::Compressed(coded) = std::mem::take(&mut running.shape) {
            self.compressors.give_back(coded.compressor);
        }
        let taken = running.place.take();
        self.account(place, &running, reason);
        if let Some(backend) = taken.and(running.choice).map(|choice| &plan.backends[choice.backend as usize])
        {
            self.next_in_line(backend);
        }
        for lane in &mut running.lanes {
            if let Some(pipe) = lane.pipe.take() {
                self.pipes.give_back(pipe);
            }
        }
        if self.spare.len() < SPARES {
            running.clear();
            self.spare.push(running);
        }
    }

    /// The end of a client, and of its exchange if one is under way.
    pub(super) fn remove(&mut self, place: usize, reason: CloseReason) {
        let cut_short = self.clients[place].running.as_ref().is_some_and(|running| running.is_cut_short());
        self.end_exchange(place, reason);
        self.timer.disarm(place);
        let client = self.clients.remove(place);
        client.owner().state.tally.add(self.shard, Count::Ended, 1);
        // A response that broke off must not look as if it were complete.
        match cut_short && reason != CloseReason::ClientReset {
            true => self.aborts.add(client.socket, self.now),
            false => self.aborts.part(client.socket, self.now),
        }
    }
}
