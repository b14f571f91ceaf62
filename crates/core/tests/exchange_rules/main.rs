//! The Exchange as rules and traces: events in, actions out, time injected.
//!
//! The rules, event by state. A cell is the action, with what it carries, and after `>` the state that
//! follows if the action does not tell it; `.` is an event that cannot happen there and changes nothing. The
//! requests: in Asking a PUT whose body is still coming, in Awaiting a GET, in the tunnels one that switched
//! to WebSocket; in Told a refused one. `Tunnel C` and `Tunnel S`: the client or the server has ended there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod stage;
mod stories;

use headworks_core::close::{CloseReason, Fault};
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, ExchangeState, Stopped};
use stage::{Client, House, sites};

const RULES: &str = "
    event                | Ruling             | InLine             | Connecting         | Asking                  | Awaiting                | Answering              | Tunnel                 | Tunnel C               | Tunnel S               | Told               | Over
    asked, routed        | Write              | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    asked, no match      | Refuse no_match    | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    asked, redirected    | Answer             | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    asked, turned away   | Refuse denied      | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    unreadable           | Refuse bad_request | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    written              | Connect            | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    written, full        | Line               | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    written, none        | Refuse no_server   | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    overflown            | Refuse overflow    | .                  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    called               | .                  | Connect            | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    called, still full   | .                  | Wait               | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    called, none         | .                  | Refuse no_server   | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    line full            | .                  | Refuse queue_full  | .                  | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    connected            | .                  | .                  | Ask                | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    connected, kept      | .                  | .                  | Ask                | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    connect failed       | .                  | .                  | Connect            | .                       | .                       | .                      | .                      | .                      | .                      | .                  | .
    request dry          | .                  | .                  | .                  | Wait                    | Wait                    | Wait                   | Wait                   | Wait                   | Wait                   | .                  | .
    request full         | .                  | .                  | .                  | Wait                    | Wait                    | Wait                   | Wait                   | Wait                   | Wait                   | .                  | .
    request unfinished   | .                  | .                  | .                  | Wait                    | Wait                    | Wait                   | Wait                   | Wait                   | Wait                   | .                  | .
    request done         | .                  | .                  | .                  | Wait > Awaiting         | Wait                    | Wait                   | FinishServer > Tunnel C | Wait                  | Abort completed        | .                  | .
    request cut          | .                  | .                  | .                  | Abort client_closed     | Abort client_closed     | Abort client_closed    | Abort client_closed    | Abort client_closed    | Abort client_closed    | .                  | .
    request malformed    | .                  | .                  | .                  | Refuse bad_request      | Refuse bad_request      | Abort bad_request      | Abort bad_request      | Abort bad_request      | Abort bad_request      | .                  | .
    request too large    | .                  | .                  | .                  | Refuse body_too_large   | Refuse body_too_large   | Abort body_too_large   | Abort body_too_large   | Abort body_too_large   | Abort body_too_large   | .                  | .
    client broken        | .                  | .                  | .                  | Abort client_reset      | Abort client_reset      | Abort client_reset     | Abort client_reset     | Abort client_reset     | Abort client_reset     | .                  | .
    client cut off       | .                  | .                  | .                  | Abort client_truncated  | Abort client_truncated  | Abort client_truncated | Abort client_truncated | Abort client_truncated | Abort client_truncated | .                  | .
    server deaf          | .                  | .                  | .                  | Listen                  | Listen                  | Listen                 | Abort server_reset     | Abort server_reset     | Abort server_reset     | .                  | .
    response dry         | .                  | .                  | .                  | .                       | .                       | Wait                   | Wait                   | Wait                   | Wait                   | Wait               | .
    response full        | .                  | .                  | .                  | .                       | .                       | Wait                   | Wait                   | Wait                   | Wait                   | Wait               | .
    response unfinished  | .                  | .                  | .                  | .                       | .                       | Wait                   | Wait                   | Wait                   | Wait                   | Wait               | .
    response done        | .                  | .                  | .                  | .                       | .                       | Finish keep            | FinishClient > Tunnel S | Abort completed       | Wait                   | Finish keep        | .
    response cut         | .                  | .                  | .                  | .                       | .                       | Abort server_closed    | Abort server_closed    | Abort server_closed    | Abort server_closed    | Abort server_closed | .
    response malformed   | .                  | .                  | .                  | .                       | .                       | Abort bad_response     | Abort bad_response     | Abort bad_response     | Abort bad_response     | Abort bad_response | .
    server broken        | .                  | .                  | .                  | .                       | .                       | Abort server_reset     | Abort server_reset     | Abort server_reset     | Abort server_reset     | Abort server_reset | .
    server cut off       | .                  | .                  | .                  | .                       | .                       | Abort server_truncated | Abort server_truncated | Abort server_truncated | Abort server_truncated | Abort server_truncated | .
    client takes no more | .                  | .                  | .                  | .                       | .                       | Abort client_reset     | Abort client_reset     | Abort client_reset     | Abort client_reset     | Abort client_reset | .
    interim              | .                  | .                  | .                  | PassInterim             | PassInterim             | .                      | .                      | .                      | .                      | .                  | .
    answered             | .                  | .                  | .                  | Reply                   | Reply                   | .                      | .                      | .                      | .                      | .                  | .
    switched             | .                  | .                  | .                  | Refuse bad_response     | Refuse bad_response     | .                      | .                      | .                      | .                      | .                  | .
    garbled              | .                  | .                  | .                  | Refuse bad_response     | Refuse bad_response     | .                      | .                      | .                      | .                      | .                  | .
    replied              | .                  | .                  | .                  | Wait > Answering        | Wait > Answering        | .                      | .                      | .                      | .                      | .                  | .
    spoiled              | .                  | .                  | .                  | Refuse bad_response     | Refuse bad_response     | .                      | .                      | .                      | .                      | .                  | .
    lost                 | .                  | .                  | .                  | Connect                 | Connect                 | Abort server_reset     | Abort server_reset     | Abort server_reset     | Abort server_reset     | .                  | .
    lost, kept           | .                  | .                  | .                  | Connect fresh           | Connect fresh           | Abort server_reset     | Abort server_reset     | Abort server_reset     | Abort server_reset     | .                  | .
    left                 | Abort client_closed | Abort client_closed | Abort client_closed | Abort client_closed  | Abort client_closed     | Abort client_closed    | Abort client_closed    | Abort client_closed    | Abort client_closed    | Abort client_closed | .
    left, broken         | Abort client_reset | Abort client_reset | Abort client_reset | Abort client_reset      | Abort client_reset      | Abort client_reset     | Abort client_reset     | Abort client_reset     | Abort client_reset     | Abort client_reset | .
    expired              | .                  | Refuse queue_timeout | Connect          | Refuse body_timeout     | Refuse response_timeout | Abort idle_timeout     | Abort tunnel_timeout   | Abort tunnel_timeout   | Abort tunnel_timeout   | Abort idle_timeout | .
