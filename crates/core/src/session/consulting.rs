//! Consulting: the turns of analyzers that people wrote in Python, once those of the protocol have passed: of
//! the listener before the table is consulted, of the entry and the backend after.
//!
//! ```text
//!   FirstBytes Rules Hello | Table | FirstBytes Hello (entry) | FirstBytes Hello (backend) | Chosen
//! ```
//!
//! Owns which stage it is and whose turn. Must never see what is asked or answered: a question is the
//! engine's, an answer becomes Findings.

use crate::action::{Action, Side};
use crate::close::{CloseReason, ConsultFault};
use crate::consult::{Advice, Consultant, ConsultantIndex, ConsultantSet, Consultants};
use crate::message::Span;
use crate::spec::Hook;
use crate::table::Match;

use super::words::{ConnectionWord, Named};
use super::{Scene, Session, State};

/// How far a session has come on its way to a server.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) stage: u8,
    /// Number of the analyzer in its list whose turn it is.
    turn: u8,
    /// Bytes that it wants to see.
    need: u32,
    /// Bytes that it was shown.
    shown: u32,
    /// The analyzer that is asked.
    asked: Option<ConsultantIndex>,
    /// Called by its name.
    called: bool,
    calls: ConsultantSet,
    pub(super) bypassed: ConsultantSet,
    /// The way that a rule or an analyzer has named.
    pub(super) named: Option<Named>,
    /// The table's entry that the connection came by.
    pub(super) entry: Option<Match>,
}

/// The stages before the table is consulted.
pub(super) const RULES: u8 = 1;
/// The table is consulted.
pub(super) const TABLE: u8 = 3;
/// Nobody is left to be asked.
pub(super) const CHOSEN: u8 = 8;

impl Session {
    /// Returns how far rules and analyzers were asked.
    pub(super) fn progress(&mut self) -> &mut Progress {
        self.progress.get_or_insert_default()
    }

