//! Admission: what every accept does before it knows what its client wants: a place at the listener, and the PROXY header.
//!
//! Must never decide who is admitted (core's Listener and analyzers do).

use std::net::SocketAddr;

use headworks_core::analyze::{Analyzer, Facts, NoProxyHeader, ProxyHeader, Verdict};
use headworks_core::buffer::Buffer;
use headworks_core::close::CloseReason;
use headworks_core::listener::{HeaderRule, Listener, Permit};
use headworks_core::tally::Count;

use crate::access_log::Recorder;

/// Counts a client that was accepted and takes a place for it. None: there is none; that is counted and recorded.
pub(crate) fn enter(
    owner: &Listener,
    client: Option<SocketAddr>,
    shard: usize,
    recorder: &mut Recorder,
) -> Option<Permit> {
    let tally = &owner.state.tally;
    tally.add(shard, Count::Connections, 1);
    let permit = owner.enter().ok();
    if permit.is_none() {
        tally.add(shard, Count::Denied, 1);
        tally.add(shard, Count::Ended, 1);
        recorder.denied(owner, client, CloseReason::LimitReached);
    }
    permit
}

/// The two ends of a client's connection: the client's and ours.
pub(crate) type Ends = (Option<SocketAddr>, Option<SocketAddr>);

/// Takes the PROXY header off the front of `held`, or makes sure that there is none, as `rule` says. None: more must come.
pub(crate) fn take_header(
    rule: HeaderRule,
    held: &mut Buffer,
    client: Option<SocketAddr>,
) -> Option<Result<Ends, CloseReason>> {
    let analyzer: &dyn Analyzer = if rule == HeaderRule::Required { &ProxyHeader } else { &NoProxyHeader };
    let mut facts = Facts { client, ..Facts::default() };
    match analyzer.inspect(held.pending(), &mut facts) {
        Verdict::Wait { .. } => return None,
        Verdict::Pass { consumed } => held.take(consumed),
        Verdict::Route => {}
        Verdict::Reject(reason) => return Some(Err(reason)),
    }
    Some(Ok((facts.client, facts.local)))
}
