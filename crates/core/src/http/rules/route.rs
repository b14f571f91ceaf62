//! Route: where a request goes, to what its listener names or to what the table has for its host and path.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling};

/// Finds the target.
#[derive(Debug)]
pub(super) struct Destination;

impl Rule for Destination {
    fn name(&self) -> &'static str {
        "route"
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        // A rule that somebody wrote has the first word.
        if granted.target.is_some() {
            return Ruling::Pass;
        }
        granted.by_table = true;
        case.plan.route(case.name, case.target).map_or_else(Ruling::Refuse, Ruling::Route)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let Case { plan, name, target, .. } = prospect.case;
        if foreseen.target.is_some() {
            foreseen.say("a rule says where it goes: no table is consulted");
            return Ruling::Pass;
        }
        plan.tell_route(name, target, foreseen);
        prospect.judged(self, foreseen)
    }
}
