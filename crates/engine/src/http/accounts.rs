//! Accounts: what an exchange adds to the counters of its listener, backend and server, and its access record.
//!
//! Called once for each exchange, when it is over. Must never allocate.

use headworks_core::close::CloseReason;
use headworks_core::tally::{Count, Tally};

use super::{Exchanges, Running};
use crate::record::{ExchangeRecord, TlsKeys};

impl Exchanges {
    /// Counts and records an exchange.
    pub(super) fn account(&mut self, place: usize, running: &Running, reason: CloseReason) {
        let client = &self.clients[place];
        let (owner, shard) = (client.owner(), self.shard);
        let total = self.now - running.times.begun;
        let status = Some(running.exchange.status()).filter(|status| *status != 0);
        let count = |tally: &Tally, status: Option<u16>| {
            let [bytes_in, bytes_out] = running.bytes;
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
        let (backend, chosen) = (running.backend(&client.plan), running.chosen(&client.plan));
        // An answer of our own is not its server's.
        let theirs = status.filter(|_| running.times.answered.is_some());
        if let Some(backend) = backend {
            backend.tally.add(shard, Count::Requests, 1);
            count(&backend.tally, theirs);
        }
        if let Some((_, server)) = chosen {
            server.state.tally.add(shard, Count::Requests, 1);
            count(&server.state.tally, theirs);
        }
        if !self.recorder.is_on() {
            return;
        }
        let (wait, connect) = running.waits();
        let record = ExchangeRecord {
            listener: &owner.name,
            client: client.address,
            host: running.asked.host(),
            method: running.asked.method(),
            path: running.asked.target(),
            status,
            backend: backend.map(|backend| &*backend.name),
            server: chosen.map(|(_, server)| &*server.name),
            bytes_in: running.bytes[0],
            bytes_out: running.bytes[1],
            wait,
            connect,
            total,
            end: reason,
            retries: running.retries(),
            request_id: Some(&*running.asked.id).filter(|id| !id.is_empty()),
            sni: client.socket.tls_facts().and_then(|facts| facts.name.as_deref()),
            tls: TlsKeys::of(&client.socket),
            connect_error: running.fault,
        };
        self.recorder.exchange(&record, self.now);
    }

    /// A server has answered: too many bad answers in a row eject it.
    pub(super) fn judge_server(&mut self, place: usize, status: u16) {
        let client = &self.clients[place];
        let running = client.running.as_ref();
        if let Some((backend, server)) = running.and_then(|running| running.chosen(&client.plan)) {
            let after = backend.http.eject_after_responses;
            server.state.answered(status, self.now, after, backend.eject_for);
        }
    }
}
