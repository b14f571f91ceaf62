//! The Session as traces: events in, actions out, time injected.
//!
//! The rules, event by state. A cell is the action and, where the connection ends, its reason; `.` is an
//! event that cannot happen there and changes nothing. `Half C` and `Half S`: the client or the server has
//! ended.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::{alert, hello, plan};
use headworks_core::action::{Action, Choice, Event, Side, Wait};
use headworks_core::analyze::Facts;
use headworks_core::close::{CloseReason, Fault};
use headworks_core::listener::Permit;
use headworks_core::plan::Plan;
use headworks_core::pool::ServerState;
use headworks_core::session::{Scene, Session, State};
use headworks_core::tally::Count;
use headworks_core::time::Millis;
use serde_json::{Value, json};

const RULES: &str = "
    event          | Inspecting               | Connecting         | Relaying           | Half C                   | Half S                   | Refused      | Closed
    held, partial  | Wait                     | .                  | .                  | .                        | .                        | .            | .
    held, routed   | Connect                  | .                  | .                  | .                        | .                        | .            | .
    held, garbage  | Refuse bad_request       | .                  | .                  | .                        | .                        | .            | .
    connected      | .                        | Relay              | .                  | .                        | .                        | .            | .
    refused        | .                        | Connect            | .                  | .                        | .                        | .            | .
    client ended   | Close client_closed      | Wait               | Finish             | Wait                     | Close server_closed      | Close no_match | .
    server ended   | .                        | .                  | Finish             | Close client_closed      | Wait                     | .            | .
    client reset   | Close client_reset       | Close client_reset | Close client_reset | Close client_closed      | Close client_reset       | Close no_match | .
    server reset   | .                        | .                  | Close server_reset | Close server_reset       | Close server_closed      | .            | .
    client cut off | Close client_truncated   | Close client_truncated | Close client_truncated | Close client_closed  | Close server_closed      | Close no_match | .
    server cut off | .                        | .                  | Close server_truncated | Close server_truncated | Close server_closed    | .            | .
    expired        | Refuse first_bytes_timeout | Connect          | Close idle_timeout | Close half_close_timeout | Close half_close_timeout | Close no_match | .
    cut            | Close drained            | Close drained      | Close drained      | Close drained            | Close drained            | Close no_match | .
";

/// One Plan and the clock.
struct House {
    plan: Plan,
}

/// One client and its Session.
struct Client<'a> {
    house: &'a House,
    session: Session,
    now: Millis,
    held: Vec<u8>,
}

impl House {
    fn new(written: Value) -> Self {
        Self { plan: plan(written) }
    }

    /// A client of listener number 0.
    fn client(&self) -> Client<'_> {
        self.client_from(Some("192.0.2.7:4000"))
    }

    fn client_from(&self, address: Option<&str>) -> Client<'_> {
        self.try_client(address).unwrap()
    }

    fn try_client(&self, address: Option<&str>) -> Result<Client<'_>, CloseReason> {
        let permit: Permit = self.plan.listeners[0].enter()?;
        let client: Option<SocketAddr> = address.map(|text| text.parse().unwrap());
        let session = Session::new(&self.plan, 0, Facts { client, ..Facts::default() }, permit);
        Ok(Client { house: self, session, now: 1_000, held: Vec::new() })
    }

    /// The action that connects to a server.
    fn connect(&self, backend: &str, server: usize) -> Action {
        let backend = self.plan.backends.iter().position(|known| &*known.name == backend).unwrap();
        let server = self.plan.backends[backend].servers.list()[server].identity;
        Action::Connect(Choice { backend: backend as u32, server })
    }

    fn server(&self, server: usize) -> Arc<ServerState> {
        Arc::clone(&self.plan.backends[0].servers.list()[server].state)
    }
}

impl Client<'_> {
    fn event(&mut self, event: Event<'_>) -> Action {
        let scene = Scene { plan: &self.house.plan, now: self.now, random: 7, shard: 0, wall: 0 };
        self.session.handle(event, scene)
    }

    /// More bytes arrive and are shown with those held before.
    fn says(&mut self, bytes: &[u8]) -> Action {
        self.held.extend_from_slice(bytes);
        let held = self.held.clone();
        self.event(Event::Held(Side::Client, &held))
    }

    /// Accepted, and said all this at once.
    fn begins(&mut self, bytes: &[u8]) -> Action {
        assert_eq!(self.event(Event::Accepted), Action::Wait);
        self.says(bytes)
    }

    fn reason(&self) -> Option<CloseReason> {
        self.session.reason()
    }

    fn waits_for(&self) -> Option<(Wait, Millis)> {
        self.session.deadline(&self.house.plan)
    }
}

