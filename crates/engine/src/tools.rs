//! Tools: what one worker works with during a call and lends to its supervisors: scratch bytes, heads, pipes,
//! the clock of this turn.
//!
//! Nothing in it belongs to one connection; what a call leaves there the next may overwrite. Must never
//! decide.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use headworks_core::listener::Listener;
use headworks_core::message::Head;
use headworks_core::names::Sought;
use headworks_core::plan::Plan;
use headworks_core::session::Scene;
use headworks_core::time::Millis;
use mio::Registry;

use crate::access_log::Recorder;
use crate::clock;
use crate::consult::Asking;
use crate::date::Date;
use crate::ids::Ids;
use crate::io::{Compressors, Leaving, Pipes, SCRATCH};
use crate::names::{FoundBox, NameResolver, Waiter};
use crate::random::Random;
use crate::record::Record;
use crate::sys;

/// The way to names, and back.
#[derive(Debug)]
pub(crate) struct Names {
    /// The one who resolves them.
    pub(crate) resolver: NameResolver,
    /// The worker's box for what is found.
    pub(crate) found: Arc<dyn FoundBox>,
}

/// One worker's tools.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The registry of the poll, which watches sockets.
    pub(crate) registry: Registry,
    /// Writes access records.
    pub(crate) recorder: Recorder,
    /// Random numbers.
    pub(crate) random: Random,
    /// Numbers of connections and exchanges.
    ids: Ids,
    /// Bytes just read. Whoever passes a part of them on with the tools takes them out meanwhile.
    pub(crate) scratch: Box<[u8]>,
    /// Bytes about to be written.
    pub(crate) out: Vec<u8>,
    /// The head just read.
    pub(crate) head: Head,
    /// Pipes for splicing.
    pub(crate) pipes: Pipes,
    /// Compressors that nobody uses.
    pub(crate) compressors: Compressors,
    /// Sockets that are closed when their last bytes have arrived.
    pub(crate) leaving: Leaving,
    /// The analyzers that were asked in this turn.
    pub(crate) asking: Asking,
    /// The value of the Date field.
    pub(crate) date: Date,
    /// A descriptor kept for a server's socket when there is no other.
    spare: Option<OwnedFd>,
    /// Resolves names that clients ask for.
    names: Names,
    /// Number of the worker.
    pub(crate) shard: usize,
    /// The clock, as read at the beginning of this turn.
    pub(crate) now: Millis,
}

impl Tools {
    /// Makes the tools of worker number `shard`.
    pub(crate) fn new(
        registry: Registry,
        recorder: Recorder,
        pipes: Pipes,
        names: Names,
        shard: usize,
    ) -> Self {
        Self {
            registry,
            recorder,
            random: Random::new(),
            ids: Ids::default(),
            scratch: vec![0; SCRATCH].into(),
            out: Vec::with_capacity(SCRATCH),
            head: Head::default(),
            pipes,
            compressors: Compressors::default(),
            leaving: Leaving::default(),
            asking: Asking::default(),
            date: Date::default(),
            spare: sys::spare_descriptor().ok(),
            names,
            shard,
            now: clock::now(),
        }
    }

    /// Returns what surrounds a call of a session.
    pub(crate) fn scene<'p>(&self, plan: &'p Plan, random: u64) -> Scene<'p> {
        Scene { plan, now: self.now, random, shard: self.shard, wall: wall(plan) }
    }

    /// Has a name resolved for a record of this worker, which is told by its mail.
    pub(crate) fn resolve(&self, waiter: Waiter, sought: Sought, patience: Millis) {
        let found = Arc::clone(&self.names.found);
        self.names.resolver.ask(sought, patience, move |outcome| found.put_found(waiter, outcome));
    }

    /// Returns an id that no other connection or exchange of this process has.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids.take()
    }

    /// Counts the end of a connection of `owner` and writes its access record.
    pub(crate) fn record(&mut self, owner: &Listener, record: &Record<'_>) {
        owner.state.ends.add(self.shard, record.end);
        self.recorder.record(record, self.now);
    }

    /// Whether a client accepted now could be given a server's socket, even if accepting takes the last
    /// descriptor.
    pub(crate) fn has_spare(&mut self) -> bool {
        if self.spare.is_none() {
            self.spare = sys::spare_descriptor().ok();
        }
        self.spare.is_some()
    }

    /// Gives the spare descriptor up for a socket that needs it; returns whether there was one.
    pub(crate) fn use_spare(&mut self) -> bool {
        self.spare.take().is_some()
    }
}

/// Returns the seconds since 1970, where some rule of the Plan takes the time of day.
#[inline]
pub(crate) fn wall(plan: &Plan) -> u64 {
    if plan.asks_time { clock::wall().as_secs() } else { 0 }
}
