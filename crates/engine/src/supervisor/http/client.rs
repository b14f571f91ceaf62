//! Clients: the connections of HTTP clients. What a client says until it is known where its request goes, and
//! what it is told.
//!
//! The PROXY header first, where there is one; then a head, in place if it came whole. An idle client owns
//! neither buffers nor a stream. Must never decide what a request is worth, rewrite it, or know its server.

use std::rc::Rc;

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, Incoming};
use headworks_core::http::listener::HttpListener;
use headworks_core::listener::{HeaderRule, Listener};
use headworks_core::message::Message;
use headworks_core::session::Entrance;
use headworks_core::time::Millis;
use headworks_core::wire::http1::{self, Parsed};

use super::stream::{Stream, surroundings};
use super::{HttpSupervisor, Step};
use crate::admission::take_header;
use crate::arrival::Arrival;
use crate::io::{DISCARDS, Stop};
use crate::outcome::{Read, Written};
use crate::token::{self, Kind};
use crate::tools::Tools;

/// One accepted client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The client's arrival, with its socket and the Plan in force for the present exchange.
    pub(crate) who: Arrival,
    /// The phase, which says what is waited for.
    pub(crate) phase: Phase,
    /// The rule of its listener on PROXY headers, until that has been kept.
    rule: HeaderRule,
    /// How many of the bytes that nobody has acted on (`who.held`) cannot end a head.
    seen: usize,
    /// Requests it has made.
    pub(super) requests: u32,
    /// When the present wait began.
    pub(crate) since: Millis,
    /// Why it may not be served at all; sent with the answer to the first request.
    turned_away: Option<CloseReason>,
}

/// The work that a client's connection is busy with: every phase has one deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The PROXY header is read.
    Header,
    /// The head of a request is read; the deadline counts from accept or from its first byte.
    Head,
    /// The first byte of the next request is waited for.
    Kept,
    /// An exchange is under way: the place of its stream, which has the deadline.
    Exchange(usize),
    /// The last answer was given, and the client may still read it.
    Lingering,
}

impl Phase {
    /// Returns its word in lists of connections.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Head => "head",
            Self::Kept => "kept",
            Self::Exchange(_) => "exchange",
            Self::Lingering => "lingering",
        }
    }
}

impl Client {
    /// Makes a client whose first request is waited for. Its PROXY header comes first, where there is one.
    pub(super) fn new(who: Arrival, now: Millis) -> Self {
        let rule = match who.entrance {
            Entrance::Accepted => who.owner().header_rule(who.address),
            Entrance::PassedThrough | Entrance::Secured => HeaderRule::Unknown,
        };
        let phase = if rule == HeaderRule::Unknown { Phase::Head } else { Phase::Header };
        Self { who, phase, rule, seen: 0, requests: 0, since: now, turned_away: None }
    }

    /// Whether its address is known, so that it can be asked whether it may be served.
    pub(super) fn is_known(&self) -> bool {
        self.rule != HeaderRule::Required
    }

    /// Asks whether it may be served; a refusal waits for its first request.
    pub(super) fn admit(&mut self) {
        let Arrival { plan, listener, permit, address, .. } = &mut self.who;
        let owner = &plan.listeners[*listener as usize];
        let address = address.map(|address| address.ip());
        self.turned_away = match permit {
            _ if !owner.admits(address) => Some(CloseReason::Denied),
            Some(permit) => owner.enter_client(permit, address).err(),
            None => None,
        };
    }

    /// Returns its listener.
    pub(crate) fn owner(&self) -> &Listener {
        self.who.owner()
    }

    /// Returns what its listener demands of requests.
    pub(crate) fn http(&self) -> &HttpListener {
        &self.owner().http
    }

    /// Returns the place of the stream under way.
    pub(crate) fn stream(&self) -> Option<usize> {
        if let Phase::Exchange(at) = self.phase { Some(at) } else { None }
    }

    /// Returns when its present wait is over; None while its stream has the deadline.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let limit = match self.phase {
            Phase::Header | Phase::Head => self.owner().spec.timeouts.first_bytes,
            Phase::Kept => self.owner().spec.timeouts.keep_alive,
            Phase::Exchange(_) => return None,
            Phase::Lingering => self.owner().spec.timeouts.linger,
        };
        Some(self.since.saturating_add(limit))
    }

    /// Whether no request of it is under way and nothing of the next one has come.
    pub(super) fn is_silent(&self) -> bool {
        match self.phase {
            Phase::Kept => true,
            Phase::Head => self.who.held.is_empty(),
            _ => false,
        }
    }
}