/// Names, a wildcard, and two servers for the one that matters.
fn sites() -> Value {
    json!({
        "listeners": {"secure": {"table": "sites"}},
        "tables": {"sites": [["app.example", "app"], ["*.example.org", "other"]]},
        "backends": {
            "app": {"servers": ["192.0.2.1:80", "192.0.2.2:80"]},
            "other": {"servers": ["192.0.2.3:80"]},
        },
    })
}

/// The same with one key changed, by its JSON pointer.
fn sites_with(pointer: &str, value: Value) -> Value {
    changed(sites(), pointer, value)
}

fn changed(mut written: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    written.pointer_mut(parent).unwrap()[key] = value;
    written
}

fn tcp() -> Value {
    json!({
        "listeners": {"plain": {"protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": ["192.0.2.1:80", "192.0.2.2:80"]}},
    })
}

fn app() -> Vec<u8> {
    hello(Some("app.example"))
}

/// Brings a fresh session into the state of a column.
fn stand<'a>(house: &'a House, column: &str) -> Client<'a> {
    let mut client = house.client();
    if column == "Refused" {
        assert!(matches!(client.begins(&hello(Some("no.example"))), Action::Refuse(_)));
        return client;
    }
    client.event(Event::Accepted);
    let way: &[Event<'_>] = match column {
        "Inspecting" => return client,
        "Connecting" => &[],
        "Relaying" => &[Event::Connected],
        "Half C" => &[Event::Connected, Event::Ended(Side::Client)],
        "Half S" => &[Event::Connected, Event::Ended(Side::Server)],
        "Closed" => &[Event::Reset(Side::Client)],
        other => panic!("no such state: {other}"),
    };
    client.says(&app());
    way.iter().for_each(|event| _ = client.event(*event));
    client
}

fn perform(client: &mut Client<'_>, row: &str) -> Action {
    client.held.clear();
    match row {
        "held, partial" => client.says(&app()[..20]),
        "held, routed" => client.says(&app()),
        "held, garbage" => client.says(b"GET / HTTP/1.1\r\n\r\n"),
        "connected" => client.event(Event::Connected),
        "refused" => client.event(Event::ConnectFailed(Fault::Refused)),
        "client ended" => client.event(Event::Ended(Side::Client)),
        "server ended" => client.event(Event::Ended(Side::Server)),
        "client reset" => client.event(Event::Reset(Side::Client)),
        "server reset" => client.event(Event::Reset(Side::Server)),
        "client cut off" => client.event(Event::Truncated(Side::Client)),
        "server cut off" => client.event(Event::Truncated(Side::Server)),
        "expired" => client.event(Event::Expired),
        "cut" => client.session.cut(CloseReason::Drained),
        other => panic!("no such event: {other}"),
    }
}

/// The state that follows an action; None: the same as before.
fn state_after(action: Action, row: &str) -> Option<State> {
    match action {
        Action::Wait | Action::Show(_) => None,
        Action::Connect(_) | Action::Resolve(_) => Some(State::Connecting),
        Action::Consult { .. } => Some(State::Consulting),
        Action::Relay => Some(State::Relaying),
        Action::Finish(_) if row.starts_with("client") => Some(State::HalfClosed(Side::Client)),
        Action::Finish(_) => Some(State::HalfClosed(Side::Server)),
        Action::Refuse(_) => Some(State::Refused),
        Action::Close => Some(State::Closed),
    }
}

#[test]
fn every_event_in_every_state() {
    let mut rows = RULES.trim().lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let columns = rows.next().unwrap();
    for cells in rows {
        assert_eq!(cells.len(), columns.len(), "{cells:?}");
        for (column, expected) in columns.iter().zip(&cells).skip(1) {
            let house = House::new(sites());
            let mut client = stand(&house, column);
            let (before, reason) = (client.session.state(), client.reason());
            let action = perform(&mut client, cells[0]);
            let word = format!("{action:?}").split('(').next().unwrap().to_owned();
            let told = match client.reason() {
                Some(reason) => format!("{word} {}", reason.as_str()),
                None => word,
            };
            let place = format!("{column}: {}", cells[0]);
            if *expected == "." {
                assert!(matches!(action, Action::Wait | Action::Close), "{place}: {action:?}");
                assert_eq!((client.session.state(), client.reason()), (before, reason), "{place}");
                continue;
            }
            assert_eq!(told, *expected, "{place}");
            assert_eq!(client.session.state(), state_after(action, cells[0]).unwrap_or(before), "{place}");
        }
    }
}

