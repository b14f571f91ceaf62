//! Clients that ask too often: `rate_limit`.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;

/// Refuses requests beyond the rate, and says when to come again.
#[derive(Debug)]
pub(super) struct Rate;

impl Rule for Rate {
    fn name(&self) -> &'static str {
        "rate"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.http.rate_limit.is_some()
    }

    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling {
        let Some(limit) = &case.http.rate_limit else { return Ruling::Pass };
        match limit.admit(case.client, case.message, case.now) {
            Ok(()) => Ruling::Pass,
            Err(seconds) => {
                granted.retry_after = Some(seconds);
                Ruling::Refuse(CloseReason::RateLimited)
            }
        }
    }

    /// Passes. The requests that the client made before are not known, and no token is taken for an
    /// explanation.
    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        if let Some(limit) = &prospect.case.http.rate_limit {
            foreseen.say(format!("it would be refused (429) if there were more of them than {limit}"));
        }
        Ruling::Pass
    }
}
