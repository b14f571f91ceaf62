//! Accounts: what a connection adds to the counters of its listener, backend and server.

use headworks_core::action::Side;
use headworks_core::close::CloseReason;
use headworks_core::pool::{Backend, Server};
use headworks_core::tally::{Count, Tally};

use crate::connection::Connection;

/// Adds bytes not yet counted; while a connection runs, only in steps worth the writes.
pub(super) fn tally_bytes(connection: &mut Connection, shard: usize, all: bool) {
    const STEP: u64 = 64 * 1024;
    for (side, count) in [(Side::Client, Count::BytesIn), (Side::Server, Count::BytesOut)] {
        let total = connection.session.flow(side).bytes;
        let lane = &mut connection.lanes[side as usize];
        let fresh = total - lane.tallied;
        if fresh == 0 || (fresh < STEP && !all) {
            continue;
        }
        lane.tallied = total;
        let plan = &connection.plan;
        plan.listeners[connection.session.listener() as usize].state.tally.add(shard, count, fresh);
        if let Some((backend, server)) = chosen(connection) {
            backend.tally.add(shard, count, fresh);
            server.state.tally.add(shard, count, fresh);
        }
    }
}

/// The backend and server a connection was last given.
fn chosen(connection: &Connection) -> Option<(&Backend, &Server)> {
    let choice = connection.session.choice()?;
    let backend = &connection.plan.backends[choice.backend as usize];
    Some((backend, backend.servers.get(usize::from(choice.server))?))
}

/// Counts the end of a connection: at its listener, and at its server if it was connected.
pub(super) fn tally_end(connection: &Connection, shard: usize) {
    let listener = &connection.plan.listeners[connection.session.listener() as usize].state.tally;
    let reason = connection.session.reason();
    let count = match reason {
        Some(CloseReason::Denied | CloseReason::LimitReached) => Count::Denied,
        Some(reason) if reason.is_failure() => Count::Failed,
        _ => Count::Ended,
    };
    let count_at = |tally: &Tally| {
        tally.add(shard, Count::Ended, 1);
        if count != Count::Ended {
            tally.add(shard, count, 1);
        }
    };
    count_at(listener);
    if let Some((backend, server)) = chosen(connection).filter(|_| connection.times.connected.is_some()) {
        count_at(&backend.tally);
        count_at(&server.state.tally);
    }
}