";

/// Milliseconds that each state may last: its deadline.
const DEADLINES: [(&str, Option<u64>); 11] = [
    ("Ruling", None),
    ("InLine", Some(11_000)),
    ("Connecting", Some(12_000)),
    ("Asking", Some(13_000)),
    ("Awaiting", Some(14_000)),
    ("Answering", Some(15_000)),
    ("Told", Some(15_000)),
    ("Tunnel", Some(16_000)),
    ("Tunnel C", Some(16_000)),
    ("Tunnel S", Some(16_000)),
    ("Over", None),
];

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
pub(crate) const PUT: &str = "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
pub(crate) const POST: &str = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
pub(crate) const SWITCH: &str =
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
pub(crate) const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
const NOBODY: &str = "GET / HTTP/1.1\r\nHost: no.example\r\n\r\n";
const OLD: &str = "GET / HTTP/1.1\r\nHost: old.example\r\n\r\n";

/// Brings a fresh exchange into the state of a column.
fn stand<'a>(house: &'a House, column: &str) -> Client<'a> {
    match column {
        "Ruling" => house.client(GET),
        "InLine" => {
            house.fill_up();
            let mut client = house.client(GET);
            assert_eq!(client.looks_for_server(), ExchangeAction::Line);
            client
        }
        "Connecting" => {
            let mut client = house.client(GET);
            assert_eq!(client.looks_for_server(), ExchangeAction::Connect { fresh: false });
            client
        }
        "Asking" => house.client(PUT).reaches(),
        "Awaiting" => house.client(GET).has_asked(),
        "Answering" => {
            let mut client = house.client(GET).has_asked();
            assert_eq!(client.gets(OK), ExchangeAction::Wait);
            client
        }
        "Tunnel" | "Tunnel C" | "Tunnel S" => tunnel(house, column),
        "Told" => {
            let mut client = house.client(NOBODY);
            assert_eq!(client.asks(), ExchangeAction::Refuse(CloseReason::NoMatch));
            client
        }
        "Over" => {
            let mut client = house.client(GET).has_asked();
            client.exchange.end(CloseReason::Drained);
            client
        }
        other => panic!("no such state: {other}"),
    }
}

