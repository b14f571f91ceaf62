//! Bodies that pass analyzers: who is asked about them, and what becomes of the exchange by the answers.
//!
//! The parts of a body are a [`Chain`](crate::consult::Chain)'s. Must never see them.

use super::{Exchange, ExchangeAction, ExchangeEvent, Surroundings};
use crate::action::Side;
use crate::close::{CloseReason, ConsultFault};
use crate::consult::{Advice, Chain, ConsultantIndex};
use crate::program::End;
use crate::spec::Hook;

impl Exchange {
    /// Returns the way of the request's body through analyzers, if there are any and there is a body. After
    /// it the request is not sent again once some of its body was.
    pub fn filter_request(&mut self, has_body: bool, around: &Surroundings<'_>) -> Option<Chain> {
        let chain = self.chain(Hook::RequestBody, has_body, around);
        self.filtered = chain.is_some();
        chain
    }

    /// Returns the way of the response's body through analyzers, if there are any and there is a body.
    pub fn filter_response(&self, around: &Surroundings<'_>) -> Option<Chain> {
        self.chain(Hook::ResponseBody, !self.response.is_done() && !self.tunnel, around)
    }

    fn chain(&self, hook: Hook, has_body: bool, around: &Surroundings<'_>) -> Option<Chain> {
        if around.plan.consultants.is_empty() || !has_body {
            return None;
        }
        let mut lists = [
            Some(&around.listener.consultants),
            self.entry_analyzers(around),
            self.backend(around).map(|backend| &backend.consultants),
        ];
        // Who is nearer to the server sees a response first.
        if hook == Hook::ResponseBody {
            lists.reverse();
        }
        let all = lists.into_iter().flatten().flat_map(|list| list.at(hook)).copied();
        let chain = Chain::new(all, self.granted.bypassed);
        (!chain.is_empty()).then_some(chain)
    }

    /// Takes note of a question about a part of a body, of its answer, or that there is none.
    pub(super) fn body_asked(
        &mut self,
        event: ExchangeEvent<'_>,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        match event {
            ExchangeEvent::BodyHeld(side, analyzer) => {
                self.since = around.now;
                self.set_asked(side, Some(analyzer));
                ExchangeAction::Wait
            }
            ExchangeEvent::BodyAdvised(side, advice) => self.body_advised(side, advice, around),
            ExchangeEvent::BodyUnadvised(side, fault) => self.body_unadvised(side, fault, around),
            _ => ExchangeAction::Wait,
        }
    }

    /// Returns the analyzer that is asked about a part of the body from this side.
    fn asked_about(&self, side: Side) -> Option<ConsultantIndex> {
        self.questions?[side as usize]
    }

    fn set_asked(&mut self, side: Side, analyzer: Option<ConsultantIndex>) {
        let mut asked = self.questions.unwrap_or_default();
        asked[side as usize] = analyzer;
        self.questions = asked.iter().any(Option::is_some).then_some(asked);
    }

    fn body_advised(&mut self, side: Side, advice: &Advice, around: &Surroundings<'_>) -> ExchangeAction {
        let Some(index) = self.asked_about(side) else { return ExchangeAction::Wait };
        let consultant = &around.plan.consultants[usize::from(index)];
        if advice.bypass {
            self.granted.bypassed.add(index);
        }
        let findings = self.granted.findings.get_or_insert_default();
        // A head that is on its way already is not changed by what is said of its body.
        let edits = findings.said.edits.len();
        if let Err(fault) = advice.settle(consultant, findings, around.now) {
            return self.body_unadvised(side, fault, around);
        }
        findings.said.edits.truncate(edits);
        let end = findings.said.end.take();
        if let Some(End::Reject { .. }) = end {
            findings.said.end = end;
            findings.note_analyzer(&consultant.name, None);
            return self.refuse(CloseReason::AnalyzerRejected, around);
        }
        self.since = around.now;
        self.set_asked(side, None);
        ExchangeAction::Wait
    }

    /// Goes on without an answer about a part of a body, where its analyzer may be missed.
    fn body_unadvised(
        &mut self,
        side: Side,
        fault: ConsultFault,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        let Some(index) = self.asked_about(side) else { return ExchangeAction::Wait };
        let consultant = &around.plan.consultants[usize::from(index)];
        self.set_asked(side, None);
        match consultant.miss(fault, &mut self.granted.findings) {
            Ok(()) => {
                self.since = around.now;
                ExchangeAction::PassOn(side)
            }
            Err(reason) => self.refuse(reason, around),
        }
    }

    /// An answer about a part of a body has not come in time.
    pub(super) fn body_late(&mut self, around: &Surroundings<'_>) -> ExchangeAction {
        let side = if self.asked_about(Side::Client).is_some() { Side::Client } else { Side::Server };
        self.body_unadvised(side, ConsultFault::Late, around)
    }
}
