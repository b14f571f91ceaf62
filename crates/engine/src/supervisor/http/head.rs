//! Heads: what a client says between exchanges, until it is known where its request goes; and how it is let
//! go.
//!
//! The PROXY header first, where there is one; then a head, in place if it came whole. Must never decide what
//! a request is worth, rewrite it, or know its server.

use std::rc::Rc;

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, Incoming};
use headworks_core::listener::HeaderRule;
use headworks_core::message::Message;
use headworks_core::time::Millis;
use headworks_core::wire::http1::{self, Parsed};

use super::client::Phase;
use super::stream::{Stream, Work, surroundings};
use super::{HttpSupervisor, Step};
use crate::admission::{shut_out, take_header};
use crate::io::DISCARDS;
use crate::outcome::Read;
use crate::tools::Tools;

impl HttpSupervisor {
    /// Takes a step of a client, or of its stream while it has one.
    pub(super) fn attend(&mut self, tools: &mut Tools, place: usize) -> Step {
        match self.clients[place].phase {
            Phase::Header => self.read_header(tools, place),
            Phase::Head | Phase::Kept => self.read_head(tools, place),
            Phase::Exchange(at) => self.carry_on(tools, at),
            Phase::Lingering => self.linger(tools, place),
        }
    }

    /// Reads the PROXY header, or makes sure that there is none.
    fn read_header(&mut self, tools: &mut Tools, place: usize) -> Step {
        let client = &mut self.clients[place];
        if !client.who.socket.readable {
            return Step::Wait;
        }
        match client.who.socket.read(&mut tools.scratch) {
            Read::Nothing => return Step::Wait,
            Read::End => return Step::Over(CloseReason::ClientClosed),
            Read::Broken => return Step::Over(CloseReason::ClientReset),
            Read::Bytes(n) => client.who.held.push(&tools.scratch[..n]),
        }
        let ends = (client.who.address, client.who.local);
        match take_header(client.rule, &mut client.who.held, ends) {
            None => Step::Again,
            Some(Ok(ends)) => {
                (client.who.address, client.who.local) = ends;
                client.phase = Phase::Head;
                if client.rule == HeaderRule::Required {
                    return self.admit_announced(tools, place);
                }
                Step::Again
            }
            Some(Err(reason)) => self.refuse_unreadable(tools, place, reason),
        }
    }

    /// Asks whether the client that a PROXY header announces may be served; one that comes too often is
    /// closed without a word.
    fn admit_announced(&mut self, tools: &mut Tools, place: usize) -> Step {
        let client = &mut self.clients[place];
        let (owner, address) = (client.who.owner(), client.who.address);
        if let Err(reason) = owner.keeps_rate(address.map(|address| address.ip()), tools.now) {
            shut_out(tools, owner, address, client.who.id, reason);
            return Step::Over(reason);
        }
        client.admit();
        Step::Again
    }

    /// Reads what the client says until the head of a request is complete, and goes on with that.
    fn read_head(&mut self, tools: &mut Tools, place: usize) -> Step {
        let client = &mut self.clients[place];
        if self.draining && client.who.held.is_empty() && !client.who.socket.readable {
            return Step::Over(CloseReason::Drained);
        }
        // What an earlier read brought comes first: a request may have followed another one closely.
        if !client.who.held.is_empty() && client.seen < client.who.held.len() {
            return self.look(tools, place);
        }
        if !client.who.socket.readable {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut tools.scratch);
        let step = match client.who.socket.read(&mut scratch) {
            Read::Bytes(n) if client.who.held.is_empty() => {
                let fresh = &scratch[..n];
                let (taken, step) = self.take_head(tools, place, fresh);
                if let Some(client) = self.clients.get_mut(place) {
                    client.who.held.push(&fresh[taken..]);
                }
                step
            }
            Read::Bytes(n) => {
                client.who.held.push(&scratch[..n]);
                Step::Again
            }
            Read::Nothing => Step::Again,
            Read::End => Step::Over(CloseReason::ClientClosed),
            Read::Broken => Step::Over(CloseReason::ClientReset),
        };
        tools.scratch = scratch;
        step
    }

