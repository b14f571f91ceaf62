//! Clients that ask too much at once: `max_requests_per_client`.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;

/// Refuses requests beyond those that a client may have under way.
#[derive(Debug)]
pub(super) struct AtOnce;

impl Rule for AtOnce {
    fn name(&self) -> &'static str {
        "concurrency"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.http.concurrency.is_some()
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        let Some(limit) = &case.http.concurrency else { return Ruling::Pass };
        granted.permit = limit.enter(case.client);
        Ruling::refuse_if(granted.permit.is_none(), CloseReason::RateLimited)
    }

    /// Passes. The requests that the client has under way are not known, and no place is taken for an
    /// explanation.
    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        if let Some(limit) = &prospect.case.http.concurrency {
            let most = limit.most();
            foreseen.say(format!("it would be refused (429) if its client had {most} under way already"));
        }
        Ruling::Pass
    }
}
