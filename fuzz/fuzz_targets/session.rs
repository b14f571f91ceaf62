//! A Session under arbitrary events, in and out of order, of arbitrary plans: no panic, every place is given back, and
//! whoever obeys its deadlines comes to an end.

#![no_main]

use headworks_core::action::{Action, Event, Side};
use headworks_core::analyze::Facts;
use headworks_core::close::Fault;
use headworks_core::plan::Plan;
use headworks_core::session::{Scene, Session, State};
use headworks_core::spec::{
    BackendSpec, EjectionSpec, FirstBytesSpec, HeadersSpec, HttpSpec, KindSpec, ListenerSpec, PoolSpec,
    ProxySpec, ResolverSpec, ResourcesSpec, ServerSpec, Spec, TableSpec, TargetSpec, TimeoutsSpec,
};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["", "app", "other"];
const SOURCES: [Option<&str>; 3] = [None, Some("192.0.2.7:4000"), Some("[2001:db8::1]:4000")];
const FAULTS: [Fault; 3] = [Fault::Refused, Fault::TimedOut, Fault::Exhausted];

/// Takes choices from the front of the input; 0 when it is used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> &[u8] {
        let length = usize::from(self.next()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

fn backend(choices: &mut Choices<'_>) -> BackendSpec {
    let servers = 1 + choices.next() % 4;
    BackendSpec {
        allow_destinations: Vec::new(),
        deny_destinations: Vec::new(),
        servers: (0..servers)
            .map(|n| ServerSpec {
                address: format!("192.0.2.1:{}", 8000 + u16::from(n)),
                weight: u32::from(choices.next() % 3),
                backup: choices.next() % 3 == 0,
                max_connections: (choices.next() % 2 == 0).then_some(1),
            })
            .collect(),
        balance: "round_robin".into(),
        connect_timeout: 5_000,
        retries: u32::from(choices.next() % 4),
        proxy_protocol: None,
        source: None,
        keepalive: false,
        connect: Default::default(),
        slow_start: 0,
        host: None,
        strip_prefix: None,
        add_prefix: None,
        request_headers: HeadersSpec::default(),
        response_headers: HeadersSpec::default(),
        response_timeout: 1_000,
        interim_timeout: 10_000,
        interim_limit: 32,
        queue_timeout: 1_000,
        queue_limit: 1,
        hash_header: None,
        maintenance: false,
        pool: PoolSpec { size: 1, timeout: 1_000 },
        affinity: None,
        error_pages: [].into(),
        health: None,
        ejection: EjectionSpec { failures: 1, responses: 0, duration: 1_000 },
        rules: Vec::new(),
        analyzers: Vec::new(),
        tls: None,
    }
}

fn kinds(choices: &mut Choices<'_>) -> FirstBytesSpec {
    let to = |backend: Option<&str>, table: Option<&str>| KindSpec {
        backend: backend.map(Into::into),
        table: table.map(Into::into),
        fallback: None,
    };
    FirstBytesSpec {
        tls: Some(if choices.next() % 2 == 0 { to(None, Some("sites")) } else { to(Some("app"), None) }),
        http: Some(to(None, Some("sites"))),
        ssh: Some(to(Some("app"), None)),
        postgres: Some(to(Some("app"), None)),
        prefixes: vec![("RFB ".into(), "app".into())],
        silent: (choices.next() % 2 == 0).then(|| "app".into()),
        silent_after: 500,
    }
}

fn spec(choices: &mut Choices<'_>) -> Spec {
    let protocol = ["tls", "tcp", "http_host", "first_bytes"][usize::from(choices.next() % 4)];
    let fallback = NAMES[usize::from(choices.next() % 3)];
    let listener = ListenerSpec {
        bind: vec!["127.0.0.1:0".into()],
        protocol: protocol.into(),
        table: matches!(protocol, "tls" | "http_host").then(|| "sites".into()),
        backend: (protocol == "tcp").then(|| "app".into()),
        first_bytes: (protocol == "first_bytes").then(|| kinds(choices)),
        fallback: (!fallback.is_empty()).then(|| fallback.into()),
        accept: Default::default(),
        bandwidth: None,
        connection_rate: None,
        allow: Vec::new(),
        deny: if choices.next() % 4 == 0 { vec!["2001:db8::/32".into()] } else { Vec::new() },
        max_connections: None,
        max_connections_per_client: (choices.next() % 4 == 0).then_some(1),
        accept_proxy_from: if choices.next() % 2 == 0 { vec!["192.0.2.7".into()] } else { Vec::new() },
        ipv6_only: false,
        backlog: 1,
        keepalive: false,
        unix_mode: 0o600,
        first_bytes_limit: 16 + 8 * u32::from(choices.next()),
        timeouts: TimeoutsSpec {
            first_bytes: 1_000,
            idle: 1_000,
            half_close: 1_000,
            keep_alive: 1_000,
            body: 1_000,
            tunnel: 1_000,
            linger: 1_000,
        },
        http: HttpSpec {
            head_limit: 1_024,
            rewrite_reserve: 1_024,
            fields_limit: 10,
            line_limit: 256,
            body_limit: None,
            min_body_rate: 0,
            connect: false,
            forwarded: Vec::new(),
            trusted: Vec::new(),
            via: None,
            request_id: None,
            requests_per_connection: 0,
            abort_on_close: false,
            max_requests_per_client: None,
        },
        redirect: None,
        respond: None,
        request_headers: HeadersSpec::default(),
        response_headers: HeadersSpec::default(),
        rate_limit: None,
        compression: None,
        error_pages: [].into(),
        rules: Vec::new(),
        analyzers: Vec::new(),
        tls: None,
    };
    let entry = |pattern: &str| {
        let target = TargetSpec {
            backend: Some("app".into()),
            redirect: None,
            respond: None,
            alpn: None,
            analyzers: Vec::new(),
        };
        (pattern.to_owned(), target)
    };
    Spec {
        resolver: ResolverSpec::default(),
        proxy: ProxySpec {
            resources: ResourcesSpec {
                reserved_descriptors: 0,
                accept_pause: 1,
                max_pipes: 0,
                max_hops: 8,
                pipe_size: 4_096,
            },
        },
        listeners: [("only".to_owned(), listener)].into(),
        tables: [("sites".to_owned(), TableSpec(vec![entry("*.example"), entry("~^a")]))].into(),
        backends: ["app", "other"].map(|name| (name.to_owned(), backend(choices))).into(),
        analyzers: [].into(),
    }
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices(input);
    let plan = Plan::compile(&spec(&mut choices)).expect("the spec is valid");
    let client = SOURCES[usize::from(choices.next() % 3)].map(|text| text.parse().expect("an address"));
    let permit = plan.listeners[0].enter().expect("there is no limit");
    let mut session = Session::new(&plan, 0, Facts { client, ..Facts::default() }, permit);
    let (mut now, mut held) = (1_000, Vec::new());
    session.handle(Event::Accepted, Scene { plan: &plan, now, random: 0, shard: 0, wall: 0 });
    while !choices.0.is_empty() {
        let kind = choices.next();
        let side = if kind & 0x80 == 0 { Side::Client } else { Side::Server };
        let event = match kind & 7 {
            0 | 1 => {
                held.extend_from_slice(choices.bytes());
                Event::Held(side, &held)
            }
            2 => Event::Connected,
            3 => Event::ConnectFailed(FAULTS[usize::from(choices.next() % 3)]),
            4 => Event::Ended(side),
            5 => Event::Reset(side),
            6 if kind & 8 == 0 => Event::Expired,
            6 => Event::Truncated(side),
            _ => Event::Accepted,
        };
        now += u64::from(kind);
        let random = u64::from(kind);
        let action = session.handle(event, Scene { plan: &plan, now, random, shard: 0, wall: 0 });
        assert_eq!(action == Action::Close, session.state() == State::Closed);
        assert_eq!(session.deadline(&plan).is_none(), session.state() == State::Closed);
        assert!(session.flow(Side::Client).consumed as usize <= held.len());
        let refused = matches!(session.state(), State::Refused | State::Closed);
        assert_eq!(session.reason().is_some(), refused);
    }
    // Left alone, every wait ends, and in the end all are over.
    for _ in 0..8 {
        session.handle(Event::Expired, Scene { plan: &plan, now, random: 0, shard: 0, wall: 0 });
    }
    assert_eq!(session.state(), State::Closed);
    drop(session);
    assert_eq!(plan.listeners[0].state.active(), 0);
    for server in plan.backends.iter().flat_map(|backend| backend.servers.list().to_vec()) {
        assert_eq!(server.state.active(), 0);
    }
});