    /// Looks at bytes that are held, unless it is plain that they do not end a head.
    fn look(&mut self, tools: &mut Tools, place: usize) -> Step {
        let client = &mut self.clients[place];
        let seen = std::mem::replace(&mut client.seen, client.who.held.len());
        if !http1::may_be_complete(client.who.held.pending(), seen, &client.http().limits) {
            return Step::Again;
        }
        let held = std::mem::take(&mut client.who.held);
        let (taken, step) = self.take_head(tools, place, held.pending());
        if let Some(client) = self.clients.get_mut(place) {
            client.who.held = held;
            client.who.held.take(taken);
            if taken > 0 {
                client.seen = 0;
            }
        }
        step
    }

    /// Takes a head from the front of `bytes`, with what of its body came along; returns how many bytes that
    /// were, too.
    fn take_head(&mut self, tools: &mut Tools, place: usize, bytes: &[u8]) -> (usize, Step) {
        self.renew_plan(place);
        let client = &mut self.clients[place];
        match http1::request(bytes, &client.http().limits, &mut tools.head) {
            Parsed::Complete => {}
            Parsed::Invalid(malformed) => {
                return (bytes.len(), self.refuse_unreadable(tools, place, malformed.reason()));
            }
            Parsed::Partial => {
                if client.phase == Phase::Kept {
                    (client.phase, client.since) = (Phase::Head, tools.now);
                }
                return (0, Step::Again);
            }
        }
        let at = self.begin(tools, place, bytes);
        #[cfg(feature = "fault-injection")]
        self.inject_fault(at);
        let (head, work) = (tools.head.length, &mut self.streams[at].work);
        let (taken, came) = match work.exchange.request.advance(&bytes[head..]) {
            Ok((body, _)) => {
                work.counted[Side::Client as usize] += (head + body) as u64;
                work.exchange.count_body(body);
                (head + body, Ok(()))
            }
            Err(malformed) => (bytes.len(), Err(malformed.reason())),
        };
        let bytes = &bytes[..taken];
        let action = self.ask_rules(tools, at, bytes, came);
        (taken, self.perform(tools, at, action, bytes))
    }

    /// Has the rules say where the request whose head was just read goes.
    pub(super) fn ask_rules(
        &mut self,
        tools: &mut Tools,
        at: usize,
        bytes: &[u8],
        came: Result<(), CloseReason>,
    ) -> ExchangeAction {
        let Stream { work, plan, listener, client, .. } = &mut self.streams[at];
        let client = &self.clients[*client];
        let around = surroundings(plan, *listener, tools);
        if let Err(reason) = came {
            return work.exchange.handle(ExchangeEvent::Unreadable(reason), around);
        }
        let facts = client.facts();
        let message = Message::new(&tools.head, bytes);
        let request = Incoming { message, client: &facts, turned_away: client.turned_away };
        work.exchange.handle(ExchangeEvent::Asked(&request), around)
    }

    #[cfg(feature = "fault-injection")]
    #[expect(clippy::panic, reason = "the fault that is injected")]
    fn inject_fault(&self, at: usize) {
        if self.streams[at].work.exchange.said.name() == Some("panic.invalid") {
            panic!("injected by a client that asked for panic.invalid");
        }
    }

    /// Each exchange is decided by the Plan in force; a listener that is gone ends its connections after
    /// their exchange.
    fn renew_plan(&mut self, place: usize) {
        let client = &mut self.clients[place];
        if Rc::ptr_eq(&client.who.plan, &self.plan) {
            return;
        }
        let kept = self.plan.listener(&client.owner().name);
        if let Some((listener, _)) = kept.filter(|(_, listener)| listener.protocol.exchanges()) {
            client.who.listener = listener;
            client.who.plan = Rc::clone(&self.plan);
            let admitted = client.owner().admits(client.who.address.map(|address| address.ip()));
            match client.turned_away {
                None if !admitted => client.turned_away = Some(CloseReason::Denied),
                Some(CloseReason::Denied) if admitted => client.turned_away = None,
                _ => {}
            }
        }
    }

