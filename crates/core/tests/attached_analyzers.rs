//! Attached analyzers as traces: several in order, each with its deadline, its limit and what follows when it
//! has no verdict within them, on either side.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::cell::RefCell;

use common::{hello, plan};
use headworks_core::action::{Action, Event, Side, Wait};
use headworks_core::analyze::{Analyzer, Attached, Facts, OnFailure, Sni, Verdict};
use headworks_core::close::CloseReason;
use headworks_core::plan::Plan;
use headworks_core::session::{Scene, Session, State};
use headworks_core::time::Millis;
use serde_json::json;

/// Says by the last byte what it thinks of the flow: `p` passes and takes all, `b` has no business with it,
/// `r` rejects, anything else waits for one byte more.
#[derive(Debug)]
struct Letters(&'static str);

static FIRST: Letters = Letters("first");
static SECOND: Letters = Letters("second");
/// Has no business with any flow.
static NOBODY: Letters = Letters("nobody");

thread_local! {
    static CALLS: RefCell<Vec<(&'static str, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Who was asked since the last time, and with how many bytes.
fn calls() -> Vec<(&'static str, usize)> {
    CALLS.take()
}

impl Analyzer for Letters {
    fn name(&self) -> &'static str {
        self.0
    }

    fn inspect(&self, held: &[u8], _facts: &mut Facts) -> Verdict {
        CALLS.with_borrow_mut(|calls| calls.push((self.0, held.len())));
        match held.last() {
            _ if self.0 == "nobody" => Verdict::Bypass,
            Some(b'p') => Verdict::Pass { consumed: held.len() },
            Some(b'b') => Verdict::Bypass,
            Some(b'r') => Verdict::Reject(CloseReason::BadRequest),
            _ => Verdict::Wait { need: held.len() + 1 },
        }
    }
}

/// One connection to a listener that has these analyzers.
struct Trace {
    plan: Plan,
    session: Session,
    now: Millis,
    held: [Vec<u8>; 2],
}

impl Trace {
    fn new(protocol: &str, analyzers: &[Attached]) -> Self {
        let mut plan = plan(json!({
            "listeners": {"only": {"protocol": protocol, "backend": "app", "first_bytes_limit": 1_000}},
            "backends": {"app": {"servers": ["192.0.2.1:80"]}},
        }));
        plan.listeners[0].analyzers = analyzers.into();
        let permit = plan.listeners[0].enter().unwrap();
        let session = Session::new(&plan, 0, Facts::default(), permit);
        calls();
        Self { plan, session, now: 1_000, held: [Vec::new(), Vec::new()] }
    }

    fn accepted(protocol: &str, analyzers: &[Attached]) -> Self {
        let mut trace = Self::new(protocol, analyzers);
        trace.event(Event::Accepted);
        trace
    }

    fn event(&mut self, event: Event<'_>) -> Action {
        let scene = Scene { plan: &self.plan, now: self.now, random: 7, shard: 0, wall: 0 };
        self.session.handle(event, scene)
    }

    fn says(&mut self, side: Side, bytes: &[u8]) -> Action {
        self.held[side as usize].extend_from_slice(bytes);
        let held = self.held[side as usize].clone();
        self.event(Event::Held(side, &held))
    }

    /// The deadline passes, and what is asked for then is done.
    fn expires(&mut self) -> Action {
        self.now += self.waits().unwrap().1;
        match self.event(Event::Expired) {
            Action::Show(side) => self.says(side, b""),
            other => other,
        }
    }

    fn waits(&self) -> Option<(Wait, Millis)> {
        self.session.deadline(&self.plan)
    }

    fn consumed(&self, side: Side) -> u32 {
        self.session.flow(side).consumed
    }
}

fn attached(letters: &'static Letters) -> Attached {
    Attached::new(letters)
}

fn is_connect(action: Action) -> bool {
    matches!(action, Action::Connect(_))
}

#[test]
fn several_have_their_turns_in_order_and_each_sees_what_is_left() {
    let mut trace = Trace::accepted("tls", &[attached(&FIRST), attached(&SECOND), Attached::new(&Sni)]);
    assert_eq!(trace.says(Side::Client, b"xx"), Action::Wait);
    assert_eq!(trace.says(Side::Client, b"p"), Action::Wait);
    assert_eq!(calls(), [("first", 2), ("first", 3), ("second", 0)]);
    assert_eq!(trace.says(Side::Client, b"p"), Action::Wait);
    assert_eq!((calls(), trace.consumed(Side::Client)), (vec![("second", 1)], 4));
    assert!(is_connect(trace.says(Side::Client, &hello(Some("a.example")))));
    assert_eq!(trace.session.facts().name.as_deref(), Some("a.example"));
    assert_eq!(
        (calls(), trace.consumed(Side::Client)),
        (vec![], 4),
        "those whose turn is over are not asked"
    );
}

#[test]
fn whoever_comes_first_takes_the_first_bytes() {
    for analyzers in [[&FIRST, &SECOND], [&SECOND, &FIRST]] {
        let mut trace = Trace::accepted("tcp", &analyzers.map(attached));
        assert_eq!(trace.says(Side::Client, b"xp"), Action::Wait);
        assert!(is_connect(trace.says(Side::Client, b"yb")));
        assert!(!trace.session.flow(Side::Client).hold);
        assert_eq!(trace.consumed(Side::Client), 2);
    }
}

#[test]
fn one_that_has_no_business_with_a_flow_is_not_called_again() {
    let mut trace = Trace::accepted("tcp", &[attached(&NOBODY), attached(&SECOND)]);
    assert_eq!(trace.says(Side::Client, b"x"), Action::Wait);
    assert_eq!(calls(), [("nobody", 1), ("second", 1)]);
    assert_eq!(trace.says(Side::Client, b"y"), Action::Wait);
    assert_eq!(calls(), [("second", 2)]);
    assert!(is_connect(trace.says(Side::Client, b"p")));
    assert_eq!((calls(), trace.consumed(Side::Client)), (vec![("second", 3)], 3));
}

#[test]
fn one_rejects_for_all() {
    let mut trace = Trace::accepted("tls", &[attached(&FIRST), attached(&SECOND)]);
    assert_eq!(trace.says(Side::Client, b"r"), Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]));
    assert_eq!((calls(), trace.session.reason()), (vec![("first", 1)], Some(CloseReason::BadRequest)));
}

