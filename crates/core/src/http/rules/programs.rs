//! Rules that people wrote: those of the listener before the table is consulted, those of the backend after.
//!
//! Turns what programs find into a Ruling. Must never know what a program says beyond that: changes of the
//! head and fields of the record stay in the findings.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting, analyzers};
use crate::close::{CloseReason, ConsultFault};
use crate::http::facts::ExchangeFacts;
use crate::program::{End, Findings, Programs, Subject};
use crate::spec::ProgramKind;
use crate::table::Target;

/// Asks the rules of the listener.
#[derive(Debug)]
pub(super) struct OfListener;

/// Asks the rules of the backend that the request goes to.
#[derive(Debug)]
pub(super) struct OfBackend;

impl Rule for OfListener {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.programs
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        judge(case.programs, case, granted, "")
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        explain(prospect.case.programs, &prospect.case, foreseen, "")
    }
}

impl Rule for OfBackend {
    fn name(&self) -> &'static str {
        "backend_programs"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.backend_programs
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        match granted.target {
            Some(Target::Backend(index)) => {
                judge(case.plan.programs(index), case, granted, case.plan.backend_name(index))
            }
            _ => Ruling::Pass,
        }
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let plan = prospect.case.plan;
        match foreseen.target {
            Some(Target::Backend(index)) => {
                explain(plan.programs(index), &prospect.case, foreseen, plan.backend_name(index))
            }
            _ => Ruling::Pass,
        }
    }
}

impl<'a> Case<'a> {
    /// Returns the request as programs see it.
    fn subject(&self, backend: &'a str) -> Subject<'a> {
        let facts = ExchangeFacts {
            client: self.client,
            scheme: if self.termination.is_some() { "https" } else { "http" },
            tls: self.tls,
            early: self.early,
            host: self.host,
            name: self.name.unwrap_or_default(),
            method: self.message.text(self.message.head.method_span),
            target: self.target,
            request_id: self.request_id,
            listener: self.listener,
            backend,
            ..ExchangeFacts::default()
        };
        Subject { facts, message: Some(self.message), wall: self.wall, ..Subject::default() }
    }
}

fn judge<'a>(programs: &Programs, case: &Case<'a>, granted: &mut Granted, backend: &'a str) -> Ruling {
    if !programs.judge_any(ProgramKind::Request) {
        return Ruling::Pass;
    }
    let mut findings = granted.findings.take().unwrap_or_default();
    let mut said = Ruling::Pass;
    // An analyzer that a rule had asked has answered: the rules behind that one go on.
    if std::mem::take(&mut granted.answered) {
        granted.called = false;
        said = ruling(&mut findings, case, granted);
    } else {
        findings.begin_list();
    }
    if said == Ruling::Pass {
        findings.said.analyzer = None;
        programs.judge(ProgramKind::Request, &case.subject(backend), &mut findings, case.now);
        said = ruling(&mut findings, case, granted);
    }
    granted.findings = Some(findings);
    said
}

fn explain<'a>(programs: &Programs, case: &Case<'a>, foreseen: &mut Foreseen, backend: &'a str) -> Ruling {
    foreseen.granted.findings.get_or_insert_default().begin_list();
    loop {
        let mut findings = foreseen.granted.findings.take().unwrap_or_default();
        findings.said.analyzer = None;
        let steps = programs.explain(ProgramKind::Request, &case.subject(backend), &mut findings);
        steps.into_iter().for_each(|step| foreseen.say(step));
        let said = ruling(&mut findings, case, &mut foreseen.granted);
        foreseen.granted.findings = Some(findings);
        let Ruling::Consult(index) = said else { return said };
        // The rules behind the one that had it asked go on.
        match analyzers::foresee(index, case, foreseen) {
            Ruling::Pass => {}
            said => return said,
        }
    }
}

/// Returns the ruling that findings come to, and grants what belongs to it. A way to a backend is taken out
/// of them, so that the backend's own rules are asked.
pub(super) fn ruling(findings: &mut Findings, case: &Case<'_>, granted: &mut Granted) -> Ruling {
    findings.put_target_together(case.target);
    let failed =
        if findings.said.analyzer.is_some() { CloseReason::AnalyzerFailed } else { CloseReason::RuleFailed };
    match findings.said.end {
        _ if findings.said.failure.is_some() => Ruling::Refuse(failed),
        None => Ruling::Pass,
        Some(End::Consult { analyzer }) => {
            findings.said.end = None;
            match case.plan.analyzer_named(findings.text(analyzer)) {
                // Each is called once by its name: two that call each other would never end.
                Some(index) if !granted.calls.has(index) => {
                    granted.calls.add(index);
                    granted.called = true;
                    Ruling::Consult(index)
                }
                _ => Ruling::Refuse(CloseReason::AnalyzerFailed),
            }
        }
        Some(End::Route { backend, server }) => {
            findings.said.end = None;
            let Some(index) = case.plan.backend_named(findings.text(backend)) else {
                if findings.said.analyzer.is_some() {
                    findings.said.fault = Some(ConsultFault::Verdict);
                }
                return Ruling::Refuse(failed);
            };
            let named = server.and_then(|server| case.plan.server_named(index, findings.text(server)));
            granted.server = named.or(granted.server);
            findings.said.analyzer = None;
            Ruling::Route(Target::Backend(index))
        }
        Some(End::Respond { status, .. } | End::Redirect { code: status, .. }) => Ruling::Say(status),
        Some(End::Reject { .. }) if findings.said.analyzer.is_some() => {
            Ruling::Refuse(CloseReason::AnalyzerRejected)
        }
        Some(End::Reject { .. }) => Ruling::Refuse(CloseReason::RuleRejected),
        Some(End::Limited { retry_after }) => {
            granted.retry_after = Some(retry_after);
            Ruling::Refuse(CloseReason::RateLimited)
        }
    }
}
