//! Accounts: what an exchange adds to the counters of its listener, backend and server, and its access
//! record.
//!
//! Called once for each exchange, when it is over. Must never allocate.

use headworks_core::close::CloseReason;
use headworks_core::http::exchange::{Exchange, Said};
use headworks_core::tally::{Count, Tally};

use super::client::Client;
use crate::record::{ExchangeRecord, TlsKeys};
use crate::row::ConnectionRow;
use crate::supervisor::http::HttpSupervisor;
use crate::supervisor::http::stream::Stream;
use crate::tools::Tools;

impl HttpSupervisor {
    /// Counts and records an exchange.
    pub(super) fn account(&self, tools: &mut Tools, stream: &Stream, reason: CloseReason) {
        let client = &self.clients[stream.client];
        let (owner, shard, work) = (stream.owner(), tools.shard, &*stream.work);
        let exchange = &work.exchange;
        let times = exchange.times();
        let total = tools.now - times.begun;
        let status = Some(exchange.status()).filter(|status| *status != 0);
        let count = |tally: &Tally, status: Option<u16>| {
            let [bytes_in, bytes_out] = work.counted;
            tally.add(shard, Count::BytesIn, bytes_in);
            tally.add(shard, Count::BytesOut, bytes_out);
            if let Some(status) = status {
                tally.add(shard, Count::response(status), 1);
                tally.latency.record(shard, total);
            }
            match reason {
                CloseReason::Denied | CloseReason::LimitReached | CloseReason::RateLimited => {
                    tally.add(shard, Count::Denied, 1);
                }
                reason if reason.is_failure() => tally.add(shard, Count::Failed, 1),
                _ => {}
            }
        };
        count(&owner.state.tally, status);
        owner.state.ends.add(shard, reason);
        let (backend, server) = (stream.backend(), exchange.server());
        // An answer of our own is not its server's.
        let theirs = status.filter(|_| times.answered.is_some());
        if let Some(backend) = backend {
            backend.tally.add(shard, Count::Requests, 1);
            backend.state.ends.add(shard, reason);
            count(&backend.tally, theirs);
        }
        if let Some(server) = server {
            server.state.tally.add(shard, Count::Requests, 1);
            count(&server.state.tally, theirs);
        }
        if !tools.recorder.wants(reason) {
            return;
        }
        let (wait, connect) = exchange.waits();
        let said = &exchange.said;
        let record = ExchangeRecord {
            id: client.who.id,
            listener: &owner.name,
            client: client.who.address,
            original: client.who.original(),
            host: said.host(),
            method: said.method(),
            path: said.target(),
            status,
            backend: backend.map(|backend| &*backend.name),
            server: server.map(|server| &*server.name),
            bytes_in: work.counted[0],
            bytes_out: work.counted[1],
            wait,
            connect,
            total,
            end: reason,
            retries: exchange.retries() as u64,
            request_id: Some(&*said.id).filter(|id| !id.is_empty()),
            sni: client.who.socket.tls_facts().and_then(|facts| facts.name.as_deref()),
            tls: TlsKeys::of(&client.who.socket),
            connect_error: exchange.attempts().fault(),
            findings: exchange.findings(),
        };
        tools.recorder.exchange(&record, tools.now);
    }
}

/// Returns what lists of connections say of a client and its stream.
pub(super) fn row(client: &Client, stream: Option<&Stream>, tools: &Tools) -> ConnectionRow {
    let exchange = stream.map(|stream| &stream.work.exchange);
    let said = |what: fn(&Said) -> &[u8]| {
        let bytes = what(&exchange?.said);
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    };
    let [bytes_in, bytes_out] = stream.map_or([0, 0], |stream| stream.work.counted);
    let since = exchange.map_or(client.since, Exchange::since);
    let state = exchange.map_or(client.phase.as_str(), |exchange| exchange.state().as_str());
    ConnectionRow {
        sni: client.who.socket.tls_facts().and_then(|facts| facts.name.as_deref()).map(str::to_owned),
        host: said(Said::host),
        method: said(Said::method),
        path: said(Said::target),
        backend: stream.and_then(Stream::backend).map(|backend| backend.name.to_string()),
        server: exchange.and_then(Exchange::server).map(|server| server.name.to_string()),
        requests: client.requests,
        bytes_in,
        bytes_out,
        idle_ms: tools.now.saturating_sub(since),
        ..client.who.row(state, tools)
    }
}
