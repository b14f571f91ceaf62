//! Requests: what a client says until it is known where its request goes.
//!
//! The PROXY header first, where there is one; then a head, in place if it came whole; then the checks in the order in
//! which they cost least. Must never rewrite or send.

use std::rc::Rc;

use headworks_core::close::CloseReason;
use headworks_core::listener::HeaderRule;
use headworks_core::message::Message;
use headworks_core::message::{Framing, Method};
use headworks_core::table::Target;
use headworks_core::tally::Count;
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{self, Malformed, Parsed};

use super::desk::Desk;
use super::{Exchanges, Phase, Step};
use crate::admission::take_header;
use crate::socket::Read;

impl Exchanges {
    /// Reads the PROXY header, or makes sure that there is none.
    pub(super) fn read_header(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        match client.socket.readable.then(|| client.socket.read(&mut desk.scratch)) {
            None | Some(Read::Nothing) => return Step::Wait,
            Some(Read::End) => return Step::Over(CloseReason::ClientClosed),
            Some(Read::Broken) => return Step::Over(CloseReason::ClientReset),
            Some(Read::Bytes(n)) => client.inbound.push(&desk.scratch[..n]),
        }
        (client.address, client.local) = match take_header(client.rule, &mut client.inbound, client.address) {
            None => return Step::Again,
            Some(Ok(ends)) => ends,
            Some(Err(reason)) => return self.refuse(desk, place, reason),
        };
        client.phase = Phase::Head;
        if client.rule == HeaderRule::Required {
            self.admit(place);
        }
        Step::Again
    }

    /// Reads what the client says until the head of a request is complete, and goes on with that.
    pub(super) fn read_head(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        if self.draining && client.inbound.is_empty() && !client.socket.readable {
            return Step::Over(CloseReason::Drained);
        }
        // What an earlier read brought comes first: a request may have followed another one closely.
        if !client.inbound.is_empty() && client.seen < client.inbound.len() {
            return self.look(desk, place);
        }
        if !client.socket.readable {
            return Step::Wait;
        }
        let mut scratch = std::mem::take(&mut desk.scratch);
        let step = match client.socket.read(&mut scratch) {
            Read::Bytes(n) if client.inbound.is_empty() => {
                let fresh = &scratch[..n];
                let (taken, step) = self.take_head(desk, place, fresh);
                if let Some(client) = self.clients.get_mut(place) {
                    client.inbound.push(&fresh[taken..]);
                }
                step
            }
            Read::Bytes(n) => {
                client.inbound.push(&scratch[..n]);
                Step::Again
            }
            Read::Nothing => Step::Again,
            Read::End => Step::Over(CloseReason::ClientClosed),
            Read::Broken => Step::Over(CloseReason::ClientReset),
        };
        desk.scratch = scratch;
        step
    }

    /// Looks at bytes that are held, unless it is plain that they do not end a head.
    fn look(&mut self, desk: &mut Desk, place: usize) -> Step {
        let client = &mut self.clients[place];
        let seen = std::mem::replace(&mut client.seen, client.inbound.len());
        if !http1::may_be_complete(client.inbound.pending(), seen, &client.http().limits) {
            return Step::Again;
        }
        let held = std::mem::take(&mut client.inbound);
        let (taken, step) = self.take_head(desk, place, held.pending());
        if let Some(client) = self.clients.get_mut(place) {
            client.inbound = held;
            client.inbound.take(taken);
            if taken > 0 {
                client.seen = 0;
            }
        }
        step
    }

    /// Takes a head from the front of `bytes`, with what of its body came along; how many bytes that were.
    fn take_head(&mut self, desk: &mut Desk, place: usize, bytes: &[u8]) -> (usize, Step) {
        self.renew_plan(place);
        let client = &mut self.clients[place];
        match http1::request(bytes, &client.http().limits, &mut desk.head) {
            Parsed::Complete => {}
            Parsed::Invalid(malformed) => {
                return (bytes.len(), self.refuse(desk, place, reason_of(malformed)));
            }
            Parsed::Partial => {
                if client.phase == Phase::Kept {
                    self.enter(place, Phase::Head);
                }
                return (0, Step::Again);
            }
        }
        self.begin(desk, place, bytes);
        #[cfg(feature = "fault-injection")]
        self.inject_fault(place);
        let Some(running) = self.clients[place].running.as_mut() else { return (0, Step::Wait) };
        let taken = match running.exchange.request.advance(&bytes[desk.head.length..]) {
            Ok((n, _)) => desk.head.length + n,
            Err(malformed) => return (bytes.len(), self.refuse(desk, place, reason_of(malformed))),
        };
        running.bytes[0] += taken as u64;
        running.body = (taken - desk.head.length) as u64;
        let step = match self.decide(desk, place, bytes) {
            Ok(Target::Backend(backend)) => self.ask(desk, place, backend, &bytes[..taken]),
            Ok(Target::Answer(answer)) => self.answer(desk, place, answer, bytes),
            Err(reason) => self.refuse(desk, place, reason),
        };
        (taken, step)
    }

