//! Clients that may not be served at all: their address is denied, or they hold too many connections.
//!
//! The refusal is found out when a client is accepted and when a new Plan comes, and told with its first
//! request. In force everywhere: a limit of an earlier Plan turns away, too.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling};

/// Refuses clients that were turned away.
#[derive(Debug)]
pub(super) struct Access;

impl Rule for Access {
    fn name(&self) -> &'static str {
        "access"
    }

    fn judge(&self, case: &Case<'_>, _granted: &mut Granted) -> Ruling {
        case.turned_away.map_or(Ruling::Pass, Ruling::Refuse)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let client = prospect.case.client.filter(|_| !prospect.unknown.client);
        prospect.case.plan.tell_access(client.map(|client| client.ip()), foreseen);
        prospect.judged(self, foreseen)
    }
}