    /// Begins a stream with the head that was just read; returns its place.
    fn begin(&mut self, tools: &mut Tools, place: usize, bytes: &[u8]) -> usize {
        let mut work = self.spare.pop().unwrap_or_default();
        let client = &mut self.clients[place];
        let http = &client.who.plan.listeners[client.who.listener as usize].http;
        let message = Message::new(&tools.head, bytes);
        let exchange = &mut work.exchange;
        exchange.begin(message, &http.limits, tools.now);
        // Where an end cancels, one that came with the request does not: its client has finished sending.
        let waits = !client.who.owner().spec.http.abort_on_close || client.who.socket.has_ended();
        exchange.meet(client.who.address, waits);
        if http.rules.wants_request_id() {
            let random = [tools.random.next(), tools.random.next()];
            let id = http.rules.choose_request_id(message, client.who.address, random);
            exchange.said.id.extend_from_slice(id.as_bytes());
        }
        client.requests += 1;
        let most = client.who.owner().spec.http.requests_per_connection;
        let last = most > 0 && client.requests >= most;
        if last || self.draining || !Rc::ptr_eq(&client.who.plan, &self.plan) {
            exchange.close_client();
        }
        self.add_stream(place, work)
    }

    /// Refuses what is no request, or is not waited for any longer.
    fn refuse_unreadable(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) -> Step {
        let mut work = self.spare.pop().unwrap_or_default();
        work.exchange.begin_unreadable(tools.now);
        let at = self.add_stream(place, work);
        self.turn(tools, at, ExchangeEvent::Unreadable(reason))
    }

    /// Lets the client go after its last answer: at once if it has nothing more to say, else when it has read
    /// that.
    pub(super) fn let_go(&mut self, now: Millis, place: usize, asked: bool) -> Step {
        let client = &mut self.clients[place];
        if asked && client.who.held.is_empty() && !client.who.socket.readable {
            return Step::Over(CloseReason::Completed);
        }
        client.who.socket.end_sending();
        (client.phase, client.since) = (Phase::Lingering, now);
        Step::Again
    }

    /// Reads and forgets what a client still sends after its last answer, so that closing does not destroy
    /// that.
    fn linger(&mut self, tools: &mut Tools, place: usize) -> Step {
        let socket = &mut self.clients[place].who.socket;
        for _ in 0..DISCARDS {
            if !socket.readable {
                return Step::Wait;
            }
            match socket.read(&mut tools.scratch) {
                Read::Bytes(_) | Read::Nothing => {}
                Read::End | Read::Broken => return Step::Over(CloseReason::ClientClosed),
            }
        }
        // To close on what is unread would destroy the answer: it goes on until its time is up.
        self.clients.enqueue(place);
        Step::Wait
    }

    /// The deadline of a client without a stream has passed.
    pub(super) fn client_expired(&mut self, tools: &mut Tools, place: usize) -> Step {
        match self.clients[place].phase {
            Phase::Header | Phase::Head => {
                self.refuse_unreadable(tools, place, CloseReason::FirstBytesTimeout)
            }
            Phase::Kept => Step::Over(CloseReason::IdleTimeout),
            Phase::Exchange(_) => Step::Wait,
            Phase::Lingering => Step::Over(CloseReason::ClientClosed),
        }
    }

    /// Adds a stream for a client that asked; returns its place.
    fn add_stream(&mut self, place: usize, work: Box<Work>) -> usize {
        let client = &mut self.clients[place];
        let (plan, listener) = (Rc::clone(&client.who.plan), client.who.listener);
        let stream = Stream { plan, listener, client: place, server: None, work };
        let at = self.streams.insert(stream);
        client.phase = Phase::Exchange(at);
        at
    }
}
