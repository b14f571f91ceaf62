//! Compiling a Plan: every problem at once, each with its path; and what a Plan takes over from the one
//! before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::sync::Arc;

use common::{plan, spec};
use headworks_core::balance::Seed;
use headworks_core::close::CloseReason;
use headworks_core::plan::Plan;
use headworks_core::pool::Tried;
use headworks_core::problem::Problem;
use headworks_core::table::Target;
use headworks_core::tally::Count;
use serde_json::{Value, json};

fn errors(written: Value) -> Vec<Problem> {
    Plan::compile(&spec(written)).unwrap_err()
}

/// Paths joined by dots with the reasons, in the order they are found.
fn told(written: Value) -> Vec<(String, String)> {
    errors(written).into_iter().map(|error| (error.place(), error.reason)).collect()
}

/// The one problem of a configuration.
fn only(written: Value) -> (String, String) {
    let mut all = told(written);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn right() -> Value {
    json!({
        "listeners": {"secure": {"table": "sites"}},
        "tables": {"sites": [["a.example", "app"]]},
        "backends": {"app": {"servers": ["192.0.2.1:80", "192.0.2.2:80"]}},
    })
}

fn right_but(pointer: &str, value: Value) -> Value {
    let mut written = right();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    written.pointer_mut(parent).unwrap()[key] = value;
    written
}

#[test]
fn each_kind_of_problem_has_its_path_and_reason() {
    let server = |key: &str, value: Value| {
        let mut server = json!({"address": "192.0.2.1:80", "weight": 1, "backup": false});
        server[key] = value;
        json!([server])
    };
    for (pointer, value, path, part) in [
        ("/backends/app/servers", json!([]), "backends.app.servers", "at least one server"),
        (
            "/backends/app/servers",
            server("weight", json!(257)),
            "backends.app.servers.0.weight",
            "257 is more than 256",
        ),
        (
            "/backends/app/servers",
            server("address", json!("ho..st:80")),
            "backends.app.servers.0.address",
            "neither an IP address nor a name",
        ),
        (
            "/backends/app/servers",
            server("address", json!("fd:3")),
            "backends.app.servers.0.address",
            "not connected to",
        ),
        (
            "/backends/app/servers",
            server("address", json!("192.0.2.1:0")),
            "backends.app.servers.0.address",
            "port 0",
        ),
        (
            "/backends/app/servers",
            server("address", json!(":80")),
            "backends.app.servers.0.address",
            "no address to connect to",
        ),
        (
            "/backends/app/servers",
            server("address", json!("0.0.0.0:80")),
            "backends.app.servers.0.address",
            "no address to connect to",
        ),
        (
            "/backends/app/servers",
            server("address", json!("unix:")),
            "backends.app.servers.0.address",
            "lacks a path",
        ),
        (
            "/backends/app/servers",
            json!(["192.0.2.1:80", "192.0.2.1:80"]),
            "backends.app.servers.1.address",
            "listed twice",
        ),
        (
            "/backends/app/balance",
            json!("robin"),
            "backends.app.balance",
            "known are round_robin, least_connections",
        ),
        (
            "/backends/app/balance",
            json!("path_hash"),
            "backends.app.balance",
            "path_hash needs requests, and listeners.secure (tls) sees none",
        ),
        ("/backends/app/proxy_protocol", json!("v3"), "backends.app.proxy_protocol", "known are v1, v2"),
        ("/backends/app/source", json!("eth0"), "backends.app.source", "\"eth0\" is not an IP address"),
        ("/backends/app/health", json!({"kind": "ping"}), "backends.app.health.kind", "known are tcp, http"),
        (
            "/backends/app/health",
            json!({"kind": "http", "path": "here"}),
            "backends.app.health.path",
            "does not begin with /",
        ),
        (
            "/backends/app/health",
            json!({"kind": "http", "expect": "2xx"}),
            "backends.app.health.expect",
            "\"2xx\" is neither a status",
        ),
        (
            "/tables/sites",
            json!([["a.example", "ap"]]),
            "tables.sites.a.example",
            "there is no backend \"ap\"",
        ),
        ("/tables/sites", json!([["~(", "app"]]), "tables.sites.~(", ""),
        (
            "/tables/sites",
            json!([{"pattern": "a.example"}]),
            "tables.sites.a.example",
            "backend, redirect, respond or alpn is needed",
        ),
        (
            "/tables/sites",
            json!([{"pattern": "a.example", "backend": "app", "redirect": {"to": "https", "code": 308}}]),
            "tables.sites.a.example",
            "one of backend, redirect, respond and alpn",
        ),
        (
            "/tables/sites",
            json!([["a.example/x", "app"]]),
            "listeners.secure.table",
            "\"a.example/x\" has a path, of which a tls listener learns nothing",
        ),
        (
            "/tables/sites",
            json!([["b.example", "app"], {"pattern": "a.example", "redirect": {"to": "https", "code": 308}}]),
            "listeners.secure.table",
            "entry \"a.example\" answers requests itself, which a tls listener cannot",
        ),
        (
            "/tables/sites",
            json!([{"pattern": "*", "respond": {"status": 200, "body": "", "headers": []}}]),
            "listeners.secure.table",
            "entry \"*\" answers requests itself",
        ),
        (
            "/tables/sites",
            json!([["a.example", "app"], ["A.example.", "app"]]),
            "tables.sites.A.example.",
            "repeats \"a.example\"",
        ),
        ("/listeners/secure/protocol", json!("quic"), "listeners.secure.protocol", "known are tcp, tls"),
        ("/listeners/secure/bind", json!([]), "listeners.secure.bind", "at least one address"),
        ("/listeners/secure/bind", json!(["127.0.0.1"]), "listeners.secure.bind.0", "lacks a port"),
        (
            "/listeners/secure/bind",
            json!([":443", "[::]:443"]),
            "listeners.secure.bind.1",
            "already bound by listeners.secure",
        ),
        ("/listeners/secure/table", json!("site"), "listeners.secure.table", "there is no table \"site\""),
        ("/listeners/secure/table", json!(null), "listeners.secure", "table or backend is needed"),
        ("/listeners/secure/backend", json!("app"), "listeners.secure.backend", "not both"),
        (
            "/listeners/secure/fallback",
            json!("ap"),
            "listeners.secure.fallback",
            "there is no backend \"ap\"",
        ),
        ("/listeners/secure/protocol", json!("tcp"), "listeners.secure.table", "clients give no name"),
        ("/listeners/secure/allow", json!(["10.0.0.0/8", "10.0.0.0/33"]), "listeners.secure.allow.1", ""),
        ("/listeners/secure/deny", json!(["localhost"]), "listeners.secure.deny.0", ""),
        (
            "/listeners/secure/accept_proxy_from",
            json!(["10.0.0.1/8"]),
            "listeners.secure.accept_proxy_from.0",
            "",
        ),
    ] {
        let (found, reason) = only(right_but(pointer, value.clone()));
        assert_eq!(found, path, "{pointer} = {value}: {reason}");
        assert!(reason.contains(part) && !reason.is_empty(), "{pointer} = {value}: {reason}");
    }
}

#[test]
fn a_listener_without_names_needs_a_backend() {
    let mut written = right_but("/listeners/secure/protocol", json!("tcp"));
    written["listeners"]["secure"]["table"] = json!(null);
    assert_eq!(only(written), ("listeners.secure".into(), "backend is needed".into()));
}

#[test]
fn two_listeners_cannot_share_an_address_but_port_0_is_fresh_each_time() {
    let two = |address: &str| {
        json!({
            "listeners": {
                "a": {"bind": [address], "backend": "app"},
                "b": {"bind": [address], "backend": "app"},
            },
            "backends": {"app": {"servers": ["192.0.2.1:80"]}},
        })
    };
    for address in ["127.0.0.1:443", "unix:/run/x.sock", "fd:3"] {
        let reason = format!("{address} is already bound by listeners.a");
        assert_eq!(only(two(address)), ("listeners.b.bind.0".into(), reason));
    }
    plan(two("127.0.0.1:0"));
}

#[test]
fn more_servers_than_can_be_remembered() {
    let servers: Vec<_> = (0..10_001).map(|n| format!("10.0.{}.{}:80", n / 256, n % 256)).collect();
    let (path, reason) = only(right_but("/backends/app/servers", json!(servers)));
    assert_eq!((path.as_str(), reason.as_str()), ("backends.app.servers", "more than 10000 servers"));
}

#[test]
fn all_problems_at_once() {
    let written = json!({
        "listeners": {
            "one": {"bind": ["nowhere", "127.0.0.1:1"], "table": "none", "fallback": "none", "allow": ["x", "y"]},
            "two": {"bind": ["127.0.0.1:1"], "protocol": "quic"},
        },
        "tables": {"sites": [["", "none"], ["http://a.example", "app"], ["~[", "app"]]},
        "backends": {"app": {
            "servers": [{"address": "x", "weight": 300, "backup": false}, "192.0.2.1:0"],
            "balance": "best", "proxy_protocol": "v9", "source": "here", "health": {"kind": "ping"},
        }},
    });
    let mut paths: Vec<_> = told(written).into_iter().map(|(path, _)| path).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "backends.app.balance",
            "backends.app.health.kind",
            "backends.app.proxy_protocol",
            "backends.app.servers.0.address",
            "backends.app.servers.0.weight",
            "backends.app.servers.1.address",
            "backends.app.source",
            "listeners.one.allow.0",
            "listeners.one.allow.1",
            "listeners.one.bind.0",
            "listeners.one.fallback",
            "listeners.one.table",
            "listeners.two",
            "listeners.two.bind.0",
            "listeners.two.protocol",
            "tables.sites.",
            "tables.sites.",
            "tables.sites.http://a.example",
            "tables.sites.~[",
        ]
    );
}

