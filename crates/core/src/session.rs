//! Session: the pure state machine that supervises one Connection. Event in, Action out.
//!
//! ```text
//!   Inspecting --routed--> Connecting --Connected--> Relaying --one side Ended--> HalfClosed --both--> Closed
//!        |                   |    ^
//!        |                   +----+ ConnectFailed: another server, `retries` times
//!        +------refused------+------------> Refused --client Ended or deadline--> Closed
//! ```
//!
//! Owns every decision about a connection and the places it takes (listener, server), which come back when it is
//! dropped. Must never parse bytes (analyzers do), own bytes (buffers do), move bytes or read a clock.

use crate::action::{Action, Choice, Event, Side, Wait};
use crate::analyze::{Analyzer, Facts, NoProxyHeader, ProxyHeader, Verdict};
use crate::balance::Seed;
use crate::close::{CloseReason, Fault};
use crate::flow::Flow;
use crate::listener::{HeaderRule, Listener, Permit};
use crate::plan::{Plan, Routed};
use crate::pool::{Backend, Place, Tried};
use crate::table::{BackendIndex, Target};
use crate::tally::Count;
use crate::time::Millis;
use crate::tls;

/// What surrounds one call: the Plan the connection was accepted under, and what only the engine can know.
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
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The client flow is held until analyzers know where to route.
    Inspecting,
    /// A server was chosen and is being connected.
    Connecting,
    /// Both ends are connected; bytes move without us.
    Relaying,
    /// This side has ended; bytes go on from the other.
    HalfClosed(Side),
    /// The client was refused and may still read why.
    Refused,
    /// Over.
    Closed,
}

/// How a connection comes to its Session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// As accepted: the listener's analyzers look at what the client says.
    Accepted,
    /// Its ClientHello was read and is passed on untouched, by the table of what is passed through.
    PassedThrough,
    /// TLS ends here, and its handshake is complete.
    Secured,
}

/// The supervisor of one connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    listener: u32,
    entrance: Entrance,
    rule: HeaderRule,
    choice: Option<Choice>,
    reason: Option<CloseReason>,
    fault: Option<Fault>,
    tried: Tried,
    flows: [Flow; 2],
    facts: Facts,
    permit: Permit,
    place: Option<Place>,
}

impl Session {
    /// A session for a client of listener number `listener` that was given `permit`.
    pub fn new(plan: &Plan, listener: u32, facts: Facts, permit: Permit) -> Self {
        let rule = plan.listeners[listener as usize].header_rule(facts.client);
        Self { rule, ..Self::entered(Entrance::Accepted, listener, facts, permit) }
    }

    /// A session for a client whose first bytes were dealt with: its name is known, and no PROXY header is to come.
    pub fn entered(entrance: Entrance, listener: u32, facts: Facts, permit: Permit) -> Self {
        let client = Flow { hold: true, ..Flow::default() };
        Self {
            state: State::Inspecting,
            listener,
            entrance,
            rule: HeaderRule::Unknown,
            choice: None,
            reason: None,
            fault: None,
            tried: Tried::new(),
            flows: [client, Flow::default()],
            facts,
            permit,
            place: None,
        }
    }

    /// Where it stands.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// What analyzers have learned.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The flow of bytes from `side`.
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

    /// Index of its listener in the Plan.
    pub fn listener(&self) -> u32 {
        self.listener
    }

    /// The server chosen last.
    pub fn choice(&self) -> Option<Choice> {
        self.choice
    }

    /// Why it ended or is ending.
    pub fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Why the last connect that failed did.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Other servers tried. A client that got none has failed at every server tried, the first one included.
    pub fn retries(&self) -> usize {
        self.tried.len().saturating_sub(usize::from(self.reason == Some(CloseReason::NoServer)))
    }

