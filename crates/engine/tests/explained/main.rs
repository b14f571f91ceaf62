//! What is explained is what happens: 2,000 random configurations, each explained and then applied to a
//! running proxy that is asked the same.
//!
//! Each round has a seed of its own, which a failure prints: `EXPLAINED=<seed> cargo test --test explained`
//! tries that round alone. What nobody can foresee is left out: rates, early data, servers that fail
//! unexpectedly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../tls/end.rs"]
#[allow(dead_code, reason = "of the ends of TLS, clients are of use here")]
mod end;
mod ends;
mod request;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use common::*;
use end::Authority;
use ends::{Credulous, exchange, origin, origin_status};
use headworks_core::explain::Explanation;
use headworks_core::plan::Plan;
use headworks_core::pool::{Admin, Backend};
use headworks_engine::{Format, Options};
use request::{Dice, Request};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};

const ROUNDS: u64 = 2_000;

const ENDS: [&str; 12] = [
    "bad_request",
    "body_too_large",
    "completed",
    "denied",
    "maintenance",
    "method_not_allowed",
    "misdirected",
    "no_match",
    "no_name",
    "no_path",
    "no_server",
    "target_too_long",
];

#[test]
#[expect(clippy::print_stderr, reason = "who wants to try a round again must know its seed")]
fn the_explanation_of_a_request_is_what_happens() {
    let world = World::new();
    if let Ok(seed) = std::env::var("EXPLAINED") {
        return world.round(seed.parse().unwrap());
    }
    for seed in 1..=ROUNDS {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.round(seed))) {
            eprintln!("the seed of this round: EXPLAINED={seed}");
            resume_unwind(panic);
        }
    }
    world.compare_records();
    world.expect_every_end();
}

/// A proxy, six origins and what its log must say in the end.
struct World {
    certificates: [Value; 2],
    origins: Vec<SocketAddr>,
    client: ClientConfig,
    proxy: Proxy,
    log: PathBuf,
    /// How each exchange must end, and what it was.
    ends: RefCell<Vec<(String, String)>>,
}

