//! Servers that clients name, as traces: the name is resolved once, its addresses are tried in order, and a
//! reply that comes late changes nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use common::{hello, plan};
use headworks_core::action::{Action, Event, Side, Wait};
use headworks_core::analyze::Facts;
use headworks_core::close::{CloseReason, Fault};
use headworks_core::explain::Asked;
use headworks_core::names::{Endpoint, Resolution, Unresolved};
use headworks_core::plan::Plan;
use headworks_core::session::{Scene, Session, State};
use serde_json::json;

struct Trace {
    plan: Plan,
    session: Session,
}

impl Trace {
    fn new(retries: u32) -> Self {
        let plan = plan(json!({
            "listeners": {"only": {"protocol": "tls", "backend": "any"}},
            "backends": {"any": {
                "servers": ["*:443"], "allow_destinations": ["*.example", "0.0.0.0/0"], "retries": retries,
                "connect_timeout": 700,
            }},
        }));
        let permit = plan.listeners[0].enter().unwrap();
        let session = Session::new(&plan, 0, Facts::default(), permit);
        let mut trace = Self { plan, session };
        trace.event(Event::Accepted);
        trace
    }

    /// A client that has said its name.
    fn asked(retries: u32) -> Self {
        let mut trace = Self::new(retries);
        assert_eq!(trace.event(Event::Held(Side::Client, &hello(Some("a.example")))), Action::Resolve(0));
        trace
    }

    fn event(&mut self, event: Event<'_>) -> Action {
        let scene = Scene { plan: &self.plan, now: 1_000, random: 7, shard: 0, wall: 0 };
        self.session.handle(event, scene)
    }

    fn found(&mut self, addresses: &[&str]) -> Action {
        let resolution = found(addresses);
        self.event(Event::Resolved(Ok(&resolution)))
    }

    fn server(&self) -> &str {
        &self.session.attempts().server().unwrap().name
    }
}

fn found(addresses: &[&str]) -> Resolution {
    let endpoint = |address: &&str| Endpoint {
        address: address.parse().unwrap(),
        port: None,
        priority: 0,
        weight: 0,
        host: "a.example".into(),
    };
    Resolution { endpoints: addresses.iter().map(endpoint).collect(), fresh_for: 1_000, stale_since: None }
}

#[test]
fn its_addresses_are_tried_in_order() {
    let mut trace = Trace::asked(1);
    assert_eq!(trace.session.deadline(&trace.plan), Some((Wait::Connect, 700)));
    assert!(matches!(trace.found(&["8.8.8.8", "10.0.0.1", "9.9.9.9", "1.1.1.1"]), Action::Connect(_)));
    assert_eq!(trace.server(), "8.8.8.8:443");
    assert!(matches!(trace.event(Event::ConnectFailed(Fault::Refused)), Action::Connect(_)));
    assert_eq!((trace.server(), trace.session.retries()), ("9.9.9.9:443", 1));
    assert!(matches!(trace.event(Event::ConnectFailed(Fault::Refused)), Action::Refuse(_)));
    assert_eq!(trace.session.reason(), Some(CloseReason::NoServer));
}

#[test]
fn a_reply_that_nobody_waits_for_changes_nothing() {
    let mut trace = Trace::asked(1);
    assert!(matches!(trace.found(&["8.8.8.8"]), Action::Connect(_)));
    assert_eq!(trace.found(&["9.9.9.9"]), Action::Wait, "it is being connected to");
    assert_eq!(trace.event(Event::Connected), Action::Relay);
    assert_eq!(trace.found(&["9.9.9.9"]), Action::Wait);
    assert_eq!(trace.server(), "8.8.8.8:443");
}

#[test]
fn what_cannot_be_resolved_in_time_is_refused_once() {
    let mut trace = Trace::asked(3);
    assert!(matches!(trace.event(Event::Expired), Action::Refuse(_)));
    assert_eq!(trace.session.reason(), Some(CloseReason::NameUnresolved));
    assert_eq!(trace.found(&["8.8.8.8"]), Action::Wait);
    assert_eq!(trace.session.state(), State::Refused);
}

#[test]
fn failures_have_their_reasons() {
    for (failure, reason) in [
        (Unresolved::Timeout, CloseReason::NameUnresolved),
        (Unresolved::NoSuchName, CloseReason::NameUnresolved),
        (Unresolved::BadName, CloseReason::DestinationDenied),
    ] {
        let mut trace = Trace::asked(1);
        assert!(matches!(trace.event(Event::Resolved(Err(failure))), Action::Refuse(_)));
        assert_eq!(trace.session.reason(), Some(reason));
    }
    let mut trace = Trace::asked(1);
    assert!(matches!(trace.found(&["127.0.0.1", "::1", "169.254.169.254"]), Action::Refuse(_)));
    assert_eq!(trace.session.reason(), Some(CloseReason::DestinationDenied));
}

#[test]
fn a_name_that_may_not_be_asked_for_is_not_resolved() {
    for (name, reason) in [
        (None, CloseReason::NoName),
        (Some("a.test"), CloseReason::DestinationDenied),
        (Some("example"), CloseReason::DestinationDenied),
    ] {
        let mut trace = Trace::new(1);
        assert!(
            matches!(trace.event(Event::Held(Side::Client, &hello(name))), Action::Refuse(_)),
            "{name:?}"
        );
        assert_eq!(trace.session.reason(), Some(reason));
    }
}

#[test]
fn a_client_may_leave_meanwhile() {
    let mut trace = Trace::asked(1);
    assert_eq!(trace.event(Event::Ended(Side::Client)), Action::Wait, "a half-close is passed on");
    assert!(matches!(trace.found(&["8.8.8.8"]), Action::Connect(_)));
    let mut trace = Trace::asked(1);
    assert_eq!(trace.event(Event::Reset(Side::Client)), Action::Close);
    assert_eq!(trace.found(&["8.8.8.8"]), Action::Close);
}

#[test]
fn an_explanation_names_the_server_and_resolves_nothing() {
    let trace = Trace::new(0);
    let told = |name: &str| {
        let asked = Asked { name: Some(name.to_owned()), ..Asked::default() };
        trace.plan.explain("only", &asked).unwrap()
    };
    assert_eq!(told("a.example").server.as_deref(), Some("a.example:443"));
    assert_eq!(told("a.test").refusal.as_deref(), Some("destination_denied"));
}