    /// What it waits for and how long at most, or None when it is over.
    pub fn deadline(&self, plan: &Plan) -> Option<(Wait, Millis)> {
        let timeouts = &plan.listeners[self.listener as usize].timeouts;
        Some(match self.state {
            State::Inspecting => (Wait::FirstBytes, timeouts.first_bytes),
            State::Connecting => (Wait::Connect, self.backend(plan)?.connect_timeout),
            State::Relaying => (Wait::Idle, timeouts.idle),
            State::HalfClosed(_) => (Wait::HalfClose, timeouts.half_close),
            State::Refused => (Wait::Linger, LINGER),
            State::Closed => return None,
        })
    }

    /// The one way in: an event happened; do what is answered.
    pub fn handle(&mut self, event: Event<'_>, scene: Scene<'_>) -> Action {
        match (event, self.state) {
            (_, State::Closed) => Action::Close,
            (Event::Accepted, State::Inspecting) => self.accepted(scene),
            (Event::Connected, State::Connecting) => self.connected(scene),
            (Event::ConnectFailed(fault), State::Connecting) => self.connect_failed(fault, scene),
            // What these speak of is over or has not begun: such an event changes nothing.
            (Event::Held(..), State::Refused) => Action::Wait,
            (Event::Accepted | Event::Connected | Event::ConnectFailed(_), _) => Action::Wait,
            (
                Event::Ended(Side::Server) | Event::Reset(Side::Server) | Event::Truncated(Side::Server),
                State::Inspecting | State::Connecting | State::Refused,
            ) => Action::Wait,
            (Event::Held(side, held), _) => self.held(side, held, scene),
            (Event::Ended(side), _) => self.ended(side),
            (Event::Reset(side), _) => self.reset(side),
            (Event::Truncated(side), _) => self.truncated(side),
            (Event::Expired, _) => self.expired(scene),
        }
    }

    /// Ends it from outside, at the end of a drain.
    pub fn cut(&mut self) -> Action {
        self.close(CloseReason::Drained)
    }

    fn accepted(&mut self, scene: Scene<'_>) -> Action {
        // With a PROXY header to come, the client's address is not known yet.
        if self.rule != HeaderRule::Required {
            if let Err(reason) = self.admit(scene) {
                return self.close(reason);
            }
            if self.analyzers(scene.plan).is_empty() {
                self.flows[Side::Client as usize].hold = self.rule == HeaderRule::Forbidden;
                return self.route(scene);
            }
        }
        Action::Wait
    }

    fn held(&mut self, side: Side, held: &[u8], scene: Scene<'_>) -> Action {
        let flow = &self.flows[side as usize];
        if !flow.hold || held.len() < flow.need as usize {
            return self.too_large(held, scene).unwrap_or(Action::Wait);
        }
        while let Some(analyzer) = self.next_analyzer(side, scene.plan) {
            let flow = &mut self.flows[side as usize];
            let consumed = flow.consumed as usize;
            match analyzer.inspect(&held[consumed..], &mut self.facts) {
                Verdict::Wait { need } => {
                    flow.need = u32::try_from(consumed + need).unwrap_or(u32::MAX);
                    return self.too_large(held, scene).unwrap_or(Action::Wait);
                }
                Verdict::Pass { consumed } => {
                    flow.consumed += consumed as u32;
                    if let Err(reason) = self.passed(side, scene) {
                        return self.close(reason);
                    }
                }
                Verdict::Route => {
                    flow.passed += 1;
                    flow.hold = false;
                    return self.route(scene);
                }
                Verdict::Reject(reason) => return self.refuse(reason, scene.plan),
            }
        }
        self.flows[side as usize].hold = false;
        match self.state {
            State::Inspecting => self.route(scene),
            State::Relaying | State::HalfClosed(_) => Action::Relay,
            _ => Action::Wait,
        }
    }

