//! What tests of both crates say in few words: a configuration with only the keys that matter, and a
//! ClientHello.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(dead_code, reason = "every test binary uses a part")]

use headworks_core::plan::Plan;
use headworks_core::spec::Spec;
use serde_json::{Map, Value, json};

/// A Spec from the keys that matter; every other key gets a plain value.
///
/// Some things can be written in short: servers as addresses, table entries as `[pattern, backend]` (a list,
/// for objects know no order here), certificates without the list of their place, and in `http` whatever is
/// for requests.
pub(crate) fn spec(mut written: Value) -> Spec {
    for listener in values(&mut written, "listeners") {
        spread(listener, HTTP);
        if listener["tls"].is_object() {
            let places = listener["tls"].get_mut("certificates").and_then(Value::as_array_mut);
            for place in places.into_iter().flatten() {
                if place.is_object() {
                    *place = json!([place]);
                }
            }
            fill(listener, json!({"tls": plain_tls()}));
        }
        fill(listener, plain_listener());
    }
    for table in values(&mut written, "tables") {
        for entry in table.as_array_mut().unwrap() {
            if let Some(target) = entry.as_object_mut() {
                *entry = json!([target.remove("pattern").unwrap(), target]);
            } else if entry[1].is_string() {
                *entry = json!([entry[0], {"backend": entry[1]}]);
            }
        }
    }
    for backend in values(&mut written, "backends") {
        for server in backend["servers"].as_array_mut().unwrap() {
            if server.is_string() {
                *server = json!({"address": server});
            }
            fill(server, json!({"weight": 1, "backup": false}));
        }
        spread(backend, &[]);
        if backend["health"].is_object() {
            spread(&mut backend["health"], &[]);
            fill(backend, json!({"health": plain_health()}));
        }
        fill(backend, plain_backend());
    }
    fill(&mut written, json!({"proxy": plain_proxy(), "listeners": {}}));
    serde_json::from_value(written).unwrap()
}

/// Where the file has what tests write beneath `http`, if not in the table itself.
const PLACES: &[(&str, &str, &str)] = &[
    ("keep_alive_timeout", "timeouts", "keep_alive"),
    ("body_timeout", "timeouts", "body"),
    ("tunnel_timeout", "timeouts", "tunnel"),
    ("pool_size", "pool", "size"),
    ("pool_timeout", "pool", "timeout"),
];

/// The keys of a listener's `http`.
const HTTP: &[&str] = &[
    "head_limit",
    "rewrite_reserve",
    "fields_limit",
    "line_limit",
    "body_limit",
    "min_body_rate",
    "connect",
    "forwarded",
    "trusted",
    "via",
    "request_id",
    "requests_per_connection",
    "abort_on_close",
    "max_requests_per_client",
];

/// Takes what is in `http` to where the file has it.
fn spread(table: &mut Value, http: &[&str]) {
    let Some(keys) = table.as_object_mut().unwrap().remove("http") else { return };
    let Value::Object(keys) = keys else { return };
    for (key, value) in keys {
        match PLACES.iter().find(|place| place.0 == key) {
            Some((_, section, name)) => fill(table, json!({*section: {*name: value}})),
            None if http.contains(&key.as_str()) => {
                fill(table, json!({"http": {key: value}}));
            }
            None => fill(table, json!({key: value})),
        }
    }
}

/// What the process is told that is told nothing special.
pub(crate) fn plain_proxy() -> Value {
    json!({
        "resources": {
            "reserved_descriptors": 96, "accept_pause": 50, "max_pipes": 256, "pipe_size": 1_048_576,
            "max_hops": 8,
        },
    })
}

