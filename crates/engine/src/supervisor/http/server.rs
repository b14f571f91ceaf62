//! Servers: the connections to servers: opening them, the request's way there, and the response's way back.
//!
//! A malformed head never reaches the client. A connection is put away as soon as its response is read, even
//! if the client takes longer. Must never choose a server or judge what it says: what happened is fed to the
//! Exchange.

use headworks_core::action::Side;
use headworks_core::close::Fault;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, ExchangeState, Lost, Passage, Stopped};
use headworks_core::message::Message;
use headworks_core::pool::Backend;
use headworks_core::wire::http1::{self, Parsed};
use headworks_core::wire::proxy_protocol::{self, Announced};

use super::client::Client;
use super::pool::{Keep, Server};
use super::stream::Stream;
use super::{HttpSupervisor, Step};
use crate::io::{BodyForm, Dial, Socket, Transfer};
use crate::outcome::{Read, Written};
use crate::sys;
use crate::token::{self, Kind};
use crate::tools::Tools;

impl HttpSupervisor {
    /// Takes a stream as far as it goes without waiting.
    pub(super) fn carry_on(&mut self, tools: &mut Tools, at: usize) -> Step {
        match self.streams[at].work.exchange.state() {
            ExchangeState::Connecting => self.connecting(tools, at),
            ExchangeState::Asking(_) | ExchangeState::Awaiting(_) => self.ask(tools, at),
            ExchangeState::Answering(_) | ExchangeState::Tunnel(_) => match self.pass_request(tools, at) {
                Step::Wait => self.pass_response(tools, at),
                step => step,
            },
            ExchangeState::Told => self.deliver(tools, at),
            ExchangeState::Ruling | ExchangeState::InLine | ExchangeState::Over => match self.left(tools, at)
            {
                Some(event) => self.turn(tools, at, event),
                None => Step::Wait,
            },
        }
    }

    /// Passes the request on and listens for a response.
    fn ask(&mut self, tools: &mut Tools, at: usize) -> Step {
        match self.pass_request(tools, at) {
            Step::Wait => {}
            step => return step,
        }
        if let Some(event) = self.left(tools, at) {
            return self.turn(tools, at, event);
        }
        match self.deliver_interim(tools, at) {
            Step::Wait => self.read_response(tools, at),
            step => step,
        }
    }

    /// Opens a connection to the server chosen; where no descriptor is left for it, connections that are only
    /// kept give way.
    pub(super) fn dial(&mut self, at: usize) -> Result<Socket, Fault> {
        match self.dial_once(at) {
            // Ports run out, too: that is told by a descriptor that can still be had.
            Err(Fault::Exhausted) if sys::spare_descriptor().is_err() && self.servers.make_room() => {
                self.dial_once(at)
            }
            dialled => dialled,
        }
    }

    /// Begins to connect to the server chosen, by TLS if its backend says so.
    fn dial_once(&self, at: usize) -> Result<Socket, Fault> {
        let stream = &self.streams[at];
        let attempts = stream.work.exchange.attempts();
        let (Some(index), Some(server)) = (attempts.backend(), attempts.server()) else {
            return Err(Fault::Exhausted);
        };
        let backend = &stream.plan.backends[index as usize];
        let dial = Dial { speaks_first: true, max_hops: stream.plan.proxy.resources.max_hops };
        let mut socket = self.clients[stream.client].who.socket.dial(&server.address, backend, dial)?;
        if let Some(connector) = stream.plan.connector(index) {
            let mut preface = Vec::new();
            self.clients[stream.client].announce(backend, &mut preface);
            socket.secure_to(connector, &server.address, &preface)?;
        }
        Ok(socket)
    }

    /// Looks whether the connection stands. On a short path it does as soon as it was begun: a write tells.
    pub(super) fn connecting(&mut self, tools: &mut Tools, at: usize) -> Step {
        let Stream { work, client, server, .. } = &mut self.streams[at];
        if self.clients[*client].who.socket.broken {
            return self.turn(tools, at, ExchangeEvent::Left { broken: true });
        }
        let Some((number, server)) = server.and_then(|at| Some((at, self.servers.get_mut(at)?))) else {
            return self.turn(tools, at, ExchangeEvent::ConnectFailed(Fault::Exhausted));
        };
        if !server.socket.writable {
            return Step::Wait;
        }
        let token = token::make(Kind::Http, server.generation, number, Side::Server);
        let event = match server.socket.write(&work.request[work.sent..], false) {
            Written::Bytes(0) => match server.socket.watch_both(&tools.registry, token) {
                Ok(()) => return Step::Wait,
                Err(_) => ExchangeEvent::ConnectFailed(Fault::Exhausted),
            },
            Written::Bytes(n) => {
                work.sent += n;
                match server.socket.watch_reads(&tools.registry, token) {
                    Ok(()) => ExchangeEvent::Connected { kept: false },
                    Err(_) => ExchangeEvent::ConnectFailed(Fault::Exhausted),
                }
            }
            Written::Broken => {
                ExchangeEvent::ConnectFailed(server.socket.connect_result().err().unwrap_or(Fault::Refused))
            }
        };
        self.turn(tools, at, event)
    }