    #[cfg(feature = "fault-injection")]
    #[expect(clippy::panic, reason = "the fault that is injected")]
    fn inject_fault(&self, place: usize) {
        let running = self.clients[place].running.as_ref();
        if running.and_then(|running| running.asked.name()) == Some("panic.invalid") {
            panic!("injected by a client that asked for panic.invalid");
        }
    }

    /// Each exchange is decided by the Plan in force; a listener that is gone ends its connections after their exchange.
    fn renew_plan(&mut self, place: usize) {
        let client = &mut self.clients[place];
        if Rc::ptr_eq(&client.plan, &self.plan) {
            return;
        }
        let kept = self.plan.listener(&client.owner().name);
        if let Some((listener, _)) = kept.filter(|(_, listener)| listener.protocol.exchanges()) {
            client.listener = listener;
            client.plan = Rc::clone(&self.plan);
            let admitted = client.owner().admits(client.address.map(|address| address.ip()));
            match client.turned_away {
                None if !admitted => client.turned_away = Some(CloseReason::Denied),
                Some(CloseReason::Denied) if admitted => client.turned_away = None,
                _ => {}
            }
        }
    }

    /// An exchange begins with the head on the desk.
    fn begin(&mut self, desk: &Desk, place: usize, bytes: &[u8]) {
        let mut running = self.spare.pop().unwrap_or_default();
        let client = &mut self.clients[place];
        let owner = &client.plan.listeners[client.listener as usize];
        let http = &owner.http;
        owner.state.tally.add(self.shard, Count::Requests, 1);
        let message = Message::new(&desk.head, bytes);
        running.begin(message, &http.limits, self.now);
        if http.rules.wants_request_id() {
            let random = [self.random.next(), self.random.next()];
            let id = http.rules.choose_request_id(message, client.address, random);
            running.asked.id.extend_from_slice(id.as_bytes());
        }
        running.offer = http.compression.as_ref().and_then(|rules| rules.offer(&desk.head, bytes));
        running.ended_asking = client.socket.has_ended();
        client.requests += 1;
        let last = http.requests_per_connection.is_some_and(|most| client.requests >= most);
        if last || self.draining || !Rc::ptr_eq(&client.plan, &self.plan) {
            running.exchange.close_client();
        }
        client.running = Some(running);
    }

    /// Where the request goes, or why it goes nowhere.
    fn decide(&mut self, desk: &Desk, place: usize, bytes: &[u8]) -> Result<Target, CloseReason> {
        let client = &mut self.clients[place];
        if let Some(reason) = client.turned_away {
            return Err(reason);
        }
        let owner = &client.plan.listeners[client.listener as usize];
        let http = &owner.http;
        let Some(running) = client.running.as_mut() else { return Err(CloseReason::BadRequest) };
        if let Some(tls) = client.socket.tls() {
            if tls.is_early() && tls.is_shaking() && !desk.head.may_be_early() {
                return Err(CloseReason::TooEarly);
            }
            let terminated = owner.tls.as_ref().zip(tls.facts.as_deref());
            if terminated.is_some_and(|(owner, facts)| owner.misdirected(facts, running.asked.host())) {
                return Err(CloseReason::Misdirected);
            }
        }
        if desk.head.method == Method::Connect && !http.connect {
            return Err(CloseReason::MethodNotAllowed);
        }
        if http.body_limit.is_some_and(|limit| too_large(desk.head.framing, &running.exchange.request, limit))
        {
            return Err(CloseReason::BodyTooLarge);
        }
        let message = Message::new(&desk.head, bytes);
        if let Some(limit) = &http.rate_limit
            && let Err(seconds) = limit.admit(client.address, message, self.now)
        {
            running.retry_after = Some(seconds);
            return Err(CloseReason::RateLimited);
        }
        if let Some(limit) = &http.concurrency {
            running.permit = Some(limit.enter(client.address).ok_or(CloseReason::RateLimited)?);
        }
        client
            .plan
            .route_request(owner, running.asked.name(), running.asked.target())
            .map(|routed| routed.target)
    }
}

/// Whether a body that has begun is beyond `limit`: content counts, not what frames it.
fn too_large(framing: Framing, begun: &Body, limit: u64) -> bool {
    match framing {
        Framing::Length(length) => length > limit,
        _ => begun.announced() > limit,
    }
}

/// Why a malformed request ends.
pub(super) fn reason_of(malformed: Malformed) -> CloseReason {
    match malformed.status() {
        414 => CloseReason::TargetTooLong,
        431 => CloseReason::TooLarge,
        501 => CloseReason::NotImplemented,
        505 => CloseReason::VersionNotSupported,
        _ => CloseReason::BadRequest,
    }
}
