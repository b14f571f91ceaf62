//! Metrics: all counters as text for scrapers.
//!
//! | file | owns |
//! |---|---|
//! | `table.rs` | the names, and what each says |
//! | `page.rs` | the two forms of the text |
//! | `process.rs` | what the system says of the process |
//!
//! Reads the counters where they are kept: nothing is copied, and nobody who counts is held up. Must never
//! count anything itself.

mod page;
mod process;
mod table;

use std::sync::atomic::Ordering::Relaxed;

use headworks_core::close::CloseReason;
use headworks_core::histogram::Histogram;
use headworks_core::http::limits::RateLimit;
use headworks_core::listener::Listener;
use headworks_core::pool::{Admin, Backend, SCALE, Server, Unusable};
use headworks_core::tally::{Count, EndTally, Tally};
use headworks_core::time::Millis;
use headworks_core::tls::HandshakeFault;
use serde::Deserialize;

pub use self::page::MetricsFormat;
use self::page::{Labels, Page, labels};
use self::process::{Process, open_descriptors};
use self::table::*;
pub use self::table::{FAMILIES, Family, MetricKind, Scope};
use crate::clock;
use crate::names::ResolverStats;
use crate::sys;
use crate::tls::Deployment;

/// The metrics that are wanted, and what only the program around the engine knows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsRequest {
    /// The form of the text.
    pub format: MetricsFormat,
    /// The parts wanted, by their words; empty: all.
    pub scopes: Vec<String>,
    /// The version of the program.
    pub version: String,
    /// Reloads that were applied.
    pub reloads_applied: u64,
    /// Reloads that were refused.
    pub reloads_refused: u64,
    /// Whether the last reload was applied.
    pub last_reload_successful: bool,
    /// Seconds since 1970 at which the configuration that runs was applied.
    pub applied_at: f64,
}

/// The engine's own numbers.
#[derive(Debug)]
pub(crate) struct EngineCounts {
    /// Worker threads.
    pub(crate) workers: usize,
    /// Open connections.
    pub(crate) open: u64,
    /// Access records dropped.
    pub(crate) records_dropped: u64,
    /// Counters of the resolver.
    pub(crate) resolver: ResolverStats,
}

/// Writes the metrics that are wanted.
pub(crate) fn write(plan: &Deployment, counts: &EngineCounts, request: &MetricsRequest) -> String {
    let mut page = Page::new(request.format);
    let wants = |scope: Scope| {
        request.scopes.is_empty() || request.scopes.iter().any(|wanted| wanted == scope.as_str())
    };
    if wants(Scope::Process) {
        write_engine(&mut page, counts, request);
        write_resolver(&mut page, &counts.resolver);
        write_analyzers(&mut page, plan);
        write_process(&mut page);
    }
    if wants(Scope::Listener) {
        write_listeners(&mut page, plan);
    }
    if wants(Scope::Backend) {
        write_backends(&mut page, plan);
    }
    if wants(Scope::Server) {
        write_servers(&mut page, plan);
    }
    page.end()
}

fn write_engine(page: &mut Page, counts: &EngineCounts, request: &MetricsRequest) {
    page.family(&BUILD).put(&labels(&[("version", &request.version)]), 1);
    page.family(&WORKERS).put("", counts.workers as u64);
    page.family(&OPEN).put("", counts.open);
    page.family(&RECORDS_DROPPED).put("", counts.records_dropped);
    let mut reloads = page.family(&RELOADS);
    for (result, count) in [("applied", request.reloads_applied), ("refused", request.reloads_refused)] {
        reloads.put_of("", &[("result", result)], count);
    }
    page.family(&RELOADED).put("", u64::from(request.last_reload_successful));
    page.family(&CHANGED).put_exact("", request.applied_at);
}

fn write_resolver(page: &mut Page, resolver: &ResolverStats) {
    let ResolverStats { asks, answers, cached, stale, datagrams, connections, failures, waiting } = resolver;
    for (family, count) in [
        (&ASKS, asks),
        (&ASKS_ANSWERED, answers),
        (&ASKS_CACHED, cached),
        (&ASKS_STALE, stale),
        (&DATAGRAMS, datagrams),
        (&NAMESERVERS, connections),
    ] {
        page.family(family).put("", *count);
    }
    let mut failed = page.family(&ASKS_FAILED);
    failures.iter().for_each(|(reason, count)| failed.put_of("", &[("reason", reason)], *count));
    page.family(&ASKS_WAITING).put("", *waiting as u64);
}