    /// Passes on what is left of the request.
    fn pass_request(&mut self, tools: &mut Tools, at: usize) -> Step {
        let Stream { work, client, server, plan, listener, .. } = &mut self.streams[at];
        if !work.exchange.passes_request() {
            return Step::Wait;
        }
        let Some((number, server)) = server.and_then(|at| Some((at, self.servers.get_mut(at)?))) else {
            return Step::Wait;
        };
        if work.sent < work.request.len() {
            if !server.socket.writable {
                // It waits for its server, not for its client.
                self.feed(tools, at, ExchangeEvent::RequestPassed(stopped(Stopped::Full)));
                return Step::Wait;
            }
            match server.socket.write(&work.request[work.sent..], false) {
                Written::Bytes(n) => work.sent += n,
                Written::Broken => return self.request_passed(tools, at, stopped(Stopped::SinkBroken)),
            }
            if work.sent < work.request.len() {
                self.feed(tools, at, ExchangeEvent::RequestPassed(stopped(Stopped::Full)));
                return self.watch_server(tools, at, number);
            }
        }
        if work.exchange.is_asked() && work.lanes[Side::Client as usize].waiting() == 0 {
            return match work.exchange.state() {
                ExchangeState::Asking(_) | ExchangeState::Tunnel(_) => {
                    self.request_passed(tools, at, stopped(Stopped::Done))
                }
                _ => Step::Wait,
            };
        }
        let client = &mut self.clients[*client];
        let mut transfer = Transfer {
            source: &mut client.who.socket,
            sink: &mut server.socket,
            lane: &mut work.lanes[Side::Client as usize],
            body: &mut work.exchange.request,
            form: &mut BodyForm::Same,
            excess: &mut client.who.held,
            read: 0,
            passed: 0,
            limit: plan.listeners[*listener as usize].spec.http.body_limit.unwrap_or(u64::MAX),
            last: false,
        };
        let passage = transfer.run(&mut tools.scratch, &mut tools.out, &mut tools.pipes);
        work.counted[Side::Client as usize] += passage.read;
        let step = self.request_passed(tools, at, passage);
        match passage.stopped {
            Stopped::Full if step == Step::Wait => self.watch_server(tools, at, number),
            Stopped::Unfinished if step == Step::Wait => {
                self.clients.enqueue(self.streams[at].client);
                Step::Wait
            }
            _ => step,
        }
    }

    fn request_passed(&mut self, tools: &mut Tools, at: usize, passage: Passage) -> Step {
        self.turn(tools, at, ExchangeEvent::RequestPassed(passage))
    }

    /// Has the stream told when its server takes more again.
    fn watch_server(&mut self, tools: &mut Tools, at: usize, number: usize) -> Step {
        let watched = self.servers.get_mut(number).map(|server| {
            let token = token::make(Kind::Http, server.generation, number, Side::Server);
            server.socket.watch_both(&tools.registry, token)
        });
        match watched {
            Some(Ok(())) => Step::Wait,
            _ => self.server_lost(tools, at),
        }
    }

    /// Reads from the server until the head of its response is complete.
    fn read_response(&mut self, tools: &mut Tools, at: usize) -> Step {
        let limits = self.streams[at].owner().http.limits;
        let Some(server) = self.server_of(at).filter(|server| server.socket.readable) else {
            return Step::Wait;
        };
        let mut scratch = std::mem::take(&mut tools.scratch);
        let step = match server.socket.read(&mut scratch) {
            Read::Bytes(n) if server.inbound.is_empty() => self.take_response(tools, at, &scratch[..n]),
            Read::Bytes(n) => {
                let seen = server.inbound.len();
                server.inbound.push(&scratch[..n]);
                if http1::may_be_complete(server.inbound.pending(), seen, &limits) {
                    let held = std::mem::take(&mut server.inbound);
                    self.take_response(tools, at, held.pending())
                } else {
                    Step::Again
                }
            }
            Read::Nothing => Step::Again,
            Read::End | Read::Broken if server.inbound.is_empty() => self.server_lost(tools, at),
            Read::End | Read::Broken => self.turn(tools, at, ExchangeEvent::Garbled),
        };
        tools.scratch = scratch;
        step
    }

