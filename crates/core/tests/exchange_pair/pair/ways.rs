//! The ways of a Pair: the request's to the server, the response's to the client, and what may happen on
//! them.

use std::rc::Rc;

use headworks_core::http::coding::Coding;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, ExchangeState, Lost, Passage, Stopped};
use headworks_core::message::{Head, Message, Persistence};
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{self, Parsed};

use super::{Flow, Pair, Stream};
use crate::script::{Closing, Script};

impl Pair {
    pub(super) fn pass_request(&mut self, at: usize) -> Flow {
        let Stream { exchange, request, connection, waiting, .. } = &self.streams[at];
        if !exchange.passes_request() || connection.is_none() {
            return Flow::Wait;
        }
        let (left, idle) = (request.0 - request.1, exchange.is_asked() && waiting[0] == 0);
        if left > 0 {
            let Some(taken) = self.write(at, left) else {
                return self.request_passed(at, 0, (false, Stopped::SinkBroken));
            };
            self.take_request(at, taken);
            if taken < left {
                return self.request_passed(at, 0, (false, Stopped::Full));
            }
        }
        if idle {
            return match self.streams[at].exchange.state() {
                ExchangeState::Asking(_) | ExchangeState::Tunnel(_) => {
                    self.request_passed(at, 0, (false, Stopped::Done))
                }
                _ => Flow::Wait,
            };
        }
        let waiting = self.streams[at].waiting[0];
        let (read, stopped) = self.move_request(at);
        let stream = &mut self.streams[at];
        stream.ledger.streamed |= read > 0;
        stream.ledger.asked |= stream.said.is_whole();
        let moved = stream.waiting[0] != waiting;
        self.request_passed(at, read, (moved, stopped))
    }

    pub(super) fn request_passed(&mut self, at: usize, read: u64, (moved, stopped): (bool, Stopped)) -> Flow {
        let flow = self.turn(at, ExchangeEvent::RequestPassed(Passage { read, moved, stopped }));
        let Stream { exchange, over, .. } = &self.streams[at];
        assert!(
            *over || stopped != Stopped::SinkBroken || !exchange.passes_request(),
            "offered to a deaf server"
        );
        flow
    }

    /// Moves bytes from the client to the server; how many were read, and why it stopped.
    pub(super) fn move_request(&mut self, at: usize) -> (u64, Stopped) {
        if let Some(stopped) = self.write_waiting(at) {
            return (0, stopped);
        }
        let limit = self.plan.listeners[0].spec.http.body_limit.unwrap_or(u64::MAX);
        let most = 1 + self.random.below(12);
        let Stream { said, exchange, waiting, .. } = &mut self.streams[at];
        if exchange.request.is_done() {
            return (0, Stopped::Done);
        }
        let bytes = said.take(most);
        if bytes.is_empty() {
            return (0, ended(said, &mut exchange.request));
        }
        let Ok((read, done)) = exchange.request.advance(&bytes) else { return (0, Stopped::Malformed) };
        if exchange.request.announced() > limit {
            return (read as u64, Stopped::TooLarge);
        }
        waiting[0] += read;
        let stopped = match self.write_waiting(at) {
            Some(stopped) => stopped,
            None if done => Stopped::Done,
            None => self.random.of(&[Stopped::Dry, Stopped::Unfinished]),
        };
        (read as u64, stopped)
    }

    /// Reads bytes of a body that is held whole; how many, and why it stopped.
    pub(super) fn gather(&mut self, at: usize, limit: u64) -> (u64, Stopped) {
        let most = 1 + self.random.below(12);
        let Stream { said, exchange, request, .. } = &mut self.streams[at];
        let follows = if matches!(exchange.request, Body::Length(_)) { exchange.request.unseen() } else { 0 };
        if exchange.request.announced() > limit || follows > limit || request.0 > 100_000 {
            return (0, Stopped::TooLarge);
        }
        if exchange.request.is_done() {
            return (0, Stopped::Done);
        }
        let bytes = said.take(most);
        if bytes.is_empty() {
            return (0, ended(said, &mut exchange.request));
        }
        match exchange.request.advance(&bytes) {
            Ok((read, true)) => (read as u64, Stopped::Done),
            Ok((read, false)) => (read as u64, Stopped::Unfinished),
            Err(_) => (0, Stopped::Malformed),
        }
    }

