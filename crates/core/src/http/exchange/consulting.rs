//! Consulting: an exchange whose head is held while an analyzer is asked, and what its answer leads to.
//!
//! ```text
//!   Ruling, Asking, Awaiting -> Consulting -> the same again, and the head is read once more
//!                                  |  \-> Collecting -> Consulting (with the whole body)
//!                                  \-> Told (refused: an answer that never came, or that says so)
//! ```
//!
//! Must never judge: an answer becomes Findings, and whoever asked goes on with those.

use super::state::Consultation;
use super::{Attempt, Exchange, ExchangeAction, ExchangeState, Passage, Stopped, Surroundings};
use crate::close::{CloseReason, ConsultFault};
use crate::consult::{Advice, Consultant, ConsultantIndex};
use crate::spec::Hook;

impl Exchange {
    /// Waits for what an analyzer says of the head that was just read.
    pub(super) fn consult(
        &mut self,
        analyzer: ConsultantIndex,
        hook: Hook,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        let (attempt, asking) = match self.state {
            ExchangeState::Asking(attempt) => (attempt, true),
            ExchangeState::Awaiting(attempt) => (attempt, false),
            _ => (Attempt::default(), false),
        };
        let consultation = Consultation { analyzer, hook, attempt, asking, whole: false };
        self.go_to(ExchangeState::Consulting(consultation), around.now);
        ExchangeAction::Consult(consultation)
    }

    /// Takes an analyzer's answer.
    pub(super) fn advised(
        &mut self,
        advice: &Advice,
        consultation: Consultation,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        if advice.bypass {
            self.granted.bypassed.add(consultation.analyzer);
        }
        if let Some(limit) = advice.read_body.filter(|_| consultation.hook == Hook::Request) {
            if consultation.whole {
                // It has seen all there is: to show it again would never end.
                return self.unadvised(ConsultFault::Verdict, consultation, around);
            }
            // What it has said beside that, it may say again when it sees the body.
            self.collects = limit;
            // Of a body whose length was said it is known before it comes, and also when all of it has come.
            if self.said.length.is_some_and(|length| length > limit) {
                return self.refuse(CloseReason::BodyTooLarge, around);
            }
            self.go_to(ExchangeState::Collecting(Consultation { whole: true, ..consultation }), around.now);
            return ExchangeAction::Collect;
        }
        let consultant = consultant(consultation, around);
        let findings = self.granted.findings.get_or_insert_default();
        if let Err(fault) = advice.settle(consultant, findings, around.now) {
            return self.unadvised(fault, consultation, around);
        }
        if findings.said.end.is_some() {
            findings.note_analyzer(&consultant.name, None);
        }
        self.go_on(consultation, around)
    }

    /// Goes on without an answer, where the analyzer may be missed.
    pub(super) fn unadvised(
        &mut self,
        fault: ConsultFault,
        consultation: Consultation,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        match consultant(consultation, around).miss(fault, &mut self.granted.findings) {
            Ok(()) => self.go_on(consultation, around),
            Err(reason) => self.refuse(reason, around),
        }
    }

    /// Returns the bytes of the request's body that an analyzer wants to see at most.
    pub fn collects(&self) -> u64 {
        self.collects
    }

    /// Has the head read again: whoever asked goes on where it stopped.
    fn go_on(&mut self, consultation: Consultation, around: &Surroundings<'_>) -> ExchangeAction {
        self.granted.answered = true;
        let Consultation { hook, attempt, asking, .. } = consultation;
        let state = match hook {
            Hook::Response if asking => ExchangeState::Asking(attempt),
            Hook::Response => ExchangeState::Awaiting(attempt),
            _ => ExchangeState::Ruling,
        };
        self.go_to(state, around.now);
        ExchangeAction::Reread
    }

    /// More of the body has come that an analyzer wants to see whole.
    pub(super) fn collected(
        &mut self,
        passage: Passage,
        consultation: Consultation,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        if passage.read > 0 {
            self.since = around.now;
            if self.is_too_slow(passage.read, around) {
                return self.refuse(CloseReason::BodyTimeout, around);
            }
        }
        match passage.stopped {
            Stopped::Done => {
                self.go_to(ExchangeState::Consulting(consultation), around.now);
                ExchangeAction::Consult(consultation)
            }
            stopped => self.request_stopped(stopped, around),
        }
    }
}

/// Returns the analyzer that is asked.
fn consultant<'p>(consultation: Consultation, around: &Surroundings<'p>) -> &'p Consultant {
    &around.plan.consultants[usize::from(consultation.analyzer)]
}
