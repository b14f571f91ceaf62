//! Plans: configurations that differ in whatever an Exchange asks of them.

use std::sync::OnceLock;

use headworks_core::plan::Plan;
use headworks_core::spec::Spec;
use serde_json::{Value, json};

use crate::common::spec;
use crate::random::Random;

/// Different configurations.
const VARIANTS: u64 = 512;

/// A fresh Plan: the configuration that a number stands for, with servers of which nothing is known.
pub(crate) fn plan(number: u64) -> Plan {
    static SPECS: OnceLock<Vec<Spec>> = OnceLock::new();
    let specs = SPECS.get_or_init(|| (0..VARIANTS).map(variant).collect());
    Plan::compile(&specs[(number % VARIANTS) as usize]).unwrap()
}

fn variant(number: u64) -> Spec {
    let mut random = Random::new(number);
    let servers: Vec<Value> = (1..=1 + random.below(3)).map(|at| server(&mut random, at)).collect();
    let proxy = if random.chance(10) { json!("v2") } else { Value::Null };
    let compression = json!({"algorithms": ["gzip"], "types": ["text/plain"], "min_size": 0});
    let affinity = json!({"cookie": "HW", "secret": "sixteen characters", "max_age": null});
    spec(json!({
        "listeners": {"web": {
            "protocol": "http", "table": "sites", "rules": rules(&mut random), "timeouts": {"idle": 15_000},
            "analyzers": some(&mut random),
            "http": {
                "connect": random.chance(70), "body_timeout": 13_000, "tunnel_timeout": 16_000,
                "body_limit": random.of(&[None, None, Some(6), Some(20)]),
                "min_body_rate": random.of(&[0, 0, 1, 1_000]),
                "max_requests_per_client": random.of(&[None, None, Some(1), Some(2)]),
                "compression": random.chance(50).then_some(compression),
                "abort_on_close": random.chance(50),
            },
        }},
        "tables": {"sites": [
            {"pattern": "a.example", "backend": "app", "analyzers": some(&mut random)},
            ["closed.example", "closed"],
            {"pattern": "old.example", "redirect": {"to": "https", "code": 301}},
        ]},
        "backends": {
            "app": {
                "servers": servers, "analyzers": some(&mut random),
                "balance": random.of(&["round_robin", "least_connections", "random"]),
                "connect_timeout": 12_000, "retries": random.below(4),
                "proxy_protocol": proxy,
                "ejection": {
                    "failures": random.below(3), "responses": random.below(3),
                    "duration": random.of(&[1, 10_000]),
                },
                "http": {
                    "queue_timeout": 11_000, "queue_limit": random.below(3), "response_timeout": 14_000,
                    "affinity": random.chance(40).then_some(affinity),
                },
            },
            "closed": {"servers": ["192.0.2.9:80"], "http": {"maintenance": random.chance(50)}},
        },
        "analyzers": {
            "first": analyzer(&mut random), "second": analyzer(&mut random), "third": analyzer(&mut random),
        },
    }))
}

/// None, one or several of the analyzers that there are.
fn some(random: &mut Random) -> Value {
    let names = ["first", "second", "third"];
    let used = random.chance(15);
    names.iter().filter(|_| used && random.chance(60)).map(|name| json!(name)).collect()
}

/// An analyzer that looks at heads.
fn analyzer(random: &mut Random) -> Value {
    let hooks: Vec<&str> = ["request", "response"].iter().filter(|_| random.chance(70)).copied().collect();
    json!({
        "version": "", "deadline": 17_000, "on_failure": random.of(&["pass", "reject"]), "waiting": 10,
        "hooks": hooks,
    })
}

/// Rules that people could have written: some answer requests, some refuse responses or answer in their place.
fn rules(random: &mut Random) -> Value {
    let rule = |name: &str, kind: &str, test: Value, verdict: Value| {
        json!({
            "name": name, "kind": kind, "file": "site.py", "slots": 0, "matches": 0, "constants": [],
            "body": [{"if": {
                "test": test, "line": 2, "text": "…", "otherwise": [],
                "then": [{"return": {"verdict": [verdict], "line": 3, "text": "…"}}],
            }}],
        })
    };
    let posts = json!({"eq": [{"get": "method"}, {"text": "POST"}]});
    let failed = json!({"ge": [{"get": "status"}, {"int": 500}]});
    let missing = json!({"eq": [{"get": "status"}, {"int": 404}]});
    let odd = json!({"eq": [{"get": "status"}, {"int": 204}]});
    let respond = json!({"respond": {"status": {"int": 200}, "body": {"text": "x"}, "headers": []}});
    let all = [
        rule("site:posts", "request", posts, json!({"reject": {"reason": null}})),
        rule("site:failed", "response", failed, respond),
        rule("site:missing", "response", missing, json!({"reject": {"reason": null}})),
        rule(
            "site:odd",
            "response",
            odd,
            json!({"respond": {"status": {"int": 7}, "body": null, "headers": []}}),
        ),
    ];
    all.into_iter().filter(|_| random.chance(10)).collect()
}

fn server(random: &mut Random, at: usize) -> Value {
    json!({
        "address": format!("192.0.2.{at}:80"), "backup": at > 1 && random.chance(20),
        "max_connections": random.of(&[None, Some(1), Some(1), Some(2)]),
    })
}
