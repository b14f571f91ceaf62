//! Programs: the rules of one listener or backend, in the order in which they are asked.
//!
//! Compiled once; what a running proxy goes on with over reloads, the buckets of their limits, is beside
//! them. Must never ask a rule once nothing after it is to be asked.

use std::sync::Arc;

use super::verdict::LimitsNow;
use super::{Findings, Program, Subject};
use crate::http::limits::RateLimit;
use crate::problem::Problem;
use crate::spec::{ProgramKind, ProgramSpec};
use crate::time::Millis;

/// Rules in order.
#[derive(Debug, Default, Clone)]
pub struct Programs {
    all: Arc<[Program]>,
    /// Limits of each, which go on over reloads.
    limits: Arc<[Box<[RateLimit]>]>,
}

impl Programs {
    /// Compiles rules; the paths of the errors are those below `rules`.
    pub fn compile(specs: &[ProgramSpec]) -> Result<Self, Vec<Problem>> {
        let (mut all, mut errors) = (Vec::with_capacity(specs.len()), Vec::new());
        for (index, spec) in specs.iter().enumerate() {
            match Program::compile(spec) {
                Ok(program) => all.push(program),
                Err(wrong) => errors.extend(wrong.into_iter().map(|one| one.below(&[index.into()]))),
            }
        }
        let limits = all.iter().map(Program::fresh_limits).collect();
        if errors.is_empty() { Ok(Self { all: all.into(), limits }) } else { Err(errors) }
    }

    /// Copies them; the limits of a rule go on with the buckets of the one of its name in `previous`.
    pub(crate) fn adopt(&self, previous: Option<&Self>) -> Self {
        let before = |name: &str, nth: usize| {
            let previous = previous?;
            let at = previous.all.iter().position(|program| program.name() == name)?;
            previous.limits[at].get(nth)
        };
        let go_on = |program: &Program| {
            let limits = program.limits.iter().enumerate();
            limits.map(|(nth, limit)| limit.adopt(before(program.name(), nth))).collect()
        };
        Self { all: Arc::clone(&self.all), limits: self.all.iter().map(go_on).collect() }
    }

    /// Whether there are rules for things of this kind.
    pub fn judge_any(&self, kind: ProgramKind) -> bool {
        self.all.iter().any(|program| program.kind() == kind)
    }

    /// Whether one of them takes the time of day.
    pub fn asks_time(&self) -> bool {
        self.all.iter().any(Program::asks_time)
    }

    /// Has those of a kind judge, in order, until nothing more is to be asked; those that were asked are not
    /// asked again before another list begins. `now`: the engine's clock.
    pub fn judge(&self, kind: ProgramKind, subject: &Subject<'_>, findings: &mut Findings, now: Millis) {
        self.each(kind, findings, |program, all, findings| {
            program.run(subject, findings, LimitsNow { all, now }, None);
        });
    }

    /// Does the same and says which branches were taken, for which values. No token of a limit is taken.
    pub fn explain(&self, kind: ProgramKind, subject: &Subject<'_>, findings: &mut Findings) -> Vec<String> {
        let mut steps = Vec::new();
        self.each(kind, findings, |program, _, findings| {
            let all = &program.fresh_limits();
            program.run(subject, findings, LimitsNow { all, now: 0 }, Some(&mut steps));
        });
        steps
    }

    fn each(
        &self,
        kind: ProgramKind,
        findings: &mut Findings,
        mut ask: impl FnMut(&Program, &[RateLimit], &mut Findings),
    ) {
        for (program, limits) in self.all.iter().zip(&*self.limits).skip(findings.said.asked) {
            if findings.is_over() {
                break;
            }
            findings.said.asked += 1;
            if program.kind() == kind {
                ask(program, limits, findings);
            }
        }
    }
}