    /// Writes what waits for the server; None: all of it.
    pub(super) fn write_waiting(&mut self, at: usize) -> Option<Stopped> {
        let waiting = self.streams[at].waiting[0];
        if waiting == 0 {
            return None;
        }
        let Some(taken) = self.write(at, waiting) else { return Some(Stopped::SinkBroken) };
        self.streams[at].waiting[0] -= taken;
        (taken < waiting).then_some(Stopped::Full)
    }

    /// How many of these bytes the server takes; None: its connection takes nothing any more.
    pub(super) fn write(&mut self, at: usize, bytes: usize) -> Option<usize> {
        let connection = &self.connections[self.streams[at].connection.unwrap()];
        assert!(!connection.gone && connection.stream == Some(at), "sent to a server that was lost");
        if connection.deaf || connection.says.closed && connection.says.closing == Closing::Broken {
            return None;
        }
        Some(if self.random.chance(70) { bytes } else { self.random.below(bytes) })
    }

    pub(super) fn read_response(&mut self, at: usize) -> Flow {
        let number = self.streams[at].connection.unwrap();
        let most = if self.random.chance(50) { usize::MAX } else { 1 + self.random.below(60) };
        let connection = &mut self.connections[number];
        let bytes = connection.says.take(most);
        if !bytes.is_empty() {
            connection.inbound.extend(bytes);
            return self.take_response(at, number);
        }
        if !connection.says.is_at_end() {
            return Flow::Wait;
        }
        if !connection.inbound.is_empty() {
            return self.turn(at, ExchangeEvent::Garbled);
        }
        let lost = Lost { kept: connection.kept, begun: self.streams[at].request.1 > 0 };
        self.close(at);
        self.turn(at, ExchangeEvent::Lost(lost))
    }

    /// Takes heads from the front of what was read: interim ones, and the final one with what follows it.
    pub(super) fn take_response(&mut self, at: usize, number: usize) -> Flow {
        let limits = self.plan.listeners[0].http.limits;
        let inbound = std::mem::take(&mut self.connections[number].inbound);
        let (mut bytes, mut head) = (&inbound[..], Head::default());
        while !bytes.is_empty() {
            match http1::response(bytes, &limits, self.streams[at].exchange.method(), &mut head) {
                Parsed::Complete => {}
                Parsed::Partial => {
                    self.connections[number].inbound = bytes.to_vec();
                    return Flow::Again;
                }
                Parsed::Invalid(_) => return self.turn(at, ExchangeEvent::Garbled),
            }
            let action = self.feed(at, ExchangeEvent::Answered(Message::new(&head, bytes)));
            let flow = self.perform(at, action, Some((&head, bytes)));
            if !matches!(action, ExchangeAction::Skip | ExchangeAction::PassInterim) || flow != Flow::Again {
                return flow;
            }
            bytes = &bytes[head.length..];
        }
        Flow::Again
    }

