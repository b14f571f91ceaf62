//! Session: the pure state machine that supervises one Connection. Event in, Action out.
//!
//! ```text
//!   Inspecting --routed--> Connecting --Connected--> Relaying --a side Ended--> HalfClosed --both--> Closed
//!        |                   |    ^
//!        |                   +----+ ConnectFailed: another server, `retries` times
//!        +------refused------+------------> Refused --client Ended or deadline--> Closed
//! ```
//!
//! Owns every decision about a connection and the places it takes (listener, server), which come back when it
//! is dropped. Must never parse bytes (analyzers do), own bytes (buffers do), move bytes or read a clock.
//!
//! `inspecting.rs` has the turns of native analyzers, `judging.rs` the rules and `consulting.rs` the
//! analyzers that people wrote, `words.rs` what either may say, `routing.rs` the way to a server; ends and
//! deadlines are here.

mod consulting;
mod greeting;
mod inspecting;
mod judging;
mod routing;
mod words;

pub use greeting::{Greeted, Greeting};
pub use words::{ConnectionWord, Named};

use crate::action::{Action, Event, Side, Wait};
use crate::analyze::{Facts, HeaderRule};
use crate::close::{CloseReason, ConsultFault, Fault};
use crate::flow::Flow;
use crate::listener::{Listener, Permit};
use crate::plan::Plan;
use crate::pool::Attempts;
use crate::program::Findings;
use crate::protocol::{self, Protocol};
use crate::time::Millis;

use self::consulting::Progress;

/// The surroundings of one call: the Plan the connection was accepted under, and what only the engine can
/// know.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The Plan the connection was accepted under.
    pub plan: &'a Plan,
    /// The engine's clock.
    pub now: Millis,
    /// A fresh random number.
    pub random: u64,
    /// Number of the worker, for its counters.
    pub shard: usize,
    /// Seconds since 1970; 0 where no rule of the Plan takes the time of day.
    pub wall: u64,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The client flow is held until analyzers know where to route.
    Inspecting,
    /// The client flow is held until an analyzer that somebody wrote has answered.
    Consulting,
    /// A server was chosen and is being connected.
    Connecting,
    /// Client and server are connected; bytes move without us.
    Relaying,
    /// The side named has ended; bytes go on from the other.
    HalfClosed(Side),
    /// The client was refused and may still read why.
    Refused,
    /// The connection is over.
    Closed,
}

/// The way by which a connection comes to its Session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// Nothing was read yet.
    Accepted,
    /// The ClientHello was read and is passed on untouched, by the table of what is passed through.
    PassedThrough,
    /// TLS ends here, and its handshake is complete.
    Secured,
}

/// The supervisor of one connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    listener: u32,
    /// The protocol that a refusal is said in.
    speaks: &'static dyn Protocol,
    /// Routed by the table of what is passed through.
    passed_through: bool,
    /// Rule of the client for a PROXY header, which says whose analyzers it gets.
    rule: HeaderRule,
    attempts: Attempts,
    /// Time at which the present server was chosen.
    chosen: Millis,
    reason: Option<CloseReason>,
    flows: [Flow; 2],
    facts: Facts,
    permit: Permit,
    /// The findings of rules that people wrote; none where there are no such rules.
    findings: Option<Box<Findings>>,
    /// How far rules and analyzers that people wrote were asked; none where there are none.
    progress: Option<Box<Progress>>,
}

impl Session {
    /// Makes a session for a client of listener number `listener` that was given `permit`.
    pub fn new(plan: &Plan, listener: u32, facts: Facts, permit: Permit) -> Self {
        let owner = &plan.listeners[listener as usize];
        Self {
            state: State::Inspecting,
            listener,
            speaks: owner.protocol,
            passed_through: false,
            rule: owner.header_rule(facts.client),
            attempts: Attempts::default(),
            chosen: 0,
            reason: None,
            flows: [Flow { hold: true, ..Flow::default() }, Flow::default()],
            facts,
            permit,
            findings: None,
            progress: None,
        }
    }

