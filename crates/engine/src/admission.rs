//! Admission: what every accept does before it knows what its client wants: a place at the listener, and the
//! PROXY header.
//!
//! Must never decide who is admitted (core's Listener and analyzers do).

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use headworks_core::analyze::{Analyzer, Facts, NoProxyHeader, ProxyHeader, Verdict};
use headworks_core::buffer::Buffer;
use headworks_core::close::CloseReason;
use headworks_core::listener::{HeaderRule, Listener};
use headworks_core::session::Entrance;
use headworks_core::tally::Count;
use headworks_core::wire::client_hello::Offered;

use crate::arrival::Arrival;
use crate::deployment::LocalPlan;
use crate::io::Socket;
use crate::record::Record;
use crate::tools::Tools;

/// A client that was just accepted by listener number `listener` of `plan`.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    /// The Plan in force.
    pub(crate) plan: &'a LocalPlan,
    /// Index of the listener in the Plan.
    pub(crate) listener: u32,
    /// The client's socket.
    pub(crate) socket: OwnedFd,
    /// The client's address; None for a unix client.
    pub(crate) address: Option<SocketAddr>,
}

/// Counts a client that was accepted and takes a place for it. None: there is none; that is counted and
/// recorded, and the client is told where its protocol has a word for it.
pub(crate) fn admit(tools: &mut Tools, accepted: Accepted<'_>) -> Option<Arrival> {
    let Accepted { plan, listener, socket, address } = accepted;
    let owner = &plan.listeners[listener as usize];
    let tally = &owner.state.tally;
    tally.add(tools.shard, Count::Connections, 1);
    let mut socket = Socket::accepted(socket);
    let id = tools.next_id();
    if owner.connection_rate.is_some()
        && owner.header_rule(address) != HeaderRule::Required
        && let Err(reason) = owner.keeps_rate(address.map(|address| address.ip()), tools.now)
    {
        shut_out(tools, owner, address, id, reason);
        return None;
    }
    let Ok(permit) = owner.enter() else {
        turn_away(&mut socket, owner.farewell(), &mut tools.scratch);
        shut_out(tools, owner, address, id, CloseReason::LimitReached);
        return None;
    };
    let accept = &owner.spec.accept;
    let local =
        if accept.learns_destination() { socket.original_destination(accept.transparent) } else { None };
    Some(Arrival {
        entrance: Entrance::Accepted,
        plan: Rc::clone(plan),
        listener,
        permit: Some(permit),
        socket,
        address,
        local,
        name: None,
        alpn: Offered::default(),
        held: Buffer::default(),
        accepted: tools.now,
        id,
        told: None,
        greeting: None,
    })
}

/// Counts and records a client whose socket is closed now.
pub(crate) fn shut_out(
    tools: &mut Tools,
    owner: &Listener,
    address: Option<SocketAddr>,
    id: u64,
    reason: CloseReason,
) {
    owner.state.tally.add(tools.shard, Count::Denied, 1);
    tools.record(owner, &Record::denied(owner, address, id, reason));
}

/// Says why, if there is anything to say, to a client whose socket is closed now: it is not waited for,
/// since it has no place. What it sent so far is read, or closing would reset the connection before it has
/// been told.
fn turn_away(socket: &mut Socket, farewell: &'static [u8], scratch: &mut [u8]) {
    if !farewell.is_empty() {
        // A fresh socket takes so few bytes whole; one that is gone needs no answer.
        let _ = socket.write(farewell, false);
        let _ = socket.discard(scratch);
    }
}

/// Both addresses of a client's connection: the client's and ours.
pub(crate) type BothEnds = (Option<SocketAddr>, Option<SocketAddr>);

/// Takes the PROXY header off the front of `held`, or makes sure that there is none, as `rule` says. None:
/// more must come.
pub(crate) fn take_header(
    rule: HeaderRule,
    held: &mut Buffer,
    (client, local): BothEnds,
) -> Option<Result<BothEnds, CloseReason>> {
    let analyzer: &dyn Analyzer = if rule == HeaderRule::Required { &ProxyHeader } else { &NoProxyHeader };
    let mut facts = Facts { client, local, ..Facts::default() };
    match analyzer.inspect(held.pending(), &mut facts) {
        Verdict::Wait { .. } => return None,
        Verdict::Pass { consumed } => held.take(consumed),
        Verdict::Bypass => {}
        Verdict::Reject(reason) => return Some(Err(reason)),
    }
    Some(Ok((facts.client, facts.local)))
}