    /// The analyzer whose turn it is: the listener's header rule first, then the protocol's.
    fn next_analyzer(&self, side: Side, plan: &Plan) -> Option<&'static dyn Analyzer> {
        if side == Side::Server {
            return None;
        }
        let passed = usize::from(self.flows[Side::Client as usize].passed);
        let of_protocol = self.analyzers(plan);
        match (self.rule, passed) {
            (HeaderRule::Unknown, n) => of_protocol.get(n).copied(),
            (HeaderRule::Required, 0) => Some(&ProxyHeader),
            (HeaderRule::Forbidden, 0) => Some(&NoProxyHeader),
            (_, n) => of_protocol.get(n - 1).copied(),
        }
    }

    /// What looks at the client's bytes, after the listener's header rule.
    fn analyzers(&self, plan: &Plan) -> &'static [&'static dyn Analyzer] {
        match self.entrance {
            Entrance::Accepted => self.listener_of(plan).protocol.analyzers(),
            Entrance::PassedThrough | Entrance::Secured => &[],
        }
    }

    /// An analyzer passed; after the PROXY header the client is known and must be admitted.
    fn passed(&mut self, side: Side, scene: Scene<'_>) -> Result<(), CloseReason> {
        let flow = &mut self.flows[side as usize];
        flow.passed += 1;
        flow.need = 0;
        match self.rule == HeaderRule::Required && flow.passed == 1 {
            true => self.admit(scene),
            false => Ok(()),
        }
    }

    fn admit(&mut self, scene: Scene<'_>) -> Result<(), CloseReason> {
        let listener = &scene.plan.listeners[self.listener as usize];
        let client = self.facts.client.map(|address| address.ip());
        if !listener.admits(client) {
            return Err(CloseReason::Denied);
        }
        listener.enter_client(&mut self.permit, client)
    }

    fn too_large(&mut self, held: &[u8], scene: Scene<'_>) -> Option<Action> {
        let flow = &self.flows[Side::Client as usize];
        let limit = self.listener_of(scene.plan).first_bytes_limit;
        let hopeless = held.len() >= limit || flow.need as usize > limit;
        (flow.hold && hopeless).then(|| self.refuse(CloseReason::TooLarge, scene.plan))
    }

    fn route(&mut self, scene: Scene<'_>) -> Action {
        let (listener, name) = (self.listener_of(scene.plan), self.facts.name.as_deref());
        let routed = match self.entrance {
            Entrance::PassedThrough => scene.plan.pass_through(listener, name).ok_or(CloseReason::NoMatch),
            Entrance::Accepted | Entrance::Secured => scene.plan.route(listener, name),
        };
        match routed {
            Ok(Routed { target: Target::Backend(backend), .. }) => self.choose(backend, scene),
            // No table of a listener without requests leads to an answer: compiling a Plan sees to that.
            Ok(Routed { target: Target::Answer(_), .. }) => self.refuse(CloseReason::NoMatch, scene.plan),
            Err(reason) => self.refuse(reason, scene.plan),
        }
    }

    /// backend -> server, taking a place there.
    fn choose(&mut self, index: BackendIndex, scene: Scene<'_>) -> Action {
        let backend = &scene.plan.backends[index as usize];
        let seed = Seed {
            client: self.facts.client.map(|address| address.ip()),
            host: self.facts.name.as_deref(),
            random: scene.random,
            now: scene.now,
            ..Seed::default()
        };
        if let Some((server, place)) = backend.engage(&seed, &self.tried) {
            self.place = Some(place);
            let choice = Choice { backend: index, server };
            self.choice = Some(choice);
            self.state = State::Connecting;
            return Action::Connect(choice);
        }
        self.choice.get_or_insert(Choice { backend: index, server: u16::MAX });
        self.refuse(CloseReason::NoServer, scene.plan)
    }

    fn connected(&mut self, scene: Scene<'_>) -> Action {
        self.state = State::Relaying;
        if let Some((backend, choice)) = self.backend(scene.plan).zip(self.choice) {
            let state = &backend.servers[usize::from(choice.server)].state;
            state.connected(scene.now);
            state.tally.add(scene.shard, Count::Connections, 1);
            backend.tally.add(scene.shard, Count::Connections, 1);
        }
        match self.flows[Side::Client as usize].ended {
            true => self.ended(Side::Client),
            false => Action::Relay,
        }
    }

    fn connect_failed(&mut self, fault: Fault, scene: Scene<'_>) -> Action {
        self.place = None;
        self.fault = Some(fault);
        let Some((backend, choice)) = self.backend(scene.plan).zip(self.choice) else {
            return self.refuse(CloseReason::NoServer, scene.plan);
        };
        let state = &backend.servers[usize::from(choice.server)].state;
        state.tally.add(scene.shard, Count::ConnectFailures, 1);
        if fault.blames_server() {
            state.connect_failed(scene.now, backend.eject_after, backend.eject_for);
        }
        self.tried.push(choice.server);
        if self.tried.len() > backend.retries as usize {
            return self.refuse(CloseReason::NoServer, scene.plan);
        }
        let action = self.choose(choice.backend, scene);
        if matches!(action, Action::Connect(_)) {
            backend.tally.add(scene.shard, Count::Retries, 1);
        }
        action
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
            State::Inspecting | State::Refused => self.close(closed_by(side)),
            State::Closed => Action::Close,
        }
    }

    fn reset(&mut self, side: Side) -> Action {
        // A server that has ended and is sent more answers with a reset: it ended, that is all.
        if self.state == State::HalfClosed(side) {
            return self.close(closed_by(side));
        }
        self.close(match side {
            Side::Client => CloseReason::ClientReset,
            Side::Server => CloseReason::ServerReset,
        })
    }

    /// What ends without saying so is broken off on the other side too: it must not look whole.
    fn truncated(&mut self, side: Side) -> Action {
        match (self.state, side) {
            // Who has said that it ends, or has been told by a server that all was said, may leave without a word.
            (State::HalfClosed(first), Side::Client) => self.close(closed_by(first)),
            (State::HalfClosed(Side::Server), Side::Server) => self.close(closed_by(side)),
            (_, Side::Client) => self.close(CloseReason::ClientTruncated),
            (_, Side::Server) => self.close(CloseReason::ServerTruncated),
        }
    }

    fn expired(&mut self, scene: Scene<'_>) -> Action {
        match self.state {
            State::Inspecting => self.refuse(CloseReason::FirstBytesTimeout, scene.plan),
            State::Connecting => self.connect_failed(Fault::TimedOut, scene),
            State::Relaying => self.close(CloseReason::IdleTimeout),
            State::HalfClosed(_) => self.close(CloseReason::HalfCloseTimeout),
            State::Refused | State::Closed => self.close(CloseReason::ClientClosed),
        }
    }

    /// Refuses with the protocol's bytes; a client that may not know we exist gets none.
    fn refuse(&mut self, reason: CloseReason, plan: &Plan) -> Action {
        let bytes = match self.entrance {
            Entrance::Accepted => self.listener_of(plan).protocol.refusal(reason),
            Entrance::PassedThrough => tls::refusal(reason),
            // An alert could not be told from what the server would say.
            Entrance::Secured => b"",
        };
        self.reason.get_or_insert(reason);
        self.place = None;
        self.state = State::Refused;
        match bytes {
            b"" => self.close(reason),
            bytes => Action::Refuse(bytes),
        }
    }

    /// The first reason given is the one reported.
    fn close(&mut self, reason: CloseReason) -> Action {
        self.reason.get_or_insert(reason);
        self.state = State::Closed;
        Action::Close
    }

    fn listener_of<'a>(&self, plan: &'a Plan) -> &'a Listener {
        &plan.listeners[self.listener as usize]
    }

    fn backend<'a>(&self, plan: &'a Plan) -> Option<&'a Backend> {
        self.choice.map(|choice| &plan.backends[choice.backend as usize])
    }
}

/// How long a refused client may take to read the refusal and close, milliseconds.
const LINGER: Millis = 2_000;

fn closed_by(side: Side) -> CloseReason {
    match side {
        Side::Client => CloseReason::ClientClosed,
        Side::Server => CloseReason::ServerClosed,
    }
}
