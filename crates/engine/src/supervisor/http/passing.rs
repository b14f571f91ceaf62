//! Passing: the bytes of a stream on their way between its client and its server, and a step of a stream as
//! the parts that may move some.
//!
//! What a part came to is a [`Part`]: nothing to wait for, or an event for the Exchange, which `perform.rs`
//! tells it. Must never read heads or judge what moved.

use headworks_core::action::Side;
use headworks_core::http::exchange::{ExchangeEvent, ExchangeState, Passage, Stopped};

use super::stream::{Part, Stream};
use super::{HttpSupervisor, Step};
use crate::io::{Stop, Transfer};
use crate::outcome::{Read, Written};
use crate::token::{self, Kind};
use crate::tools::Tools;

impl HttpSupervisor {
    /// Takes a stream as far as it goes without waiting: each part has its turn as long as those before it
    /// wait.
    pub(super) fn carry_on(&mut self, tools: &mut Tools, at: usize) -> Step {
        match self.streams[at].work.exchange.state() {
            ExchangeState::Connecting => self.part(tools, at, Self::connecting),
            ExchangeState::Asking(_) | ExchangeState::Awaiting(_) => {
                match self.part(tools, at, Self::pass_request) {
                    Step::Wait => {}
                    step => return step,
                }
                match self.part(tools, at, Self::look_for_end) {
                    Step::Wait => {}
                    step => return step,
                }
                match self.part(tools, at, Self::deliver_interim) {
                    Step::Wait => self.part(tools, at, Self::read_response),
                    step => step,
                }
            }
            ExchangeState::Answering(_) | ExchangeState::Tunnel(_) => {
                match self.part(tools, at, Self::pass_request) {
                    Step::Wait => self.part(tools, at, Self::pass_response),
                    step => step,
                }
            }
            ExchangeState::Told => self.part(tools, at, Self::deliver),
            ExchangeState::Collecting(_) => self.part(tools, at, Self::collect),
            ExchangeState::Ruling
            | ExchangeState::Consulting(_)
            | ExchangeState::InLine
            | ExchangeState::Over => self.part(tools, at, Self::look_for_end),
        }
    }

    /// Takes one part of a step, and has the Exchange told of it if it came to an event.
    #[inline(always)]
    fn part(
        &mut self,
        tools: &mut Tools,
        at: usize,
        part: impl FnOnce(&mut Self, &mut Tools, usize) -> Part,
    ) -> Step {
        match part(self, tools, at) {
            Ok(step) => step,
            Err(event) => self.turn(tools, at, event),
        }
    }