fn write_analyzers(page: &mut Page, plan: &Deployment) {
    let all: Vec<_> = plan
        .consultants
        .iter()
        .zip(0..)
        .filter_map(|(one, index)| Some((labels(&[("analyzer", &one.name)]), plan.desk(index)?.stats())))
        .collect();
    let mut questions = page.family(&QUESTIONS);
    all.iter().for_each(|(labels, one)| questions.put(labels, one.asked));
    let mut answers = page.family(&ANSWERS);
    all.iter().for_each(|(labels, one)| answers.put(labels, one.answered));
    let mut unanswered = page.family(&UNANSWERED);
    for (labels, one) in &all {
        for (reason, count) in [
            ("failed", one.failed),
            ("timed_out", one.timed_out),
            ("overflown", one.overflown),
            ("cancelled", one.cancelled),
        ] {
            unanswered.put_of(labels, &[("reason", reason)], count);
        }
    }
    let mut parked = page.family(&PARKED);
    all.iter().for_each(|(labels, one)| parked.put(labels, one.parked));
    let mut busy = page.family(&BUSY);
    all.iter().for_each(|(labels, one)| busy.put_exact(labels, one.busy_ms as f64 / 1000.0));
}

fn write_process(page: &mut Page) {
    if let Some(process) = Process::read() {
        page.family(&CPU).put_exact("", process.cpu);
        page.family(&STARTED).put_exact("", process.started);
        page.family(&RESIDENT).put("", process.resident);
        page.family(&VIRTUAL).put("", process.virtual_size);
    }
    if let Some(open) = open_descriptors() {
        page.family(&DESCRIPTORS).put("", open);
    }
    page.family(&MOST_DESCRIPTORS).put("", sys::descriptor_limit() as u64);
}

fn write_listeners(page: &mut Page, plan: &Deployment) {
    let all: Vec<(Labels, &Listener)> =
        plan.listeners.iter().map(|one| (labels(&[("listener", &one.name)]), one)).collect();
    for (family, count) in [
        (&L_ACCEPTED, Count::Connections),
        (&L_RECEIVED, Count::BytesIn),
        (&L_SENT, Count::BytesOut),
        (&L_FAILED, Count::Failed),
        (&L_DENIED, Count::Denied),
        (&L_REQUESTS, Count::Requests),
    ] {
        let mut samples = page.family(family);
        let counted = |one: &Listener| count != Count::Requests || one.protocol.exchanges();
        for (labels, one) in all.iter().filter(|(_, one)| counted(one)) {
            samples.put(labels, one.state.tally.sum(count));
        }
    }
    let mut open = page.family(&L_OPEN);
    all.iter().for_each(|(labels, one)| open.put(labels, u64::from(one.state.active())));
    let with_requests = || all.iter().filter(|(_, one)| one.protocol.exchanges());
    write_responses(page, &L_RESPONSES, with_requests().map(|(labels, one)| (labels, &one.state.tally)));
    write_durations(
        page,
        &L_DURATION,
        with_requests().map(|(labels, one)| (labels, &one.state.tally.latency)),
    );
    write_ends(page, &L_ENDS, all.iter().map(|(labels, one)| (labels, &one.state.ends)));
    write_handshakes(page, &all);
    let mut forgotten = page.family(&L_FORGOTTEN);
    for (labels, one) in &all {
        if let Some(limit) = &one.http.rate_limit {
            forgotten.put(labels, RateLimit::forgotten(limit));
        }
    }
}

