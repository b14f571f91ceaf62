//! Exchange: the pure state machine that supervises one request and its response, as a Session supervises a
//! connection.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the one way in: takes an ExchangeEvent and returns the ExchangeAction to do |
//! | `state.rs` | the states and their values, and the deadline of each |
//! | `terms.rs` | how far both messages have come, what may be sent again, what may be kept |
//! | `servers.rs` | choosing a server, waiting for a place, and what a failed connection means |
//! | `reply.rs` | what the head of a response means, and the form in which it is passed on |
//! | `passing.rs` | how far both bodies have come, and what follows |
//! | `waits.rs` | when the present wait is over, and what becomes of it then |
//! | `judging.rs` | what rules that people wrote say of a response |
//! | `bodies.rs` | bodies that pass analyzers |
//! | `consulting.rs` | waiting for what an analyzer says of a head |
//! | `said.rs` | what the client said, copied from its head |
//! | `language.rs` | Events and Actions |
//!
//! Owns every decision about a request once its head is read, and the places that it takes (at a server,
//! among its client's requests). It knows no version of HTTP but what heads say. Must never hold sockets,
//! move bytes or read a clock.

mod bodies;
mod consulting;
mod judging;
mod language;
mod passing;
mod reply;
mod said;
mod servers;
mod state;
mod terms;
mod waits;

pub use language::{ExchangeAction, ExchangeEvent, Incoming, Lost, Passage, Stopped, Surroundings};
pub use reply::Form;
pub use said::Said;
pub use state::{Attempt, Consultation, Ends, ExchangeState, ExchangeWait};
pub use terms::{ResponseKind, Sent};

use std::net::SocketAddr;

use crate::close::CloseReason;
use crate::consult::ConsultantIndex;
use crate::http::coding::Coding;
use crate::http::rewrite::Variation;
use crate::http::rules::{self, Case, Decision, Granted};
use crate::message::{Message, Method, Version};
use crate::plan::ListenerView;
use crate::pool::Attempts;
use crate::spec::Hook;
use crate::table::Target;
use crate::tally::Count;
use crate::time::Millis;
use crate::wire::body::Body;
use crate::wire::http1::Limits;

/// One request and its response.
#[derive(Debug, Default)]
pub struct Exchange {
    state: ExchangeState,
    method: Method,
    version: Version,
    /// The rest of the request's body.
    pub request: Body,
    /// The rest of the response's body, once the head has come.
    pub response: Body,
    /// Limits on the size of heads and trailers.
    limits: Limits,
    status: u16,
    /// Informational responses that came, and when the wait began in which the first of them did.
    interim: u32,
    interim_since: Option<Millis>,
    /// The protocols that the request, as the server gets it, offers to switch to; none is held by most.
    offered: Vec<Box<[u8]>>,
    client_persists: bool,
    server_persists: bool,
    tunnel: bool,
    /// Words of the client, copied from the head of its request.
    pub said: Said,
    /// The client's address, for balancing by it.
    client: Option<SocketAddr>,
    /// The client speaks TLS with us.
    secure: bool,
    /// The servers tried, and the place at the one chosen.
    attempts: Attempts,
    /// Only new connections are tried: a kept one that failed says the same of all others that are as old.
    fresh: bool,
    /// Identity of the server that the client's affinity cookie names.
    cookie: Option<u64>,
    /// The coding that the client accepts, should the response suit it.
    offer: Option<Coding>,
    form: Form,
    variation: Variation,
    /// The request's body passes analyzers: what was sent of it cannot be sent again.
    filtered: bool,
    /// The analyzers that are asked about parts of bodies, by the side that sends; None: nobody.
    questions: Option<[Option<ConsultantIndex>; 2]>,
    /// Bytes of the request's body that an analyzer wants to see at most.
    collects: u64,
    /// Permits that the rules gave, and when to ask again.
    granted: Granted,
    /// An end of the client's sending does not say that it has left: it waits for the answer.
    waits_past_end: bool,
    /// Bytes of the request's body, and when the first of them came that did not come with the head.
    body: u64,
    body_begun: Option<Millis>,
    /// Reason of the failure if no server is left.
    failure: Option<CloseReason>,
    /// Reason of the end, once it is known.
    reason: Option<CloseReason>,
    times: Times,
    /// Time at which the present wait began.
    since: Millis,
    /// Bytes on their way to the client when the exchange last seemed idle.
    in_flight: usize,
}

