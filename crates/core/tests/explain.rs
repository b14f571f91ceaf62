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
use headworks_core::action::{Action, Event, Side};
use headworks_core::analyze::Facts;
use headworks_core::close::CloseReason;
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
    let scene = Scene { plan, now: 0, random: 0x9e37_79b9_7f4a_7c15, shard: 0, wall: 0 };
    let mut action = session.handle(Event::Accepted, scene);
    if action == Action::Wait {
        action = session.handle(Event::Held(Side::Client, &hello(name)), scene);
    }
    match (action, session.reason()) {
        (Action::Connect(choice), None) => {
            let backend = &plan.backends[choice.backend as usize];
            let server = session.attempts().server().ok_or(CloseReason::NoServer)?;
            assert_eq!(choice.server, server.identity);
            Ok((backend.name.to_string(), server.name.to_string()))
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
    app.servers.list()[0].state.set_up(false, 0);
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
        let Ok(plan) = Plan::compile(&spec(written)) else { return Ok(()) };
        let servers = plan.backends.iter().flat_map(|backend| backend.servers.list().to_vec());
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

mod requests {
    use super::*;

    fn web() -> Plan {
        let headers = json!({"set": [], "add": [], "remove": []});
        let http = json!({
            "head_limit": 16384, "fields_limit": 100, "line_limit": 8192, "body_limit": null, "min_body_rate": 0,
            "connect": false, "forwarded": [], "trusted": [], "via": null, "request_id": null,
            "requests_per_connection": 0, "keep_alive_timeout": 1000, "body_timeout": 1000,
            "tunnel_timeout": 1000, "request_headers": headers, "response_headers": headers, "rate_limit": null,
            "max_requests_per_client": null, "compression": null, "error_pages": {}, "redirect": null, "respond": null,
        });
        let backend = json!({
            "host": null, "strip_prefix": null, "add_prefix": null, "request_headers": headers,
            "response_headers": headers, "response_timeout": 1000, "queue_timeout": 1000, "queue_limit": 1,
            "pool_size": 1, "pool_timeout": 1000, "hash_header": "X-User", "affinity": null, "maintenance": false,
            "error_pages": {},
        });
        let mut closed = backend.clone();
        closed["maintenance"] = json!(true);
        let mut all = http.clone();
        all["redirect"] = json!({"to": "https", "code": 308});
        plan(json!({
            "listeners": {
                "web": {"protocol": "http", "table": "sites", "http": http},
                "old": {"protocol": "http", "http": all},
            },
            "tables": {"sites": [
                ["a.example", "app"],
                ["a.example/api", "api"],
                ["a.example/closed", "closed"],
                {"pattern": "*.b.example", "redirect": {"to": "https://b.example{uri}", "code": 301}},
                {"pattern": "d.example", "redirect": {"to": "https://d.example/{client.address}/{tls.name}{request.id}{uri}", "code": 302}},
                {"pattern": "b.example/x", "redirect": {"to": "/{header.X-Where}", "code": 302}},
                {"pattern": "*/health", "respond": {"status": 200, "body": "ok", "headers": []}},
            ]},
            "backends": {
                "app": {"servers": ["192.0.2.1:80"]},
                "api": {
                    "servers": ["192.0.2.2:80", "192.0.2.3:80", "192.0.2.4:80", "192.0.2.5:80", "192.0.2.6:80"],
                    "balance": "header_hash", "http": backend,
                },
                "closed": {"servers": ["192.0.2.1:80"], "http": closed},
            },
        }))
    }

    fn told(listener: &str, asked: Value) -> Value {
        let asked: Asked = serde_json::from_value(asked).unwrap();
        serde_json::to_value(web().explain(listener, &asked).unwrap()).unwrap()
    }

    #[test]
    fn the_path_decides_and_the_target_is_told() {
        for (name, path, entry, target, what) in [
            ("A.example.:80", "/", "a.example", "backend", "app"),
            ("a.example", "/api/x?y", "a.example/api", "backend", "api"),
            ("a.example", "/x/%2e%2e/api", "a.example/api", "backend", "api"),
            ("a.example", "/apix", "a.example", "backend", "app"),
            ("w.b.example", "/p?q", "*.b.example", "redirect", "https://b.example/p?q"),
            ("b.example", "/x", "b.example/x", "redirect", "/there"),
            ("192.0.2.1:8080", "/health", "*/health", "respond", "200"),
            ("[::1]:80", "/health", "*/health", "respond", "200"),
        ] {
            let told = told("web", json!({"name": name, "path": path, "headers": [["x-where", "there"]]}));
            assert_eq!(
                (told["entry"].as_str(), told["target"].as_str()),
                (Some(entry), Some(target)),
                "{told}"
            );
            let found = [&told["backend"], &told["location"], &told["status"]];
            let found = found.into_iter().find(|value| !value.is_null()).unwrap();
            assert_eq!(found.as_str().map_or_else(|| found.to_string(), str::to_owned), what, "{told}");
            assert!(told["refusal"].is_null());
        }
        let all = told("old", json!({"name": "c.example", "path": "/p"}));
        assert_eq!((&all["location"], &all["status"]), (&json!("https://c.example/p"), &json!(308)));
        assert_eq!(all["method"], "GET");
    }

    #[test]
    fn what_a_location_takes_and_nobody_knows_stays_a_variable() {
        let asked = Asked {
            name: Some("d.example".to_owned()),
            path: Some("/p?q".to_owned()),
            client: Some("192.0.2.9".parse().unwrap()),
            ..Asked::default()
        };
        let nobody = Asked { client: None, ..asked.clone() };
        let nowhere = Asked { name: None, ..asked.clone() };
        for (listener, asked, location) in [
            ("web", asked, "https://d.example/192.0.2.9/{request.id}/p?q"),
            ("web", nobody, "https://d.example/{client.address}/{request.id}/p?q"),
            ("old", nowhere, "https://{host}/p?q"),
        ] {
            assert_eq!(web().explain(listener, &asked).unwrap().location.as_deref(), Some(location));
        }
    }

    #[test]
    fn refusals_have_their_status() {
        for (asked, refusal, status) in [
            (json!({"name": "c.example"}), "no_path", 404),
            (json!({"name": "b.example", "path": "/y"}), "no_path", 404),
            (json!({"name": "a.example", "method": "CONNECT"}), "method_not_allowed", 405),
            (json!({"name": "a.example", "path": "api"}), "bad_request", 400),
            (json!({"name": "a example"}), "bad_request", 400),
            (json!({"name": "a.example", "path": "/closed"}), "maintenance", 503),
        ] {
            let told = told("web", asked);
            assert_eq!((&told["refusal"], &told["status"]), (&json!(refusal), &json!(status)), "{told}");
        }
    }

    #[test]
    fn the_field_that_is_hashed_decides_the_server() {
        let server = |user: &str| {
            told("web", json!({"name": "a.example", "path": "/api", "headers": [["x-user", user]]}))["server"]
                .clone()
        };
        assert_eq!(server("one"), server("one"));
        let servers: std::collections::BTreeSet<_> =
            ["one", "two", "three", "four", "five", "six"].map(|user| server(user).to_string()).into();
        assert!(servers.len() > 1, "{servers:?}");
    }
}

mod secure {
    use common::certificate;

    use super::*;

    fn site() -> Plan {
        let certificates = json!([
            certificate("default.pem", &["default.example"]),
            certificate("a.pem", &["a.example"]),
            certificate("wild.pem", &["*.a.example"]),
            certificate("a-rsa.pem", &["a.example"]),
        ]);
        let tls = |keys: Value| {
            let mut tls = keys;
            tls["certificates"] = certificates.clone();
            tls
        };
        plan(json!({
            "listeners": {
                "mail": {"protocol": "tcp", "table": "names", "tls": tls(json!({}))},
                "one": {"protocol": "tcp", "backend": "app", "tls": tls(json!({}))},
                "strict": {"protocol": "https", "backend": "app", "tls": tls(json!({"strict_sni": true}))},
                "web": {"protocol": "https", "table": "sites", "tls": tls(json!({"passthrough": "through"}))},
            },
            "tables": {
                "names": [["a.example", "app"], ["*.example", "other"]],
                "sites": [["a.example", "app"], ["a.example/api", "other"],
                    {"pattern": "www.a.example", "redirect": {"to": "{scheme}://a.example{uri}", "code": 301}}],
                "through": [["bank.example", "other"], ["*.bank.example", "other"]],
            },
            "backends": {
                "app": {"servers": ["192.0.2.1:443"]},
                "other": {"servers": ["192.0.2.2:443", "192.0.2.3:443"], "balance": "host_hash"},
            },
        }))
    }

    fn told(listener: &str, asked: Value) -> Value {
        let asked: Asked = serde_json::from_value(asked).unwrap();
        serde_json::to_value(site().explain(listener, &asked).unwrap()).unwrap()
    }

    /// Some of what is told, in one line.
    fn said(told: &Value, keys: [&str; 4]) -> String {
        keys.map(|key| told[key].as_str().unwrap_or("-").to_owned()).join(" ")
    }

    #[test]
    fn a_name_is_passed_through_or_tls_ends_here() {
        let keys = ["tls", "certificate", "table", "backend"];
        for (asked, expected) in [
            (json!({"sni": "Bank.Example."}), "passed_through - through other"),
            (json!({"sni": "x.bank.example", "name": "a.example"}), "passed_through - through other"),
            (json!({"name": "bank.example:443"}), "passed_through - through other"),
            (json!({"sni": "a.example"}), "terminated a.pem sites app"),
            (json!({"name": "A.example:8443", "path": "/api/x"}), "terminated a.pem sites other"),
            (json!({"name": "www.a.example"}), "terminated wild.pem sites -"),
        ] {
            let told = told("web", asked);
            assert_eq!(said(&told, keys), expected, "{told:#}");
            assert!(told["refusal"].is_null(), "{told:#}");
        }
        let through = told("web", json!({"sni": "x.bank.example", "path": "/x"}));
        assert_eq!(said(&through, ["entry", "name", "method", "path"]), "*.bank.example x.bank.example - -");
        let server = &through["server"];
        assert!(server.is_string() && through["servers"].as_array().unwrap().len() == 2, "{through:#}");
        let redirect = told("web", json!({"name": "www.a.example", "path": "/p"}));
        assert_eq!(redirect["location"], "https://a.example/p");
    }

    #[test]
    fn the_reason_for_a_certificate_is_told() {
        for (asked, part) in [
            (
                json!({"name": "a.example"}),
                "a.pem is presented: it is for a.example, unless another of the 2",
            ),
            (json!({"name": "www.a.example"}), "wild.pem is presented: it is for www.a.example"),
            (json!({"name": "other.example"}), "default.pem is presented: it is the first, and none is for"),
            (
                json!({"name": "192.0.2.1"}),
                "default.pem is presented: it is the first, and the client asks for no name",
            ),
            (json!({}), "default.pem is presented: it is the first, and the client asks for no name"),
        ] {
            let told = told("web", asked);
            let steps = told["steps"].as_array().unwrap();
            assert!(steps.iter().any(|step| step.as_str().unwrap().starts_with(part)), "{part}: {told:#}");
        }
    }

    #[test]
    fn refusals() {
        for (listener, asked, refusal, status) in [
            ("strict", json!({"name": "b.example"}), "handshake_failed", None),
            ("strict", json!({}), "handshake_failed", None),
            ("web", json!({"sni": "a b"}), "bad_request", None),
            ("web", json!({"sni": "a.example", "name": "www.a.example"}), "misdirected", Some(421)),
            ("web", json!({"sni": "default.example", "name": "a.example"}), "misdirected", Some(421)),
            ("web", json!({"name": "c.example"}), "no_match", Some(421)),
            ("web", json!({"name": "a.example", "method": "CONNECT"}), "method_not_allowed", Some(405)),
            (
                "web",
                json!({"sni": "a.example", "name": "www.a.example", "method": "CONNECT"}),
                "misdirected",
                Some(421),
            ),
            ("mail", json!({"sni": "a.test"}), "no_match", None),
            ("mail", json!({}), "no_name", None),
        ] {
            let told = told(listener, asked);
            assert_eq!(
                (told["refusal"].as_str(), told["status"].as_u64()),
                (Some(refusal), status),
                "{told:#}"
            );
        }
    }

    #[test]
    fn a_tcp_listener_that_ends_tls_goes_by_the_name() {
        let keys = ["entry", "backend", "certificate", "sni"];
        for (listener, name, expected) in [
            ("mail", "a.example", "a.example app a.pem a.example"),
            ("mail", "b.example", "*.example other default.pem b.example"),
            ("one", "b.example", "- app default.pem b.example"),
        ] {
            for key in ["sni", "name"] {
                let told = told(listener, json!({key: name}));
                assert_eq!(said(&told, keys), expected, "{told:#}");
                assert_eq!(told["tls"], "terminated");
            }
        }
    }
}

/// A plan of one http listener whose rules and backend change heads.
fn rewriting() -> Plan {
    let text = json!({
        "listeners": {"web": {"bind": ["127.0.0.1:0"], "protocol": "http", "backend": "app",
            "request_headers": {"set": [["X-Id", "{request.id}"], ["X-Client", "{client.address}"]]}}},
        "backends": {"app": {"servers": [{"address": "127.0.0.1:8001"}], "strip_prefix": "/api"}},
    });
    plan(text)
}

#[test]
fn the_head_is_the_one_that_a_server_would_get() {
    let asked = Asked {
        name: Some("a.example".to_owned()),
        path: Some("/api/x?y".to_owned()),
        headers: vec![("Connection".to_owned(), "X-Hop".to_owned()), ("X-Hop".to_owned(), "1".to_owned())],
        client: Some("192.0.2.1".parse().unwrap()),
        ..Asked::default()
    };
    let head = rewriting().explain("web", &asked).unwrap().head.unwrap();
    assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nHost: a.example\r\n") && head.contains("\r\nX-Client: 192.0.2.1\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nX-Id: 00000000-0000-4000-8000-000000000000\r\n"), "{head}");
    assert!(!head.contains("X-Hop") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn who_gets_to_no_server_has_no_head() {
    let nowhere = rewriting().explain("web", &Asked { name: Some("a b".to_owned()), ..Asked::default() });
    assert_eq!(nowhere.unwrap().head, None);
}