/// Writes what is known of TLS, where it ends at a listener.
fn write_handshakes(page: &mut Page, all: &[(Labels, &Listener)]) {
    let secure: Vec<_> =
        all.iter().filter_map(|(labels, one)| Some((labels, &one.state.tls, one.tls.as_deref()?))).collect();
    let mut complete = page.family(&L_HANDSHAKES);
    for (labels, tally, _) in &secure {
        let (all, resumed) = (tally.complete(), tally.resumed());
        complete.put_of(labels, &[("resumed", "false")], all.saturating_sub(resumed));
        complete.put_of(labels, &[("resumed", "true")], resumed);
    }
    let mut failed = page.family(&L_HANDSHAKES_FAILED);
    for (labels, tally, _) in &secure {
        for fault in HandshakeFault::ALL {
            let count = tally.failures(fault);
            if count > 0 {
                failed.put_of(labels, &[("reason", fault.as_str())], count);
            }
        }
    }
    write_durations(page, &L_HANDSHAKE, secure.iter().map(|(labels, tally, _)| (*labels, &tally.duration)));
    let mut ends = page.family(&L_CERTIFICATE);
    for (labels, _, termination) in &secure {
        let mut first = std::collections::BTreeMap::new();
        for certificate in &termination.certificates {
            let name = certificate.names.first().map_or("", |name| name);
            let end = first.entry(name).or_insert(certificate.not_after);
            *end = certificate.not_after.min(*end);
        }
        for (name, end) in first {
            ends.put_of(labels, &[("name", name)], u64::try_from(end).unwrap_or(0));
        }
    }
}

fn write_backends(page: &mut Page, plan: &Deployment) {
    let all: Vec<(Labels, &Backend)> =
        plan.backends.iter().map(|one| (labels(&[("backend", &one.name)]), one)).collect();
    for (family, count) in [
        (&B_CONNECTED, Count::Connections),
        (&B_RECEIVED, Count::BytesIn),
        (&B_SENT, Count::BytesOut),
        (&B_FAILED, Count::Failed),
        (&B_REQUESTS, Count::Requests),
        (&B_RETRIES, Count::Retries),
    ] {
        let mut samples = page.family(family);
        all.iter().for_each(|(labels, one)| samples.put(labels, one.tally.sum(count)));
    }
    write_responses(page, &B_RESPONSES, all.iter().map(|(labels, one)| (labels, &*one.tally)));
    write_durations(page, &B_DURATION, all.iter().map(|(labels, one)| (labels, &one.tally.latency)));
    write_ends(page, &B_ENDS, all.iter().map(|(labels, one)| (labels, &one.state.ends)));
    write_durations(page, &B_CONNECT, all.iter().map(|(labels, one)| (labels, &one.state.connects)));
    write_durations(page, &B_WAIT, all.iter().map(|(labels, one)| (labels, &one.state.waits)));
    let mut queue = page.family(&B_QUEUE);
    all.iter().for_each(|(labels, one)| queue.put(labels, one.state.waiting.load(Relaxed) as u64));
    write_pools(page, &all, clock::now());
    write_names(page, &all, clock::now());
}

/// Writes how many servers there are, and how many are any good.
fn write_pools(page: &mut Page, all: &[(Labels, &Backend)], now: Millis) {
    // Places are left aside: a server that is full is a good one.
    let usable = |server: &Server| server.unusable(now).is_none_or(|why| why == Unusable::Full);
    let counted: Vec<_> = all
        .iter()
        .map(|(labels, one)| {
            let list = one.servers.list();
            let open: u64 = list.iter().map(|server| u64::from(server.state.active())).sum();
            (labels, open, list.len(), list.iter().filter(|server| usable(server)).count())
        })
        .collect();
    let mut opened = page.family(&B_OPEN);
    counted.iter().for_each(|(labels, open, ..)| opened.put(labels, *open));
    let mut servers = page.family(&B_SERVERS);
    counted.iter().for_each(|(labels, _, servers_there, _)| servers.put(labels, *servers_there as u64));
    let mut good = page.family(&B_USABLE);
    counted.iter().for_each(|(labels, .., usable)| good.put(labels, *usable as u64));
}

/// Writes what is known of the names that servers are found by.
fn write_names(page: &mut Page, all: &[(Labels, &Backend)], now: Millis) {
    let wall = clock::wall().as_secs_f64();
    let names: Vec<_> = all
        .iter()
        .flat_map(|(_, backend)| {
            let of = |name: &str| labels(&[("backend", &backend.name), ("name", name)]);
            backend.roll.names().into_iter().map(move |one| (of(&one.locator.to_string()), one))
        })
        .collect();
    let mut addresses = page.family(&B_NAME);
    names.iter().for_each(|(labels, one)| addresses.put(labels, one.addresses as u64));
    let mut failing = page.family(&B_NAME_FAILED);
    names.iter().for_each(|(labels, one)| failing.put(labels, u64::from(one.known.failure.is_some())));
    let mut answered = page.family(&B_NAME_ANSWERED);
    for (labels, one) in &names {
        if let Some(at) = one.known.answered {
            let age = now.saturating_sub(at) as f64 / 1000.0;
            answered.put_exact(labels, ((wall - age) * 1000.0).round() / 1000.0);
        }
    }
}