    /// Returns the analyzers of the present stage, and what they are asked about.
    fn listed<'p>(&self, scene: Scene<'p>) -> Option<Listed<'p>> {
        let listener = self.listener_of(scene.plan);
        let route = listener.way(self.facts.kind).route;
        let of_entry = || scene.plan.entry_analyzers(route, self.progress.as_ref()?.entry?);
        let of_backend = || Some(&scene.plan.backends[self.attempts.backend()? as usize].consultants);
        let (list, hook) = match self.progress.as_ref()?.stage {
            0 => (Some(&listener.consultants), Hook::FirstBytes),
            2 => (Some(&listener.consultants), Hook::Hello),
            4 => (of_entry(), Hook::FirstBytes),
            5 => (of_entry(), Hook::Hello),
            6 => (of_backend(), Hook::FirstBytes),
            7 => (of_backend(), Hook::Hello),
            _ => (None, Hook::Ended),
        };
        if !self.facts.may_be_asked(hook, listener.protocol.kinds()) {
            return None;
        }
        Some(Listed { list: list?, hook })
    }

    /// Asks whoever is next in the present stage. None: nobody is left there.
    pub(super) fn ask_next(&mut self, held: &[u8], scene: Scene<'_>) -> Option<Action> {
        if let Some(Listed { list, hook }) = self.listed(scene) {
            let bypassed = self.progress().bypassed;
            let rest = list.at(hook).iter().enumerate().skip(usize::from(self.progress().turn));
            if let Some((turn, index)) = rest.into_iter().find(|(_, index)| !bypassed.has(**index)) {
                self.progress().turn = turn as u8;
                return Some(self.ask_when_held(*index, hook, held, scene));
            }
        }
        let progress = self.progress();
        (progress.stage, progress.turn) = (progress.stage + 1, 0);
        None
    }

    /// Asks an analyzer, or waits until as much is held as it needs.
    fn ask_when_held(&mut self, index: ConsultantIndex, hook: Hook, held: &[u8], scene: Scene<'_>) -> Action {
        let own = held.len().saturating_sub(self.flows[Side::Client as usize].consumed as usize);
        let need = (self.progress().need as usize).max(1);
        if hook == Hook::FirstBytes && own < need {
            let limit = self.listener_of(scene.plan).spec.first_bytes_limit as usize;
            if own < limit && need <= limit {
                self.flows[Side::Client as usize].hold = true;
                return Action::Wait;
            }
            return if scene.plan.consultants[usize::from(index)].passes() {
                self.end_asking(scene)
            } else {
                self.refuse(CloseReason::TooLarge)
            };
        }
        self.progress().shown = u32::try_from(own).unwrap_or(u32::MAX);
        self.ask(index, hook, scene)
    }

    fn ask(&mut self, index: ConsultantIndex, hook: Hook, scene: Scene<'_>) -> Action {
        self.state = State::Consulting;
        self.progress().asked = Some(index);
        let flow = &mut self.flows[Side::Client as usize];
        (flow.hold, flow.since) = (true, scene.now);
        Action::Consult { analyzer: index, hook }
    }

    /// Returns the number of the analyzer that is asked.
    #[inline]
    pub(super) fn asked_index(&self) -> Option<ConsultantIndex> {
        self.progress.as_ref()?.asked
    }

    /// Returns the analyzer that is asked.
    pub(super) fn asked<'p>(&self, scene: Scene<'p>) -> Option<&'p Consultant> {
        scene.plan.consultants.get(usize::from(self.asked_index()?))
    }

    /// Takes an answer.
    pub(super) fn advised(&mut self, advice: &Advice, scene: Scene<'_>) -> Action {
        let Some((index, consultant)) = self.asked_index().zip(self.asked(scene)) else {
            return Action::Wait;
        };
        if advice.bypass {
            self.progress().bypassed.add(index);
        }
        if let Some(need) = advice.need {
            if need <= self.progress().shown {
                // As many were shown: to wait for them would never end.
                return self.unadvised(ConsultFault::Verdict, scene);
            }
            let progress = self.progress();
            (progress.asked, progress.need) = (None, need);
            return Action::Show(Side::Client);
        }
        let findings = self.findings.get_or_insert_default();
        match ConnectionWord::of_analyzer(advice, consultant, findings, scene.plan, scene.now) {
            Err(fault) => self.unadvised(fault, scene),
            Ok(ConnectionWord::Pass) => self.end_asking(scene),
            Ok(ConnectionWord::Route(named)) => {
                self.progress().named = Some(named);
                self.end_asking(scene)
            }
            Ok(ConnectionWord::Consult(name)) => self.call(name, scene),
            Ok(ConnectionWord::Refuse(reason)) => self.refuse(reason),
        }
    }

    /// Goes on without an answer, where the analyzer may be missed.
    pub(super) fn unadvised(&mut self, fault: ConsultFault, scene: Scene<'_>) -> Action {
        let Some(consultant) = self.asked(scene) else { return Action::Wait };
        match consultant.miss(fault, &mut self.findings) {
            Ok(()) => self.end_asking(scene),
            Err(reason) => self.refuse(reason),
        }
    }

    /// Asks the analyzer that a rule or another analyzer names.
    pub(super) fn call(&mut self, name: Span, scene: Scene<'_>) -> Action {
        let findings = self.findings.get_or_insert_default();
        let index = scene.plan.consultant_named(findings.text(name));
        match index.filter(|index| !self.progress().calls.has(*index)) {
            Some(index) => {
                self.progress().calls.add(index);
                self.progress().called = true;
                self.ask(index, Hook::Hello, scene)
            }
            None => self.refuse(CloseReason::AnalyzerFailed),
        }
    }

    /// Ends the turn of the analyzer that was asked: what is held is looked at again.
    fn end_asking(&mut self, scene: Scene<'_>) -> Action {
        let progress = self.progress();
        (progress.asked, progress.need) = (None, 0);
        if !std::mem::take(&mut progress.called) {
            progress.turn += 1;
        }
        self.state = State::Consulting;
        let flow = &mut self.flows[Side::Client as usize];
        (flow.hold, flow.since) = (true, scene.now);
        Action::Show(Side::Client)
    }
}

/// The analyzers of a stage, and what they are asked about.
struct Listed<'p> {
    list: &'p Consultants,
    hook: Hook,
}