/// Times at which things happened, by the engine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// The head of the request was complete.
    pub begun: Millis,
    /// The decision where it goes.
    pub decided: Option<Millis>,
    /// A server's connection was ready for it.
    pub connected: Option<Millis>,
    /// The head of the final response was written.
    pub answered: Option<Millis>,
}

impl Exchange {
    /// Makes an exchange that begins with this request. `limits` bound the trailer fields of both bodies.
    pub fn new(message: Message<'_>, limits: &Limits) -> Self {
        let mut exchange = Self::default();
        exchange.begin(message, limits, 0);
        exchange
    }

    /// Begins with this request, in an exchange that is new or cleared.
    pub fn begin(&mut self, message: Message<'_>, limits: &Limits, now: Millis) {
        self.take_terms(message, limits);
        self.said.fill(message);
        (self.times.begun, self.since) = (now, now);
    }

    /// Begins without a request: it can only be refused, and its connection ends with it.
    pub fn begin_unreadable(&mut self, now: Millis) {
        self.client_persists = false;
        (self.times.begun, self.since) = (now, now);
    }

    /// Makes it ready for another request, in place and with modest memory only.
    pub fn clear(&mut self) {
        // All of them, so that none is forgotten.
        #[rustfmt::skip]
        let Self {
            state, method, version, request, response, limits, status, interim,
            interim_since, offered, client_persists, server_persists, tunnel, said, client, secure, attempts,
            fresh, cookie, offer, form, variation, filtered, questions, collects, granted,
            waits_past_end, body, body_begun, failure, reason, times, since, in_flight,
        } = self;
        offered.clear();
        said.clear();
        *attempts = Attempts::default();
        granted.clear();
        (*state, *method, *version, *request, *response, *limits, *status, *interim) = Default::default();
        (*interim_since, *client_persists, *server_persists, *tunnel, *client, *fresh, *cookie, *offer) =
            Default::default();
        (*form, *variation, *waits_past_end, *body, *body_begun, *failure, *reason, *times) =
            Default::default();
        (*since, *in_flight, *secure, *filtered, *questions, *collects) = Default::default();
    }

    // ----- Queries about it --------------------------------------------------------------------------------

    /// Returns where it stands.
    #[inline]
    pub fn state(&self) -> ExchangeState {
        self.state
    }

    /// Returns its moments.
    pub fn times(&self) -> Times {
        self.times
    }

    /// Returns the seconds after which a client that asks too often may ask again.
    pub fn retry_after(&self) -> Option<u64> {
        self.granted.retry_after
    }

    /// Returns milliseconds until the decision, and from there until a server's connection was ready.
    pub fn waits(&self) -> (Option<Millis>, Option<Millis>) {
        let Times { begun, decided, connected, .. } = self.times;
        (decided.map(|at| at - begun), connected.zip(decided).map(|(connected, decided)| connected - decided))
    }

    /// Whether an end of the client's sending cancels it: it came after the whole request, and the listener
    /// takes that for leaving (`abort_on_close`). A reset always cancels.
    pub fn ends_with_client(&self) -> bool {
        !self.waits_past_end && self.is_asked() && !self.tunnel
    }

    /// Notes what its client is like, beside what its head says. `waits_past_end`: the end of its sending
    /// says no more than that there is no further request (RFC 9112 section 9.6).
    pub fn meet(&mut self, client: Option<SocketAddr>, waits_past_end: bool) {
        (self.client, self.waits_past_end) = (client, waits_past_end);
    }

    /// Ends it for `reason`, unless another was given before; returns the reason that is recorded, and gives
    /// its place back.
    pub fn end(&mut self, reason: CloseReason) -> CloseReason {
        self.state = ExchangeState::Over;
        self.attempts.release();
        *self.reason.get_or_insert(reason)
    }

