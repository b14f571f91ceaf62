//! Servers: those of one exchange: choosing one, waiting for a place there, and what becomes of the request
//! when its connection fails.
//!
//! A place is taken with the choice and given back as soon as the server has done its part. Must never judge
//! what a server says.

use std::sync::Arc;

use super::{Attempt, Exchange, ExchangeAction, ExchangeState, Lost, Sent, Surroundings};
use crate::balance::Seed;
use crate::close::{CloseReason, Fault};
use crate::names::{Resolution, Unresolved};
use crate::pool::{Attempts, Backend, Next, Server};

impl Exchange {
    /// Returns the backend that it was routed to.
    pub fn backend<'p>(&self, around: &Surroundings<'p>) -> Option<&'p Backend> {
        self.attempts.backend().map(|index| &around.plan.backends[index as usize])
    }

    /// Returns the name that the client asks for, as tables know it.
    pub fn name(&self) -> Option<&str> {
        self.said.name()
    }

    /// Returns the servers tried and the one chosen.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Returns the server chosen last.
    pub fn server(&self) -> Option<&Arc<Server>> {
        self.attempts.server()
    }

    /// Returns how many other servers than the first were chosen.
    pub fn retries(&self) -> usize {
        self.attempts.retries()
    }

    /// Gives the place at the server back: the server has done its part.
    pub fn give_place_back(&mut self) {
        self.attempts.release();
    }

    /// Chooses a server and takes a place there, or waits for one.
    pub(super) fn look_for_server(&mut self, around: &Surroundings<'_>) -> ExchangeAction {
        let waited = self.state == ExchangeState::InLine;
        let Some(backend) = self.backend(around) else { return ExchangeAction::Wait };
        if !waited && self.attempts.is_first() && around.others_wait {
            return self.stand_in_line(around);
        }
        let seed = Seed {
            client: self.client.map(|address| address.ip()),
            host: self.said.name(),
            path: Some(self.said.target()),
            header: self.said.key(),
            random: around.random,
            now: around.now,
        };
        match self.attempts.next(backend, &seed, self.cookie, around.shard) {
            Next::Server => {
                if waited {
                    backend.state.waits.record(around.shard, around.now.saturating_sub(self.since));
                }
                self.times.decided.get_or_insert(around.now);
                self.go_to(ExchangeState::Connecting, around.now);
                ExchangeAction::Connect { fresh: self.fresh }
            }
            Next::Unresolved => match backend.admits(self.said.name()) {
                Ok(()) => {
                    self.go_to(ExchangeState::Connecting, around.now);
                    ExchangeAction::Resolve
                }
                Err(reason) => self.refuse(reason, around),
            },
            Next::Full if waited => ExchangeAction::Wait,
            Next::Full if self.attempts.is_first() => self.stand_in_line(around),
            Next::Full | Next::Nobody => self.refuse(self.failure.unwrap_or(CloseReason::NoServer), around),
        }
    }

    fn stand_in_line(&mut self, around: &Surroundings<'_>) -> ExchangeAction {
        self.go_to(ExchangeState::InLine, around.now);
        ExchangeAction::Line
    }

    /// Chooses among the servers that the name leads to.
    pub(super) fn resolved(
        &mut self,
        found: Result<&Resolution, Unresolved>,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        let Some(backend) = self.backend(around).filter(|_| self.attempts.server().is_none()) else {
            return ExchangeAction::Wait;
        };
        match backend.reached_by(found) {
            Ok(servers) => {
                self.attempts.found(servers);
                self.look_for_server(around)
            }
            Err(reason) => self.refuse(reason, around),
        }
    }

    pub(super) fn connected(&mut self, kept: bool, around: &Surroundings<'_>) -> ExchangeAction {
        if kept {
            self.times.connected.get_or_insert(around.now);
        } else {
            self.times.connected = Some(around.now);
            if let Some(backend) = self.backend(around) {
                self.attempts.connected(backend, self.since, around.now, around.shard);
            }
        }
        self.go_to(ExchangeState::Asking(Attempt::default()), around.now);
        ExchangeAction::Ask
    }

    pub(super) fn connect_failed(&mut self, fault: Fault, around: &Surroundings<'_>) -> ExchangeAction {
        if let Some(backend) = self.backend(around) {
            if self.attempts.server().is_none() && backend.asked_for.is_some() {
                return self.refuse(CloseReason::NameUnresolved, around);
            }
            self.attempts.failed(backend, fault, around.now, around.shard);
        }
        self.try_another(fault.reason(), around)
    }

    /// Tries another server, as often as the backend says; if there is none the exchange fails for `reason`.
    fn try_another(&mut self, reason: CloseReason, around: &Surroundings<'_>) -> ExchangeAction {
        self.failure = Some(reason);
        match self.backend(around) {
            Some(backend) if self.attempts.may_try_another(backend) => self.look_for_server(around),
            _ => self.refuse(reason, around),
        }
    }

    /// Sends the request again where that is safe: a kept connection may end at any moment, which says
    /// nothing of its server; a fresh one that does speaks against it.
    pub(super) fn lost(&mut self, lost: Lost, attempt: Attempt, around: &Surroundings<'_>) -> ExchangeAction {
        let sent = match (lost.begun, attempt.gone) {
            (false, false) => Sent::Nothing,
            (true, false) => Sent::Repeatable,
            (_, true) => Sent::Gone,
        };
        if !self.may_repeat(sent) {
            return self.refuse(CloseReason::ServerReset, around);
        }
        if !lost.kept {
            self.attempts.unanswered();
            return self.try_another(CloseReason::ServerReset, around);
        }
        self.fresh = true;
        self.go_to(ExchangeState::Connecting, around.now);
        ExchangeAction::Connect { fresh: true }
    }
}
