//! Laws of the rules: whatever a request is like, each of them answers, passes where it is not in force, and
//! foresees what it judges.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use common::{certificate, plan};
use headworks_core::close::CloseReason;
use headworks_core::http::rules::{
    self, Case, Decision, Foreseen, Granted, Prospect, REGISTRY, Rule, Ruling, Unknown,
};
use headworks_core::message::{Framing, Head, Message, Method, Span};
use headworks_core::plan::{ListenerView, Plan};
use headworks_core::table::Target;
use headworks_core::tls::TlsFacts;
use headworks_core::wire::body::Body;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Keys of an http listener, one set for each that a rule asks for, and all of them.
fn settings() -> Vec<Value> {
    let limit = json!({"requests": 1, "per": 1_000, "burst": 1, "header": null, "keys": 100});
    let all = json!({"connect": true, "body_limit": 10, "rate_limit": limit, "max_requests_per_client": 1});
    let mut settings = vec![json!({}), all.clone()];
    settings.extend(all.as_object().unwrap().iter().map(|(key, value)| json!({key.as_str(): value})));
    settings
}

/// A Plan with an http and an https listener that have these keys, and a backend in maintenance or not.
fn site(http: &Value, maintenance: bool) -> Plan {
    plan(json!({
        "listeners": {
            "plain": {"protocol": "http", "table": "sites", "deny": ["203.0.113.0/24"], "http": http},
            "secure": {"protocol": "https", "table": "sites", "http": http, "tls": {
                "certificates": [certificate("a.pem", &["a.example"])], "early_data": 1_000,
            }},
        },
        "tables": {"sites": [["a.example", "app"], ["*.b.example", "closed"], ["c.example/x", "app"]]},
        "backends": {
            "app": {"servers": ["192.0.2.1:80"]},
            "closed": {"servers": ["192.0.2.2:80"], "http": {"maintenance": maintenance}},
        },
    }))
}

/// What a request may be like, whether or not a client could send it.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    framing: Framing,
    upgrade: bool,
    bytes: Vec<u8>,
    host: Vec<u8>,
    name: Option<String>,
    target: Vec<u8>,
    client: Option<SocketAddr>,
    early: bool,
    opened: Option<Option<String>>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop::sample::select(vec![Method::Get, Method::Post, Method::Connect, Method::Other]);
    let framing = prop_oneof![
        Just(Framing::None),
        Just(Framing::Chunked),
        (0_u64..20).prop_map(Framing::Length),
        any::<u64>().prop_map(Framing::Length),
    ];
    let name = prop_oneof![
        prop::sample::select(vec!["a.example", "x.b.example", "c.example", "d.example"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let client =
        prop::option::of(prop::sample::select(vec!["192.0.2.9:1", "203.0.113.5:1", "[2001:db8::1]:1"]));
    let client = client.prop_map(|client| client.map(|client| client.parse().unwrap()));
    let message = (method, framing, any::<bool>(), bytes());
    let target = prop_oneof![Just(b"/".to_vec()), Just(b"/x/y?z".to_vec()), bytes()];
    let opened = prop::option::of(prop::option::of(name.clone()));
    (message, prop::option::of(name), bytes(), target, (client, any::<bool>(), opened)).prop_map(
        |((method, framing, upgrade, bytes), name, odd, target, (client, early, opened))| {
            let host = name.clone().map_or(odd, String::into_bytes);
            Asked { method, framing, upgrade, bytes, host, name, target, client, early, opened }
        },
    )
}

/// A GET for the root of a host.
fn request(host: &str) -> Asked {
    Asked {
        method: Method::Get,
        framing: Framing::None,
        upgrade: false,
        bytes: Vec::new(),
        host: host.into(),
        name: Some(host.to_owned()),
        target: b"/".to_vec(),
        client: None,
        early: false,
        opened: None,
    }
}

/// Calls `with` with the case that this is at a listener.
fn with_case<T>(plan: &Plan, listener: &str, asked: &Asked, with: impl FnOnce(Case<'_>) -> T) -> T {
    let (_, listener) = plan.listener(listener).unwrap();
    let head = Head {
        method: asked.method,
        method_span: Span::new(0, asked.bytes.len()),
        framing: asked.framing,
        upgrade: asked.upgrade,
        ..Head::default()
    };
    let facts = asked.opened.clone().map(|name| TlsFacts {
        name: name.map(Box::from),
        certificate: Some(Arc::from([Box::from("a.example")])),
        ..TlsFacts::default()
    });
    let address = asked.client.map(|client| client.ip());
    with(Case {
        plan: &ListenerView { plan, listener },
        spec: &listener.spec.http,
        rules: &listener.rules,
        http: &listener.http,
        termination: listener.tls.as_deref(),
        programs: &listener.programs,
        analyzers: &listener.consultants,
        listener: &listener.name,
        client: asked.client,
        turned_away: listener.readmit(address, None),
        message: Message::new(&head, &asked.bytes),
        tls: facts.as_ref().filter(|_| listener.tls.is_some()),
        early: asked.early && listener.tls.is_some(),
        begun: &Body::new(asked.framing, &listener.http.limits),
        host: &asked.host,
        name: asked.name.as_deref(),
        target: &asked.target,
        request_id: b"",
        now: 1_000,
        wall: 0,
    })
}

/// What each rule says of a case by itself, the target being known to those that follow.
fn judged(case: &Case<'_>) -> Vec<(&'static dyn Rule, Ruling)> {
    let mut granted = Granted::default();
    let judge = |rule: &&'static dyn Rule| {
        let ruling = rule.judge(case, &mut granted);
        if let Ruling::Route(target) = ruling {
            granted.target = Some(target);
        }
        (*rule, ruling)
    };
    REGISTRY.iter().map(judge).collect()
}

#[test]
fn names_are_plain_and_differ() {
    let names: BTreeSet<_> = REGISTRY.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), REGISTRY.len());
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
}