#[test]
fn each_turn_has_its_own_deadline() {
    let timed = Attached { timeout: Some(300), ..attached(&FIRST) };
    let mut trace = Trace::accepted("tcp", &[timed, attached(&SECOND)]);
    assert_eq!(trace.waits(), Some((Wait::Verdict(Side::Client), 300)));
    assert_eq!(trace.session.flow(Side::Client).since, 1_000);
    trace.now = 1_200;
    trace.says(Side::Client, b"p");
    assert_eq!(trace.session.flow(Side::Client).since, 1_200, "the next turn has begun");
    assert_eq!(trace.waits(), Some((Wait::FirstBytes, 10_000)), "without one of its own, the listener's");
}

#[test]
fn one_that_is_late_has_the_connection_refused() {
    for timeout in [Some(300), None] {
        let timed = Attached { timeout, ..attached(&FIRST) };
        let mut trace = Trace::accepted("tls", &[timed, attached(&SECOND)]);
        trace.says(Side::Client, b"x");
        assert_eq!(trace.expires(), Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]));
        assert_eq!(trace.session.reason(), Some(CloseReason::FirstBytesTimeout));
        assert_eq!(trace.waits(), Some((Wait::Linger, 2_000)));
    }
}

#[test]
fn one_that_is_late_is_passed_over_where_its_listener_says_so() {
    for timeout in [Some(300), None] {
        let lenient = Attached { timeout, on_failure: OnFailure::Pass, ..attached(&FIRST) };
        let mut trace = Trace::accepted("tcp", &[lenient, attached(&SECOND)]);
        trace.says(Side::Client, b"xy");
        calls();
        assert_eq!(trace.expires(), Action::Wait);
        assert_eq!(calls(), [("second", 2)], "the next is shown what is held");
        assert!(is_connect(trace.says(Side::Client, b"b")));
        assert_eq!((calls(), trace.consumed(Side::Client)), (vec![("second", 3)], 0));
        let mut alone = Trace::accepted("tcp", &[lenient]);
        assert!(is_connect(alone.expires()), "without a byte, too");
        assert!(!alone.session.flow(Side::Client).hold);
    }
}

#[test]
fn one_over_its_limit_is_late_whatever_the_time() {
    let tight = Attached { limit: Some(4), ..attached(&SECOND) };
    let mut trace = Trace::accepted("tls", &[attached(&FIRST), tight]);
    assert_eq!(trace.says(Side::Client, b"xxxxxxp"), Action::Wait, "the limit is of its own turn");
    assert_eq!(trace.says(Side::Client, b"yyy"), Action::Wait);
    assert_eq!(trace.says(Side::Client, b"y"), Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]));
    assert_eq!(trace.session.reason(), Some(CloseReason::TooLarge));

    let lenient = Attached { on_failure: OnFailure::Pass, ..tight };
    let mut trace = Trace::accepted("tcp", &[lenient, attached(&FIRST)]);
    calls();
    assert_eq!(trace.says(Side::Client, b"yyyy"), Action::Wait);
    assert_eq!(calls(), [("second", 4), ("first", 4)]);
}