#[test]
fn a_good_guess_comes_as_a_hint() {
    let found = errors(right_but("/tables/sites", json!([["http://a.example/", "app"]])));
    assert!(found[0].hint.as_deref().is_some_and(|hint| hint.contains("a.example")), "{found:?}");
}

mod reload {
    use super::*;

    fn compile(written: Value, previous: &Plan) -> Plan {
        Plan::compile(&spec(written)).unwrap().adopt(Some(previous), 1)
    }

    #[test]
    fn a_server_keeps_its_state_by_its_address() {
        let old = plan(right());
        old.backends[0].servers.list()[0].state.set_up(false, 0);
        old.backends[0].servers.list()[1].state.tally.add(0, Count::Connections, 7);
        let servers =
            json!(["192.0.2.9:80", "192.0.2.2:80", {"address": "192.0.2.1:80", "weight": 9, "backup": true}]);
        let new = compile(right_but("/backends/app/servers", servers), &old);
        let list = new.backends[0].servers.list();
        let [fresh, second, first] = &**list else { panic!() };
        assert!(fresh.state.is_up() && second.state.is_up() && !first.state.is_up());
        assert!(first.weight == 9 && first.backup, "what was configured is not carried over");
        assert_eq!(second.state.tally.sum(Count::Connections), 7);
        assert!(Arc::ptr_eq(&first.state, &old.backends[0].servers.list()[0].state));
    }

