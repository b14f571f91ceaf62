//! Words: what rules and analyzers that people wrote say of a connection, wherever they are asked: at the
//! door, about its first bytes or its hello, or about one that has not come.
//!
//! Owns what each verdict comes to. Must never act on one: whoever asked does.

use crate::close::{CloseReason, ConsultFault};
use crate::consult::{Advice, Consultant};
use crate::message::Span;
use crate::plan::Plan;
use crate::program::{End, Findings};
use crate::table::BackendIndex;
use crate::time::Millis;

/// A way that a rule or an analyzer has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The backend.
    pub backend: BackendIndex,
    /// Identity of its server, where one was named that it has.
    pub server: Option<u64>,
}

/// The word of a rule or an analyzer on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionWord {
    /// There is nothing against it.
    Pass,
    /// The way leads there.
    Route(Named),
    /// The analyzer of this name is asked.
    Consult(Span),
    /// The client is refused.
    Refuse(CloseReason),
}

impl Named {
    /// Finds the way; None where there is no such backend.
    fn find(backend: Span, server: Option<Span>, findings: &Findings, plan: &Plan) -> Option<Self> {
        let backend = plan.backend_named(findings.text(backend))?;
        let server = server.and_then(|server| plan.server_named(backend, findings.text(server)));
        Some(Self { backend, server })
    }
}

impl ConnectionWord {
    /// Returns what the findings of rules come to.
    pub fn of_rules(findings: &mut Findings, plan: &Plan) -> Self {
        match findings.said.end {
            _ if findings.said.failure.is_some() => Self::Refuse(CloseReason::RuleFailed),
            None => Self::Pass,
            Some(End::Route { backend, server }) => Named::find(backend, server, findings, plan)
                .map_or(Self::Refuse(CloseReason::RuleFailed), Self::Route),
            Some(End::Consult { analyzer }) => {
                findings.said.end = None;
                Self::Consult(analyzer)
            }
            Some(End::Limited { .. }) => Self::Refuse(CloseReason::RateLimited),
            Some(_) => Self::Refuse(CloseReason::RuleRejected),
        }
    }

    /// Takes an analyzer's answer into the findings; returns what it comes to, or why it is none.
    pub fn of_analyzer(
        advice: &Advice,
        who: &Consultant,
        findings: &mut Findings,
        plan: &Plan,
        now: Millis,
    ) -> Result<Self, ConsultFault> {
        advice.settle(who, findings, now)?;
        let end = findings.said.end.take();
        Ok(match end {
            None => Self::Pass,
            Some(End::Route { backend, server }) => {
                Named::find(backend, server, findings, plan).map(Self::Route).ok_or(ConsultFault::Verdict)?
            }
            Some(End::Consult { analyzer }) => Self::Consult(analyzer),
            Some(End::Limited { .. }) => Self::Refuse(CloseReason::RateLimited),
            Some(End::Reject { .. }) => {
                findings.said.end = end;
                findings.note_analyzer(&who.name, None);
                Self::Refuse(CloseReason::AnalyzerRejected)
            }
            // There is no request to answer.
            Some(End::Respond { .. } | End::Redirect { .. }) => return Err(ConsultFault::Verdict),
        })
    }
}
