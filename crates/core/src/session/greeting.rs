//! Greeting: what analyzers say of a client that has connected, before anything is read of it.
//!
//! Every kind of listener has the same: whoever takes the client over gets what was found. Must never wait:
//! the engine does.

use super::words::{ConnectionWord, Named};
use crate::close::{CloseReason, ConsultFault};
use crate::consult::{Advice, ConsultantIndex, ConsultantSet};
use crate::plan::Plan;
use crate::program::Findings;
use crate::spec::Hook;
use crate::time::Millis;

/// The way of a client past the analyzers that are asked when it has connected.
#[derive(Debug, Default)]
pub struct Greeting {
    turn: u8,
    /// The analyzers that are not asked again.
    pub bypassed: ConsultantSet,
    /// Texts for the record.
    pub findings: Option<Box<Findings>>,
    /// The way that an analyzer has named.
    pub named: Option<Named>,
}

/// The next step of a greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeted {
    /// An analyzer is asked.
    Ask(ConsultantIndex),
    /// The client may come in.
    Enter,
    /// The client is closed without a byte.
    Refuse(CloseReason),
}

impl Greeting {
    /// Returns what happens first.
    pub fn begin(&mut self, plan: &Plan, listener: u32) -> Greeted {
        let list = plan.listeners[listener as usize].consultants.at(Hook::Accepted);
        match list.get(usize::from(self.turn)) {
            None => Greeted::Enter,
            Some(index) => Greeted::Ask(*index),
        }
    }

    /// Takes the answer of the analyzer whose turn it is.
    pub fn advised(&mut self, advice: &Advice, plan: &Plan, listener: u32, now: Millis) -> Greeted {
        let Greeted::Ask(index) = self.begin(plan, listener) else { return Greeted::Enter };
        let consultant = &plan.consultants[usize::from(index)];
        if advice.bypass {
            self.bypassed.add(index);
        }
        let findings = self.findings.get_or_insert_default();
        match ConnectionWord::of_analyzer(advice, consultant, findings, plan, now) {
            Ok(ConnectionWord::Pass) => self.go_on(plan, listener),
            Ok(ConnectionWord::Route(named)) => {
                self.named = Some(named);
                self.go_on(plan, listener)
            }
            Ok(ConnectionWord::Refuse(reason)) => Greeted::Refuse(reason),
            // Nothing has come of the client that another could be asked about.
            Ok(ConnectionWord::Consult(_)) => self.unadvised(ConsultFault::Verdict, plan, listener),
            Err(fault) => self.unadvised(fault, plan, listener),
        }
    }

    /// Goes on without an answer, where the analyzer may be missed.
    pub fn unadvised(&mut self, fault: ConsultFault, plan: &Plan, listener: u32) -> Greeted {
        let Greeted::Ask(index) = self.begin(plan, listener) else { return Greeted::Enter };
        match plan.consultants[usize::from(index)].miss(fault, &mut self.findings) {
            Ok(()) => self.go_on(plan, listener),
            Err(reason) => Greeted::Refuse(reason),
        }
    }

    /// Passes over the analyzer whose turn it is: an explanation asks nobody.
    pub(crate) fn pass(&mut self, plan: &Plan, listener: u32) -> Greeted {
        self.go_on(plan, listener)
    }

    fn go_on(&mut self, plan: &Plan, listener: u32) -> Greeted {
        self.turn += 1;
        self.begin(plan, listener)
    }
}
