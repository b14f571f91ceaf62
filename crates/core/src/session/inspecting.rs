//! Inspecting: the turns of analyzers. A Flow is held while they look at it, one after the other.
//!
//! Owns whose turn it is, how much may be held for a verdict, and what follows when none comes. Must never
//! choose a server or read a byte itself.

use crate::action::{Action, Side};
use crate::analyze::{Attached, HeaderRule, KindFound, OnFailure, Verdict};
use crate::close::CloseReason;
use crate::plan::Plan;
use crate::time::Millis;

use super::{Scene, Session, State};

impl Session {
    pub(super) fn accepted(&mut self, scene: Scene<'_>) -> Action {
        // With a PROXY header to come, the client's address is not known yet.
        if self.rule != HeaderRule::Required
            && let Err(reason) = self.admit(scene)
        {
            return self.close(reason);
        }
        let turn = usize::from(self.begin_turn(Side::Client, 0, scene));
        let all = &self.listener_of(scene.plan).analyzers;
        let mut left = all.iter().skip(turn);
        if left.any(|attached| attached.awaited && attached.looks_at(Side::Client, self.rule)) {
            return Action::Wait;
        }
        self.flows[Side::Client as usize].hold = turn < all.len();
        self.route(&[], scene)
    }

    pub(super) fn held(&mut self, side: Side, held: &[u8], scene: Scene<'_>) -> Action {
        if !self.flows[side as usize].hold {
            return Action::Wait;
        }
        if self.state == State::Consulting {
            // It is shown again when somebody has answered.
            return if self.asked_index().is_some() { Action::Wait } else { self.route(held, scene) };
        }
        while let Some(attached) = self.attached(side, scene.plan) {
            let consumed = match self.inspect(attached, held, scene.plan) {
                Verdict::Pass { consumed } => consumed,
                Verdict::Bypass => 0,
                Verdict::Reject(reason) => return self.refuse(reason),
                Verdict::Wait { .. } if !self.is_too_large(attached, held, scene.plan) => {
                    return Action::Wait;
                }
                Verdict::Wait { .. } if attached.on_failure == OnFailure::Reject => {
                    return self.refuse(CloseReason::TooLarge);
                }
                Verdict::Wait { .. } => 0,
            };
            if let Err(reason) = self.end_turn(attached, consumed, scene) {
                return self.close(reason);
            }
        }
        self.flows[side as usize].hold = false;
        match self.state {
            State::Inspecting => self.route(held, scene),
            State::Relaying | State::HalfClosed(_) => Action::Relay,
            _ => Action::Wait,
        }
    }

    /// Goes on when an analyzer has no verdict in time.
    pub(super) fn late(&mut self, side: Side, scene: Scene<'_>) -> Action {
        match self.attached(side, scene.plan) {
            Some(attached) if attached.on_failure == OnFailure::Pass => {
                match self.end_turn(attached, 0, scene) {
                    Ok(()) => Action::Show(side),
                    Err(reason) => self.close(reason),
                }
            }
            _ => self.refuse(CloseReason::FirstBytesTimeout),
        }
    }

    /// Returns how long a client may say nothing before its server is to speak first; None where it may not,
    /// or has said something.
    #[inline]
    pub(super) fn silence(&self, plan: &Plan) -> Option<Millis> {
        let silent = plan.listeners[self.listener as usize].kind_ways.silent?;
        let flow = &self.flows[Side::Client as usize];
        let says_nothing = flow.bytes == u64::from(flow.consumed) && self.facts.kind.is_none();
        let is_announced = self.attached(Side::Client, plan)?.rule != Some(HeaderRule::Required);
        (self.state == State::Inspecting && says_nothing && is_announced).then_some(silent.after)
    }