/// Reads a number of a server.
type Reading<'a> = &'a dyn Fn(&Server) -> u64;

fn write_servers(page: &mut Page, plan: &Deployment) {
    let now = clock::now();
    let lists: Vec<_> = plan.backends.iter().map(|backend| (backend, backend.servers.list())).collect();
    let all: Vec<(Labels, &Server)> = lists
        .iter()
        .flat_map(|(backend, list)| {
            list.iter().map(|one| (labels(&[("backend", &backend.name), ("server", &one.name)]), &**one))
        })
        .collect();
    let gauges: [(&'static Family, Reading<'_>); 4] = [
        (&S_UP, &|one| u64::from(one.state.is_up())),
        (&S_EJECTED, &|one| u64::from(one.state.is_ejected(now))),
        (&S_WEIGHT, &|one| u64::from(one.effective_weight(now, 0) / SCALE)),
        (&S_OPEN, &|one| u64::from(one.state.active())),
    ];
    for (family, value) in gauges {
        let mut samples = page.family(family);
        all.iter().for_each(|(labels, one)| samples.put(labels, value(one)));
    }
    let mut admin = page.family(&S_ADMIN);
    for (labels, one) in &all {
        let state = match one.state.admin() {
            Admin::Ready => continue,
            Admin::Drain => "drain",
            Admin::Maintenance => "maintenance",
        };
        admin.put_of(labels, &[("state", state)], 1);
    }
    for (family, count) in [
        (&S_CONNECTED, Count::Connections),
        (&S_CONNECT_FAILED, Count::ConnectFailures),
        (&S_RECEIVED, Count::BytesIn),
        (&S_SENT, Count::BytesOut),
        (&S_FAILED, Count::Failed),
        (&S_REQUESTS, Count::Requests),
    ] {
        let mut samples = page.family(family);
        all.iter().for_each(|(labels, one)| samples.put(labels, one.state.tally.sum(count)));
    }
    let asked = || all.iter().filter(|(_, one)| one.state.tally.sum(Count::Requests) > 0);
    write_responses(page, &S_RESPONSES, asked().map(|(labels, one)| (labels, &one.state.tally)));
    write_durations(page, &S_DURATION, asked().map(|(labels, one)| (labels, &one.state.tally.latency)));
}

fn write_responses<'a>(
    page: &mut Page,
    family: &'static Family,
    tallies: impl Iterator<Item = (&'a Labels, &'a Tally)>,
) {
    const CLASSES: [(&str, Count); 5] = [
        ("1xx", Count::Responses1xx),
        ("2xx", Count::Responses2xx),
        ("3xx", Count::Responses3xx),
        ("4xx", Count::Responses4xx),
        ("5xx", Count::Responses5xx),
    ];
    let mut samples = page.family(family);
    for (labels, tally) in tallies.filter(|(_, tally)| tally.sum(Count::Requests) > 0) {
        for (class, count) in CLASSES {
            samples.put_of(labels, &[("code", class)], tally.sum(count));
        }
    }
}

/// Writes the distributions that have anything in them.
fn write_durations<'a>(
    page: &mut Page,
    family: &'static Family,
    histograms: impl Iterator<Item = (&'a Labels, &'a Histogram)>,
) {
    let mut samples = page.family(family);
    for (labels, histogram) in histograms {
        let durations = histogram.sum();
        if durations.count() > 0 {
            samples.put_distribution(labels, &durations);
        }
    }
}

/// Writes the reasons that occurred.
fn write_ends<'a>(
    page: &mut Page,
    family: &'static Family,
    tallies: impl Iterator<Item = (&'a Labels, &'a EndTally)>,
) {
    let mut samples = page.family(family);
    for (labels, tally) in tallies {
        for reason in CloseReason::ALL {
            let count = tally.sum(*reason);
            if count > 0 {
                samples.put_of(labels, &[("end", reason.as_str())], count);
            }
        }
    }
}