impl HttpSupervisor {
    /// Reads the PROXY header, or makes sure that there is none.
    pub(super) fn read_header(&mut self, tools: &mut Tools, place: usize) -> Step {
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
        match take_header(client.rule, &mut client.who.held, client.who.address) {
            None => Step::Again,
            Some(Ok(ends)) => {
                (client.who.address, client.who.local) = ends;
                client.phase = Phase::Head;
                if client.rule == HeaderRule::Required {
                    client.admit();
                }
                Step::Again
            }
            Some(Err(reason)) => self.refuse_unreadable(tools, place, reason),
        }
    }

    /// Reads what the client says until the head of a request is complete, and goes on with that.
    pub(super) fn read_head(&mut self, tools: &mut Tools, place: usize) -> Step {
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
        let body = match work.exchange.request.advance(&bytes[head..]) {
            Ok((body, _)) => body,
            Err(malformed) => {
                return (bytes.len(), self.turn(tools, at, ExchangeEvent::Unreadable(malformed.reason())));
            }
        };
        work.counted[Side::Client as usize] += (head + body) as u64;
        work.exchange.count_body(body);
        let bytes = &bytes[..head + body];
        let action = self.ask_rules(tools, at, bytes);
        (bytes.len(), self.perform(tools, at, action, bytes))
    }

    /// Has the rules say where the request whose head was just read goes.
    fn ask_rules(&mut self, tools: &mut Tools, at: usize, bytes: &[u8]) -> ExchangeAction {
        let Stream { work, plan, listener, client, .. } = &mut self.streams[at];
        let client = &self.clients[*client];
        let around = surroundings(plan, *listener, tools);
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
    pub(super) fn refuse_unreadable(&mut self, tools: &mut Tools, place: usize, reason: CloseReason) -> Step {
        let mut work = self.spare.pop().unwrap_or_default();
        work.exchange.begin_unreadable(tools.now);
        let at = self.add_stream(place, work);
        self.turn(tools, at, ExchangeEvent::Unreadable(reason))
    }

    /// Sends `tools.out` to the client; what it does not take waits in the stream.
    pub(super) fn send(&mut self, tools: &mut Tools, at: usize, last: bool) -> Step {
        let Stream { work, client, .. } = &mut self.streams[at];
        let socket = &mut self.clients[*client].who.socket;
        let waiting = &mut work.lanes[Side::Server as usize].buffer;
        if !waiting.is_empty() || !socket.writable {
            waiting.push(&tools.out);
            return Step::Again;
        }
        match socket.write(&tools.out, last) {
            Written::Bytes(n) => waiting.push(&tools.out[n..]),
            Written::Broken => return Step::Over(CloseReason::ClientReset),
        }
        Step::Again
    }

    /// Delivers what the client has not taken of informational responses.
    pub(super) fn deliver_interim(&mut self, tools: &Tools, at: usize) -> Step {
        let Stream { work, client, .. } = &mut self.streams[at];
        let socket = &mut self.clients[*client].who.socket;
        match work.lanes[Side::Server as usize].deliver(socket) {
            None => Step::Wait,
            Some(Stop::Full) => self.watch_client(tools, at),
            Some(Stop::Broken) => Step::Over(CloseReason::ClientReset),
        }
    }

    /// Has the stream told when its client takes more again.
    pub(super) fn watch_client(&mut self, tools: &Tools, at: usize) -> Step {
        let place = self.streams[at].client;
        let generation = self.clients.generation(place);
        let client = &mut self.clients[place];
        let token = token::make(Kind::Http, generation, place, Side::Client);
        match client.who.socket.watch_both(&tools.registry, token) {
            Ok(()) => Step::Wait,
            Err(_) => Step::Over(CloseReason::ClientReset),
        }
    }

    /// Whether the client has left without waiting for its answer; None: it is there.
    pub(super) fn left(&mut self, tools: &mut Tools, at: usize) -> Option<ExchangeEvent<'static>> {
        let Stream { work, client, .. } = &self.streams[at];
        let client = &mut self.clients[*client];
        let may_have_left =
            client.who.socket.ending && client.who.socket.readable && client.who.held.is_empty();
        if client.who.socket.broken || !work.exchange.ends_with_client() || !may_have_left {
            return client.who.socket.broken.then_some(ExchangeEvent::Left { broken: true });
        }
        // Its next request may stand before the end.
        match client.who.socket.read(&mut tools.scratch) {
            Read::Bytes(n) => client.who.held.push(&tools.scratch[..n]),
            Read::Nothing => {}
            Read::End | Read::Broken => {
                return Some(ExchangeEvent::Left { broken: client.who.socket.broken });
            }
        }
        None
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
    pub(super) fn linger(&mut self, tools: &mut Tools, place: usize) -> Step {
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
}
