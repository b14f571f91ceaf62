//! Servers: the connections to servers: opening them, reading heads of responses, putting them away.
//!
//! A malformed head never reaches the client. A connection is put away as soon as its response is read, even
//! if the client takes longer. Must never choose a server or judge what it says: what happened is told to
//! the Exchange.

use headworks_core::action::Side;
use headworks_core::close::Fault;
use headworks_core::http::exchange::{ExchangeEvent, Lost};
use headworks_core::names::{Resolution, Unresolved};
use headworks_core::wire::http1::{self, Parsed};

use super::pool::{Keep, Server};
use super::queue::Standing;
use super::stream::{Part, Stream};
use super::{HttpSupervisor, Step};
use crate::hops::may_lead_back;
use crate::io::{Dial, Socket};
use crate::names::Waiter;
use crate::outcome::{Read, Written};
use crate::sys;
use crate::token::{self, Kind};
use crate::tools::Tools;

impl HttpSupervisor {
    /// Takes a kept connection to the server chosen, or begins to open one.
    pub(super) fn connect(&mut self, at: usize, fresh: bool) -> Part {
        self.close_server(at);
        let stream = &mut self.streams[at];
        stream.work.sent = 0;
        // A PROXY header speaks for one client only, and so does the client's address.
        let pooled = !fresh && stream.backend().is_some_and(|backend| !backend.speaks_for_one());
        // Nor does one that leads back here for a client that came from here.
        let client = &self.clients[stream.client].who.socket;
        let exchange = &stream.work.exchange;
        let kept = exchange
            .server()
            .filter(|server| pooled && !(may_lead_back(&server.address) && client.hops() > 0));
        if let Some(number) = kept.and_then(|server| self.servers.reuse(&server.state, at)) {
            stream.server = Some(number);
            return Err(ExchangeEvent::Connected { kept: true });
        }
        let socket = self.dial(at).map_err(ExchangeEvent::ConnectFailed)?;
        let stream = &mut self.streams[at];
        let chosen = stream.work.exchange.server();
        stream.server = chosen.map(|server| self.servers.add(socket, &server.state, at));
        Ok(Step::Again)
    }

    /// Has the name resolved that the request is for. Nothing more is read of it meanwhile.
    pub(super) fn resolve(&mut self, tools: &mut Tools, at: usize) -> Part {
        let generation = self.streams.generation(at);
        let stream = &self.streams[at];
        let exchange = &stream.work.exchange;
        let backend = exchange.attempts().backend().map(|index| &stream.plan.backends[index as usize]);
        let asked = backend.and_then(|backend| Some((backend, backend.asked_for.as_ref()?)));
        let Some((backend, asked)) = asked else {
            return Err(ExchangeEvent::Resolved(Err(Unresolved::BadName)));
        };
        if asked.is_original() {
            let found = self.clients[stream.client].who.local.map(Resolution::of_address);
            let found = found.as_ref().ok_or(Unresolved::BadName);
            return Ok(self.turn(tools, at, ExchangeEvent::Resolved(found)));
        }
        match asked.sought(exchange.name(), stream.plan.resolver.families) {
            Ok(sought) => {
                let waiter = Waiter { kind: Kind::Http, place: at, generation };
                tools.resolve(waiter, sought, backend.spec.connect_timeout);
                Ok(Step::Wait)
            }
            Err(_) => Err(ExchangeEvent::Resolved(Err(Unresolved::BadName))),
        }
    }

    /// Opens a connection to the server chosen; where no descriptor is left for it, connections that are only
    /// kept give way.
    fn dial(&mut self, at: usize) -> Result<Socket, Fault> {
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
        let client = &self.clients[stream.client].who;
        let dial = Dial {
            speaks_first: true,
            max_hops: stream.plan.proxy.resources.max_hops,
            client: client.address,
        };
        let mut socket = client.socket.dial(&server.address, backend, dial)?;
        if let Some(connector) = stream.plan.connector(index) {
            let mut preface = Vec::new();
            self.clients[stream.client].announce(backend, &mut preface);
            socket.secure_to(connector, &server.address, &preface)?;
        }
        Ok(socket)
    }