fn tunnel<'a>(house: &'a House, column: &str) -> Client<'a> {
    let mut client = house.client(SWITCH).has_asked();
    assert_eq!(client.gets(SWITCHED), ExchangeAction::Wait);
    match column {
        "Tunnel C" => assert_eq!(client.request_stops(Stopped::Done), ExchangeAction::FinishServer),
        "Tunnel S" => assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::FinishClient),
        _ => {}
    }
    client
}

fn perform(client: &mut Client<'_>, row: &str) -> ExchangeAction {
    match row {
        "asked, routed" => client.asks(),
        "asked, no match" => asks_for(client, NOBODY),
        "asked, redirected" => asks_for(client, OLD),
        "asked, turned away" => client.asks_as(Some(CloseReason::Denied)),
        "unreadable" => client.event(ExchangeEvent::Unreadable(CloseReason::BadRequest)),
        "written" | "written, full" | "written, none" => written(client, row),
        "overflown" => client.event(ExchangeEvent::Overflown),
        "called" => called(client, true),
        "called, still full" => client.event(ExchangeEvent::Called),
        "called, none" => called(client, false),
        "line full" => client.event(ExchangeEvent::LineFull),
        "connected" => client.event(ExchangeEvent::Connected { kept: false }),
        "connected, kept" => client.event(ExchangeEvent::Connected { kept: true }),
        "connect failed" => client.event(ExchangeEvent::ConnectFailed(Fault::Refused)),
        "interim" => client.server_says("HTTP/1.1 103 Early Hints\r\n\r\n"),
        "answered" => client.server_says(OK),
        "switched" => client.server_says(SWITCHED),
        "garbled" => client.event(ExchangeEvent::Garbled),
        "replied" | "spoiled" => {
            client.server_says(OK);
            client.event(if row == "replied" { ExchangeEvent::Replied } else { ExchangeEvent::Spoiled })
        }
        "lost" => client.loses(false, true),
        "lost, kept" => client.loses(true, true),
        "left" => client.event(ExchangeEvent::Left { broken: false }),
        "left, broken" => client.event(ExchangeEvent::Left { broken: true }),
        "expired" => client.event(ExchangeEvent::Expired),
        other => passed(client, other),
    }
}

fn passed(client: &mut Client<'_>, row: &str) -> ExchangeAction {
    let (request, stopped) = match row {
        "request dry" => (true, Stopped::Dry),
        "request full" => (true, Stopped::Full),
        "request unfinished" => (true, Stopped::Unfinished),
        "request done" => (true, Stopped::Done),
        "request cut" => (true, Stopped::Cut),
        "request malformed" => (true, Stopped::Malformed),
        "request too large" => (true, Stopped::TooLarge),
        "client broken" => (true, Stopped::SourceBroken { truncated: false }),
        "client cut off" => (true, Stopped::SourceBroken { truncated: true }),
        "server deaf" => (true, Stopped::SinkBroken),
        "response dry" => (false, Stopped::Dry),
        "response full" => (false, Stopped::Full),
        "response unfinished" => (false, Stopped::Unfinished),
        "response done" => (false, Stopped::Done),
        "response cut" => (false, Stopped::Cut),
        "response malformed" => (false, Stopped::Malformed),
        "server broken" => (false, Stopped::SourceBroken { truncated: false }),
        "server cut off" => (false, Stopped::SourceBroken { truncated: true }),
        "client takes no more" => (false, Stopped::SinkBroken),
        other => panic!("no such event: {other}"),
    };
    if request { client.request_stops(stopped) } else { client.response_stops(stopped) }
}