#[test]
fn every_state_has_its_deadline() {
    let house = House::new(sites());
    for (column, wait) in [
        ("Inspecting", Some((Wait::FirstBytes, 10_000))),
        ("Connecting", Some((Wait::Connect, 5_000))),
        ("Relaying", Some((Wait::Idle, 60_000))),
        ("Half C", Some((Wait::HalfClose, 30_000))),
        ("Half S", Some((Wait::HalfClose, 30_000))),
        ("Refused", Some((Wait::Linger, 2_000))),
        ("Closed", None),
    ] {
        assert_eq!(stand(&house, column).waits_for(), wait, "{column}");
    }
}

#[test]
fn a_whole_life() {
    let house = House::new(sites());
    let mut client = house.client();
    assert_eq!(client.begins(&app()), house.connect("app", 0));
    assert_eq!(client.session.facts().name.as_deref(), Some("app.example"));
    assert_eq!(house.server(0).active(), 1);
    assert_eq!(client.event(Event::Connected), Action::Relay);
    assert_eq!(client.event(Event::Ended(Side::Client)), Action::Finish(Side::Server));
    assert_eq!(client.event(Event::Ended(Side::Server)), Action::Close);
    assert_eq!(client.reason(), Some(CloseReason::ClientClosed));
    drop(client);
    assert_eq!(house.server(0).active(), 0);
    assert_eq!(house.plan.listeners[0].state.active(), 0);
    assert_eq!(house.plan.backends[0].tally.sum(Count::Connections), 1);
}

#[test]
fn the_server_may_end_first() {
    let house = House::new(sites());
    let mut client = stand(&house, "Relaying");
    assert_eq!(client.event(Event::Ended(Side::Server)), Action::Finish(Side::Client));
    assert_eq!(client.event(Event::Ended(Side::Client)), Action::Close);
    assert_eq!(client.reason(), Some(CloseReason::ServerClosed));
}

#[test]
fn a_client_that_ends_while_its_server_is_connected_has_its_end_passed_on() {
    let house = House::new(sites());
    let mut client = stand(&house, "Connecting");
    assert_eq!(client.event(Event::Ended(Side::Client)), Action::Wait);
    assert_eq!(client.event(Event::Connected), Action::Finish(Side::Server));
    assert_eq!(client.session.state(), State::HalfClosed(Side::Client));
    assert_eq!(client.event(Event::Ended(Side::Server)), Action::Close);
    assert_eq!(client.reason(), Some(CloseReason::ClientClosed));
}

mod routing {
    use super::*;

    /// What a hello gets: the backend chosen, or the refusal's bytes and reason.
    fn outcome(written: Value, first: &[u8]) -> Result<String, (Vec<u8>, CloseReason)> {
        let house = House::new(written);
        let mut client = house.client();
        match client.begins(first) {
            Action::Connect(choice) => Ok(house.plan.backends[choice.backend as usize].name.to_string()),
            Action::Refuse(bytes) => Err((bytes.to_vec(), client.reason().unwrap())),
            other => panic!("{other:?}"),
        }
    }

    fn routed(written: &Value, name: Option<&str>) -> Result<String, (Vec<u8>, CloseReason)> {
        outcome(written.clone(), &hello(name))
    }

    #[test]
    fn by_name() {
        let written = sites();
        assert_eq!(routed(&written, Some("app.example")), Ok("app".into()));
        assert_eq!(routed(&written, Some("APP.example.")), Ok("app".into()));
        assert_eq!(routed(&written, Some("a.b.example.org")), Ok("other".into()));
    }

    #[test]
    fn a_name_that_matches_nothing_is_unrecognized() {
        let refused = Err((alert(112).to_vec(), CloseReason::NoMatch));
        assert_eq!(routed(&sites(), Some("example.org")), refused);
    }

    #[test]
    fn the_rest_goes_to_the_star_and_what_it_does_not_take_to_the_fallback() {
        let star = sites_with("/tables/sites", json!([["app.example", "app"], ["*", "other"]]));
        assert_eq!(routed(&star, Some("no.example")), Ok("other".into()));
        assert_eq!(routed(&star, None), Ok("other".into()));
        let fallback = sites_with("/listeners/secure/fallback", json!("app"));
        assert_eq!(routed(&fallback, Some("no.example")), Ok("app".into()));
        let both = changed(star, "/listeners/secure/fallback", json!("app"));
        assert_eq!(routed(&both, Some("no.example")), Ok("other".into()));
    }

    #[test]
    fn without_a_name_the_fallback_comes_first_then_the_star() {
        let both = sites_with("/tables/sites", json!([["*", "other"]]));
        let both = changed(both, "/listeners/secure/fallback", json!("app"));
        assert_eq!(routed(&both, None), Ok("app".into()));
        assert_eq!(routed(&both, Some("192.0.2.1")), Ok("app".into()), "an IP literal is no name");
        let refused = Err((alert(40).to_vec(), CloseReason::NoName));
        assert_eq!(routed(&sites(), None), refused);
    }

