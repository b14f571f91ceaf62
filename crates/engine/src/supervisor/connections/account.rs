//! Accounts: what a connection adds to the counters of its listener, backend and server.

use headworks_core::action::Side;
use headworks_core::analyze::KindFound;
use headworks_core::close::CloseReason;
use headworks_core::listener::Listener;
use headworks_core::session::{Session, State};
use headworks_core::spoken::Spoken;
use headworks_core::tally::{Count, Tally};
use headworks_core::time::Millis;

use super::Connection;
use crate::record::{Record, TlsKeys};
use crate::row::ConnectionRow;
use crate::tools::Tools;

/// Adds bytes not yet counted; while a connection runs, only in steps worth the writes.
pub(super) fn tally_bytes(connection: &mut Connection, shard: usize, all: bool) {
    const STEP: u64 = 64 * 1024;
    for (side, count) in [(Side::Client, Count::BytesIn), (Side::Server, Count::BytesOut)] {
        let total = connection.session.flow(side).bytes;
        let fresh = total - connection.lanes[side as usize].tallied;
        if fresh == 0 || (fresh < STEP && !all) {
            continue;
        }
        connection.lanes[side as usize].tallied = total;
        connection.who.owner().state.tally.add(shard, count, fresh);
        if let Some((backend, server)) = connection.chosen() {
            backend.tally.add(shard, count, fresh);
            server.state.tally.add(shard, count, fresh);
        }
    }
}

/// Counts the end of a connection at its backend, if it was routed to one; one that failed or was denied at
/// its listener, too, and at its server if it was connected.
pub(super) fn tally_end(connection: &Connection, shard: usize) {
    let listener = &connection.who.owner().state.tally;
    let reason = connection.session.reason();
    if let (Some(index), Some(reason)) = (connection.session.attempts().backend(), reason) {
        connection.who.plan.backends[index as usize].state.ends.add(shard, reason);
    }
    let count = match reason {
        Some(CloseReason::Denied | CloseReason::LimitReached | CloseReason::ConnectionRateLimited) => {
            Count::Denied
        }
        Some(reason) if reason.is_failure() => Count::Failed,
        _ => return,
    };
    let count_at = |tally: &Tally| tally.add(shard, count, 1);
    count_at(listener);
    if let Some((backend, server)) = connection.chosen().filter(|_| connection.times.connected.is_some()) {
        count_at(&backend.tally);
        count_at(&server.state.tally);
    }
}

impl<'a> Record<'a> {
    /// Makes the record of a connection that ends now.
    pub(super) fn of(connection: &'a Connection, now: Millis) -> Self {
        let (session, times, who) = (&connection.session, &connection.times, &connection.who);
        let attempts = session.attempts();
        let backend = attempts.backend().map(|index| &who.plan.backends[index as usize]);
        Self {
            id: who.id,
            listener: &who.owner().name,
            client: session.facts().client,
            original: who.original(),
            sni: session.facts().name.as_deref().filter(|_| !speaks_http(session)),
            host: session.facts().name.as_deref().filter(|_| speaks_http(session)),
            kind: kind_of(who.owner(), session.facts().kind),
            backend: backend.map(|backend| &*backend.name),
            server: attempts.server().map(|server| &*server.name),
            bytes_in: session.flow(Side::Client).bytes,
            bytes_out: session.flow(Side::Server).bytes,
            wait: times.decided.map(|decided| decided - who.accepted),
            connect: times.connected.zip(times.decided).map(|(connected, decided)| connected - decided),
            total: now - who.accepted,
            end: session.reason().unwrap_or(CloseReason::Drained),
            retries: session.retries(),
            tls: TlsKeys::of(&who.socket),
            connect_error: attempts.fault(),
            findings: session.findings(),
            first_bytes: &[],
        }
    }
}

/// Whether the name that a client gave is the host of a request.
fn speaks_http(session: &Session) -> bool {
    matches!(session.facts().spoken, Some(Spoken::Http1 | Spoken::Http2))
}

/// Returns the name of a kind.
fn kind_of(listener: &Listener, kind: Option<KindFound>) -> Option<&str> {
    match kind? {
        KindFound::Silent => Some("silent"),
        found => listener.kinds.get(found).map(|kind| &*kind.name),
    }
}

/// Returns what lists of connections say of one.
pub(super) fn row(connection: &Connection, tools: &Tools) -> ConnectionRow {
    let session = &connection.session;
    let facts = session.facts();
    let state = match session.state() {
        State::Inspecting => "inspecting",
        State::Consulting => "consulting",
        State::Connecting => "connecting",
        State::Relaying => "relaying",
        State::HalfClosed(_) => "half_closed",
        State::Refused | State::Closed => "refused",
    };
    let attempts = session.attempts();
    let backend = attempts.backend().map(|index| &connection.who.plan.backends[index as usize]);
    ConnectionRow {
        client: facts.client.map_or_else(|| "unix".into(), |client| client.to_string()),
        address: facts.client,
        sni: facts.name.as_deref().filter(|_| !speaks_http(session)).map(str::to_owned),
        host: facts.name.as_deref().filter(|_| speaks_http(session)).map(str::to_owned),
        backend: backend.map(|backend| backend.name.to_string()),
        server: attempts.server().map(|server| server.name.to_string()),
        bytes_in: session.flow(Side::Client).bytes,
        bytes_out: session.flow(Side::Server).bytes,
        idle_ms: tools.now.saturating_sub(connection.times.active),
        ..connection.who.row(state, tools)
    }
}