    /// Makes this the session of a client whose first bytes were dealt with: its name is known, and no PROXY
    /// header is to come.
    #[must_use]
    pub fn entered(mut self, entrance: Entrance) -> Self {
        (self.speaks, self.passed_through) = match entrance {
            Entrance::Accepted => return self,
            Entrance::PassedThrough => (protocol::TLS, true),
            // An alert could not be told from what the server would say.
            Entrance::Secured => (protocol::TCP, false),
        };
        self.rule = HeaderRule::Unknown;
        self
    }

    /// Takes over what analyzers have said of the client when it had connected.
    #[must_use]
    pub fn greeted(mut self, greeting: Greeting) -> Self {
        let Greeting { named, bypassed, .. } = greeting;
        let progress = self.progress();
        (progress.named, progress.bypassed) = (named, bypassed);
        self.findings = greeting.findings;
        self
    }

    /// Returns the state of the session.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Returns what analyzers have learned.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Returns all that rules have said of it.
    pub fn findings(&self) -> Option<&Findings> {
        self.findings.as_deref()
    }

    /// Returns the flow of bytes from `side`.
    #[inline]
    pub fn flow(&self, side: Side) -> &Flow {
        &self.flows[side as usize]
    }

    /// Counts bytes received from `side`; in autonomous mode nothing else is reported.
    #[inline]
    pub fn count(&mut self, side: Side, bytes: u64) {
        self.flows[side as usize].bytes += bytes;
    }

    /// Ends the hold of a flow that will not grow any more.
    pub fn release(&mut self, side: Side) {
        self.flows[side as usize].hold = false;
    }

    /// Returns the index of its listener in the Plan.
    pub fn listener(&self) -> u32 {
        self.listener
    }

    /// Returns the backend it was routed to and the servers tried there.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Returns the reason for which it ended or is ending.
    pub fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Returns the number of other servers tried.
    pub fn retries(&self) -> usize {
        self.attempts.retries()
    }

    /// Returns what it waits for and how long at most, or None when it is over.
    pub fn deadline(&self, plan: &Plan) -> Option<(Wait, Millis)> {
        if let Some((side, timeout)) = self.verdict_due(plan) {
            return Some((Wait::Verdict(side), timeout));
        }
        if let Some(after) = self.silence(plan) {
            return Some((Wait::Verdict(Side::Client), after));
        }
        if let Some(index) = self.asked_index() {
            return Some((Wait::Verdict(Side::Client), plan.consultants[usize::from(index)].spec.deadline));
        }
        let timeouts = &plan.listeners[self.listener as usize].spec.timeouts;
        Some(match self.state {
            State::Inspecting | State::Consulting => (Wait::FirstBytes, timeouts.first_bytes),
            State::Connecting => {
                (Wait::Connect, plan.backends[self.attempts.backend()? as usize].spec.connect_timeout)
            }
            State::Relaying => (Wait::Idle, timeouts.idle),
            State::HalfClosed(_) => (Wait::HalfClose, timeouts.half_close),
            State::Refused => (Wait::Linger, timeouts.linger),
            State::Closed => return None,
        })
    }

    /// Handles an event, the one way in; returns what is to be done.
    pub fn handle(&mut self, event: Event<'_>, scene: Scene<'_>) -> Action {
        match (event, self.state) {
            (_, State::Closed) => Action::Close,
            (Event::Accepted, State::Inspecting) => self.accepted(scene),
            (Event::Resolved(found), State::Connecting) => self.resolved(found, scene),
            (Event::Connected, State::Connecting) => self.connected(scene),
            (Event::ConnectFailed(fault), State::Connecting) => self.connect_failed(fault, scene),
            // The events below speak of a thing that is over or has not begun: they change nothing.
            (Event::Held(..), State::Refused) => Action::Wait,
            (Event::Accepted | Event::Resolved(_) | Event::Connected | Event::ConnectFailed(_), _) => {
                Action::Wait
            }
            (
                Event::Ended(Side::Server) | Event::Reset(Side::Server) | Event::Truncated(Side::Server),
                State::Inspecting | State::Consulting | State::Connecting | State::Refused,
            ) => Action::Wait,
            (Event::Held(side, held), _) => self.held(side, held, scene),
            (Event::Ended(side), _) => self.ended(side),
            (Event::Reset(side), _) => self.reset(side),
            (Event::Truncated(side), _) => self.truncated(side),
            (Event::Expired, _) => self.expired(scene),
            (Event::Advised(advice), State::Consulting) => self.advised(advice, scene),
            (Event::Unadvised(fault), State::Consulting) => self.unadvised(fault, scene),
            (Event::Advised(_) | Event::Unadvised(_), _) => Action::Wait,
        }
    }

