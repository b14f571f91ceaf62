//! CONNECT where it is not passed on.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;
use crate::message::Method;

/// Refuses CONNECT unless `connect` is on.
#[derive(Debug)]
pub(super) struct Connect;

impl Rule for Connect {
    fn name(&self) -> &'static str {
        "method"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        !setting.spec.connect
    }

    fn judge(&self, case: &Case<'_>, _granted: &mut Granted) -> Ruling {
        let wrong = case.message.head.method == Method::Connect && !case.spec.connect;
        Ruling::refuse_if(wrong, CloseReason::MethodNotAllowed)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let ruling = prospect.judged(self, foreseen);
        if ruling != Ruling::Pass {
            foreseen.say("the listener passes no CONNECT on");
        }
        ruling
    }
}
