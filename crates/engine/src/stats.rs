//! Stats: snapshots of counters and of live connections, as plain values for whoever asks (about once a
//! second).

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::Ordering::Relaxed;

use headworks_core::close::CloseReason;
use headworks_core::histogram::{BOUNDS, Distribution};
use headworks_core::http::limits::RateLimit;
use headworks_core::listener::Listener;
use headworks_core::names::Unresolved;
use headworks_core::pool::{Admin, FollowedName, Server};
use headworks_core::tally::{Count, EndTally, Sums, Tally};
use headworks_core::time::Millis;
use headworks_core::tls::{HandshakeFault, Termination};
use serde::Serialize;

use crate::consult::DeskStats;
use crate::names::ResolverStats;
use crate::tls::Deployment;

/// All counters at one moment.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// Worker threads.
    pub workers: usize,
    /// Open connections.
    pub connections: u64,
    /// Access records that could not be written.
    pub records_dropped: u64,
    /// Counters by name.
    pub listeners: BTreeMap<String, ListenerStats>,
    /// Counters by name.
    pub backends: BTreeMap<String, BackendStats>,
    /// Counters by name.
    pub analyzers: BTreeMap<String, DeskStats>,
    /// Counters of the resolver of names.
    pub resolver: ResolverStats,
}

/// Upper bounds in milliseconds, each with how many took less. The last bound is infinite: null in JSON.
pub type Buckets = Vec<(f64, u64)>;

/// Counters every listener, backend and server has. What is counted by name reads like a field of this.
#[derive(Debug, Serialize)]
pub struct Counters {
    /// Sums under the names of the one table of counters.
    #[serde(flatten)]
    pub sums: Sums,
    /// Connections that are open.
    pub active: u64,
    /// Milliseconds from a request's head to the last byte of its response that half of all requests took at
    /// most.
    pub latency_p50_ms: f64,
    /// The same for nine in ten.
    pub latency_p90_ms: f64,
    /// The same for 99 in a hundred.
    pub latency_p99_ms: f64,
    /// Requests by how long they took.
    pub latency_buckets: Buckets,
    /// Milliseconds that all of them took together.
    pub latency_sum_ms: u64,
}

/// The counters and the state of one listener.
#[derive(Debug, Serialize)]
pub struct ListenerStats {
    /// The counters kept under that name.
    #[serde(flatten)]
    pub counters: Counters,
    /// Addresses that it is bound to.
    pub addresses: Vec<String>,
    /// Ends of connections (HTTP: of exchanges) by reason, one for each access record; reasons that did not
    /// occur are left out.
    pub ends: BTreeMap<&'static str, u64>,
    /// Number of times that `rate_limit` forgot a client that was not at rest, because there were more than
    /// it remembers; 0 without one.
    pub rate_limit_forgotten: u64,
    /// TLS handshakes completed; 0 where TLS does not end here, as are those below.
    pub handshakes: u64,
    /// Handshakes among them that resumed an old session.
    pub handshakes_resumed: u64,
    /// Handshakes that failed, by reason; reasons that did not occur are left out.
    pub handshakes_failed: BTreeMap<&'static str, u64>,
    /// Milliseconds from accept to the end of the handshake that half of all handshakes took at most.
    pub handshake_p50_ms: f64,
    /// The same for 99 in a hundred.
    pub handshake_p99_ms: f64,
    /// Handshakes by how long they took.
    pub handshake_buckets: Buckets,
    /// Milliseconds that all of them took together.
    pub handshake_sum_ms: u64,
    /// Time at which the first of the certificates ends, seconds since 1970; None where there are none.
    pub certificate_expires: Option<i64>,
}