    /// Ends it from outside.
    pub fn cut(&mut self, reason: CloseReason) -> Action {
        self.close(reason)
    }

    fn ended(&mut self, side: Side) -> Action {
        self.flows[side as usize].ended = true;
        match self.state {
            State::Relaying => {
                self.state = State::HalfClosed(side);
                Action::Finish(side.other())
            }
            State::HalfClosed(first) if first != side => self.close(closed_by(first)),
            State::HalfClosed(_) => Action::Wait,
            // A client may finish sending before its server is connected; that is passed on then.
            State::Connecting => Action::Wait,
            State::Inspecting | State::Consulting | State::Refused => self.close(closed_by(side)),
            State::Closed => Action::Close,
        }
    }

    fn reset(&mut self, side: Side) -> Action {
        // A server that has ended answers further bytes with a reset: the reason is that it ended.
        if self.state == State::HalfClosed(side) {
            return self.close(closed_by(side));
        }
        self.close(match side {
            Side::Client => CloseReason::ClientReset,
            Side::Server => CloseReason::ServerReset,
        })
    }

    /// Breaks off the other side when this one ends without saying so: what was sent must not look whole.
    fn truncated(&mut self, side: Side) -> Action {
        match (self.state, side) {
            // A side that has said that it ends may leave without a word, and so may a client whose server
            // has said that it ends.
            (State::HalfClosed(first), Side::Client) => self.close(closed_by(first)),
            (State::HalfClosed(Side::Server), Side::Server) => self.close(closed_by(side)),
            (_, Side::Client) => self.close(CloseReason::ClientTruncated),
            (_, Side::Server) => self.close(CloseReason::ServerTruncated),
        }
    }

    fn expired(&mut self, scene: Scene<'_>) -> Action {
        if let Some((side, _)) = self.verdict_due(scene.plan) {
            return self.late(side, scene);
        }
        if self.silence(scene.plan).is_some() {
            return self.silent(scene);
        }
        match self.state {
            State::Inspecting => self.late(Side::Client, scene),
            State::Consulting => self.unadvised(ConsultFault::Late, scene),
            State::Connecting => self.connect_failed(Fault::TimedOut, scene),
            State::Relaying => self.close(CloseReason::IdleTimeout),
            State::HalfClosed(_) => self.close(CloseReason::HalfCloseTimeout),
            State::Refused | State::Closed => self.close(CloseReason::ClientClosed),
        }
    }

    /// Refuses with the protocol's bytes. A client that may not know we exist gets none, and none are put
    /// among a server's.
    fn refuse(&mut self, reason: CloseReason) -> Action {
        let bytes = match self.facts.spoken {
            Some(spoken) => spoken.refusal(reason),
            None => self.speaks.refusal(reason),
        };
        self.refuse_with(reason, bytes)
    }

    /// Refuses with these bytes, where a client may be told anything.
    fn refuse_with(&mut self, reason: CloseReason, bytes: &'static [u8]) -> Action {
        let may_tell = matches!(self.state, State::Inspecting | State::Consulting | State::Connecting);
        let bytes = if may_tell { bytes } else { b"" };
        self.reason.get_or_insert(reason);
        self.attempts.release();
        if bytes.is_empty() {
            return self.close(reason);
        }
        self.state = State::Refused;
        Action::Refuse(bytes)
    }

    /// Closes for this reason, unless another was given before: the first is the one reported.
    fn close(&mut self, reason: CloseReason) -> Action {
        self.reason.get_or_insert(reason);
        self.state = State::Closed;
        Action::Close
    }

    fn listener_of<'a>(&self, plan: &'a Plan) -> &'a Listener {
        &plan.listeners[self.listener as usize]
    }
}

fn closed_by(side: Side) -> CloseReason {
    match side {
        Side::Client => CloseReason::ClientClosed,
        Side::Server => CloseReason::ServerClosed,
    }
}
