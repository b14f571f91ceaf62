//! Bodies beyond `body_limit`, as far as the head and what came with it tell.
//!
//! Bytes that come later are counted as they pass.

use super::{Case, Foreseen, Granted, Prospect, Rule, Ruling, Setting};
use crate::close::CloseReason;
use crate::message::Framing;

/// Refuses bodies that are too large.
#[derive(Debug)]
pub(super) struct BodyLimit;

impl Rule for BodyLimit {
    fn name(&self) -> &'static str {
        "body_limit"
    }

    fn in_force(&self, setting: &Setting<'_>) -> bool {
        setting.spec.body_limit.is_some()
    }

    fn judge(&self, case: &Case<'_>, _granted: &mut Granted) -> Ruling {
        // Content counts, not what frames it.
        let length = match case.message.head.framing {
            Framing::Length(length) => length,
            _ => case.begun.announced(),
        };
        Ruling::refuse_if(case.spec.body_limit.is_some_and(|limit| length > limit), CloseReason::BodyTooLarge)
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let ruling = prospect.judged(self, foreseen);
        match (ruling, prospect.case.spec.body_limit) {
            (Ruling::Pass, Some(limit)) if prospect.unknown.body => {
                foreseen.say(format!("it would be refused (413) if its body had more than {limit} bytes"));
            }
            (Ruling::Refuse(_), Some(limit)) => {
                foreseen.say(format!("its body has more than {limit} bytes"));
            }
            _ => {}
        }
        ruling
    }
}