    // ----- The one way in ----------------------------------------------------------------------------------

    /// Answers an event with what the engine does next.
    pub fn handle(&mut self, event: ExchangeEvent<'_>, around: Surroundings<'_>) -> ExchangeAction {
        use ExchangeState::{
            Answering, Asking, Awaiting, Collecting, Connecting, Consulting, InLine, Over, Ruling, Told,
            Tunnel,
        };
        match (event, self.state) {
            (_, Over) => ExchangeAction::Wait,
            (ExchangeEvent::Asked(request), Ruling) => self.asked(request, &around),
            (ExchangeEvent::Unreadable(reason), Ruling) => self.refuse(reason, &around),
            (ExchangeEvent::Advised(advice), Consulting(asked)) => self.advised(advice, asked, &around),
            (ExchangeEvent::Unadvised(fault), Consulting(asked)) => self.unadvised(fault, asked, &around),
            (ExchangeEvent::RequestPassed(passage), Collecting(asked)) => {
                self.collected(passage, asked, &around)
            }
            (
                ExchangeEvent::BodyHeld(..)
                | ExchangeEvent::BodyAdvised(..)
                | ExchangeEvent::BodyUnadvised(..),
                Asking(_) | Awaiting(_) | Answering(_),
            ) => self.body_asked(event, &around),
            (ExchangeEvent::Written, Ruling) | (ExchangeEvent::Called, InLine) => {
                self.look_for_server(&around)
            }
            (ExchangeEvent::Overflown, Ruling) => self.refuse(CloseReason::Overflow, &around),
            (ExchangeEvent::LineFull, InLine) => self.refuse(CloseReason::QueueFull, &around),
            (ExchangeEvent::Resolved(found), Connecting) => self.resolved(found, &around),
            (ExchangeEvent::Connected { kept }, Connecting) => self.connected(kept, &around),
            (ExchangeEvent::ConnectFailed(fault), Connecting) => self.connect_failed(fault, &around),
            (ExchangeEvent::Lost(lost), Asking(attempt) | Awaiting(attempt)) => {
                self.lost(lost, attempt, &around)
            }
            (ExchangeEvent::Lost(_), Answering(_) | Tunnel(_)) => {
                ExchangeAction::Abort(CloseReason::ServerReset)
            }
            (ExchangeEvent::RequestPassed(passage), Asking(_) | Awaiting(_) | Answering(_) | Tunnel(_)) => {
                self.request_passed(passage, &around)
            }
            (ExchangeEvent::Answered(message), Asking(_) | Awaiting(_)) => {
                self.answered_by_server(message, &around)
            }
            (ExchangeEvent::Garbled, Asking(_) | Awaiting(_)) => {
                self.refuse(CloseReason::BadResponse, &around)
            }
            (ExchangeEvent::Replied, Asking(attempt) | Awaiting(attempt)) => self.replied(attempt, &around),
            (ExchangeEvent::Spoiled, Asking(_) | Awaiting(_)) => {
                self.withdraw();
                self.refuse(CloseReason::BadResponse, &around)
            }
            (ExchangeEvent::ResponsePassed(passage), Answering(_) | Tunnel(_) | Told) => {
                self.response_passed(passage, &around)
            }
            (ExchangeEvent::Left { broken }, _) => ExchangeAction::Abort(left(broken)),
            (ExchangeEvent::Expired, state) => self.expired(state, &around),
            // The events below speak of a thing that is over or has not begun: they change nothing.
            (
                ExchangeEvent::Asked(_)
                | ExchangeEvent::Unreadable(_)
                | ExchangeEvent::Advised(_)
                | ExchangeEvent::Unadvised(_)
                | ExchangeEvent::BodyHeld(..)
                | ExchangeEvent::BodyAdvised(..)
                | ExchangeEvent::BodyUnadvised(..)
                | ExchangeEvent::Written
                | ExchangeEvent::Overflown
                | ExchangeEvent::Called
                | ExchangeEvent::LineFull
                | ExchangeEvent::Resolved(_)
                | ExchangeEvent::Connected { .. }
                | ExchangeEvent::ConnectFailed(_)
                | ExchangeEvent::RequestPassed(_)
                | ExchangeEvent::ResponsePassed(_)
                | ExchangeEvent::Answered(_)
                | ExchangeEvent::Garbled
                | ExchangeEvent::Replied
                | ExchangeEvent::Spoiled
                | ExchangeEvent::Lost(_),
                _,
            ) => ExchangeAction::Wait,
        }
    }