    /// Looks whether the connection stands. On a short path it does as soon as it was begun: a write tells.
    pub(super) fn connecting(&mut self, tools: &mut Tools, at: usize) -> Part {
        let Stream { work, client, server, .. } = &mut self.streams[at];
        if self.clients[*client].who.socket.broken {
            return Err(ExchangeEvent::Left { broken: true });
        }
        if work.exchange.server().is_none() {
            // Its name is being resolved.
            return Ok(Step::Wait);
        }
        let Some((number, server)) = server.and_then(|at| Some((at, self.servers.get_mut(at)?))) else {
            return Err(ExchangeEvent::ConnectFailed(Fault::Exhausted));
        };
        if !server.socket.writable {
            return Ok(Step::Wait);
        }
        let token = token::make(Kind::Http, server.generation, number, Side::Server);
        Err(match server.socket.write(&work.request[work.sent..], false) {
            Written::Bytes(0) => match server.socket.watch_both(&tools.registry, token) {
                Ok(()) => return Ok(Step::Wait),
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
        })
    }

    /// Reads from the server until the head of its response is complete.
    pub(super) fn read_response(&mut self, tools: &mut Tools, at: usize) -> Part {
        let limits = self.streams[at].owner().http.limits;
        let Some(server) = self.servers.of(&self.streams[at]).filter(|server| server.socket.readable) else {
            return Ok(Step::Wait);
        };
        let mut scratch = std::mem::take(&mut tools.scratch);
        let came = match server.socket.read(&mut scratch) {
            Read::Bytes(n) if server.inbound.is_empty() => self.take_response(tools, at, &scratch[..n]),
            Read::Bytes(n) => {
                let seen = server.inbound.len();
                server.inbound.push(&scratch[..n]);
                if http1::may_be_complete(server.inbound.pending(), seen, &limits) {
                    let held = std::mem::take(&mut server.inbound);
                    self.take_response(tools, at, held.pending())
                } else {
                    Ok(Step::Again)
                }
            }
            Read::Nothing => Ok(Step::Again),
            Read::End | Read::Broken if server.inbound.is_empty() => Err(self.server_lost(at)),
            Read::End | Read::Broken => Err(ExchangeEvent::Garbled),
        };
        tools.scratch = scratch;
        came
    }

    /// Takes heads from the front of `bytes`: interim ones, and the final one with what of its body came
    /// along.
    pub(super) fn take_response(&mut self, tools: &mut Tools, at: usize, mut bytes: &[u8]) -> Part {
        loop {
            let stream = &mut self.streams[at];
            let limits = stream.owner().http.limits;
            match http1::response(bytes, &limits, stream.work.exchange.method(), &mut tools.head) {
                Parsed::Complete => {}
                Parsed::Partial => {
                    if let Some(server) = self.servers.of(&self.streams[at]) {
                        server.inbound.push(bytes);
                    }
                    return Ok(Step::Again);
                }
                Parsed::Invalid(_) => return Err(ExchangeEvent::Garbled),
            }
            let length = tools.head.length;
            let step = self.answered(tools, at, bytes);
            bytes = &bytes[length..];
            // After an informational response there is another one.
            if step != Step::Again || bytes.is_empty() || self.streams[at].work.exchange.is_answered() {
                return Ok(step);
            }
        }
    }

    /// The server's connection failed or ended before a response.
    fn server_lost(&mut self, at: usize) -> ExchangeEvent<'static> {
        let stream = &mut self.streams[at];
        let begun = stream.work.sent > 0;
        let lost = stream.server.take().and_then(|number| self.servers.remove(number));
        let kept = lost.is_some_and(|server| server.reused);
        ExchangeEvent::Lost(Lost { kept, begun })
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
        let before = Standing::of(&self.streams[at]);
        self.streams[at].work.exchange.give_place_back();
        self.queue.hand_on(&self.streams, at, before);
    }

    /// Closes the server's connection, if there is one.
    pub(super) fn close_server(&mut self, at: usize) {
        if let Some(number) = self.streams[at].server.take() {
            self.servers.close(number);
        }
    }
}