/// The same client, if it had asked for something else.
fn asks_for(client: &mut Client<'_>, said: &str) -> ExchangeAction {
    if client.state() == ExchangeState::Ruling {
        *client = client.house.client(said);
    }
    client.asks()
}

fn written(client: &mut Client<'_>, row: &str) -> ExchangeAction {
    if client.state() == ExchangeState::Ruling {
        client.asks();
        match row {
            "written, full" => client.house.fill_up(),
            "written, none" => take_down(client.house),
            _ => {}
        }
    }
    client.event(ExchangeEvent::Written)
}

fn called(client: &mut Client<'_>, usable: bool) -> ExchangeAction {
    if client.state() == ExchangeState::InLine {
        client.house.taken.borrow_mut().clear();
        if !usable {
            take_down(client.house);
        }
    }
    client.event(ExchangeEvent::Called)
}

fn take_down(house: &House) {
    for server in 0..2 {
        house.server(server).set_up(false, 0);
    }
}

/// The action in a word, and what it carries.
fn word(action: ExchangeAction) -> String {
    match action {
        ExchangeAction::Connect { fresh: true } => "Connect fresh".into(),
        ExchangeAction::Finish { keep } => format!("Finish {}", if keep { "keep" } else { "close" }),
        ExchangeAction::Refuse(reason) => format!("Refuse {}", reason.as_str()),
        ExchangeAction::Abort(reason) => format!("Abort {}", reason.as_str()),
        other => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
    }
}

/// The column that a state belongs to.
fn column(state: ExchangeState) -> &'static str {
    match state {
        ExchangeState::Ruling => "Ruling",
        ExchangeState::Consulting(_) => "Consulting",
        ExchangeState::Collecting(_) => "Collecting",
        ExchangeState::InLine => "InLine",
        ExchangeState::Connecting => "Connecting",
        ExchangeState::Asking(_) => "Asking",
        ExchangeState::Awaiting(_) => "Awaiting",
        ExchangeState::Answering(_) => "Answering",
        ExchangeState::Tunnel(ends) if ends.client => "Tunnel C",
        ExchangeState::Tunnel(ends) if ends.server => "Tunnel S",
        ExchangeState::Tunnel(_) => "Tunnel",
        ExchangeState::Told => "Told",
        ExchangeState::Over => "Over",
    }
}

/// The column that follows an action which is not followed by another in the table.
fn follows(action: ExchangeAction, before: &str) -> &str {
    match action {
        ExchangeAction::Line => "InLine",
        ExchangeAction::Connect { .. } => "Connecting",
        ExchangeAction::Ask => "Asking",
        ExchangeAction::Answer(_) | ExchangeAction::Refuse(_) => "Told",
        _ => before,
    }
}

#[test]
fn every_event_in_every_state() {
    let mut rows = RULES.trim().lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let columns = rows.next().unwrap();
    for cells in rows {
        assert_eq!(cells.len(), columns.len(), "{cells:?}");
        for (before, expected) in columns.iter().zip(&cells).skip(1) {
            let house = House::new(sites());
            let mut client = stand(&house, before);
            let place = format!("{before}: {}", cells[0]);
            assert_eq!(column(client.state()), *before, "{place}");
            let (state, since, active) = (client.state(), client.exchange.since(), house.active());
            house.wait(5);
            let action = perform(&mut client, cells[0]);
            if *expected == "." {
                assert_eq!(action, ExchangeAction::Wait, "{place}");
                let after = (client.state(), client.exchange.since(), house.active());
                assert_eq!(after, (state, since, active), "{place}");
                continue;
            }
            let (told, next) = expected.split_once(" > ").unwrap_or((expected, follows(action, before)));
            assert_eq!(word(action), told, "{place}");
            assert_eq!(column(client.state()), next, "{place}");
        }
    }
}

#[test]
fn every_state_has_its_deadline() {
    for (column, time) in DEADLINES {
        let house = House::new(sites());
        assert_eq!(stand(&house, column).waits(), time, "{column}");
    }
}
