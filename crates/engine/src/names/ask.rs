//! An ask: somebody who waits for a name. Must never end without a reply, nor with two.

use std::fmt;
use std::sync::Arc;

use headworks_core::names::{Resolution, Sought, Unresolved};
use headworks_core::time::Millis;

use super::tally::ResolverTally;

/// The way back to whoever asked.
pub(super) type Reply = Box<dyn FnOnce(Result<Resolution, Unresolved>) + Send>;

/// One who waits for a name.
pub(super) struct Ask {
    /// The name.
    pub(super) sought: Sought,
    /// Time at which the reply is due.
    pub(super) until: Millis,
    reply: Option<Reply>,
    tally: Arc<ResolverTally>,
}

impl Ask {
    pub(super) fn new(sought: Sought, until: Millis, reply: Reply, tally: Arc<ResolverTally>) -> Self {
        tally.begin();
        Self { sought, until, reply: Some(reply), tally }
    }

    /// Replies.
    pub(super) fn answer(mut self, outcome: Result<Resolution, Unresolved>) {
        self.give(outcome);
    }

    fn give(&mut self, outcome: Result<Resolution, Unresolved>) {
        if let Some(reply) = self.reply.take() {
            self.tally.end(&outcome);
            reply(outcome);
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.give(Err(Unresolved::Stopped));
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("sought", &self.sought)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