    /// Passes on what is left of the request.
    fn pass_request(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, server, plan, listener, .. } = &mut self.streams[at];
        if !work.exchange.passes_request() {
            return Ok(Step::Wait);
        }
        let Some((number, server)) = server.and_then(|at| Some((at, self.servers.get_mut(at)?))) else {
            return Ok(Step::Wait);
        };
        if work.sent < work.request.len() {
            if !server.socket.writable {
                // It waits for its server, not for its client.
                return request_stopped(Stopped::Full);
            }
            match server.socket.write(&work.request[work.sent..], false) {
                Written::Bytes(n) => work.sent += n,
                Written::Broken => return request_stopped(Stopped::SinkBroken),
            }
            if work.sent < work.request.len() {
                return request_stopped(self.watch_server(tools, number));
            }
        }
        let (form, lane) = (&work.request_form, &work.lanes[Side::Client as usize]);
        if work.exchange.is_asked() && form.is_over(&work.exchange.request) && lane.waiting() == 0 {
            return match work.exchange.state() {
                ExchangeState::Asking(_) | ExchangeState::Tunnel(_) => request_stopped(Stopped::Done),
                _ => Ok(Step::Wait),
            };
        }
        let place = *client;
        let client = &mut self.clients[place];
        let mut transfer = Transfer {
            source: &mut client.who.socket,
            sink: &mut server.socket,
            lane: &mut work.lanes[Side::Client as usize],
            body: &mut work.exchange.request,
            form: &mut work.request_form,
            excess: &mut client.who.held,
            read: 0,
            passed: 0,
            limit: plan.listeners[*listener as usize].spec.http.body_limit.unwrap_or(u64::MAX),
            last: false,
        };
        let mut passage = transfer.run(&mut tools.scratch, &mut tools.out, &mut tools.pipes);
        work.counted[Side::Client as usize] += passage.read;
        match passage.stopped {
            Stopped::Full => passage.stopped = self.watch_server(tools, number),
            Stopped::Unfinished => self.clients.enqueue(place),
            Stopped::Held => {
                return self.hold_body(tools, at, Side::Client, ExchangeEvent::RequestPassed(passage));
            }
            // What still comes of a body that an analyzer has ended is not read.
            Stopped::Done if !self.streams[at].work.exchange.is_asked() => {
                self.streams[at].work.exchange.end_request();
            }
            _ => {}
        }
        Err(ExchangeEvent::RequestPassed(passage))
    }

    /// Passes on what is left of the response.
    pub(super) fn pass_response(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, server, .. } = &mut self.streams[at];
        let Some(server) = server.and_then(|at| self.servers.get_mut(at)) else {
            return self.deliver(tools, at);
        };
        let place = *client;
        let last = !work.exchange.keeps_client() && work.exchange.is_asked();
        let mut transfer = Transfer {
            source: &mut server.socket,
            sink: &mut self.clients[place].who.socket,
            lane: &mut work.lanes[Side::Server as usize],
            body: &mut work.exchange.response,
            form: &mut work.form,
            excess: &mut server.inbound,
            read: 0,
            passed: 0,
            limit: u64::MAX,
            last,
        };
        let passage = transfer.run(&mut tools.scratch, &mut tools.out, &mut tools.pipes);
        work.counted[Side::Server as usize] += transfer.passed;
        if passage.stopped == Stopped::Done && !work.exchange.response.is_done() {
            // An analyzer has ended the body before its server did.
            work.exchange.end_response();
        }
        if work.form.is_over(&work.exchange.response) && !work.exchange.is_tunnel() {
            self.put_away(tools, at);
        }
        match passage.stopped {
            // An end that is seen now is told in place of it: what has moved does not matter any more.
            Stopped::Dry => self.look_for_end(tools, at).map(drop)?,
            Stopped::Full => self.watch_client(tools, at)?,
            Stopped::Unfinished => self.clients.enqueue(place),
            Stopped::Held => {
                return self.hold_body(tools, at, Side::Server, ExchangeEvent::ResponsePassed(passage));
            }
            _ => {}
        }
        Err(ExchangeEvent::ResponsePassed(passage))
    }

    /// Sends `tools.out`, the head of a response and what came with it; `whole`: nothing follows.
    #[inline]
    pub(super) fn send_reply(&mut self, tools: &mut Tools, at: usize, whole: bool) -> Part {
        let exchange = &self.streams[at].work.exchange;
        let last = whole && !exchange.keeps_client() && exchange.is_asked();
        self.send(tools, at, last)?;
        // More of the body is read in a later step: what was just read is still in the scratch that it would
        // be read into.
        if whole { self.pass_response(tools, at) } else { Ok(Step::Again) }
    }

    /// Sends `tools.out`, as the whole answer.
    pub(super) fn say(&mut self, tools: &mut Tools, at: usize) -> Part {
        let work = &mut self.streams[at].work;
        work.counted[Side::Server as usize] += tools.out.len() as u64;
        let last = !work.exchange.keeps_client() && work.exchange.is_asked();
        self.send(tools, at, last)?;
        self.deliver(tools, at)
    }

    /// Sends `tools.out` to the client; what it does not take waits in the stream.
    #[inline]
    pub(super) fn send(
        &mut self,
        tools: &mut Tools,
        at: usize,
        last: bool,
    ) -> Result<(), ExchangeEvent<'static>> {
        let Stream { work, client, .. } = &mut self.streams[at];
        let socket = &mut self.clients[*client].who.socket;
        let waiting = &mut work.lanes[Side::Server as usize].buffer;
        if !waiting.is_empty() || !socket.writable {
            waiting.push(&tools.out);
            return Ok(());
        }
        match socket.write(&tools.out, last) {
            Written::Bytes(n) => waiting.push(&tools.out[n..]),
            Written::Broken => return Err(ExchangeEvent::Left { broken: true }),
        }
        Ok(())
    }

    /// Delivers what waits for the client of a response that is read to its end.
    fn deliver(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, .. } = &mut self.streams[at];
        let lane = &mut work.lanes[Side::Server as usize];
        let waiting = lane.waiting();
        let stopped = lane.deliver_all(&mut self.clients[*client].who.socket);
        let moved = lane.waiting() != waiting;
        if stopped == Stopped::Full {
            self.watch_client(tools, at)?;
            if !moved {
                return Ok(Step::Wait);
            }
        }
        Err(ExchangeEvent::ResponsePassed(Passage { read: 0, moved, stopped }))
    }

    /// Delivers what the client has not taken of informational responses.
    #[inline]
    fn deliver_interim(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, .. } = &mut self.streams[at];
        let socket = &mut self.clients[*client].who.socket;
        match work.lanes[Side::Server as usize].deliver(socket) {
            None => {}
            Some(Stop::Full) => self.watch_client(tools, at)?,
            Some(Stop::Broken) => return Err(ExchangeEvent::Left { broken: true }),
        }
        Ok(Step::Wait)
    }

    /// Looks whether the client has left without waiting for its answer.
    #[inline]
    pub(super) fn look_for_end(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, .. } = &self.streams[at];
        let client = &mut self.clients[*client];
        let may_have_left =
            client.who.socket.ending && client.who.socket.readable && client.who.held.is_empty();
        if client.who.socket.broken {
            return Err(ExchangeEvent::Left { broken: true });
        }
        if !may_have_left || !work.exchange.ends_with_client() {
            return Ok(Step::Wait);
        }
        // Its next request may stand before the end.
        match client.who.socket.read(&mut tools.scratch) {
            Read::Bytes(n) => client.who.held.push(&tools.scratch[..n]),
            Read::Nothing => {}
            Read::End | Read::Broken => {
                return Err(ExchangeEvent::Left { broken: client.who.socket.broken });
            }
        }
        Ok(Step::Wait)
    }

    /// Has the stream told when its client takes more again.
    fn watch_client(&mut self, tools: &Tools, at: usize) -> Result<(), ExchangeEvent<'static>> {
        let place = self.streams[at].client;
        let token = token::make(Kind::Http, self.clients.generation(place), place, Side::Client);
        let watched = self.clients[place].who.socket.watch_both(&tools.registry, token);
        watched.map_err(|_| ExchangeEvent::Left { broken: true })
    }

    /// Has the stream told when its server takes more again; says why the passing on of its request stopped.
    fn watch_server(&mut self, tools: &Tools, number: usize) -> Stopped {
        let watched = self.servers.get_mut(number).map(|server| {
            let token = token::make(Kind::Http, server.generation, number, Side::Server);
            server.socket.watch_both(&tools.registry, token)
        });
        if matches!(watched, Some(Ok(()))) { Stopped::Full } else { Stopped::SinkBroken }
    }
}

/// Says that nothing of a request moved, and why.
fn request_stopped(stopped: Stopped) -> Part {
    Err(ExchangeEvent::RequestPassed(Passage { read: 0, moved: false, stopped }))
}
