//! Rules: where a request goes, or why it goes nowhere, and what can be foreseen of that.
//!
//! A rule is one file and one line in [`REGISTRY`], whose order is the order in which requests are judged.
//! The same registry decides ([`decide`]) and explains ([`foresee`]): a condition is written once. Rules see
//! values and a [`PlanView`], so that they stand below the Plan, which keeps those in force for each
//! listener. Must never allocate to judge, nor read a clock.

mod access;
mod analyzers;
mod body_limit;
mod concurrency;
mod early_data;
mod maintenance;
mod method;
mod misdirected;
mod programs;
mod rate;
mod route;

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use super::limits::RequestPermit;
use super::listener::HttpListener;
use crate::close::CloseReason;
use crate::consult::{Consultant, ConsultantIndex, ConsultantSet, Consultants, Foretold};
use crate::message::Message;
use crate::program::{Findings, Programs};
use crate::spec::HttpSpec;
use crate::table::{BackendIndex, Target};
use crate::time::Millis;
use crate::tls::{Termination, TlsFacts};
use crate::wire::body::Body;

/// Every rule, in the order in which they judge: what costs least and lets least through comes first.
pub static REGISTRY: &[&dyn Rule] = &[
    &access::Access,
    &early_data::EarlyData,
    &misdirected::Misdirected,
    &method::Connect,
    &body_limit::BodyLimit,
    &rate::Rate,
    &concurrency::AtOnce,
    &programs::OfListener,
    &analyzers::AtListener,
    &route::Destination,
    &analyzers::AtEntry,
    &programs::OfBackend,
    &analyzers::AtBackend,
    &maintenance::Maintenance,
];

/// One rule that requests are judged by.
pub trait Rule: Debug + Sync {
    /// Returns the word for it, which no other rule has.
    fn name(&self) -> &'static str;

    /// Whether it could do anything but pass on a listener that is set up like this. Asked when a Plan is
    /// made.
    fn in_force(&self, _setting: &Setting<'_>) -> bool {
        true
    }

    /// Judges a request, and may leave something for it in `granted`.
    fn judge(&self, case: &Case<'_>, granted: &mut Granted) -> Ruling;

    /// Judges what is known of a request that has not come, says why and on what else it depends, changes
    /// nothing.
    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling;
}

/// A rule's word on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// The rule has nothing against it: the next one judges.
    Pass,
    /// The request goes nowhere.
    Refuse(CloseReason),
    /// The request goes there, if the rules that follow have nothing against it.
    Route(Target),
    /// The request gets an answer of our own with this status, which the findings have.
    Say(u16),
    /// An analyzer is asked; the same rule judges again when it has answered.
    Consult(ConsultantIndex),
}

/// The setting of a listener in a Plan: what it is configured for.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Settings of requests as they were written.
    pub spec: &'a HttpSpec,
    /// The listener's HTTP side.
    pub http: &'a HttpListener,
    /// The listener's TLS side, where TLS ends there.
    pub termination: Option<&'a Termination>,
    /// A backend of the Plan is in maintenance.
    pub maintained: bool,
    /// People wrote rules for requests of the listener.
    pub programs: bool,
    /// People wrote rules for requests of a backend of the Plan.
    pub backend_programs: bool,
    /// The places where people wrote analyzers for requests.
    pub analyzers: Analyzed,
}

/// The places at which analyzers are asked about requests of a listener.
#[derive(Debug, Clone, Copy, Default)]
pub struct Analyzed {
    /// At the listener.
    pub listener: bool,
    /// At an entry of its table.
    pub entry: bool,
    /// At a backend of the Plan.
    pub backend: bool,
}