    #[test]
    fn a_listener_with_a_backend_asks_no_table() {
        let written = json!({
            "listeners": {"secure": {"backend": "app"}},
            "backends": {"app": {"servers": ["192.0.2.1:80"]}},
        });
        assert_eq!(routed(&written, Some("no.example")), Ok("app".into()));
        assert_eq!(routed(&written, None), Ok("app".into()));
        let garbage = outcome(written, b"SSH-2.0-OpenSSH\r\n");
        assert_eq!(
            garbage,
            Err((alert(40).to_vec(), CloseReason::BadRequest)),
            "it must be TLS all the same"
        );
    }

    #[test]
    fn no_usable_server_is_an_internal_error() {
        let unused = json!([{"address": "192.0.2.1:80", "weight": 0, "backup": false}]);
        let written = sites_with("/backends/app/servers", unused);
        let refused = Err((alert(80).to_vec(), CloseReason::NoServer));
        assert_eq!(routed(&written, Some("app.example")), refused);
    }

    #[test]
    fn tcp_is_routed_when_it_is_accepted_and_refused_without_a_byte() {
        let house = House::new(tcp());
        let mut client = house.client();
        assert_eq!(client.event(Event::Accepted), house.connect("app", 0));
        assert!(!client.session.flow(Side::Client).hold);
        for state in 0..2 {
            house.server(state).set_up(false, 0);
        }
        let mut client = house.client();
        assert_eq!(client.event(Event::Accepted), Action::Close);
        assert_eq!(client.reason(), Some(CloseReason::NoServer));
    }
}

mod first_bytes {
    use super::*;

    #[test]
    fn any_split_of_a_hello_gives_the_same_actions() {
        let house = House::new(sites());
        for first in [app(), hello(None), hello(Some("no.example")), b"\x16\x03\x01\0\x05abcde".to_vec()] {
            let mut whole = house.client();
            let expected = whole.begins(&first);
            for split in 1..first.len() {
                let mut client = house.client();
                let mut action = client.begins(&first[..split]);
                if action == Action::Wait {
                    assert!(client.session.flow(Side::Client).hold);
                    action = client.says(&first[split..]);
                }
                assert_same(action, expected);
                assert_eq!(client.reason(), whole.reason());
            }
            let mut client = house.client();
            client.event(Event::Accepted);
            let actions: Vec<_> = first.iter().map(|byte| client.says(&[*byte])).collect();
            let decided = actions.iter().position(|action| *action != Action::Wait).unwrap();
            assert_same(actions[decided], expected);
            assert_eq!(client.session.facts().name, whole.session.facts().name);
        }
    }

    /// Servers are chosen in turns: which one is not compared.
    fn assert_same(one: Action, other: Action) {
        match (one, other) {
            (Action::Connect(one), Action::Connect(other)) => assert_eq!(one.backend, other.backend),
            (one, other) => assert_eq!(one, other),
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_as_soon_as_that_is_certain() {
        let house = House::new(sites_with("/listeners/secure/first_bytes_limit", json!(60)));
        let mut client = house.client();
        let long = hello(Some("a-name-that-makes-the-hello-longer-than-sixty-bytes.example"));
        assert_eq!(
            client.begins(&long[..9]),
            Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]),
            "the length is announced"
        );
        assert_eq!(client.reason(), Some(CloseReason::TooLarge));
    }

    #[test]
    fn a_hello_of_just_the_limit_is_not_too_large() {
        for (limit, fits) in [(app().len(), true), (app().len() - 1, false)] {
            let house = House::new(sites_with("/listeners/secure/first_bytes_limit", json!(limit)));
            let mut client = house.client();
            client.event(Event::Accepted);
            let actions: Vec<_> = app().iter().map(|byte| client.says(&[*byte])).collect();
            let connects = actions.iter().any(|action| matches!(action, Action::Connect(_)));
            assert_eq!(connects, fits, "{limit}");
        }
    }

    #[test]
    fn too_slow_is_refused_with_the_alert_and_then_left() {
        let house = House::new(sites());
        let mut client = house.client();
        assert_eq!(client.begins(&app()[..30]), Action::Wait);
        client.now += 10_000;
        assert_eq!(client.event(Event::Expired), Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]));
        assert_eq!(client.waits_for(), Some((Wait::Linger, 2_000)));
        client.now += 2_000;
        assert_eq!(client.event(Event::Expired), Action::Close);
        assert_eq!(
            client.reason(),
            Some(CloseReason::FirstBytesTimeout),
            "the first reason is the one reported"
        );
    }

    #[test]
    fn a_refused_client_that_goes_on_talking_is_not_looked_at() {
        let house = House::new(sites());
        let mut client = stand(&house, "Refused");
        client.held.clear();
        assert_eq!(client.says(&app()), Action::Wait);
        assert_eq!(client.session.state(), State::Refused);
    }
}

