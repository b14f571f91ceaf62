//! Connecting to the server that a Session chose: the part between a decision and the relay.
//!
//! Bytes that are held go out with the connect where the path is short enough. Must never choose a server or
//! retry by itself: a fault is reported to the Session, which answers with the next server or a refusal.

use std::rc::Rc;
use std::sync::Arc;

use headworks_core::action::{Action, Choice, Event, Side};
use headworks_core::close::Fault;
use headworks_core::names::{Resolution, Unresolved};
use headworks_core::pool::{AskedFor, Backend};
use headworks_core::table::BackendIndex;
use headworks_core::wire::proxy_protocol::{self, Announced};
use mio::event::Event as Readiness;

use super::{Connection, Connections};
use crate::io::{Dial, Socket};
use crate::names::Waiter;
use crate::outcome::{Read, Written};
use crate::token::Kind;
use crate::tools::Tools;

impl Connections {
    /// Connects for a protocol that routes without looking: what the client has said already goes with the
    /// connect.
    pub(super) fn open_with_first_bytes(
        &mut self,
        tools: &mut Tools,
        place: usize,
        choice: Choice,
    ) -> Action {
        let connection = &mut self.connections[place];
        if connection.session.flow(Side::Client).hold {
            return self.open(tools, place, choice, &[]);
        }
        let mut scratch = std::mem::take(&mut tools.scratch);
        let action = match connection.who.socket.read(&mut scratch) {
            Read::Bytes(n) => {
                connection.session.count(Side::Client, n as u64);
                if let Some(throttle) = &mut connection.throttle {
                    throttle.moved(Side::Client, n as u64, false, tools.now);
                }
                self.open(tools, place, choice, &scratch[..n])
            }
            Read::Nothing => self.open(tools, place, choice, &[]),
            Read::End if connection.who.socket.was_truncated() => {
                self.feed(tools, place, Event::Truncated(Side::Client))
            }
            Read::End => {
                connection.lanes[Side::Client as usize].ended = true;
                self.open(tools, place, choice, &[])
            }
            Read::Broken => self.feed(tools, place, Event::Reset(Side::Client)),
        };
        tools.scratch = scratch;
        action
    }

    /// Has the name resolved that the client asks for. Nothing more is read of it meanwhile.
    pub(super) fn resolve(&mut self, tools: &mut Tools, place: usize, backend: BackendIndex) -> Action {
        let generation = self.connections.generation(place);
        let connection = &mut self.connections[place];
        connection.times.since = tools.now;
        connection.times.decided.get_or_insert(tools.now);
        let plan = &connection.who.plan;
        let backend = &plan.backends[backend as usize];
        if backend.asked_for.as_ref().is_some_and(AskedFor::is_original) {
            let found = connection.session.facts().local.map(Resolution::of_address);
            let found = found.as_ref().ok_or(Unresolved::BadName);
            return self.feed(tools, place, Event::Resolved(found));
        }
        let name = connection.session.facts().name.as_deref();
        let sought = backend.asked_for.as_ref().map(|asked| asked.sought(name, plan.resolver.families));
        match sought {
            Some(Ok(sought)) => {
                let waiter = Waiter { kind: Kind::Connection, place, generation };
                tools.resolve(waiter, sought, backend.spec.connect_timeout);
                Action::Wait
            }
            _ => self.feed(tools, place, Event::Resolved(Err(Unresolved::BadName))),
        }
    }

    #[cfg(feature = "fault-injection")]
    #[expect(clippy::panic, reason = "the fault that is injected")]
    fn inject_fault(&self, place: usize) {
        if self.connections[place].session.facts().name.as_deref() == Some("panic.invalid") {
            panic!("injected by a client that asked for panic.invalid");
        }
    }

    /// Opens a socket to the server chosen and tries to send `opening`, or what is kept, at once.
    pub(super) fn open(&mut self, tools: &mut Tools, place: usize, choice: Choice, opening: &[u8]) -> Action {
        #[cfg(feature = "fault-injection")]
        self.inject_fault(place);
        let connection = &mut self.connections[place];
        connection.times.since = tools.now;
        connection.times.decided.get_or_insert(tools.now);
        let plan = Rc::clone(&connection.who.plan);
        let backend = &plan.backends[choice.backend as usize];
        let connector = plan.connector(choice.backend);
        let opening = match connector {
            None => announce(connection, backend, opening),
            Some(_) => opening,
        };
        let speaks_first = connector.is_some()
            || !opening.is_empty()
            || !connection.lanes[Side::Client as usize].buffer.is_empty();
        let Some(server) = connection.session.attempts().server().map(Arc::clone) else {
            return self.feed(tools, place, Event::ConnectFailed(Fault::Exhausted));
        };
        let address = &server.address;
        let client = &connection.who.socket;
        let dial = Dial {
            speaks_first,
            max_hops: plan.proxy.resources.max_hops,
            client: connection.session.facts().client,
        };
        let mut opened = client.dial(address, backend, dial);
        if matches!(opened, Err(Fault::Exhausted)) && tools.use_spare() {
            opened = client.dial(address, backend, dial);
        }
        if let Some(connector) = connector {
            let preface = header(connection, backend);
            opened = opened.and_then(|mut socket| {
                socket.secure_to(connector, address, &preface)?;
                Ok(socket)
            });
        }
        let (action, sent) = match opened {
            Err(fault) => (self.feed(tools, place, Event::ConnectFailed(fault)), 0),
            Ok(socket) => self.first_write(tools, place, socket, opening),
        };
        self.connections[place].lanes[Side::Client as usize].buffer.push(&opening[sent..]);
        action
    }