    #[test]
    fn the_same_address_in_another_backend_is_another_server() {
        let old = plan(right());
        old.backends[0].servers.list()[0].state.set_up(false, 0);
        let mut written = right();
        written["backends"]["more"] = json!({"servers": ["192.0.2.1:80"]});
        let new = compile(written, &old);
        assert!(!new.backend("app").unwrap().servers.list()[0].state.is_up());
        assert!(new.backend("more").unwrap().servers.list()[0].state.is_up());
    }

    #[test]
    fn a_backend_keeps_its_counters_and_a_new_one_begins_at_zero() {
        let old = plan(right());
        old.backends[0].tally.add(0, Count::Retries, 3);
        assert_eq!(compile(right(), &old).backends[0].tally.sum(Count::Retries), 3);
        let text = right().to_string().replace("\"app\"", "\"other\"");
        let renamed = compile(serde_json::from_str(&text).unwrap(), &old);
        assert_eq!(renamed.backends[0].tally.sum(Count::Retries), 0);
    }

    #[test]
    fn a_listener_keeps_its_connections_by_its_name() {
        let old = plan(right());
        let _inside = old.listeners[0].enter().unwrap();
        let new = compile(right_but("/listeners/secure/max_connections", json!(1)), &old);
        assert_eq!(new.listeners[0].state.active(), 1);
        assert_eq!(new.listeners[0].enter().err(), Some(CloseReason::LimitReached));
    }