#[test]
fn no_limit_of_its_own_exceeds_the_listeners() {
    let wide = Attached { limit: Some(usize::MAX), ..attached(&FIRST) };
    let mut trace = Trace::accepted("tcp", &[wide]);
    assert_eq!(trace.says(Side::Client, &[b'x'; 999]), Action::Wait);
    assert_eq!(trace.says(Side::Client, b"x"), Action::Close);
    assert_eq!(trace.session.reason(), Some(CloseReason::TooLarge));
}

#[test]
fn what_is_not_awaited_holds_the_flow_and_not_the_connection() {
    let aside = Attached { awaited: false, timeout: Some(300), ..attached(&FIRST) };
    let mut trace = Trace::new("tcp", &[aside]);
    assert!(is_connect(trace.event(Event::Accepted)));
    assert_eq!(trace.waits(), Some((Wait::Connect, 5_000)));
    assert_eq!(trace.event(Event::Connected), Action::Relay);
    assert!(trace.session.flow(Side::Client).hold);
    assert_eq!(trace.waits(), Some((Wait::Verdict(Side::Client), 300)));
    assert_eq!(trace.expires(), Action::Close, "and it is waited for no longer than any other");
}

/// Relaying, with these analyzers on what the server says.
fn relaying(analyzers: &[Attached]) -> Trace {
    let of_server: Vec<_> =
        analyzers.iter().map(|attached| Attached { side: Side::Server, ..*attached }).collect();
    let mut trace = Trace::new("tls", &of_server);
    assert!(is_connect(trace.event(Event::Accepted)), "nothing looks at the client");
    assert!(!trace.session.flow(Side::Client).hold && !trace.session.flow(Side::Server).hold);
    assert_eq!(trace.event(Event::Connected), Action::Relay);
    assert!(trace.session.flow(Side::Server).hold);
    trace
}

#[test]
fn what_the_server_says_is_looked_at_from_its_connection_on() {
    let timed = Attached { timeout: Some(300), ..attached(&FIRST) };
    let mut trace = relaying(&[timed, attached(&SECOND)]);
    assert_eq!(trace.waits(), Some((Wait::Verdict(Side::Server), 300)));
    assert_eq!(trace.says(Side::Server, b"p"), Action::Wait);
    assert_eq!(trace.waits(), Some((Wait::Idle, 60_000)));
    assert_eq!(trace.says(Side::Server, b"b"), Action::Relay);
    assert_eq!((trace.consumed(Side::Server), trace.consumed(Side::Client)), (1, 0));
    assert!(!trace.session.flow(Side::Server).hold);
    assert_eq!(trace.waits(), Some((Wait::Idle, 60_000)));
}

#[test]
fn a_server_that_is_rejected_ends_the_connection_without_a_word_of_ours() {
    for (bytes, reason) in [(&b"r"[..], CloseReason::BadRequest), (b"x", CloseReason::FirstBytesTimeout)] {
        let mut trace = relaying(&[Attached { timeout: Some(300), ..attached(&FIRST) }]);
        let mut action = trace.says(Side::Server, bytes);
        if action == Action::Wait {
            action = trace.expires();
        }
        assert_eq!((action, trace.session.reason()), (Action::Close, Some(reason)));
        assert_eq!(trace.session.state(), State::Closed);
    }
}

#[test]
fn a_late_look_at_the_server_lets_its_bytes_go() {
    let lenient = Attached { timeout: Some(300), on_failure: OnFailure::Pass, ..attached(&FIRST) };
    let mut trace = relaying(&[lenient]);
    trace.says(Side::Server, b"x");
    assert_eq!(trace.expires(), Action::Relay);
    assert_eq!(trace.waits(), Some((Wait::Idle, 60_000)));
}

#[test]
fn a_listener_attaches_what_its_protocol_and_its_sources_ask_for() {
    let names = |protocol: &str, sources: serde_json::Value| {
        let plan = plan(json!({
            "listeners": {"only": {"protocol": protocol, "backend": "app", "accept_proxy_from": sources}},
            "backends": {"app": {"servers": ["192.0.2.1:80"]}},
        }));
        let all = plan.listeners[0].analyzers.iter();
        all.map(|attached| attached.analyzer.name()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("tcp", json!([])), "");
    assert_eq!(names("tls", json!([])), "sni");
    assert_eq!(names("tls", json!(["192.0.2.7"])), "proxy_header no_proxy_header sni");
}