/// What a client gets.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// None: there is no response.
    status: Option<u16>,
    location: Option<String>,
    /// The server where that can be foreseen, else its backend.
    server: Option<String>,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let certificates =
            [authority.certificate(&["a.example", "*.b.example"]), authority.certificate(&["c.example"])];
        let log = scratch_path("explained.log");
        let options =
            Options { access_log: log.display().to_string(), log_format: Format::Json, ..options() };
        let origins: Vec<_> = (0..6).map(|_| origin()).collect();
        let first = json!({
            "listeners": {"web": {"protocol": "http", "backend": "app"}},
            "backends": {"app": {"servers": [origins[0].to_string()]}},
        });
        let mut client = authority.client_config();
        client.dangerous().set_certificate_verifier(Arc::new(Credulous));
        client.resumption = Resumption::disabled();
        let proxy = Proxy::start_with(first, options);
        Self { certificates, origins, client, proxy, log, ends: RefCell::default() }
    }

    /// One configuration and one request.
    fn round(&self, seed: u64) {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut written = self.configuration(&mut dice);
        let plan = Plan::compile(&spec(written.clone())).unwrap();
        self.proxy.apply(written.clone());
        self.set_servers(&mut dice, &plan);
        let request = Request::random(&mut dice);
        let told = plan.explain(request.listener, &request.asked()).unwrap();
        let got = self.ask(&request, &plan);
        written["listeners"]["secure"]["tls"]["certificates"].take();
        assert_eq!(got, foreseen(&told, &request, &plan), "\n{request:?}\n{told:#?}\n{written:#}");
        if got.status.is_some() {
            let end = told.refusal.unwrap_or_else(|| "completed".to_owned());
            self.ends.borrow_mut().push((end, format!("EXPLAINED={seed}, {request:?}")));
        }
    }

    fn configuration(&self, dice: &mut Dice) -> Value {
        let mut backends = json!({});
        for (name, servers) in BACKENDS.iter().zip(self.origins.chunks(2)) {
            let server =
                |server: &SocketAddr| json!({"address": server.to_string(), "backup": dice.one_in(6)});
            let servers: Vec<_> = servers.iter().map(server).collect();
            let balance = dice.pick(&["round_robin", "host_hash", "path_hash", "source_hash", "header_hash"]);
            let hash_header = (balance == "header_hash").then_some("X-User");
            let http = json!({"maintenance": dice.one_in(8), "hash_header": hash_header});
            backends[*name] = json!({"servers": servers, "balance": balance, "http": http});
        }
        let entries: Vec<_> = PATTERNS.iter().filter_map(|pattern| entry(pattern, dice)).collect();
        let listeners = json!({"web": self.listener("http", dice), "secure": self.listener("https", dice)});
        json!({"listeners": listeners, "tables": {"sites": entries}, "backends": backends})
    }

    fn listener(&self, protocol: &str, dice: &mut Dice) -> Value {
        let mut listener = json!({"protocol": protocol, "http": {
            "connect": dice.one_in(2), "body_limit": dice.one_in(3).then_some(10),
            "line_limit": if dice.one_in(10) { 40 } else { 8_192 },
        }});
        match dice.roll(10) {
            0 => listener["http"]["respond"] = json!({"status": 410, "body": "gone", "headers": []}),
            1 if protocol == "http" => listener["http"]["redirect"] = json!({"to": "https", "code": 308}),
            2 => listener["backend"] = json!(dice.pick(&BACKENDS)),
            n => {
                listener["table"] = json!("sites");
                if n > 6 {
                    listener["fallback"] = json!(dice.pick(&BACKENDS));
                }
            }
        }
        match dice.roll(12) {
            0 => listener["deny"] = json!([dice.pick(&["127.0.0.0/8", "192.0.2.0/24"])]),
            1 => listener["allow"] = json!([dice.pick(&["127.0.0.1", "192.0.2.0/24"])]),
            _ => {}
        }
        if protocol == "https" {
            listener["tls"] = json!({
                "certificates": self.certificates, "strict_sni": dice.one_in(4),
                "check_host": !dice.one_in(4),
                "alpn": ["http/1.1"],
            });
        }
        listener
    }

    /// Takes some servers away, where it is explained and where it happens.
    fn set_servers(&self, dice: &mut Dice, plan: &Plan) {
        for backend in &plan.backends {
            for server in backend.servers.list().iter() {
                let admin = if dice.one_in(4) { Admin::Maintenance } else { Admin::Ready };
                server.state.set_admin(admin);
                self.proxy.0.set_server(&backend.name, &server.name, Some(admin), None).unwrap();
            }
        }
    }

    /// Sends a request, and reads the head of what comes.
    fn ask(&self, request: &Request, plan: &Plan) -> Outcome {
        let mut stream = self.proxy.client(request.listener);
        let head = if request.listener == "web" {
            exchange(&mut stream, &request.bytes()).unwrap()
        } else {
            let mut config = self.client.clone();
            config.enable_sni = request.opened_for().is_some();
            let name = request.opened_for().unwrap_or("none.example").to_owned();
            let name = ServerName::try_from(name).unwrap();
            let connection = ClientConnection::new(Arc::new(config), name).unwrap();
            stream.set_nodelay(true).unwrap();
            match exchange(&mut StreamOwned::new(connection, stream), &request.bytes()) {
                Ok(head) => head,
                Err(_) => return Outcome::default(),
            }
        };
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(": "));
            fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let backend_of = |origin: &String| {
            plan.backends.iter().find(|one| one.servers.list().iter().any(|server| *server.name == **origin))
        };
        Outcome {
            status: Some(head[9..12].parse().unwrap()),
            location: field("location").filter(|_| request.names_host()),
            server: field("x-origin")
                .map(|origin| known_server(request, backend_of(&origin).unwrap(), &origin)),
        }
    }

    /// Every exchange has the record that was foreseen.
    fn compare_records(&self) {
        let expected = self.ends.borrow();
        let ends = || -> Vec<String> {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let exchanges = records.filter(|record| record["status"].is_u64());
            exchanges.map(|record| record["end"].as_str().unwrap().to_owned()).collect()
        };
        until("every record is written", || ends().len() >= expected.len());
        for (end, (foreseen, what)) in ends().iter().zip(expected.iter()) {
            assert_eq!(end, foreseen, "{what}");
        }
        let _ = std::fs::remove_file(&self.log);
    }

    /// Every end that can be foreseen has been, and more than once.
    fn expect_every_end(&self) {
        let mut tally = BTreeMap::new();
        for (end, _) in &*self.ends.borrow() {
            *tally.entry(end.clone()).or_insert(0) += 1;
        }
        for end in ENDS {
            assert!(tally.get(end).is_some_and(|times| *times > 1), "{end}: {tally:?}");
        }
    }
}

/// What must come of it, as it was explained.
fn foreseen(told: &Explanation, request: &Request, plan: &Plan) -> Outcome {
    if told.refusal.as_deref() == Some("handshake_failed") {
        return Outcome::default();
    }
    let server = told.server.as_deref().map(|server| {
        let backend = plan.backend(told.backend.as_deref().unwrap()).unwrap();
        known_server(request, backend, server)
    });
    Outcome {
        status: told.status.or(Some(origin_status(request.method))),
        location: told.location.clone().filter(|_| request.names_host()),
        server,
    }
}

/// A server, or its backend where the one that has its turn depends on chance, or on what was before.
fn known_server(request: &Request, backend: &Backend, server: &str) -> String {
    let exact = match backend.balance.name() {
        "host_hash" => request.names_host(),
        "path_hash" => request.method != "CONNECT" && request.path != "*",
        name => name.ends_with("_hash"),
    };
    if exact { format!("{server} of {}", backend.name) } else { backend.name.to_string() }
}

fn entry(pattern: &str, dice: &mut Dice) -> Option<Value> {
    match dice.roll(9) {
        0..4 => None,
        4 => Some(json!({"pattern": pattern, "redirect": {"to": "https://new.example{uri}", "code": 301}})),
        5 => Some(json!({"pattern": pattern, "redirect": {"to": "/{host}/{method}", "code": 302}})),
        6 => Some(json!({"pattern": pattern, "respond": {"status": 200, "body": "ok", "headers": []}})),
        _ => Some(json!({"pattern": pattern, "backend": dice.pick(&BACKENDS)})),
    }
}

const BACKENDS: [&str; 3] = ["app", "api", "wild"];
const PATTERNS: [&str; 10] = [
    "a.example",
    "a.example/x",
    "*.b.example",
    "*.b.example/api",
    "c.example/api",
    "~^x[0-9]*[.]",
    "~example$",
    "*/health",
    "*/x",
    "*",
];
