//! Requests that came as early data and could do harm if somebody repeated them (RFC 8470).
//!
//! In force everywhere: a connection may have begun under a Plan that took early data.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling};
use crate::close::CloseReason;

/// Refuses what is unsafe to repeat until the handshake is complete.
#[derive(Debug)]
pub(super) struct EarlyData;

impl Rule for EarlyData {
    fn name(&self) -> &'static str {
        "early_data"
    }

    fn judge(&self, case: &Case<'_>, _granted: &mut Granted) -> Ruling {
        Ruling::refuse_if(case.early && !case.message.head.may_be_early(), CloseReason::TooEarly)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let taken = prospect.case.termination.is_some_and(|tls| tls.spec.early_data > 0);
        let early = Prospect { case: Case { early: true, ..prospect.case }, ..*prospect };
        if prospect.unknown.early && taken && early.judged(self, foreseen) != Ruling::Pass {
            foreseen.say("it would be refused (425) if it came as early data");
        }
        let ruling = prospect.judged(self, foreseen);
        if ruling != Ruling::Pass {
            foreseen.say("it comes as early data, and could do harm if somebody repeated it");
        }
        ruling
    }
}
