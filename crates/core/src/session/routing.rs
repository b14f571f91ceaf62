//! Routing: the way of a Session to a server, which is tried and replaced by another while that is allowed.
//!
//! Owns the lookup of the name and what a connect that succeeds or fails leads to. Must never look at bytes.

use crate::action::{Action, Choice, Side};
use crate::balance::Seed;
use crate::close::{CloseReason, Fault};
use crate::plan::Routed;
use crate::pool::Next;
use crate::table::{BackendIndex, Target};

use super::{Scene, Session, State};

impl Session {
    /// Goes where the rules say, or else the table. `held`: what the client has said, if it is held.
    pub(super) fn route(&mut self, held: &[u8], scene: Scene<'_>) -> Action {
        match self.judge_hello(held, scene) {
            Err(reason) => return self.refuse(reason),
            Ok(Some(backend)) => {
                self.attempts.begin(backend);
                return self.choose(backend, scene);
            }
            Ok(None) => {}
        }
        let (listener, name) = (self.listener_of(scene.plan), self.facts.name.as_deref());
        let routed = if self.passed_through {
            scene.plan.pass_through(listener, name).ok_or(CloseReason::NoMatch)
        } else {
            scene.plan.route(listener, name)
        };
        match routed {
            Ok(Routed { target: Target::Backend(backend), .. }) => {
                self.attempts.begin(backend);
                self.choose(backend, scene)
            }
            // No table of a listener without requests leads to an answer: compiling a Plan sees to that.
            Ok(Routed { target: Target::Answer(_), .. }) => self.refuse(CloseReason::NoMatch),
            Err(reason) => self.refuse(reason),
        }
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
        let next = self.attempts.next(backend, &seed, None, scene.shard);
        match (next, self.attempts.server()) {
            (Next::Server, Some(server)) => {
                self.state = State::Connecting;
                Action::Connect(Choice { backend: index, server: server.identity })
            }
            // Connections do not wait in line.
            _ => self.refuse(self.attempts.fault().map_or(CloseReason::NoServer, Fault::reason)),
        }
    }

    pub(super) fn connected(&mut self, scene: Scene<'_>) -> Action {
        self.state = State::Relaying;
        let turn = usize::from(self.begin_turn(Side::Server, 0, scene));
        self.flows[Side::Server as usize].hold = turn < self.listener_of(scene.plan).analyzers.len();
        if let Some(index) = self.attempts.backend() {
            self.attempts.connected(&scene.plan.backends[index as usize], scene.now, scene.shard);
        }
        if self.flows[Side::Client as usize].ended { self.ended(Side::Client) } else { Action::Relay }
    }

    pub(super) fn connect_failed(&mut self, fault: Fault, scene: Scene<'_>) -> Action {
        let Some(index) = self.attempts.backend() else {
            return self.refuse(CloseReason::NoServer);
        };
        let backend = &scene.plan.backends[index as usize];
        self.attempts.failed(backend, fault, scene.now, scene.shard);
        if self.attempts.may_try_another(backend) {
            self.choose(index, scene)
        } else {
            self.refuse(fault.reason())
        }
    }
}
