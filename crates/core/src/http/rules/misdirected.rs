//! Requests for a host that their connection was not opened for (RFC 9110 section 7.4).

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;

/// Refuses requests for another host than that of the handshake.
#[derive(Debug)]
pub(super) struct Misdirected;

impl Rule for Misdirected {
    fn name(&self) -> &'static str {
        "misdirected"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.termination.is_some_and(|tls| tls.check_host)
    }

    fn judge(&self, case: &Case<'_>, _granted: &mut Granted) -> Ruling {
        let ended = case.termination.zip(case.tls);
        let wrong = ended.is_some_and(|(tls, facts)| tls.misdirected(facts, case.host));
        Ruling::refuse_if(wrong, CloseReason::Misdirected)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let ruling = prospect.judged(self, foreseen);
        if ruling != Ruling::Pass {
            foreseen.say(format!(
                "the connection is for another host than {}: neither its name nor its certificate says it",
                prospect.case.name.unwrap_or_default()
            ));
        }
        ruling
    }
}