    /// Takes heads from the front of `bytes`: interim ones, and the final one with what of its body came
    /// along.
    fn take_response(&mut self, tools: &mut Tools, at: usize, mut bytes: &[u8]) -> Step {
        loop {
            let stream = &mut self.streams[at];
            let limits = stream.owner().http.limits;
            match http1::response(bytes, &limits, stream.work.exchange.method(), &mut tools.head) {
                Parsed::Complete => {}
                Parsed::Partial => {
                    if let Some(server) = self.server_of(at) {
                        server.inbound.push(bytes);
                    }
                    return Step::Again;
                }
                Parsed::Invalid(_) => return self.turn(tools, at, ExchangeEvent::Garbled),
            }
            let length = tools.head.length;
            let head = std::mem::take(&mut tools.head);
            let action = self.feed(tools, at, ExchangeEvent::Answered(Message::new(&head, bytes)));
            tools.head = head;
            let step = self.perform(tools, at, action, bytes);
            let more = matches!(action, ExchangeAction::Skip | ExchangeAction::PassInterim)
                && !self.streams[at].work.exchange.is_answered();
            bytes = &bytes[length..];
            if step != Step::Again || !more || bytes.is_empty() {
                return step;
            }
        }
    }

    /// Passes on what is left of the response.
    pub(super) fn pass_response(&mut self, tools: &mut Tools, at: usize) -> Step {
        let Stream { work, client, server, .. } = &mut self.streams[at];
        let Some(server) = server.and_then(|at| self.servers.get_mut(at)) else {
            return self.deliver(tools, at);
        };
        let client = &mut self.clients[*client];
        let last = !work.exchange.keeps_client() && work.exchange.is_asked();
        let mut transfer = Transfer {
            source: &mut server.socket,
            sink: &mut client.who.socket,
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
        if work.exchange.response.is_done() && !work.exchange.is_tunnel() {
            self.put_away(tools, at);
        }
        let step = self.turn(tools, at, ExchangeEvent::ResponsePassed(passage));
        match passage.stopped {
            _ if step != Step::Wait => step,
            Stopped::Dry => match self.left(tools, at) {
                Some(event) => self.turn(tools, at, event),
                None => Step::Wait,
            },
            Stopped::Full => self.watch_client(tools, at),
            Stopped::Unfinished => {
                self.clients.enqueue(self.streams[at].client);
                Step::Wait
            }
            _ => Step::Wait,
        }
    }

    /// The server's connection failed or ended before a response.
    fn server_lost(&mut self, tools: &mut Tools, at: usize) -> Step {
        let stream = &mut self.streams[at];
        let begun = stream.work.sent > 0;
        let lost = stream.server.take().and_then(|number| self.servers.remove(number));
        let kept = lost.is_some_and(|server| server.reused);
        self.turn(tools, at, ExchangeEvent::Lost(Lost { kept, begun }))
    }

    /// The server has done its part: its connection is kept for another exchange, or closed.
    pub(super) fn put_away(&mut self, tools: &mut Tools, at: usize) {
        let stream = &mut self.streams[at];
        let Some(number) = stream.server.take() else { return };
        let stream = &self.streams[at];
        let keeps = !self.draining
            && stream.work.exchange.may_keep_server(stream.work.is_sent(), &stream.around(tools));
        let keep = stream
            .backend()
            .filter(|_| keeps)
            .map(|backend| Keep { most: backend.spec.pool.size, time: backend.spec.pool.timeout });
        match keep {
            Some(keep) if self.servers.get_mut(number).is_some_and(Server::may_serve_others) => {
                self.servers.keep(number, keep, tools.now);
            }
            _ => self.servers.close(number),
        }
        self.serve_next(at);
    }

    /// Closes the server's connection, if there is one.
    pub(super) fn close_server(&mut self, at: usize) {
        if let Some(number) = self.streams[at].server.take() {
            self.servers.close(number);
        }
    }

    /// Returns the server's connection, while there is one.
    pub(super) fn server_of(&mut self, at: usize) -> Option<&mut Server> {
        self.servers.get_mut(self.streams[at].server?)
    }
}

impl Client {
    /// Appends the PROXY header that the backend wants: before the request, or where TLS is spoken before all
    /// of it.
    pub(super) fn announce(&self, backend: &Backend, out: &mut Vec<u8>) {
        if let Some(version) = backend.proxy_header {
            let announced = Announced {
                client: self.who.address,
                local: self.who.local,
                tls: self.who.socket.tls_facts(),
            };
            proxy_protocol::write(version, announced, out);
        }
    }
}

/// Says that nothing moved, and why.
fn stopped(stopped: Stopped) -> Passage {
    Passage { read: 0, moved: false, stopped }
}