    /// Goes on with a client that says nothing. Who still looks for a header goes on looking, too.
    pub(super) fn silent(&mut self, scene: Scene<'_>) -> Action {
        self.facts.kind = Some(KindFound::Silent);
        while self.attached(Side::Client, scene.plan).is_some_and(|attached| attached.awaited) {
            self.begin_turn(Side::Client, 1, scene);
        }
        self.flows[Side::Client as usize].hold = self.attached(Side::Client, scene.plan).is_some();
        self.route(&[], scene)
    }

    fn admit(&mut self, scene: Scene<'_>) -> Result<(), CloseReason> {
        let listener = &scene.plan.listeners[self.listener as usize];
        let client = self.facts.client.map(|address| address.ip());
        if !listener.admits(client) {
            return Err(CloseReason::Denied);
        }
        listener.enter_client(&mut self.permit, client)
    }

    /// Returns the analyzer whose turn it is.
    #[inline]
    fn attached<'p>(&self, side: Side, plan: &'p Plan) -> Option<&'p Attached> {
        self.listener_of(plan).analyzers.get(usize::from(self.flows[side as usize].turn))
    }

    /// Begins the next turn, which is that of the present analyzer or, `ended` turns later, of one after it.
    pub(super) fn begin_turn(&mut self, side: Side, ended: u8, scene: Scene<'_>) -> u8 {
        let all = &self.listener_of(scene.plan).analyzers;
        let flow = &mut self.flows[side as usize];
        let mut turn = flow.turn + ended;
        while all.get(usize::from(turn)).is_some_and(|attached| !attached.looks_at(side, self.rule)) {
            turn += 1;
        }
        (flow.turn, flow.need, flow.since) = (turn, 0, scene.now);
        turn
    }

    /// Asks an analyzer, if it can say more than it did.
    fn inspect(&mut self, attached: &Attached, held: &[u8], plan: &Plan) -> Verdict {
        let flow = &mut self.flows[attached.side as usize];
        let consumed = flow.consumed as usize;
        if held.len() < flow.need as usize {
            return Verdict::Wait { need: flow.need as usize - consumed };
        }
        let kinds = &plan.listeners[self.listener as usize].kinds;
        let verdict = attached.analyzer.inspect_among(kinds, &held[consumed..], &mut self.facts);
        if let Verdict::Wait { need } = verdict {
            flow.need = u32::try_from(consumed + need).unwrap_or(u32::MAX);
        }
        verdict
    }

    /// Whether more is held, or needed, than an analyzer without a verdict may see.
    fn is_too_large(&self, attached: &Attached, held: &[u8], plan: &Plan) -> bool {
        let flow = &self.flows[attached.side as usize];
        let own = attached.limit.map_or(usize::MAX, |limit| limit.saturating_add(flow.consumed as usize));
        let limit = (self.listener_of(plan).spec.first_bytes_limit as usize).min(own);
        held.len() >= limit || flow.need as usize > limit
    }

    /// Goes on to the next analyzer. After the PROXY header the client is known and must be admitted.
    fn end_turn(
        &mut self,
        attached: &Attached,
        consumed: usize,
        scene: Scene<'_>,
    ) -> Result<(), CloseReason> {
        self.flows[attached.side as usize].consumed += consumed as u32;
        self.begin_turn(attached.side, 1, scene);
        if attached.rule != Some(HeaderRule::Required) {
            return Ok(());
        }
        let client = self.facts.client.map(|address| address.ip());
        self.listener_of(scene.plan).keeps_rate(client, scene.now)?;
        self.admit(scene)
    }

    /// Returns the side whose analyzer has a deadline of its own, and how long its turn may take.
    #[inline]
    pub(super) fn verdict_due(&self, plan: &Plan) -> Option<(Side, Millis)> {
        let [client, server] = &self.flows;
        if !client.hold && !server.hold
            || matches!(self.state, State::Consulting | State::Connecting | State::Refused)
        {
            return None;
        }
        let due = |side| Some((side, self.attached(side, plan)?.timeout?));
        let mut held = [Side::Client, Side::Server].into_iter().filter(|side| self.flow(*side).hold);
        held.find_map(due)
    }
}