/// The counters and the state of one backend.
#[derive(Debug, Serialize)]
pub struct BackendStats {
    /// The counters kept under that name.
    #[serde(flatten)]
    pub counters: Counters,
    /// Connects tried again on another server.
    pub retries: u64,
    /// Ends of connections (HTTP: of exchanges) that were routed to it, by reason; reasons that did not occur
    /// are left out.
    pub ends: BTreeMap<&'static str, u64>,
    /// Connects that succeeded by how long they took.
    pub connect_buckets: Buckets,
    /// Milliseconds that all of them took together.
    pub connect_sum_ms: u64,
    /// Requests that stand in line for a place at a server.
    pub queue_length: usize,
    /// Requests that got their place after waiting in line, by how long they waited.
    pub queue_buckets: Buckets,
    /// Milliseconds that all of them waited together.
    pub queue_sum_ms: u64,
    /// Counters by address.
    pub servers: BTreeMap<String, ServerStats>,
    /// Names that servers are found by, as they are written.
    pub names: BTreeMap<String, NameStats>,
}

/// The state of one name that servers are found by.
#[derive(Debug, Serialize)]
pub struct NameStats {
    /// Addresses that it leads to.
    pub addresses: usize,
    /// Seconds since its last good answer; None: there was none.
    pub age: Option<f64>,
    /// The reason why there is no better answer now.
    pub failure: Option<&'static str>,
}

/// The counters and the state of one server.
#[derive(Debug, Serialize)]
pub struct ServerStats {
    /// The counters kept under that name.
    #[serde(flatten)]
    pub counters: Counters,
    /// Whether active checks hold it to be up.
    pub up: bool,
    /// The operator's order.
    pub admin: Admin,
    /// Whether failed connects or bad responses have put it out for a while.
    pub ejected: bool,
    /// The weight that is in force (slow start left aside).
    pub weight: u32,
    /// Whether it is a backup.
    pub backup: bool,
    /// Connects that failed.
    pub connect_failures: u64,
}

impl Stats {
    /// Sums up `plan`'s counters. `addresses` are the bound addresses by listener.
    pub(crate) fn new(
        plan: &Deployment,
        workers: usize,
        addresses: &BTreeMap<String, Vec<String>>,
        now: Millis,
    ) -> Self {
        let listeners: BTreeMap<_, _> = plan
            .listeners
            .iter()
            .map(|listener| {
                let counters = Counters::new(&listener.state.tally, u64::from(listener.state.active()));
                let addresses = addresses.get(&*listener.name).cloned().unwrap_or_default();
                (listener.name.to_string(), ListenerStats::new(listener, counters, addresses))
            })
            .collect();
        let backends = plan.backends.iter().map(|backend| {
            let servers: BTreeMap<_, _> = backend
                .servers
                .list()
                .iter()
                .map(|server| (server.name.to_string(), ServerStats::new(server, now)))
                .collect();
            let active = servers.values().map(|server| server.counters.active).sum();
            let counters = Counters::new(&backend.tally, active);
            let names = backend.roll.names().iter().map(|name| NameStats::of(name, now)).collect();
            let (connects, waits) = (backend.state.connects.sum(), backend.state.waits.sum());
            let stats = BackendStats {
                counters,
                retries: backend.tally.sum(Count::Retries),
                ends: ends(&backend.state.ends),
                connect_buckets: buckets(&connects),
                connect_sum_ms: connects.sum,
                queue_length: backend.state.waiting.load(Relaxed),
                queue_buckets: buckets(&waits),
                queue_sum_ms: waits.sum,
                servers,
                names,
            };
            (backend.name.to_string(), stats)
        });
        let analyzers = plan
            .consultants
            .iter()
            .zip(0..)
            .filter_map(|(one, index)| Some((one.name.to_string(), plan.desk(index)?.stats())));
        Self {
            workers,
            connections: 0,
            records_dropped: 0,
            backends: backends.collect(),
            analyzers: analyzers.collect(),
            resolver: ResolverStats::default(),
            listeners,
        }
    }
}

impl NameStats {
    fn of(name: &FollowedName, now: Millis) -> (String, Self) {
        let age = name.known.answered.map(|at| now.saturating_sub(at) as f64 / 1000.0);
        let failure = name.known.failure.map(Unresolved::as_str);
        (name.locator.to_string(), Self { addresses: name.addresses, age, failure })
    }
}