    /// Asks the rules, once the head is complete, where the request goes, or why it goes nowhere.
    fn asked(&mut self, request: &Incoming<'_>, around: &Surroundings<'_>) -> ExchangeAction {
        let (message, client) = (request.message, request.client);
        // One that is read again was counted.
        if !self.granted.answered {
            around.listener.state.tally.add(around.shard, Count::Requests, 1);
            let compression = around.listener.http.compression.as_ref();
            self.offer = compression.and_then(|rules| rules.offer(message.head, message.bytes));
        }
        self.secure = client.secure;
        let case = Case {
            plan: &ListenerView { plan: around.plan, listener: around.listener },
            spec: &around.listener.spec.http,
            rules: &around.listener.rules,
            http: &around.listener.http,
            termination: around.listener.tls.as_deref(),
            programs: &around.listener.programs,
            analyzers: &around.listener.consultants,
            listener: &around.listener.name,
            client: client.address,
            turned_away: request.turned_away,
            message,
            tls: client.tls,
            early: client.early,
            begun: &self.request,
            host: self.said.host(),
            name: self.said.name(),
            target: self.said.target(),
            request_id: &self.said.id,
            now: around.now,
            wall: around.wall,
        };
        let decided = rules::decide(&case, &mut self.granted);
        if let Some(Target::Backend(index)) = self.granted.target {
            self.attempts.begin(index);
        }
        match decided {
            Decision::Refuse(reason) => self.refuse(reason, around),
            Decision::Say(status) => self.say(status, around),
            Decision::Consult(analyzer) => self.consult(analyzer, Hook::Request, around),
            Decision::Go(Target::Answer(index)) => {
                self.times.decided = Some(around.now);
                self.answered(around.plan.answers[index as usize].status());
                self.go_to(ExchangeState::Told, around.now);
                ExchangeAction::Answer(index)
            }
            Decision::Go(Target::Backend(index)) => {
                let backend = &around.plan.backends[index as usize];
                if let Some(value) = backend.spec.hash_header.as_deref().and_then(|name| message.value(name))
                {
                    self.said.fill_key(value);
                }
                let affinity = backend.http.rules.affinity.as_ref();
                self.cookie =
                    self.granted.server.or_else(|| affinity.and_then(|affinity| affinity.read(message)));
                ExchangeAction::Write(index)
            }
        }
    }

    /// Refuses the request, which no server answers: the place taken at one is given back, and the client is
    /// told why unless a response has begun.
    fn refuse(&mut self, reason: CloseReason, around: &Surroundings<'_>) -> ExchangeAction {
        let Some(status) = reason.status() else { return ExchangeAction::Abort(reason) };
        self.attempts.release();
        if self.is_answered() {
            return ExchangeAction::Abort(reason);
        }
        (self.reason, self.questions) = (Some(reason), None);
        self.times.decided.get_or_insert(around.now);
        self.answered(status);
        self.client_persists &= !ends_connection(reason);
        self.go_to(ExchangeState::Told, around.now);
        ExchangeAction::Refuse(reason)
    }

    fn go_to(&mut self, state: ExchangeState, now: Millis) {
        (self.state, self.since) = (state, now);
    }
}

/// Returns the reason for which an exchange ends whose client has gone.
fn left(broken: bool) -> CloseReason {
    if broken { CloseReason::ClientReset } else { CloseReason::ClientClosed }
}

/// Whether the client's connection ends with such a refusal: the client is too slow or may not be here at
/// all, or what follows cannot be understood (after CONNECT it may be meant for a tunnel).
fn ends_connection(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::FirstBytesTimeout
            | CloseReason::Denied
            | CloseReason::LimitReached
            | CloseReason::MethodNotAllowed
            | CloseReason::BadRequest
    )
}