    /// Tries a first write at once, since on a short path the connection stands as soon as it was begun.
    /// Otherwise waits for it.
    fn first_write(
        &mut self,
        tools: &mut Tools,
        place: usize,
        mut socket: Socket,
        opening: &[u8],
    ) -> (Action, usize) {
        let token = self.token(place, Side::Server);
        let connection = &mut self.connections[place];
        let kept = &mut connection.lanes[Side::Client as usize].buffer;
        let written = match (opening, kept.pending()) {
            ([], []) => Written::Bytes(0),
            ([], kept) => socket.write(kept, false),
            (opening, _) => socket.write(opening, false),
        };
        match written {
            Written::Bytes(0) => {
                // Not connected yet (or nothing to send): being writable will say so.
                socket.writable = false;
                let watched = socket.watch_both(&tools.registry, token);
                connection.server = Some(socket);
                match watched {
                    Ok(()) => (Action::Wait, 0),
                    Err(_) => (self.feed(tools, place, Event::ConnectFailed(Fault::Exhausted)), 0),
                }
            }
            Written::Bytes(n) => {
                connection.server = Some(socket);
                if opening.is_empty() {
                    kept.take(n);
                    return (self.connected(tools, place), 0);
                }
                (self.connected(tools, place), n)
            }
            Written::Broken => {
                let fault = socket.connect_result().err().unwrap_or(Fault::Refused);
                (self.feed(tools, place, Event::ConnectFailed(fault)), 0)
            }
        }
    }

    fn connected(&mut self, tools: &mut Tools, place: usize) -> Action {
        let token = self.token(place, Side::Server);
        let connection = &mut self.connections[place];
        connection.times.connected = Some(tools.now);
        connection.times.active = tools.now;
        let watched = connection.server.as_mut().map(|server| server.watch_reads(&tools.registry, token));
        if let (true, Some(server)) = (connection.session.flow(Side::Client).hold, &mut connection.server) {
            // Nothing of a held flow was read yet: what waits is our PROXY header, which no analyzer may see
            // and a fresh socket takes whole.
            let header = &mut connection.lanes[Side::Client as usize].buffer;
            if !header.is_empty() && server.write(header.pending(), false) != Written::Bytes(header.len()) {
                connection.server = None;
                return self.feed(tools, place, Event::ConnectFailed(Fault::Reset));
            }
            header.clear();
        }
        match watched {
            Some(Ok(())) => self.feed(tools, place, Event::Connected),
            _ => self.feed(tools, place, Event::ConnectFailed(Fault::Exhausted)),
        }
    }

    /// Goes on when something happened while a server is being connected.
    pub(super) fn connecting(
        &mut self,
        tools: &mut Tools,
        place: usize,
        side: Side,
        readiness: &Readiness,
    ) -> Action {
        let connection = &mut self.connections[place];
        match (side, &connection.server) {
            (Side::Client, _) if readiness.is_error() => self.feed(tools, place, Event::Reset(Side::Client)),
            (Side::Server, Some(server)) if server.writable => match server.connect_result() {
                Ok(()) => self.connected(tools, place),
                Err(fault) => {
                    connection.server = None;
                    self.feed(tools, place, Event::ConnectFailed(fault))
                }
            },
            _ => Action::Wait,
        }
    }
}

/// Puts the PROXY header that the backend wants in front of what the server gets. Returns what is left to
/// send from `opening` (all of it, or nothing once it was copied behind the header).
fn announce<'a>(connection: &mut Connection, backend: &Backend, opening: &'a [u8]) -> &'a [u8] {
    if backend.proxy_header.is_none() || connection.announced {
        return opening;
    }
    connection.announced = true;
    let mut header = header(connection, backend);
    let buffer = &mut connection.lanes[Side::Client as usize].buffer;
    header.extend_from_slice(buffer.pending());
    header.extend_from_slice(opening);
    buffer.clear();
    buffer.push(&header);
    &[]
}

/// Returns the PROXY header that the backend wants; empty where it wants none.
fn header(connection: &Connection, backend: &Backend) -> Vec<u8> {
    let Some(version) = backend.proxy_header else { return Vec::new() };
    let facts = connection.session.facts();
    let local = facts.local.or_else(|| connection.who.socket.local());
    let announced = Announced { client: facts.client, local, tls: connection.who.socket.tls_facts() };
    let mut header = Vec::with_capacity(128);
    proxy_protocol::write(version, announced, &mut header);
    header
}