mod servers {
    use super::*;

    fn fails(client: &mut Client<'_>, fault: Fault) -> Action {
        client.event(Event::ConnectFailed(fault))
    }

    #[test]
    fn another_server_is_tried_and_each_place_given_back() {
        let house = House::new(sites());
        let mut client = stand(&house, "Connecting");
        assert_eq!((house.server(0).active(), house.server(1).active()), (1, 0));
        assert_eq!(fails(&mut client, Fault::Refused), house.connect("app", 1));
        assert_eq!((house.server(0).active(), house.server(1).active()), (0, 1));
        assert_eq!(client.event(Event::Connected), Action::Relay);
        assert_eq!(client.session.retries(), 1);
        assert_eq!(house.plan.backends[0].tally.sum(Count::Retries), 1);
        assert_eq!(house.server(0).tally.sum(Count::ConnectFailures), 1);
        assert_eq!(house.server(0).tally.sum(Count::Connections), 0);
        assert_eq!(house.server(1).tally.sum(Count::Connections), 1);
    }

    #[test]
    fn no_answer_in_time_is_a_failure_like_any_other() {
        let house = House::new(sites());
        let mut client = stand(&house, "Connecting");
        assert_eq!(client.event(Event::Expired), house.connect("app", 1));
        assert_eq!(house.server(0).failures(), 1);
    }

    #[test]
    fn when_every_server_was_tried_the_client_is_refused() {
        let house = House::new(sites());
        let mut client = stand(&house, "Connecting");
        fails(&mut client, Fault::Refused);
        assert_eq!(fails(&mut client, Fault::Unreachable), Action::Refuse(&[21, 3, 1, 0, 2, 2, 80]));
        assert_eq!(client.reason(), Some(CloseReason::NoServer));
        assert_eq!((house.server(0).active(), house.server(1).active()), (0, 0));
        assert_eq!(client.session.retries(), 1, "one server and one other");
        assert_eq!(client.event(Event::Ended(Side::Client)), Action::Close);
        assert_eq!(client.session.retries(), 1, "the same once it is over");
    }

    #[test]
    fn no_more_than_retries_others_are_tried() {
        let five: Vec<_> = (1..=5).map(|n| format!("192.0.2.{n}:80")).collect();
        for (retries, expected) in [(0, 0), (2, 2), (9, 4)] {
            let written = changed(
                sites_with("/backends/app/servers", json!(five)),
                "/backends/app/retries",
                json!(retries),
            );
            let house = House::new(written);
            let mut client = stand(&house, "Connecting");
            let others =
                (0..9).take_while(|_| matches!(fails(&mut client, Fault::Refused), Action::Connect(_)));
            assert_eq!(others.count(), expected);
            assert_eq!(client.session.retries(), expected);
            assert_eq!(house.plan.backends[0].tally.sum(Count::Retries), expected as u64);
        }
    }

    #[test]
    fn a_tcp_client_without_a_server_has_its_retries_counted_right() {
        let house = House::new(tcp());
        let mut client = house.client();
        client.event(Event::Accepted);
        fails(&mut client, Fault::Refused);
        assert_eq!(fails(&mut client, Fault::Refused), Action::Close);
        assert_eq!(client.session.retries(), 1);
    }

    #[test]
    fn what_we_lack_ourselves_is_not_the_servers_fault() {
        let house =
            House::new(sites_with("/backends/app/ejection", json!({"failures": 1, "duration": 9_000})));
        let mut client = stand(&house, "Connecting");
        assert_eq!(fails(&mut client, Fault::Exhausted), house.connect("app", 1));
        assert_eq!(house.server(0).failures(), 0);
        assert!(!house.server(0).is_ejected(client.now));
        for fault in [
            Fault::Refused,
            Fault::TimedOut,
            Fault::Unreachable,
            Fault::Reset,
            Fault::Untrusted,
            Fault::WrongName,
            Fault::Expired,
            Fault::Handshake,
        ] {
            assert!(fault.blames_server());
        }
    }