/// A case to judge: a request, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The Plan in force.
    pub plan: &'a dyn PlanView,
    /// Settings of requests at the listener, as they were written.
    pub spec: &'a HttpSpec,
    /// The rules in force on the listener.
    pub rules: &'a [&'static dyn Rule],
    /// The listener's HTTP side.
    pub http: &'a HttpListener,
    /// The listener's TLS side, where TLS ends there.
    pub termination: Option<&'a Termination>,
    /// The rules that people wrote for the listener.
    pub programs: &'a Programs,
    /// The analyzers of the listener.
    pub analyzers: &'a Consultants,
    /// The listener's name.
    pub listener: &'a str,
    /// The client's address; None for a unix client.
    pub client: Option<SocketAddr>,
    /// Reason for which the client may not be served at all.
    pub turned_away: Option<CloseReason>,
    /// The request's head.
    pub message: Message<'a>,
    /// Facts that the handshake agreed on, once it is complete.
    pub tls: Option<&'a TlsFacts>,
    /// The request came as early data, and the handshake is not complete.
    pub early: bool,
    /// The body, as far as it came with the head.
    pub begun: &'a Body,
    /// The host as it was sent, with its port; empty when there is none.
    pub host: &'a [u8],
    /// The host as tables know it.
    pub name: Option<&'a str>,
    /// Path and query; of CONNECT the authority.
    pub target: &'a [u8],
    /// The request's id; empty where requests have none.
    pub request_id: &'a [u8],
    /// The engine's clock.
    pub now: Millis,
    /// Seconds since 1970; 0 where no rule takes the time of day.
    pub wall: u64,
}

/// The grants of the rules to a request, and what they have to say to its client.
#[derive(Debug, Default)]
pub struct Granted {
    /// The request's place among those of its client.
    pub permit: Option<RequestPermit>,
    /// Seconds after which a client that asks too often may ask again.
    pub retry_after: Option<u64>,
    /// The target of the request, also when a later rule has refused it.
    pub target: Option<Target>,
    /// Identity of the server that a rule names.
    pub server: Option<u64>,
    /// The findings of rules and analyzers that people wrote; none where there are none.
    pub findings: Option<Box<Findings>>,
    /// The table has the target.
    pub by_table: bool,
    /// Number of the rule that goes on with an analyzer's answer.
    pub row: u8,
    /// Number of the analyzer in its list whose turn it is.
    pub turn: u8,
    /// The analyzer that was asked last has answered.
    pub answered: bool,
    /// The analyzer asked last was called by its name.
    pub called: bool,
    /// The analyzers that were called by their names.
    pub calls: ConsultantSet,
    /// The analyzers that are not to be asked any more.
    pub bypassed: ConsultantSet,
}

/// The decision on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The request goes there.
    Go(Target),
    /// The request gets an answer of our own with this status, which the findings have.
    Say(u16),
    /// The request goes nowhere.
    Refuse(CloseReason),
    /// An analyzer is asked before it is decided.
    Consult(ConsultantIndex),
}

/// A view of the Plan, and of the listener that a request came to: all that rules may ask of them.
pub trait PlanView: Debug {
    /// Returns where a request for this host and target goes.
    fn route(&self, name: Option<&str>, target: &[u8]) -> Result<Target, CloseReason>;

    /// Whether a backend is in maintenance.
    fn is_maintained(&self, backend: BackendIndex) -> bool;

    /// Returns the backend of this name.
    fn backend_named(&self, name: &[u8]) -> Option<BackendIndex>;

    /// Returns the identity of the server of this name.
    fn server_named(&self, backend: BackendIndex, name: &[u8]) -> Option<u64>;

    /// Returns the rules that people wrote for a backend.
    fn programs(&self, backend: BackendIndex) -> &Programs;

    /// Returns the analyzers of the entry that a request for this host and target comes by.
    fn entry_analyzers(&self, name: Option<&str>, target: &[u8]) -> Option<&Consultants>;

    /// Returns the analyzers of a backend.
    fn backend_analyzers(&self, backend: BackendIndex) -> &Consultants;

    /// Returns the number of the analyzer of this name.
    fn analyzer_named(&self, name: &[u8]) -> Option<ConsultantIndex>;

    /// Returns the analyzer of this number.
    fn analyzer(&self, index: ConsultantIndex) -> &Consultant;