    /// Writes the final head, with what of the body came along. None: that is done, and told.
    pub(super) fn reply(
        &mut self,
        at: usize,
        compress: bool,
        (head, bytes): (&Head, &[u8]),
    ) -> Option<ExchangeEvent<'static>> {
        let plan = Rc::clone(&self.plan);
        let around = self.around(&plan, at);
        let coding = (compress && self.random.chance(80)).then_some(Coding::Gzip);
        let stream = &mut self.streams[at];
        stream.exchange.decide_form(head, coding, false);
        let reply = stream.exchange.reply(head, &around);
        let closes = reply.persistence == Persistence::Close;
        assert_eq!(closes, !stream.exchange.keeps_client());
        if self.random.chance(2) {
            return Some(ExchangeEvent::Spoiled);
        }
        let rest = &bytes[head.length..];
        let Ok((taken, _)) = stream.exchange.response.advance(rest) else {
            return Some(ExchangeEvent::Spoiled);
        };
        let connection = &mut self.connections[stream.connection.unwrap()];
        if taken < rest.len() {
            connection.excess = true;
            stream.exchange.close_server();
        }
        stream.waiting[1] += head.length + taken;
        stream.ledger.answered = connection.says.is_whole();
        let tunnel = stream.exchange.is_tunnel();
        if tunnel && !stream.said.closed {
            stream.said.bytes.extend(b"spoken by the client");
        }
        let whole = stream.exchange.response.is_done() && !tunnel;
        assert_eq!(self.feed(at, ExchangeEvent::Replied), ExchangeAction::Wait);
        if whole {
            self.pass_response(at);
        }
        None
    }

    pub(super) fn pass_response(&mut self, at: usize) -> Flow {
        let Some(number) = self.streams[at].connection else { return self.deliver(at) };
        let waiting = self.streams[at].waiting[1];
        let (read, stopped) = self.move_response(at, number);
        let stream = &mut self.streams[at];
        let moved = stream.waiting[1] != waiting;
        if stream.exchange.response.is_done() && !stream.exchange.is_tunnel() {
            let says = &self.connections[number].says;
            stream.ledger.answered |= says.is_whole() || says.is_at_end() && says.closing == Closing::End;
            self.put_away(at);
        }
        match self.turn(at, ExchangeEvent::ResponsePassed(Passage { read, moved, stopped })) {
            Flow::Wait if stopped == Stopped::Dry => self.leave(at),
            flow => flow,
        }
    }

    /// Moves bytes from the server to the client; how many were read, and why it stopped.
    pub(super) fn move_response(&mut self, at: usize, number: usize) -> (u64, Stopped) {
        if let Some(stopped) = self.tell_waiting(at) {
            return (0, stopped);
        }
        let most = 1 + self.random.below(12);
        let (connection, stream) = (&mut self.connections[number], &mut self.streams[at]);
        if stream.exchange.response.is_done() {
            return (0, Stopped::Done);
        }
        let bytes = connection.says.take(most);
        if bytes.is_empty() {
            return (0, ended(&connection.says, &mut stream.exchange.response));
        }
        let Ok((read, done)) = stream.exchange.response.advance(&bytes) else {
            return (0, Stopped::Malformed);
        };
        connection.excess |= read < bytes.len();
        stream.waiting[1] += read;
        let stopped = match self.tell_waiting(at) {
            Some(stopped) => stopped,
            None if done => Stopped::Done,
            None => self.random.of(&[Stopped::Dry, Stopped::Unfinished]),
        };
        (read as u64, stopped)
    }

    pub(super) fn deliver(&mut self, at: usize) -> Flow {
        let waiting = self.streams[at].waiting[1];
        let stopped = self.tell_waiting(at).unwrap_or(Stopped::Done);
        let moved = self.streams[at].waiting[1] != waiting;
        self.turn(at, ExchangeEvent::ResponsePassed(Passage { read: 0, moved, stopped }))
    }

    /// Writes what waits for the client; None: all of it.
    pub(super) fn tell_waiting(&mut self, at: usize) -> Option<Stopped> {
        let Stream { said, waiting, stuck, .. } = &mut self.streams[at];
        if said.closed && said.closing == Closing::Broken {
            return Some(Stopped::SinkBroken);
        }
        if waiting[1] > 0 && (*stuck || self.random.chance(20)) {
            waiting[1] -= if *stuck { 0 } else { self.random.below(waiting[1]) };
            return Some(Stopped::Full);
        }
        waiting[1] = 0;
        None
    }
}

/// What it means that nothing can be read of a body.
fn ended(script: &Script, body: &mut Body) -> Stopped {
    match script.closing {
        _ if !script.is_at_end() => Stopped::Dry,
        Closing::End if *body == Body::ToEnd => {
            *body = Body::None;
            Stopped::Done
        }
        Closing::Broken => Stopped::SourceBroken { truncated: false },
        Closing::Truncated => Stopped::SourceBroken { truncated: true },
        Closing::End | Closing::Silent => Stopped::Cut,
    }
}
