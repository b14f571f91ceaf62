//! Routing: the way of a Session to a server, which is tried and replaced by another while that is allowed.
//!
//! Owns the lookup of the name and what a connect that succeeds or fails leads to. Must never look at bytes.

use crate::action::{Action, Choice, Side};
use crate::balance::Seed;
use crate::close::{CloseReason, Fault};
use crate::names::{Resolution, Unresolved};
use crate::plan::{Routed, Unrouted};
use crate::pool::Next;
use crate::spec::ProgramKind;
use crate::table::{BackendIndex, Target};
use crate::tls;

use super::{Named, Scene, Session, State, consulting};

impl Session {
    /// Goes where rules and analyzers say, or else the table. `held`: what the client has said, if it is
    /// held.
    pub(super) fn route(&mut self, held: &[u8], scene: Scene<'_>) -> Action {
        if scene.plan.consultants.is_empty() {
            return self.route_unasked(held, scene);
        }
        self.state = State::Inspecting;
        loop {
            match self.progress().stage {
                consulting::RULES => match self.judge_hello(held, scene) {
                    Ok(None) => self.progress().stage += 1,
                    Ok(Some(action)) => return action,
                    Err(reason) => return self.refuse(reason),
                },
                consulting::TABLE => {
                    match self.look_up(scene) {
                        Ok(backend) => self.attempts.begin(backend),
                        Err(unrouted) => return self.refuse_unrouted(unrouted),
                    }
                    self.progress().stage += 1;
                }
                consulting::CHOSEN => return self.go(scene),
                _ => {
                    if let Some(action) = self.ask_next(held, scene) {
                        return action;
                    }
                }
            }
        }
    }

    /// Does the same where there are no analyzers.
    fn route_unasked(&mut self, held: &[u8], scene: Scene<'_>) -> Action {
        if self.listener_of(scene.plan).programs.judge_any(ProgramKind::Hello) {
            match self.judge_hello(held, scene) {
                Err(reason) => return self.refuse(reason),
                Ok(Some(action)) => return action,
                Ok(None) => {}
            }
        }
        match self.look_up(scene) {
            Ok(backend) => {
                self.attempts.begin(backend);
                self.choose(backend, scene)
            }
            Err(unrouted) => self.refuse_unrouted(unrouted),
        }
    }

    fn refuse_unrouted(&mut self, unrouted: Unrouted) -> Action {
        match unrouted {
            Unrouted::Because(reason) => self.refuse(reason),
            Unrouted::NoProtocol => self.refuse_with(CloseReason::NoMatch, tls::no_protocol()),
        }
    }

    /// Goes to the backend that was found, or that the last word named.
    fn go(&mut self, scene: Scene<'_>) -> Action {
        let Some(found) = self.attempts.backend() else { return self.refuse(CloseReason::NoMatch) };
        let backend = self.named().map_or(found, |named| named.backend);
        if backend != found {
            self.attempts.begin(backend);
        }
        // Native analyzers that nobody waits for may have their turns yet.
        let all = self.listener_of(scene.plan).analyzers.len();
        let flow = &mut self.flows[Side::Client as usize];
        flow.hold = usize::from(flow.turn) < all;
        self.choose(backend, scene)
    }

    /// Returns the backend that a rule or an analyzer names, or else the table.
    fn look_up(&mut self, scene: Scene<'_>) -> Result<BackendIndex, Unrouted> {
        if let Some(named) = self.named() {
            return Ok(named.backend);
        }
        let (listener, name) = (self.listener_of(scene.plan), self.facts.name.as_deref());
        let routed = if self.passed_through {
            let routed = scene.plan.pass_through(listener, name, &self.facts.alpn);
            routed.ok_or(Unrouted::Because(CloseReason::NoMatch))
        } else {
            scene.plan.route(listener.way(self.facts.kind), name, &self.facts.alpn)
        };
        let Routed { target, entry } = routed?;
        // The entries of what is passed through are another table's, which has no analyzers.
        if let Some(progress) = &mut self.progress {
            progress.entry = entry.filter(|_| !self.passed_through);
        }
        match target {
            Target::Backend(backend) => Ok(backend),
            // No table of a listener without requests leads to an answer: compiling a Plan sees to that.
            Target::Answer(_) => Err(Unrouted::Because(CloseReason::NoMatch)),
        }
    }

    /// Returns the way that a rule or an analyzer has named.
    fn named(&self) -> Option<Named> {
        self.progress.as_ref()?.named
    }

    /// Chooses a server of the backend, taking a place there.
    fn choose(&mut self, index: BackendIndex, scene: Scene<'_>) -> Action {
        let backend = &scene.plan.backends[index as usize];
        let seed = Seed {
            client: self.facts.client.map(|address| address.ip()),
            host: self.facts.name.as_deref(),
            random: scene.random,
            now: scene.now,
            ..Seed::default()
        };
        let named = self.named().filter(|named| named.backend == index);
        let next = self.attempts.next(backend, &seed, named.and_then(|named| named.server), scene.shard);
        match (next, self.attempts.server()) {
            (Next::Server, Some(server)) => {
                (self.state, self.chosen) = (State::Connecting, scene.now);
                Action::Connect(Choice { backend: index, server: server.identity })
            }
            (Next::Unresolved, _) => match backend.admits(self.facts.name.as_deref()) {
                Ok(()) => {
                    self.state = State::Connecting;
                    Action::Resolve(index)
                }
                Err(reason) => self.refuse(reason),
            },
            // Connections do not wait in line.
            _ => self.refuse(self.attempts.fault().map_or(CloseReason::NoServer, Fault::reason)),
        }
    }

    /// Chooses among the servers that the name leads to.
    pub(super) fn resolved(&mut self, found: Result<&Resolution, Unresolved>, scene: Scene<'_>) -> Action {
        let Some(index) = self.attempts.backend().filter(|_| self.attempts.server().is_none()) else {
            return Action::Wait;
        };
        match scene.plan.backends[index as usize].reached_by(found) {
            Ok(servers) => {
                self.attempts.found(servers);
                self.choose(index, scene)
            }
            Err(reason) => self.refuse(reason),
        }
    }

    pub(super) fn connected(&mut self, scene: Scene<'_>) -> Action {
        self.state = State::Relaying;
        let turn = usize::from(self.begin_turn(Side::Server, 0, scene));
        self.flows[Side::Server as usize].hold = turn < self.listener_of(scene.plan).analyzers.len();
        if let Some(index) = self.attempts.backend() {
            let backend = &scene.plan.backends[index as usize];
            self.attempts.connected(backend, self.chosen, scene.now, scene.shard);
        }
        if self.flows[Side::Client as usize].ended { self.ended(Side::Client) } else { Action::Relay }
    }

    pub(super) fn connect_failed(&mut self, fault: Fault, scene: Scene<'_>) -> Action {
        let Some(index) = self.attempts.backend() else {
            return self.refuse(CloseReason::NoServer);
        };
        let backend = &scene.plan.backends[index as usize];
        if self.attempts.server().is_none() && backend.asked_for.is_some() {
            return self.refuse(CloseReason::NameUnresolved);
        }
        self.attempts.failed(backend, fault, scene.now, scene.shard);
        if self.attempts.may_try_another(backend) {
            self.choose(index, scene)
        } else {
            self.refuse(fault.reason())
        }
    }
}