impl ListenerStats {
    fn new(listener: &Listener, counters: Counters, addresses: Vec<String>) -> Self {
        let tally = &listener.state.tls;
        let failed = HandshakeFault::ALL.into_iter().map(|fault| (fault.as_str(), tally.failures(fault)));
        let duration = tally.duration.sum();
        Self {
            counters,
            addresses,
            ends: ends(&listener.state.ends),
            rate_limit_forgotten: listener.http.rate_limit.as_ref().map_or(0, RateLimit::forgotten),
            handshakes: tally.complete(),
            handshakes_resumed: tally.resumed(),
            handshakes_failed: failed.filter(|(_, count)| *count > 0).collect(),
            handshake_p50_ms: rounded(duration.quantile(0.5)),
            handshake_p99_ms: rounded(duration.quantile(0.99)),
            handshake_buckets: buckets(&duration),
            handshake_sum_ms: duration.sum,
            certificate_expires: listener.tls.as_deref().and_then(Termination::expires),
        }
    }
}

/// Rounds to a tenth of a millisecond: the buckets are wider than that.
fn rounded(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

fn ends(tally: &EndTally) -> BTreeMap<&'static str, u64> {
    let ends = CloseReason::ALL.iter().map(|reason| (reason.as_str(), tally.sum(*reason)));
    ends.filter(|(_, count)| *count > 0).collect()
}

fn buckets(durations: &Distribution) -> Buckets {
    let bounds = BOUNDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
    bounds.zip(durations.cumulative()).collect()
}

impl Deref for Counters {
    type Target = Sums;

    fn deref(&self) -> &Sums {
        &self.sums
    }
}

impl Counters {
    fn new(tally: &Tally, active: u64) -> Self {
        let latency = tally.latency.sum();
        let quantile = |q| rounded(latency.quantile(q));
        Self {
            sums: tally.sums(),
            active,
            latency_p50_ms: quantile(0.5),
            latency_p90_ms: quantile(0.9),
            latency_p99_ms: quantile(0.99),
            latency_buckets: buckets(&latency),
            latency_sum_ms: latency.sum,
        }
    }
}

impl ServerStats {
    fn new(server: &Server, now: Millis) -> Self {
        let state = &server.state;
        Self {
            counters: Counters::new(&state.tally, u64::from(state.active())),
            up: state.is_up(),
            admin: state.admin(),
            ejected: state.is_ejected(now),
            weight: server.effective_weight(now, 0) / headworks_core::pool::SCALE,
            backup: server.backup,
            connect_failures: state.tally.sum(Count::ConnectFailures),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_count_under_its_own_name() {
        let tally = Tally::new(2);
        for (status, times) in [(101, 1), (200, 2), (304, 3), (404, 4), (503, 5)] {
            tally.add(times % 2, Count::response(status), times as u64);
        }
        tally.add(0, Count::Requests, 15);
        (0..100).for_each(|value| tally.latency.record(value as usize % 2, value));
        let told = serde_json::to_value(Counters::new(&tally, 7)).unwrap();
        for (class, count) in [("1xx", 1), ("2xx", 2), ("3xx", 3), ("4xx", 4), ("5xx", 5)] {
            assert_eq!(told[format!("responses_{class}")], count);
        }
        assert_eq!((&told["requests"], &told["active"]), (&15.into(), &7.into()));
        for (name, truth) in [("latency_p50_ms", 50.0), ("latency_p90_ms", 90.0), ("latency_p99_ms", 99.0)] {
            let found = told[name].as_f64().unwrap();
            assert!((found - truth).abs() <= truth / 5.0, "{name}: {found}");
        }
        let told_buckets = told["latency_buckets"].as_array().unwrap();
        assert_eq!((&told_buckets[8], told_buckets.last()), (&json!([64.0, 64]), Some(&json!([null, 100]))));
        assert_eq!(told["latency_sum_ms"], (0..100).sum::<u64>());
    }
}
