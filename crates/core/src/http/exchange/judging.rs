//! Judging: what rules that people wrote say of a response, and what of their findings is in force.
//!
//! Those of the backend are asked before those of the listener: who is nearer to the server speaks first.
//! Must never write a head.

use super::{Exchange, ExchangeAction, ExchangeState, Surroundings};
use crate::close::CloseReason;
use crate::http::facts::ClientFacts;
use crate::message::Message;
use crate::program::{End, Findings, Subject};
use crate::spec::ProgramKind;

impl Exchange {
    /// Returns all that rules have said of it.
    pub fn findings(&self) -> Option<&Findings> {
        self.granted.findings.as_deref()
    }

    /// Returns the findings that change heads of this kind.
    #[inline]
    pub fn edits(&self, kind: ProgramKind) -> Option<&Findings> {
        self.findings().filter(|findings| findings.said.of == kind && findings.rewrites())
    }

    /// Asks the rules about the final response. Returns what is done instead of passing it on.
    pub(super) fn judge_response(
        &mut self,
        message: Message<'_>,
        around: &Surroundings<'_>,
    ) -> Option<ExchangeAction> {
        let backend = self.backend(around)?;
        let lists = [&backend.http.programs, &around.listener.programs];
        if !lists.iter().any(|programs| programs.judge_any(ProgramKind::Response)) {
            return None;
        }
        let mut findings = self.granted.findings.take().unwrap_or_default();
        findings.go_on_with(ProgramKind::Response);
        let client = ClientFacts { address: self.client, secure: self.secure, ..ClientFacts::default() };
        let facts = self.facts(&client, around);
        let subject = Subject { facts, message: Some(message), wall: around.wall, ..Subject::default() };
        for programs in lists {
            programs.judge(ProgramKind::Response, &subject, &mut findings, around.now);
        }
        let (end, failed) = (findings.said.end, findings.said.failure.is_some());
        self.granted.findings = Some(findings);
        self.take_word(end, failed, around)
    }

    /// Returns what is done instead of passing a response on.
    fn take_word(
        &mut self,
        end: Option<End>,
        failed: bool,
        around: &Surroundings<'_>,
    ) -> Option<ExchangeAction> {
        let status = match end {
            _ if failed => Err(CloseReason::RuleFailed),
            None => return None,
            Some(End::Respond { status, .. } | End::Redirect { code: status, .. }) => Ok(status),
            Some(_) => Err(CloseReason::ResponseRejected),
        };
        self.withdraw();
        Some(match status {
            Ok(status) => self.say(status, around),
            Err(reason) => self.refuse(reason, around),
        })
    }

    /// Gives an answer of our own, which a rule has made: the place at a server is given back.
    pub(super) fn say(&mut self, status: u16, around: &Surroundings<'_>) -> ExchangeAction {
        self.attempts.release();
        self.times.decided.get_or_insert(around.now);
        self.answered(status);
        self.go_to(ExchangeState::Told, around.now);
        ExchangeAction::Say
    }
}