/// What a listener is told that is told nothing special.
pub(crate) fn plain_listener() -> Value {
    json!({
        "bind": ["127.0.0.1:0"], "protocol": "tls", "ipv6_only": false, "backlog": 128,
        "keepalive": false, "unix_mode": 0o660, "first_bytes_limit": 65536,
        "timeouts": {
            "first_bytes": 10_000, "idle": 60_000, "half_close": 30_000, "keep_alive": 60_000, "body": 30_000,
            "tunnel": 60_000, "linger": 2_000,
        },
        "http": {
            "head_limit": 16_384, "rewrite_reserve": 4_096, "fields_limit": 100, "line_limit": 8_192,
            "body_limit": null, "min_body_rate": 0, "connect": false, "forwarded": [], "trusted": [], "via": null,
            "request_id": null, "requests_per_connection": 0, "max_requests_per_client": null,
            "abort_on_close": false,
        },
        "request_headers": {}, "response_headers": {}, "error_pages": {},
    })
}

/// What a listener that ends TLS is told that is told nothing special. Its certificate is none that anybody
/// would accept.
pub(crate) fn plain_tls() -> Value {
    json!({
        "certificates": [[certificate("default.pem", &[])]], "self_signed": [], "strict_sni": false,
        "min_version": "1.2", "profile": "intermediate", "post_quantum": true, "alpn": [], "tickets": true,
        "ticket_rotation": 43_200_000, "early_data": 0, "handshake_timeout": 10_000, "check_host": true,
        "hsts": null, "client_certificates": null, "passthrough": null,
    })
}

/// What a backend is told that is told nothing special, but its servers.
pub(crate) fn plain_backend() -> Value {
    json!({
        "balance": "round_robin", "connect_timeout": 5_000, "retries": 2, "keepalive": false, "slow_start": 0,
        "host": null, "strip_prefix": null, "add_prefix": null, "request_headers": {}, "response_headers": {},
        "response_timeout": 60_000, "interim_timeout": 600_000, "interim_limit": 1_000, "queue_timeout": 30_000,
        "queue_limit": 100, "hash_header": null,
        "maintenance": false, "pool": {"size": 16, "timeout": 60_000}, "affinity": null, "error_pages": {},
        "ejection": {"failures": 3, "responses": 0, "duration": 10_000},
    })
}

/// What a check is told that is told nothing special.
fn plain_health() -> Value {
    json!({
        "kind": "tcp", "method": "GET", "path": "/", "host": null, "expect": "200-399", "body": null,
        "interval": 2_000, "timeout": 1_000, "rise": 2, "fall": 3,
    })
}

/// A certificate for these names as a Spec has it, of no use for handshakes.
pub(crate) fn certificate(place: &str, names: &[&str]) -> Value {
    json!({"place": place, "names": names, "chain": ["AA=="], "key": "AA==", "not_after": 4_000_000_000_i64})
}

/// The Plan of a Spec without mistakes.
pub(crate) fn plan(written: Value) -> Plan {
    Plan::compile(&spec(written)).unwrap()
}

fn values<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

/// Adds the keys of `plain` that `object` lacks, at every depth.
fn fill(object: &mut Value, plain: Value) {
    let (Some(object), Value::Object(plain)) = (object.as_object_mut(), plain) else { return };
    for (key, value) in plain {
        match object.get_mut(&key) {
            Some(present) => fill(present, value),
            None => _ = object.insert(key, value),
        }
    }
}

/// A ClientHello in one record, with or without a server name.
pub(crate) fn hello(name: Option<&str>) -> Vec<u8> {
    long_hello(name, 1)
}

/// A ClientHello that offers so many cipher suites, in as many records as it takes.
pub(crate) fn long_hello(name: Option<&str>, suites: usize) -> Vec<u8> {
    let extensions = name.map_or_else(Vec::new, |name| {
        let entry = [&[0], &vector(name.as_bytes())[..]].concat();
        [&[0, 0], &vector(&vector(&entry))[..]].concat()
    });
    let suites = vector(&[0x13, 0x01].repeat(suites));
    let body = [&[3, 3], &[0x5a; 32][..], &[0], &suites, &[1, 0], &vector(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body[..]].concat();
    message.chunks(1 << 14).flat_map(|part| [&[22, 3, 1], &vector(part)[..]].concat()).collect()
}

/// Bytes behind their length in two bytes.
fn vector(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A fatal TLS alert in a record of its own.
pub(crate) fn alert(description: u8) -> [u8; 7] {
    [21, 3, 1, 0, 2, 2, description]
}