    /// Returns the name of a backend.
    fn backend_name(&self, backend: BackendIndex) -> &str;

    /// Says what a client's admission depends on, or why it is denied.
    fn tell_access(&self, client: Option<IpAddr>, foreseen: &mut Foreseen);

    /// Says which entries are consulted for this host and target, and which is taken.
    fn tell_route(&self, name: Option<&str>, target: &[u8], foreseen: &mut Foreseen);
}

/// A request that has not come.
#[derive(Debug, Clone, Copy)]
pub struct Prospect<'a> {
    /// The case, with what is known.
    pub case: Case<'a>,
    /// The parts of it that are not known.
    pub unknown: Unknown,
}

/// Facts that may be unknown of a request that has not come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unknown {
    /// The client.
    pub client: bool,
    /// Whether it comes as early data.
    pub early: bool,
    /// The length of the body.
    pub body: bool,
}

/// The words of the rules on a request that has not come.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// A sentence each.
    pub steps: Vec<String>,
    /// The table consulted.
    pub table: Option<String>,
    /// The pattern that matched.
    pub entry: Option<String>,
    /// The target that the request would have, also when a later rule would refuse it.
    pub target: Option<Target>,
    /// The grants, as far as they can be foreseen; their findings are those of rules and analyzers.
    pub granted: Granted,
    /// The answers of analyzers.
    pub foretold: Foretold,
}

/// Decides where a request goes, or why it goes nowhere; goes on where it stopped to ask an analyzer.
#[inline]
pub fn decide(case: &Case<'_>, granted: &mut Granted) -> Decision {
    let mut row = usize::from(granted.row);
    while let Some(rule) = case.rules.get(row) {
        match rule.judge(case, granted) {
            Ruling::Pass => {}
            Ruling::Route(target) => granted.target = Some(target),
            Ruling::Say(status) => return Decision::Say(status),
            Ruling::Refuse(reason) => return Decision::Refuse(reason),
            Ruling::Consult(index) => {
                granted.row = row as u8;
                return Decision::Consult(index);
            }
        }
        row += 1;
    }
    Decision::of(granted.target)
}

/// Foresees where a request that has not come would go, or why it would go nowhere.
pub fn foresee(prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Decision {
    for rule in prospect.case.rules {
        match rule.foresee(prospect, foreseen) {
            Ruling::Pass => {}
            Ruling::Route(target) => foreseen.target = Some(target),
            Ruling::Say(status) => return Decision::Say(status),
            Ruling::Refuse(reason) => return Decision::Refuse(reason),
            Ruling::Consult(index) => return Decision::Consult(index),
        }
    }
    Decision::of(foreseen.target)
}

impl Decision {
    fn of(target: Option<Target>) -> Self {
        target.map_or(Self::Refuse(CloseReason::NoMatch), Self::Go)
    }
}

impl Granted {
    /// Forgets all but the memory of the findings.
    pub fn clear(&mut self) {
        let mut findings = self.findings.take();
        if let Some(findings) = &mut findings {
            findings.clear();
        }
        *self = Self { findings, ..Self::default() };
    }
}

/// Returns the rules that a listener set up like this keeps, in order.
pub fn in_force(setting: &Setting<'_>) -> Box<[&'static dyn Rule]> {
    REGISTRY.iter().copied().filter(|rule| rule.in_force(setting)).collect()
}

impl Ruling {
    /// Refuses a request that this is wrong with.
    fn refuse_if(wrong: bool, reason: CloseReason) -> Self {
        if wrong { Self::Refuse(reason) } else { Self::Pass }
    }
}

impl Prospect<'_> {
    /// Returns what a rule that changes nothing says of what is known.
    fn judged(&self, rule: &dyn Rule, foreseen: &Foreseen) -> Ruling {
        let mut granted = Granted { target: foreseen.target, ..Granted::default() };
        rule.judge(&self.case, &mut granted)
    }
}

impl Foreseen {
    /// Adds a sentence.
    pub fn say(&mut self, step: impl Into<String>) {
        self.steps.push(step.into());
    }
}