    #[test]
    fn failures_in_a_row_eject_for_a_while() {
        let house =
            House::new(sites_with("/backends/app/ejection", json!({"failures": 2, "duration": 9_000})));
        for failures in 1..=2 {
            let mut client = house.client();
            let mut action = client.begins(&app());
            if action == house.connect("app", 1) {
                action = fails(&mut client, Fault::Exhausted);
            }
            assert_eq!(action, house.connect("app", 0));
            fails(&mut client, Fault::Refused);
            assert_eq!(house.server(0).failures(), failures);
        }
        assert!(house.server(0).is_ejected(9_999));
        for _ in 0..4 {
            assert_eq!(house.client().begins(&app()), house.connect("app", 1), "while it is out");
        }
        let mut later = house.client();
        later.now = 10_000;
        assert!((0..2).any(|_| {
            let mut later = house.client();
            later.now = 10_000;
            later.begins(&app()) == house.connect("app", 0)
        }));
    }

    #[test]
    fn a_connect_that_succeeds_forgives() {
        let house = House::new(json!({
            "listeners": {"plain": {"protocol": "tcp", "backend": "app"}},
            "backends": {"app": {"servers": ["192.0.2.1:80"], "ejection": {"failures": 1, "duration": 9_000}}},
        }));
        let mut client = house.client();
        client.event(Event::Accepted);
        fails(&mut client, Fault::Refused);
        assert!(house.server(0).is_ejected(client.now));
        let mut client = house.client();
        assert_eq!(client.event(Event::Accepted), house.connect("app", 0), "nothing else is left");
        client.event(Event::Connected);
        assert!(!house.server(0).is_ejected(client.now));
        assert_eq!(house.server(0).failures(), 0);
    }

    #[test]
    fn a_full_server_gets_nothing_until_a_place_is_given_back() {
        let places = json!([{"address": "192.0.2.1:80", "weight": 1, "backup": false, "max_connections": 2}]);
        let house = House::new(sites_with("/backends/app/servers", places));
        let first = stand(&house, "Relaying");
        let _second = stand(&house, "Connecting");
        assert_eq!(house.client().begins(&app()), Action::Refuse(&[21, 3, 1, 0, 2, 2, 80]));
        drop(first);
        assert_eq!(house.server(0).active(), 1);
        assert_eq!(house.client().begins(&app()), house.connect("app", 0));
    }
}

mod admission {
    use super::*;

    #[test]
    fn networks_decide_before_a_byte_is_read() {
        let written = sites_with("/listeners/secure/allow", json!(["192.0.2.0/24"]));
        let house = House::new(changed(written, "/listeners/secure/deny", json!(["192.0.2.66"])));
        for (address, admitted) in
            [("192.0.2.7:1", true), ("192.0.2.66:1", false), ("198.51.100.1:1", false), ("[::1]:1", false)]
        {
            let mut client = house.client_from(Some(address));
            let action = client.event(Event::Accepted);
            assert_eq!(action == Action::Wait, admitted, "{address}");
            assert_eq!(client.reason(), (!admitted).then_some(CloseReason::Denied));
        }
        assert_eq!(
            house.client_from(None).event(Event::Accepted),
            Action::Close,
            "a unix client is in no network"
        );
    }

    #[test]
    fn a_listener_is_full_until_a_place_is_given_back() {
        let house = House::new(sites_with("/listeners/secure/max_connections", json!(2)));
        let one = house.client();
        let _two = house.client();
        assert_eq!(house.try_client(None).err(), Some(CloseReason::LimitReached));
        assert_eq!(house.plan.listeners[0].state.active(), 2, "who is refused takes no place");
        drop(one);
        assert!(house.try_client(None).is_ok());
    }

    #[test]
    fn one_address_has_its_share_and_others_theirs() {
        let house = House::new(sites_with("/listeners/secure/max_connections_per_client", json!(1)));
        let mut first = house.client_from(Some("192.0.2.7:1"));
        assert_eq!(first.event(Event::Accepted), Action::Wait);
        for (address, admitted) in
            [("192.0.2.7:2", false), ("[::ffff:192.0.2.7]:3", false), ("192.0.2.8:4", true)]
        {
            let mut client = house.client_from(Some(address));
            assert_eq!(client.event(Event::Accepted) == Action::Wait, admitted, "{address}");
            assert_eq!(client.reason(), (!admitted).then_some(CloseReason::LimitReached));
        }
        drop(first);
        assert_eq!(house.client_from(Some("192.0.2.7:5")).event(Event::Accepted), Action::Wait);
        assert_eq!(
            house.client_from(None).event(Event::Accepted),
            Action::Wait,
            "unix clients have no address"
        );
    }
}

mod proxy_header {
    use super::*;

    const HEADER: &[u8] = b"PROXY TCP4 203.0.113.9 203.0.113.1 5000 443\r\n";