    #[test]
    fn turns_go_on_over_a_reload_whatever_the_order() {
        let turn = |plan: &Plan| {
            let server = plan.backends[0].choose(&Seed::default(), &Tried::new(), 0).unwrap();
            server.name.to_string()
        };
        let old = plan(right());
        assert_eq!(turn(&old), "192.0.2.1:80");
        let same = compile(right_but("/backends/app/retries", json!(9)), &old);
        assert_eq!(
            (turn(&same), turn(&old)),
            ("192.0.2.2:80".into(), "192.0.2.1:80".into()),
            "they share it"
        );
        let servers = json!(["192.0.2.1:80", "192.0.2.3:80", "192.0.2.2:80"]);
        let new = compile(right_but("/backends/app/servers", servers), &old);
        assert_eq!(turn(&new), "192.0.2.2:80", "its turn had come");
    }

    #[test]
    fn what_was_compiled_once_can_be_run_more_than_once() {
        let compiled = plan(right());
        let (one, other) = (compiled.adopt(None, 2), compiled.adopt(None, 2));
        one.backends[0].tally.add(1, Count::Retries, 3);
        let _inside = one.listeners[0].enter().unwrap();
        one.backends[0].servers.list()[0].state.set_up(false, 0);
        for untouched in [&compiled, &other] {
            assert_eq!(untouched.backends[0].tally.sum(Count::Retries), 0);
            assert_eq!(untouched.listeners[0].state.active(), 0);
            assert!(untouched.backends[0].servers.list()[0].state.is_up());
        }
        let next = compiled.adopt(Some(&one), 2);
        assert_eq!((next.backends[0].tally.sum(Count::Retries), next.listeners[0].state.active()), (3, 1));
        assert!(Arc::ptr_eq(&next.tables, &compiled.tables), "nothing is compiled again");
    }

    #[test]
    fn a_plan_keeps_no_keys_but_those_that_sign() {
        let plan = plan(secure(json!({})));
        let listener = &plan.listeners[0];
        assert!(listener.spec.tls.as_ref().unwrap().certificates.is_empty());
        assert_eq!(listener.tls.as_ref().unwrap().certificates.len(), 1);
    }

    #[test]
    fn what_cannot_be_compiled_leaves_the_old_plan_alone() {
        let old = plan(right());
        let wrong = spec(right_but("/listeners/secure/table", json!("none")));
        assert!(Plan::compile(&wrong).is_err());
        assert_eq!(old.listeners[0].state.active(), 0);
        assert!(old.backends[0].servers.list()[0].state.is_up());
    }
}

#[test]
fn a_hundred_thousand_names() {
    let entries: Vec<_> = (0..100_000).map(|n| json!([format!("host{n}.example.com"), "app"])).collect();
    let plan = plan(right_but("/tables/sites", json!(entries)));
    assert_eq!(plan.tables[0].table.lookup("host99999.example.com").unwrap().entry, 99_999);
    assert_eq!(plan.tables[0].table.lookup("host100000.example.com"), None);
}

