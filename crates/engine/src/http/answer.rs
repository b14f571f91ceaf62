//! Answers of our own (redirects, static answers, refusals), and the end of exchanges and clients: one access record, counters,
//! and everything given back.
//!
//! Must never decide why a request is refused.

use std::rc::Rc;

use headworks_core::action::{CloseReason, Side};
use headworks_core::backend::Backend;
use headworks_core::table::AnswerIndex;
use headworks_core::tally::Count;

use super::desk::Desk;
use super::{Exchanges, Phase, Running, SPARES, Step};

impl Exchanges {
    /// Gives the answer that a table or a listener has for such requests.
    pub(super) fn answer(&mut self, desk: &mut Desk, place: usize, index: AnswerIndex, bytes: &[u8]) -> Step {
        let client = &mut self.clients[place];
        let plan = Rc::clone(&client.plan);
        let answer = &plan.answers[index as usize];
        let Some(running) = client.running.as_mut() else { return Step::Wait };
        running.times.decided = Some(self.now);
        running.exchange.answered(answer.status());
        let _ = bytes;
        desk.out.clear();
        desk.out.extend_from_slice(
            format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", answer.status()).as_bytes(),
        );
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
        let unwelcome = [CloseReason::FirstBytesTimeout, CloseReason::Denied, CloseReason::LimitReached];
        if unwelcome.contains(&reason) {
            running.exchange.close_client();
        }
        desk.out.clear();
        let close = if running.exchange.keeps_client() { "" } else { "Connection: close\r\n" };
        desk.out
            .extend_from_slice(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{close}\r\n").as_bytes());
        self.say(desk, place)
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
        self.note_answer(place);
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
            Phase::Queued => self.refuse(desk, place, CloseReason::QueueTimeout),
            Phase::Connecting => self.connect_failed(desk, place, headworks_core::action::Fault::TimedOut),
            Phase::Asking => self.refuse(desk, place, CloseReason::BodyTimeout),
            Phase::Awaiting => self.refuse(desk, place, CloseReason::ResponseTimeout),
            Phase::Answering => Step::Over(CloseReason::IdleTimeout),
            Phase::Tunnel => Step::Over(CloseReason::TunnelTimeout),
            Phase::Lingering => Step::Over(CloseReason::ClientClosed),
        }
    }

    /// Whoever waits longest for a place at `backend` gets a turn.
    pub(super) fn next_in_line(&mut self, backend: &Backend) {
        while let Some((place, generation)) = self.queue.next(backend) {
            if self.is_queued(place, generation) {
                return self.enqueue(place);
            }
        }
    }

    /// An exchange is over: it is counted and recorded, and what it used is given back.
    pub(super) fn end_exchange(&mut self, place: usize, reason: CloseReason) {
        let client = &mut self.clients[place];
        let Some(mut running) = client.running.take() else { return };
        let reason = *running.reason.get_or_insert(reason);
        let plan = Rc::clone(&client.plan);
        if let Some(at) = running.server.take() {
            self.servers.close(at);
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

    /// The head of the answer is on its way: it is counted.
    pub(super) fn note_answer(&mut self, place: usize) {
        let client = &self.clients[place];
        let Some(running) = client.running.as_ref() else { return };
        let _ = running;
    }

    /// Counts and records an exchange.
    fn account(&mut self, place: usize, running: &Running, reason: CloseReason) {
        let _ = (place, running, reason, self.shard);
    }

    /// The end of a client, and of its exchange if one is under way.
    pub(super) fn remove(&mut self, place: usize, reason: CloseReason) {
        let cut_short = self.clients[place].running.as_ref().is_some_and(|running| running.is_cut_short());
        self.end_exchange(place, reason);
        self.timer.disarm(place);
        let client = self.clients.remove(place);
        client.owner().state.tally.add(self.shard, Count::Ended, 1);
        // A response that broke off must not look as if it were complete.
        if cut_short && reason != CloseReason::ClientReset {
            self.aborts.add(client.socket, self.now);
        }
    }
}
