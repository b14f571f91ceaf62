//! An explanation says what a Session does, and changes nothing it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::net::{IpAddr, SocketAddr};

use common::{hello, plan, spec};
use headworks_core::action::{Action, CloseReason, Event, Side};
use headworks_core::analyze::Facts;
use headworks_core::explain::Asked;
use headworks_core::plan::Plan;
use headworks_core::session::{Scene, Session};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What a real client gets: backend and server, or the reason it is refused.
fn decided(plan: &Plan, name: Option<&str>, client: IpAddr) -> Result<(String, String), CloseReason> {
    let permit = plan.listeners[0].enter()?;
    let facts = Facts { client: Some(SocketAddr::new(client, 4000)), ..Facts::default() };
    let mut session = Session::new(plan, 0, facts, permit);
    // Where chance decides, an explanation draws this number.
    let scene = Scene { plan, now: 0, random: 0x9e37_79b9_7f4a_7c15, shard: 0 };
    let mut action = session.handle(Event::Accepted, scene);
    if action == Action::Wait {
        action = session.handle(Event::Held(Side::Client, &hello(name)), scene);
    }
    match (action, session.reason()) {
        (Action::Connect(choice), None) => {
            let backend = &plan.backends[choice.backend as usize];
            Ok((backend.name.to_string(), backend.servers[usize::from(choice.server)].name.to_string()))
        }
        (_, Some(reason)) => Err(reason),
        other => panic!("{other:?}"),
    }
}

fn asked(name: Option<&str>, client: Option<IpAddr>) -> Asked {
    Asked { name: name.map(str::to_owned), client, ..Asked::default() }
}

fn explained(plan: &Plan, name: Option<&str>, client: IpAddr) -> Result<(String, String), String> {
    let told = plan.explain("secure", &asked(name, Some(client))).unwrap();
    match told.refusal {
        Some(reason) => Err(reason),
        None => Ok((told.backend.unwrap(), told.server.unwrap())),
    }
}

fn agree(plan: &Plan, name: Option<&str>, client: &str) {
    let client = client.parse().unwrap();
    let told = explained(plan, name, client);
    let done = decided(plan, name, client).map_err(|reason| reason.as_str().to_owned());
    assert_eq!(told, done, "{name:?} from {client}");
}

fn sites() -> Value {
    json!({
        "listeners": {"secure": {"table": "sites", "deny": ["203.0.113.0/24"]}},
        "tables": {"sites": [
            ["app.example", "app"], ["*.example", "wild"], ["*.b.example", "deep"], ["~^x[0-9]+\\.net$", "app"],
        ]},
        "backends": {
            "app": {"servers": ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"], "balance": "host_hash"},
            "deep": {"servers": ["192.0.2.4:80", "192.0.2.5:80"], "balance": "source_hash"},
            "wild": {"servers": ["192.0.2.6:80", {"address": "192.0.2.7:80", "weight": 1, "backup": true}]},
        },
    })
}

#[test]
fn a_turn_explained_is_not_taken() {
    let plan = plan(json!({
        "listeners": {"secure": {"backend": "app"}},
        "backends": {"app": {"servers": ["192.0.2.1:80", "192.0.2.2:80"], "balance": "round_robin"}},
    }));
    let client = "192.0.2.9".parse().unwrap();
    for turn in ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.1:80"] {
        for _ in 0..3 {
            assert_eq!(explained(&plan, None, client).unwrap().1, turn);
        }
        assert_eq!(decided(&plan, None, client).unwrap().1, turn);
    }
}

#[test]
fn an_ip_literal_is_no_name_here_either() {
    let mut written = sites();
    written["tables"]["sites"].as_array_mut().unwrap().push(json!(["*", "wild"]));
    agree(&plan(written.clone()), Some("192.0.2.1"), "192.0.2.9");
    written["listeners"]["secure"]["fallback"] = json!("app");
    agree(&plan(written.clone()), Some("192.0.2.1"), "192.0.2.9");
    agree(&plan(written), Some("::1"), "192.0.2.9");
}

#[test]
fn a_name_no_client_may_send_is_refused_here_too() {
    for name in ["a b.example", "", "a..example", "ex\u{e4}mple.org", &format!("{}.example", "a".repeat(64))]
    {
        agree(&plan(sites()), Some(name), "192.0.2.9");
    }
}

#[test]
fn every_server_but_the_chosen_one_has_its_reason() {
    let plan = plan(sites());
    let app = plan.backend("app").unwrap();
    app.servers[0].state.set_up(false, 0);
    let told = plan.explain("secure", &asked(Some("app.example"), None)).unwrap();
    assert_eq!(told.servers.len(), 3);
    for server in &told.servers {
        assert_eq!(server.chosen, server.reason.is_none());
        assert_eq!(server.chosen, Some(&server.address) == told.server.as_ref());
    }
    assert_eq!(told.servers[0].reason.as_deref(), Some("is down"));
    let backup = plan.explain("secure", &asked(Some("no.example"), None)).unwrap().servers.remove(1);
    assert_eq!(backup.reason.as_deref(), Some("is a backup"));
}

#[test]
fn there_is_no_such_listener() {
    assert!(plan(sites()).explain("other", &Asked::default()).is_none());
}

/// Labels few enough to collide.
fn name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "app", "x1", "example", "net", "Example"]);
    prop::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        3 => name().prop_map(|name| format!("*.{name}")),
        1 => prop::sample::select(vec!["~^a", "~net$", "~x[0-9]", "~example"]).prop_map(str::to_owned),
        1 => Just("*".to_owned()),
    ]
}

proptest! {
    #[test]
    fn the_explanation_is_what_happens(
        patterns in prop::collection::vec((pattern(), 0_usize..3), 0..8),
        fallback in prop::option::of(0_usize..3),
        names in prop::collection::vec(prop::option::of(name()), 1..8),
        balance in prop::sample::select(vec!["round_robin", "least_connections", "source_hash", "host_hash"]),
        down in prop::collection::vec(any::<bool>(), 9),
    ) {
        let backend = |index: usize| ["app", "deep", "wild"][index];
        let mut written = sites();
        written["tables"]["sites"] =
            patterns.iter().map(|(pattern, index)| json!([pattern, backend(*index)])).collect();
        if let Some(index) = fallback {
            written["listeners"]["secure"]["fallback"] = json!(backend(index));
        }
        for index in 0..3 {
            written["backends"][backend(index)]["balance"] = json!(balance);
        }
        // Tables that repeat a pattern are refused when they are compiled.
        let Ok(plan) = Plan::compile(&spec(written), 1, None) else { return Ok(()) };
        let servers = plan.backends.iter().flat_map(|backend| &backend.servers);
        for (server, down) in servers.zip(&down) {
            server.state.set_up(!down, 0);
        }
        for name in &names {
            for client in ["192.0.2.9", "203.0.113.5", "2001:db8::1"] {
                agree(&plan, name.as_deref(), client);
            }
        }
    }
}