#[test]
fn an_answer_has_its_mistakes_at_its_own_keys() {
    let mut written = right();
    written["tables"]["unused"] = json!([
        {"pattern": "a/x", "redirect": {"to": "https", "code": 300}},
        {"pattern": "b", "respond": {"status": 99, "body": "", "headers": []}},
        {"pattern": "c/x", "respond": {"status": 404, "body": "gone", "headers": []}},
    ]);
    let paths: Vec<_> = told(written.clone()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["tables.unused.a/x.redirect.code", "tables.unused.b.respond.status"]);
    written["tables"]["unused"].as_array_mut().unwrap().drain(..2);
    let plan = plan(written);
    assert_eq!(plan.answers.iter().map(|answer| answer.status()).collect::<Vec<_>>(), [404]);
    assert_eq!(plan.tables[1].entries, [("c/x".to_owned(), Target::Answer(0))]);
}

#[test]
fn hashing_a_field_needs_its_name() {
    let mut written = right();
    written["backends"]["more"] = json!({"servers": ["192.0.2.9:80"], "balance": "header_hash"});
    let (path, reason) = only(written);
    assert_eq!(path, "backends.more.hash_header");
    assert!(reason.contains("needs the name of the field"), "{reason}");
}

/// An https listener whose key `tls` is `tls` beyond what is plain.
fn secure(tls: Value) -> Value {
    let mut written = right_but("/listeners/secure/protocol", json!("https"));
    written["listeners"]["secure"]["tls"] = tls;
    written
}

/// The problems of an https listener, but that its made-up certificate is none.
#[track_caller]
fn only_secure(written: Value, path: &str, part: &str) {
    let (at, reason) = only(written);
    assert!(at == path && reason.contains(part), "{at}: {reason}");
}

#[test]
fn what_listeners_that_end_tls_do_to_heads_is_checked_where_it_is_written() {
    let headers = |value: &str| {
        let headers = json!([["X-Client-Subject", "{tls.client.subject}"], ["X-Client", value]]);
        json!({"client_certificates": {"verify": "required", "ca": ["AA=="], "crl": [], "headers": headers}})
    };
    plan(secure(headers("{tls.client.serial}")));
    let path = "listeners.secure.tls.client_certificates.headers.X-Client";
    only_secure(secure(headers("{tls.client.serail}")), path, "no variable {tls.client.serail}");
    let mut framing = headers("x");
    framing["client_certificates"]["headers"][1][0] = json!("Content_Length");
    let path = "listeners.secure.tls.client_certificates.headers.Content_Length";
    only_secure(secure(framing), path, "by the proxy alone");
}

#[test]
fn a_listener_without_requests_has_nothing_to_say_in_them() {
    let headers = json!([["X-Client", "{tls.client.subject}"]]);
    let clients = json!({"verify": "required", "ca": ["AA=="], "crl": [], "headers": headers});
    let hsts = json!({"max_age": 1000, "include_subdomains": false, "preload": false});
    let mut written = secure(json!({"hsts": hsts, "client_certificates": clients}));
    written["listeners"]["secure"]["protocol"] = json!("tcp");
    let told = told(written);
    let paths: Vec<_> = told.iter().map(|(path, _)| path.as_str()).collect();
    let below = "listeners.secure.tls";
    assert_eq!(paths, [format!("{below}.client_certificates.headers"), format!("{below}.hsts")]);
    assert!(told.iter().all(|(_, reason)| reason == "a tcp listener knows no requests"));
}

#[test]
fn nobody_is_sent_in_circles() {
    let redirect = json!({"to": "https", "code": 308});
    let mut own = secure(json!({}));
    own["listeners"]["secure"] = json!({"protocol": "https", "tls": {}, "http": {"redirect": redirect}});
    only_secure(own.clone(), "listeners.secure.redirect.to", "are there already");
    own["listeners"]["secure"]["http"]["redirect"]["to"] = json!("https://b.example{uri}");
    plan(own);
    let mut shared = secure(json!({}));
    shared["tables"]["sites"] = json!([["a.example", "app"], {"pattern": "b.example", "redirect": redirect}]);
    only_secure(shared.clone(), "listeners.secure.table", "\"b.example\" redirects to https");
    shared["listeners"]["secure"] = json!({"protocol": "http", "table": "sites"});
    plan(shared);
}

