//! Analyzers that people wrote in Python: those of the listener before the table is consulted, those of the
//! entry and of the backend after.
//!
//! Each is asked in its turn, and judging goes on with its answer where it stopped. A way that one names does
//! not keep the others from being asked: the last word counts. Must never wait: whoever judges does.

use super::programs::ruling;
use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;
use crate::consult::{Advice, ConsultantIndex, Consultants, Word};
use crate::spec::Hook;
use crate::table::Target;

/// Asks the analyzers of the listener.
#[derive(Debug)]
pub(super) struct AtListener;

/// Asks the analyzers of the table's entry that the request came by.
#[derive(Debug)]
pub(super) struct AtEntry;

/// Asks the analyzers of the backend that the request goes to.
#[derive(Debug)]
pub(super) struct AtBackend;

impl Rule for AtListener {
    fn name(&self) -> &'static str {
        "analyzers"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.analyzers.listener
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        ask(case.analyzers, case, granted)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        tell(prospect.case.analyzers, &prospect.case, foreseen)
    }
}

impl Rule for AtEntry {
    fn name(&self) -> &'static str {
        "entry_analyzers"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.analyzers.entry
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        if !granted.by_table {
            return Ruling::Pass;
        }
        match case.plan.entry_analyzers(case.name, case.target) {
            Some(analyzers) => ask(analyzers, case, granted),
            None => Ruling::Pass,
        }
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let case = &prospect.case;
        match case.plan.entry_analyzers(case.name, case.target).filter(|_| foreseen.entry.is_some()) {
            Some(analyzers) => tell(analyzers, case, foreseen),
            None => Ruling::Pass,
        }
    }
}

impl Rule for AtBackend {
    fn name(&self) -> &'static str {
        "backend_analyzers"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.analyzers.backend
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        match granted.target {
            Some(Target::Backend(index)) => ask(case.plan.backend_analyzers(index), case, granted),
            _ => Ruling::Pass,
        }
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let plan = prospect.case.plan;
        match foreseen.target {
            Some(Target::Backend(index)) => tell(plan.backend_analyzers(index), &prospect.case, foreseen),
            _ => Ruling::Pass,
        }
    }
}

/// Asks the next of a list, once the answer of the one before has been taken.
fn ask(list: &Consultants, case: &Case<'_>, granted: &mut Granted) -> Ruling {
    loop {
        if std::mem::take(&mut granted.answered) {
            if !std::mem::take(&mut granted.called) {
                granted.turn += 1;
            }
            match answer(case, granted) {
                Ruling::Pass => {}
                Ruling::Route(target) => granted.target = Some(target),
                ruling => return ruling,
            }
        }
        match next(list, granted) {
            None => {
                granted.turn = 0;
                return Ruling::Pass;
            }
            Some(index) if granted.bypassed.has(index) => granted.turn += 1,
            Some(index) => return Ruling::Consult(index),
        }
    }
}

fn next(list: &Consultants, granted: &Granted) -> Option<ConsultantIndex> {
    list.at(Hook::Request).get(usize::from(granted.turn)).copied()
}

/// Returns what the answer that has come amounts to.
fn answer(case: &Case<'_>, granted: &mut Granted) -> Ruling {
    let mut findings = granted.findings.take().unwrap_or_default();
    let ruling = ruling(&mut findings, case, granted);
    granted.findings = Some(findings);
    ruling
}

/// Foresees what those of a list say, as far as their answers were foretold.
fn tell(list: &Consultants, case: &Case<'_>, foreseen: &mut Foreseen) -> Ruling {
    for index in list.at(Hook::Request) {
        if foreseen.granted.bypassed.has(*index) {
            continue;
        }
        match foresee(*index, case, foreseen) {
            Ruling::Pass => {}
            Ruling::Route(target) => foreseen.target = Some(target),
            ruling => return ruling,
        }
    }
    Ruling::Pass
}

/// Foresees what an analyzer says, and those that are called in its place.
pub(super) fn foresee(first: ConsultantIndex, case: &Case<'_>, foreseen: &mut Foreseen) -> Ruling {
    let mut index = first;
    loop {
        let who = case.plan.analyzer(index);
        let advice = match foreseen.foretold.take() {
            Word::Told(advice) => advice,
            Word::Wanted => return Ruling::Consult(index),
            Word::Untold => {
                foreseen.say(who.tell(Hook::Request));
                return Ruling::Pass;
            }
        };
        foreseen.say(format!("analyzer {} was asked", who.name));
        match hear(&advice, index, case, foreseen) {
            Ruling::Consult(called) => index = called,
            ruling => return ruling,
        }
    }
}

/// Returns what an answer amounts to.
fn hear(advice: &Advice, index: ConsultantIndex, case: &Case<'_>, foreseen: &mut Foreseen) -> Ruling {
    let (who, granted) = (case.plan.analyzer(index), &mut foreseen.granted);
    if advice.bypass {
        granted.bypassed.add(index);
    }
    // Whoever has seen the whole body does not ask for it: more came than it wanted to see.
    if advice.read_body.is_some() {
        return Ruling::Refuse(CloseReason::BodyTooLarge);
    }
    let findings = granted.findings.get_or_insert_default();
    if let Err(fault) = advice.settle(who, findings, case.now) {
        return who.miss(fault, &mut granted.findings).map_or_else(Ruling::Refuse, |()| Ruling::Pass);
    }
    if findings.said.end.is_some() {
        findings.note_analyzer(&who.name, None);
    }
    answer(case, granted)
}
