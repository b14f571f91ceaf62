//! Consulting: how questions about held flows reach the Python threads that answer, and how answers come
//! back.
//!
//! ```text
//!   worker --ask--> Desk (bounded) --pull--> a Python thread --answer--> mailbox of the worker, once a batch
//!      \--- deadline passed, client gone: the question is taken back ---/
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the desks of a configuration, and what they are closed by |
//! | `desk.rs` | the queue of one analyzer |
//! | `question.rs` | one question: what it is about, as values that outlive the flow |
//! | `tally.rs` | what is counted of one analyzer |
//!
//! A worker never waits here, and no thread of ours runs Python. Must never decide what follows from an
//! answer.

mod desk;
mod question;
mod tally;

use std::sync::Arc;

use headworks_core::plan::Plan;

pub(crate) use self::desk::Desk;
pub use self::desk::{Answer, Batch, Questions};
pub(crate) use self::desk::{AnswerBox, Asked, Asking};
pub(crate) use self::question::{Matter, Texts};
pub use self::question::{Question, Ticket};
pub use self::tally::DeskStats;
pub(crate) use self::tally::Outcome;

/// The desk of an analyzer as a Plan has it: when the last Plan is gone, nothing is asked there any more.
#[derive(Debug)]
pub(crate) struct OpenDesk(Arc<Desk>);

impl OpenDesk {
    /// Opens a desk for each analyzer of a Plan; one whose version stays the same goes on.
    pub(crate) fn all(plan: &Plan, previous: &[Arc<Self>], shards: usize) -> Box<[Arc<Self>]> {
        let of = |one: &headworks_core::consult::Consultant| {
            let same = |old: &&Arc<Self>| old.0.is_for(&one.name, &one.spec.version);
            previous.iter().find(same).map_or_else(
                || Arc::new(Self(Arc::new(Desk::new(one, shards)))),
                |same| {
                    same.0.adjust(&one.spec);
                    Arc::clone(same)
                },
            )
        };
        plan.consultants.iter().map(of).collect()
    }

    /// Returns the desk.
    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.0
    }
}

impl Drop for OpenDesk {
    fn drop(&mut self) {
        self.0.close();
    }
}