#[test]
fn what_tls_cannot_be_like_is_named() {
    let below = "listeners.secure.tls";
    for (tls, path, part) in [
        (json!({"certificates": []}), "certificates", "at least one certificate"),
        (
            json!({"certificates": [{"place": "a.pem", "names": [], "chain": [], "key": "AA==", "not_after": 0}]}),
            "certificates.0",
            "a.pem has no certificate",
        ),
        (
            json!({"certificates": [{"place": "a.pem", "names": [], "chain": ["?"], "key": "AA==", "not_after": 0}]}),
            "certificates.0",
            "no DER in Base64",
        ),
        (json!({"min_version": "1.1"}), "min_version", "known are 1.2, 1.3"),
        (json!({"profile": "old"}), "profile", "known are intermediate, modern"),
        (json!({"alpn": ["http/1.1", ""]}), "alpn.1", "1 to 255 bytes"),
        (json!({"ticket_rotation": 0}), "ticket_rotation", "84 hours"),
        (json!({"ticket_rotation": 302_400_001}), "ticket_rotation", "84 hours"),
        (json!({"early_data": 65_537}), "early_data", "more than 65536"),
        (
            json!({"early_data": 1, "client_certificates": {"verify": "required", "ca": ["AA=="], "crl": [], "headers": []}}),
            "early_data",
            "it cannot go with client_certificates",
        ),
        (json!({"passthrough": "other"}), "passthrough", "no table \"other\""),
        (
            json!({"client_certificates": {"verify": "required", "ca": [], "crl": [], "headers": []}}),
            "client_certificates.ca",
            "no authority is known",
        ),
    ] {
        only_secure(secure(tls), &format!("{below}.{path}"), part);
    }
    for rotation in [1, 302_400_000] {
        plan(secure(json!({"ticket_rotation": rotation})));
    }
    plan(secure(json!({"tickets": false, "ticket_rotation": 0})));
    let mut written = secure(json!({"early_data": 1}));
    written["listeners"]["secure"]["protocol"] = json!("tcp");
    only_secure(written, "listeners.secure.tls.early_data", "only an https listener");
    only_secure(right_but("/listeners/secure/tls", json!({})), below, "does not end at a tls listener");
    only_secure(
        right_but("/listeners/secure/protocol", json!("https")),
        below,
        "must say which certificates",
    );
}

#[test]
fn a_backend_reached_by_tls_must_have_something_to_verify_by() {
    let backend = |server: &str, tls: Value| {
        let mut written = right_but("/backends/app/servers", json!([server]));
        let plain = json!({"verify": true, "ca": ["AA=="], "server_name": null, "min_version": "1.2", "alpn": [],
            "certificate": null});
        written["backends"]["app"]["tls"] = plain;
        for (key, value) in tls.as_object().unwrap() {
            written["backends"]["app"]["tls"][key] = value.clone();
        }
        written
    };
    let below = "backends.app.tls";
    plan(backend("192.0.2.1:443", json!({})));
    plan(backend("unix:/run/app", json!({"server_name": "app.internal"})));
    plan(backend("unix:/run/app", json!({"verify": false, "ca": []})));
    for (server, tls, path, part) in [
        ("unix:/run/app", json!({}), "server_name", "needs a name"),
        ("192.0.2.1:443", json!({"ca": []}), "ca", "no authority is known"),
        ("192.0.2.1:443", json!({"ca": ["?"]}), "ca", "no DER in Base64"),
        ("192.0.2.1:443", json!({"min_version": "1.0"}), "min_version", "known are 1.2, 1.3"),
    ] {
        only_secure(backend(server, tls), &format!("{below}.{path}"), part);
    }
}

#[test]
fn a_listener_knows_when_its_first_certificate_ends() {
    let certificate = |not_after: i64| json!({"place": "a.pem", "names": [], "chain": ["AA=="], "key": "AA==", "not_after": not_after});
    let plan = plan(secure(json!({"certificates": [certificate(30), certificate(10), certificate(20)]})));
    assert_eq!(plan.listeners[0].tls.as_ref().unwrap().expires(), Some(10));
}