    /// Headers are required from 192.0.2.7 and refused from others.
    fn announced(written: Value) -> Value {
        let name = written["listeners"].as_object().unwrap().keys().next().unwrap().clone();
        changed(written, &format!("/listeners/{name}/accept_proxy_from"), json!(["192.0.2.7"]))
    }

    #[test]
    fn the_client_of_the_header_is_the_client() {
        let house = House::new(announced(sites()));
        let mut client = house.client();
        let first = [HEADER, &app()].concat();
        assert_eq!(client.begins(&first), house.connect("app", 0));
        let facts = client.session.facts();
        assert_eq!(facts.client, Some("203.0.113.9:5000".parse().unwrap()));
        assert_eq!(facts.local, Some("203.0.113.1:443".parse().unwrap()));
        assert_eq!(client.session.flow(Side::Client).consumed as usize, HEADER.len());
    }

    #[test]
    fn any_split_of_header_and_hello() {
        let house = House::new(announced(sites()));
        let first = [HEADER, &app()].concat();
        for split in 1..first.len() {
            let mut client = house.client();
            assert_eq!(client.begins(&first[..split]), Action::Wait, "{split}");
            assert!(matches!(client.says(&first[split..]), Action::Connect(_)), "{split}");
            assert_eq!(client.session.flow(Side::Client).consumed as usize, HEADER.len());
        }
    }

    #[test]
    fn a_source_that_must_send_one_and_does_not_is_refused() {
        let house = House::new(announced(sites()));
        assert_eq!(house.client().begins(&app()), Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]));
        let house = House::new(announced(tcp()));
        let mut client = house.client();
        assert_eq!(client.begins(b"hello"), Action::Close);
        assert_eq!(client.reason(), Some(CloseReason::BadRequest));
    }

    #[test]
    fn a_source_that_may_not_send_one_and_does_is_refused() {
        let house = House::new(announced(sites()));
        let mut client = house.client_from(Some("198.51.100.1:1"));
        assert_eq!(client.begins(HEADER), Action::Refuse(&[21, 3, 1, 0, 2, 2, 40]));
        let mut client = house.client_from(Some("198.51.100.1:1"));
        assert!(matches!(client.begins(&app()), Action::Connect(_)));
        assert_eq!(client.session.flow(Side::Client).consumed, 0);
    }

    #[test]
    fn the_address_in_the_header_is_the_one_admitted() {
        let written = sites_with("/listeners/secure/deny", json!(["203.0.113.9"]));
        let house = House::new(announced(written));
        let mut client = house.client();
        assert_eq!(client.begins(HEADER), Action::Close);
        assert_eq!(client.reason(), Some(CloseReason::Denied));
        let allowed = sites_with("/listeners/secure/allow", json!(["203.0.113.0/24"]));
        let house = House::new(announced(allowed));
        let mut client = house.client();
        assert_eq!(client.begins(HEADER), Action::Wait, "the balancer itself need not be allowed");
    }

    #[test]
    fn a_tcp_client_with_a_header_is_routed_by_its_last_byte() {
        let house = House::new(announced(tcp()));
        for split in 1..HEADER.len() {
            let mut client = house.client();
            assert_eq!(client.begins(&HEADER[..split]), Action::Wait);
            assert!(matches!(client.says(&HEADER[split..]), Action::Connect(_)));
        }
        let mut client = house.client();
        client.begins(&HEADER[..10]);
        assert_eq!(client.event(Event::Expired), Action::Close);
        assert_eq!(client.reason(), Some(CloseReason::FirstBytesTimeout));
    }

    #[test]
    fn a_tcp_client_that_may_not_send_one_is_connected_while_its_first_bytes_are_held() {
        let house = House::new(announced(tcp()));
        let other = Some("198.51.100.1:1");
        let mut client = house.client_from(other);
        assert_eq!(client.event(Event::Accepted), house.connect("app", 0), "the server may speak first");
        assert!(client.session.flow(Side::Client).hold);
        assert_eq!(client.event(Event::Connected), Action::Relay);
        assert_eq!(client.says(b"PRO"), Action::Wait);
        assert_eq!(client.says(b"FILE"), Action::Relay);
        assert!(!client.session.flow(Side::Client).hold);
        let mut liar = house.client_from(other);
        liar.event(Event::Accepted);
        liar.event(Event::Connected);
        assert_eq!(liar.says(HEADER), Action::Close);
        assert_eq!(liar.reason(), Some(CloseReason::BadRequest));
    }
}