#[test]
fn a_listener_keeps_the_rules_that_can_apply_in_the_order_of_the_registry() {
    let kept = |plan: &Plan, listener: &str| {
        let (_, listener) = plan.listener(listener).unwrap();
        listener.rules.iter().map(|rule| rule.name()).collect::<Vec<_>>()
    };
    let plain = site(&json!({}), false);
    assert_eq!(kept(&plain, "plain"), ["access", "early_data", "method", "route"]);
    assert_eq!(kept(&plain, "secure"), ["access", "early_data", "misdirected", "method", "route"]);
    let all = site(&settings()[1], true);
    let names =
        ["access", "early_data", "misdirected", "body_limit", "rate", "concurrency", "route", "maintenance"];
    assert_eq!(kept(&all, "secure"), names);
}

#[test]
fn limits_are_foreseen_in_words_and_take_nothing() {
    let plan = site(&settings()[1], false);
    let client = Some("192.0.2.9:1".parse().unwrap());
    let asked = Asked { method: Method::Post, client, opened: Some(None), ..request("a.example") };
    with_case(&plan, "secure", &asked, |case| {
        let unknown = Unknown { client: false, early: true, body: true };
        for _ in 0..3 {
            let mut foreseen = Foreseen::default();
            let found = rules::foresee(&Prospect { case, unknown }, &mut foreseen);
            assert_eq!(found, Decision::Go(Target::Backend(0)));
            let said = foreseen.steps.join("\n");
            for part in
                ["(425) if it came as early data", "more than 10 bytes", "1 at once", "had 1 under way"]
            {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
        let mut first = Granted::default();
        assert_eq!(rules::decide(&case, &mut first), Decision::Go(Target::Backend(0)), "nothing was taken");
        let mut second = Granted::default();
        assert_eq!(rules::decide(&case, &mut second), Decision::Refuse(CloseReason::RateLimited));
        assert_eq!((second.retry_after, second.target), (Some(1), None));
        let later = Case { now: 5_000, ..case };
        assert_eq!(
            rules::decide(&later, &mut second),
            Decision::Refuse(CloseReason::RateLimited),
            "one is under way"
        );
        drop(first);
        let after = Case { now: 9_000, ..case };
        assert_eq!(rules::decide(&after, &mut second), Decision::Go(Target::Backend(0)));
    });
}

#[test]
fn maintenance_leaves_the_backend_that_it_was_decided_for() {
    let plan = site(&json!({}), true);
    with_case(&plan, "plain", &request("x.b.example"), |case| {
        let mut granted = Granted::default();
        assert_eq!(rules::decide(&case, &mut granted), Decision::Refuse(CloseReason::Maintenance));
        assert_eq!(granted.target, Some(Target::Backend(1)));
    });
}

/// The example of docs/adding.md.
#[derive(Debug)]
struct NoTrace;

impl Rule for NoTrace {
    fn name(&self) -> &'static str {
        "no_trace"
    }

    fn judge(&self, case: &Case<'_>, _granted: &mut Granted) -> Ruling {
        match case.message.head.method {
            Method::Trace => Ruling::Refuse(CloseReason::MethodNotAllowed),
            _ => Ruling::Pass,
        }
    }

    fn foresee(&self, prospect: &Prospect<'_>, foreseen: &mut Foreseen) -> Ruling {
        let ruling = self.judge(&prospect.case, &mut Granted::default());
        if ruling != Ruling::Pass {
            foreseen.say("nobody here answers TRACE");
        }
        ruling
    }
}

#[test]
fn the_rule_of_the_recipe_works() {
    let plan = site(&json!({}), false);
    for (method, expected) in
        [(Method::Get, Ruling::Pass), (Method::Trace, Ruling::Refuse(CloseReason::MethodNotAllowed))]
    {
        with_case(&plan, "plain", &Asked { method, ..request("a.example") }, |case| {
            let (mut granted, mut foreseen) = (Granted::default(), Foreseen::default());
            assert_eq!(NoTrace.judge(&case, &mut granted), expected);
            let prospect = Prospect { case, unknown: Unknown::default() };
            assert_eq!(NoTrace.foresee(&prospect, &mut foreseen), expected);
            assert_eq!(foreseen.steps.is_empty(), expected == Ruling::Pass);
        });
    }
}

proptest! {
    #[test]
    fn rules_answer_whatever_is_asked(
        asked in asked(), setting in prop::sample::select(settings()), maintenance: bool, secure: bool,
    ) {
        let plan = site(&setting, maintenance);
        let listener = if secure { "secure" } else { "plain" };
        with_case(&plan, listener, &asked, |case| {
            // What is not in force passes.
            for (rule, ruling) in judged(&case) {
                let kept = case.rules.iter().any(|kept| kept.name() == rule.name());
                assert!(kept || ruling == Ruling::Pass, "{}: {ruling:?}", rule.name());
            }
        });
        // What was taken has been given back, but for tokens: another Plan has a bucket of its own.
        let plan = site(&setting, maintenance);
        with_case(&plan, listener, &asked, |case| {
            let mut foreseen = Foreseen::default();
            let prospect = Prospect { case, unknown: Unknown::default() };
            let expected = rules::foresee(&prospect, &mut foreseen);
            let mut granted = Granted::default();
            let decided = rules::decide(&case, &mut granted);
            assert_eq!((expected, foreseen.target), (decided, granted.target));
            // Everything that is refused has its reason said.
            assert!(matches!(decided, Decision::Go(_)) || !foreseen.steps.is_empty());
        });
        let plan = site(&setting, maintenance);
        with_case(&plan, listener, &asked, |case| {
            // And each by itself.
            let mut foreseen = Foreseen::default();
            for (rule, ruling) in judged(&case) {
                let prospect = Prospect { case, unknown: Unknown::default() };
                let expected = rule.foresee(&prospect, &mut foreseen);
                assert_eq!(expected, ruling, "{}", rule.name());
                if let Ruling::Route(target) = ruling {
                    foreseen.target = Some(target);
                }
            }
        });
    }
}
