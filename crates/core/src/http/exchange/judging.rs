//! Judging: what rules and analyzers that people wrote say of a response, and what of their findings is in
//! force.
//!
//! Those of the backend are asked before those of the listener: who is nearer to the server speaks first.
//! Must never write a head.

use super::{Exchange, ExchangeAction, ExchangeState, Surroundings};
use crate::close::CloseReason;
use crate::consult::{ConsultantIndex, Consultants};
use crate::http::facts::ClientFacts;
use crate::message::{Message, Span};
use crate::plan::Plan;
use crate::program::{End, Findings, Programs, Subject};
use crate::spec::{Hook, ProgramKind};

/// Everybody who is asked about a response, in order.
#[derive(Clone, Copy)]
struct Judges<'p> {
    programs: [&'p Programs; 2],
    analyzers: [Option<&'p Consultants>; 3],
}

/// The next that happens to a response.
enum Word {
    Pass,
    Over,
    Consult(ConsultantIndex),
}

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

    /// Asks rules and analyzers about the final response, from where they stopped. Returns what is done
    /// instead of passing it on.
    pub(super) fn judge_response(
        &mut self,
        message: Message<'_>,
        around: &Surroundings<'_>,
    ) -> Option<ExchangeAction> {
        let (backend, listener) = (self.backend(around)?, around.listener);
        let judge_any = |programs: &Programs| programs.judge_any(ProgramKind::Response);
        let silent = !judge_any(&backend.http.programs) && !judge_any(&listener.programs);
        if silent && around.plan.consultants.is_empty() {
            return None;
        }
        let judges = self.judges(around)?;
        if judges.are_silent() {
            return None;
        }
        let mut findings = self.granted.findings.take().unwrap_or_default();
        if !self.granted.answered {
            findings.go_on_with(ProgramKind::Response);
            (self.granted.row, self.granted.turn) = (0, 0);
        }
        let word = self.next_word(judges, message, &mut findings, around);
        let (end, failed) = (findings.said.end, findings.said.failure.is_some());
        self.granted.findings = Some(findings);
        match word {
            Word::Pass => None,
            Word::Consult(analyzer) => {
                let action = self.consult(analyzer, Hook::Response, around);
                // Until it is known what the client gets, nothing was answered.
                self.withdraw();
                Some(action)
            }
            Word::Over => self.take_word(end, failed, around),
        }
    }

    fn judges<'p>(&self, around: &Surroundings<'p>) -> Option<Judges<'p>> {
        let (backend, listener) = (self.backend(around)?, around.listener);
        Some(Judges {
            programs: [&backend.http.programs, &listener.programs],
            analyzers: [
                Some(&backend.consultants),
                self.entry_analyzers(around),
                Some(&listener.consultants),
            ],
        })
    }

    /// Returns the analyzers of the table's entry that it came by.
    pub(super) fn entry_analyzers<'p>(&self, around: &Surroundings<'p>) -> Option<&'p Consultants> {
        let Surroundings { plan, listener, .. } = *around;
        // Few tables have any: their entries need not be looked up again.
        if !self.granted.by_table || around.plan.consultants.is_empty() {
            return None;
        }
        let entry = plan.route_request(listener, self.said.name(), self.said.target()).ok()?.entry?;
        plan.entry_analyzers(listener.route, entry)
    }

    /// Asks whoever is next, until one has the last word or must be waited for.
    fn next_word(
        &mut self,
        judges: Judges<'_>,
        message: Message<'_>,
        findings: &mut Findings,
        around: &Surroundings<'_>,
    ) -> Word {
        let rows = judges.programs.len() + judges.analyzers.len();
        while usize::from(self.granted.row) < rows {
            let row = usize::from(self.granted.row);
            let answered = std::mem::take(&mut self.granted.answered);
            if answered && !std::mem::take(&mut self.granted.called) {
                self.granted.turn += 1;
            }
            if !answered || !findings.is_over() {
                match row.checked_sub(judges.programs.len()) {
                    None => {
                        if !answered {
                            findings.begin_list();
                        }
                        self.ask_programs(judges.programs[row], message, findings, around);
                    }
                    Some(place) => {
                        let list = judges.analyzers[place].map_or(&[][..], |list| list.at(Hook::Response));
                        if let Some(index) = self.next_analyzer(list) {
                            return Word::Consult(index);
                        }
                    }
                }
            }
            if let Some(End::Consult { analyzer }) = findings.said.end {
                return self.call(around.plan, findings, analyzer);
            }
            if findings.is_over() {
                return Word::Over;
            }
            (self.granted.row, self.granted.turn) = (self.granted.row + 1, 0);
        }
        Word::Pass
    }

    /// Returns the next of a list that is to be asked.
    fn next_analyzer(&mut self, list: &[ConsultantIndex]) -> Option<ConsultantIndex> {
        let bypassed = self.granted.bypassed;
        let rest = list.iter().enumerate().skip(usize::from(self.granted.turn));
        let (turn, index) = rest.into_iter().find(|(_, index)| !bypassed.has(**index))?;
        self.granted.turn = turn as u8;
        Some(*index)
    }

    fn ask_programs(
        &self,
        programs: &Programs,
        message: Message<'_>,
        findings: &mut Findings,
        around: &Surroundings<'_>,
    ) {
        findings.said.analyzer = None;
        if programs.judge_any(ProgramKind::Response) {
            let client = ClientFacts { address: self.client, secure: self.secure, ..ClientFacts::default() };
            let facts = self.facts(&client, around);
            let subject = Subject { facts, message: Some(message), wall: around.wall, ..Subject::default() };
            programs.judge(ProgramKind::Response, &subject, findings, around.now);
        }
    }

    /// Asks the analyzer that a rule or another analyzer names.
    fn call(&mut self, plan: &Plan, findings: &mut Findings, name: Span) -> Word {
        findings.said.end = None;
        match plan.consultant_named(findings.text(name)) {
            Some(index) if !self.granted.calls.has(index) => {
                self.granted.calls.add(index);
                self.granted.called = true;
                Word::Consult(index)
            }
            _ => {
                findings.said.end = Some(End::Reject { reason: name });
                Word::Over
            }
        }
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

impl Judges<'_> {
    /// Whether nobody has anything to say of responses.
    fn are_silent(&self) -> bool {
        let asks = |list: &&Consultants| !list.at(Hook::Response).is_empty();
        !self.programs.iter().any(|programs| programs.judge_any(ProgramKind::Response))
            && !self.analyzers.iter().flatten().any(asks)
    }
}