#[test]
fn a_cut_connection_reports_what_ended_it_first() {
    let house = House::new(sites());
    let mut client = stand(&house, "Refused");
    assert_eq!(client.session.cut(CloseReason::Drained), Action::Close);
    assert_eq!(client.reason(), Some(CloseReason::NoMatch));
    let mut client = stand(&house, "Relaying");
    assert_eq!(client.session.cut(CloseReason::Drained), Action::Close);
    assert_eq!(client.session.cut(CloseReason::Drained), Action::Close);
    assert_eq!(client.reason(), Some(CloseReason::Drained));
}

mod kinds {
    use headworks_core::analyze::KindFound;

    use super::*;

    const SSH: &[u8] = b"SSH-2.0-x\r\n";

    /// Kinds, of which silent clients are one, behind PROXY headers of one source.
    fn house() -> House {
        House::new(json!({
            "listeners": {"front": {
                "protocol": "first_bytes", "fallback": "other", "accept_proxy_from": ["192.0.2.9"],
                "first_bytes": {
                    "tls": {"table": "names"}, "http": {"table": "names"}, "ssh": {"backend": "ssh"},
                    "prefixes": [["RFB ", "vnc"]], "silent": "mail", "silent_after": 300,
                },
            }},
            "tables": {"names": [["app.example", "app"]]},
            "backends": {
                "app": {"servers": ["192.0.2.1:80"]}, "mail": {"servers": ["192.0.2.1:25"]},
                "other": {"servers": ["192.0.2.1:9"]}, "ssh": {"servers": ["192.0.2.1:22"]},
                "vnc": {"servers": ["192.0.2.1:5900"]},
            },
        }))
    }

    /// Says something, which is counted as the engine counts it.
    fn says(client: &mut Client<'_>, bytes: &[u8]) -> Action {
        client.session.count(Side::Client, bytes.len() as u64);
        client.says(bytes)
    }

    #[test]
    fn a_silent_client_goes_its_way_and_is_still_looked_at_for_a_header() {
        let house = house();
        let mut client = house.client();
        assert_eq!(client.event(Event::Accepted), Action::Wait);
        assert_eq!(client.waits_for(), Some((Wait::Verdict(Side::Client), 300)));
        assert_eq!(client.event(Event::Expired), house.connect("mail", 0));
        assert_eq!(client.session.facts().kind, Some(KindFound::Silent));
        client.event(Event::Connected);
        assert_eq!(says(&mut client, b"EHLO x\r\n"), Action::Relay);
        let mut forged = house.client();
        forged.event(Event::Accepted);
        forged.event(Event::Expired);
        forged.event(Event::Connected);
        assert_eq!(says(&mut forged, b"PROXY TCP4 192.0.2.3 192.0.2.4 1 2\r\n"), Action::Close);
        assert_eq!(forged.reason(), Some(CloseReason::BadRequest));
    }

    #[test]
    fn whoever_has_begun_is_not_silent() {
        let house = house();
        let mut client = house.client();
        client.event(Event::Accepted);
        assert_eq!(says(&mut client, &SSH[..3]), Action::Wait);
        assert_eq!(client.waits_for(), Some((Wait::FirstBytes, 10_000)));
        assert_eq!(says(&mut client, &SSH[3..]), house.connect("ssh", 0));
        let mut slow = house.client();
        slow.event(Event::Accepted);
        says(&mut slow, &SSH[..3]);
        assert_eq!(slow.event(Event::Expired), Action::Close);
        assert_eq!(slow.reason(), Some(CloseReason::FirstBytesTimeout));
    }

    #[test]
    fn silence_begins_behind_the_header() {
        let house = house();
        let mut client = house.client_from(Some("192.0.2.9:1"));
        client.event(Event::Accepted);
        assert_eq!(client.waits_for(), Some((Wait::FirstBytes, 10_000)));
        client.now += 5_000;
        assert_eq!(says(&mut client, b"PROXY TCP4 192.0.2.3 192.0.2.4 1 2\r\n"), Action::Wait);
        assert_eq!(client.waits_for(), Some((Wait::Verdict(Side::Client), 300)));
        assert_eq!(client.event(Event::Expired), house.connect("mail", 0));
    }

    #[test]
    fn kinds_with_names() {
        let house = house();
        for (sent, expected) in [
            (app(), house.connect("app", 0)),
            (b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n".to_vec(), house.connect("app", 0)),
            (b"RFB 003.008\n".to_vec(), house.connect("vnc", 0)),
            (b"EHLO x\r\n".to_vec(), house.connect("other", 0)),
            (hello(Some("other.example")), Action::Refuse(&[21, 3, 1, 0, 2, 2, 112])),
        ] {
            let mut client = house.client();
            client.event(Event::Accepted);
            assert_eq!(says(&mut client, &sent), expected);
        }
    }
}
