//! Backends in maintenance: no server of theirs is asked.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;
use crate::table::Target;

/// Refuses what would go to such a backend.
#[derive(Debug)]
pub(super) struct Maintenance;

impl Rule for Maintenance {
    fn name(&self) -> &'static str {
        "maintenance"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.maintained
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        let wrong = match granted.target {
            Some(Target::Backend(backend)) => case.plan.is_maintained(backend),
            _ => false,
        };
        Ruling::refuse_if(wrong, CloseReason::Maintenance)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let ruling = prospect.judged(self, foreseen);
        if ruling != Ruling::Pass {
            foreseen.say("the backend is in maintenance");
        }
        ruling
    }
}
