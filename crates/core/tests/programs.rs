//! Programs on anything: trees that no compiler of Python would make, on heads that no client would send.
//! They may fail, and never panic, hang or make more text than they may; once warm they allocate nothing.

#![allow(clippy::expect_used, reason = "a test")]

use headworks_core::program::{MOST_TEXT, Program, TrialSubject};
use headworks_core::spec::ProgramSpec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Expressions of any type, of any depth that is small.
fn expression() -> impl Strategy<Value = Value> {
    let text =
        prop_oneof![Just(""), Just("a"), Just("/"), Just(" 12 "), Just("a,b,,c"), Just("x-a"), Just("é\n")];
    let attribute = prop_oneof![
        Just("method"),
        Just("path"),
        Just("query"),
        Just("host"),
        Just("client"),
        Just("content_length"),
        Just("tls"),
        Just("tls.name"),
        Just("now.date"),
        Just("now.hour"),
        Just("early"),
    ];
    let leaf = prop_oneof![
        text.prop_map(|text| json!({"text": text})),
        (-20_i64..20).prop_map(|number| json!({"int": number})),
        Just(json!({"int": i64::MIN})),
        any::<bool>().prop_map(|truth| json!({"bool": truth})),
        Just(json!("none")),
        attribute.prop_map(|name| json!({"get": name})),
        (0..3_usize).prop_map(|slot| json!({"slot": slot})),
        (0..2_usize, 0..10_usize).prop_map(|(register, group)| json!({"group": [register, group]})),
    ];
    leaf.prop_recursive(5, 60, 4, |inner| {
        let end = || prop_oneof![Just("left"), Just("right")];
        let one =
            |name: &'static str, inner: BoxedStrategy<Value>| inner.prop_map(move |of| json!({name: of}));
        let two = |name: &'static str, inner: BoxedStrategy<Value>| {
            (inner.clone(), inner).prop_map(move |(a, b)| json!({name: [a, b]}))
        };
        let (i, j) = (inner.clone().boxed(), inner.boxed());
        let unary = [
            "header",
            "query",
            "cookie",
            "has_header",
            "is_none",
            "not",
            "lower",
            "upper",
            "len",
            "str",
            "int",
        ];
        let binary = [
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "in_text",
            "remove_prefix",
            "remove_suffix",
            "index",
            "or_else",
        ];
        let unary = proptest::strategy::Union::new(unary.map(|name| one(name, i.clone()).boxed()));
        let binary = proptest::strategy::Union::new(binary.map(|name| two(name, j.clone()).boxed()));
        let list = proptest::collection::vec(i.clone(), 0..4);
        prop_oneof![
            unary,
            binary,
            list.clone().prop_map(|parts| json!({"and": parts})),
            list.clone().prop_map(|parts| json!({"or": parts})),
            list.clone().prop_map(|parts| json!({"concat": parts})),
            (i.clone(), list.clone()).prop_map(|(of, affixes)| json!({"starts": [of, affixes]})),
            (i.clone(), list).prop_map(|(of, affixes)| json!({"ends": [of, affixes]})),
            (i.clone(), i.clone(), i.clone()).prop_map(|(a, b, c)| json!({"choose": [a, b, c]})),
            (i.clone(), 0..2_usize).prop_map(|(of, constant)| json!({"in_set": [of, constant]})),
            i.clone().prop_map(|of| json!({"in_networks": [of, 2]})),
            (i.clone(), proptest::option::of(i.clone())).prop_map(|(of, or)| json!({"lookup": [of, 1, or]})),
            (i.clone(), proptest::option::of(i.clone()), end())
                .prop_map(|(of, by, end)| json!({"strip": [of, by, end]})),
            (i.clone(), proptest::option::of(i.clone()), proptest::option::of(0..3_i64), -4..4_i64, end())
                .prop_map(|(of, by, most, at, end)| json!({"split": [of, by, most, at, end]})),
            (i.clone(), i.clone(), 0..3_u8, end())
                .prop_map(|(of, by, at, end)| json!({"partition": [of, by, at, end]})),
            (i.clone(), i.clone(), end()).prop_map(|(of, part, end)| json!({"find": [of, part, end]})),
            (i.clone(), proptest::option::of(i.clone()), proptest::option::of(i.clone()))
                .prop_map(|(of, from, to)| json!({"slice": [of, from, to]})),
            (i.clone(), 0..2_usize, prop_oneof![Just("match"), Just("search"), Just("fullmatch")])
                .prop_map(|(of, register, how)| json!({"match": [3, of, register, how]})),
            (0..1_000_000_u32, i).prop_map(|(millionths, key)| json!({"sample": [millionths, key]})),
        ]
    })
}

fn program(tests: Vec<(Value, Value)>) -> ProgramSpec {
    let statements: Vec<Value> = tests
        .into_iter()
        .enumerate()
        .flat_map(|(at, (test, value))| {
            let verdict = json!([
                {"log": [["said", value]]},
                {"rewrite": {
                    "set": [["X-A", value]], "add": [["X-B", value]], "remove": ["X-C"],
                    "path": null, "host": null, "query": value,
                }},
                {"respond": {"status": {"int": 200}, "body": value, "headers": [["X-D", value]]}},
            ]);
            [
                json!({"let": {"slot": at % 3, "value": value}}),
                json!({"if": {
                    "test": test, "otherwise": [], "line": at, "text": "…",
                    "then": [{"return": {"verdict": verdict, "line": at, "text": "…"}}],
                }}),
            ]
        })
        .collect();
    let written = json!({
        "name": "site:any", "kind": "request", "file": "site.py", "slots": 3, "matches": 2,
        "constants": [
            {"set": ["a", "/", 1, null]},
            {"map": [["a", "b"], ["/", 1], [1, null], ["x", true]]},
            {"networks": ["10.0.0.0/8", "::1"]},
            {"regex": {"pattern": "(a)|([^/]*)/(b?)", "ends": true}},
        ],
        "body": statements,
    });
    serde_json::from_value(written).expect("a Spec")
}

fn request() -> impl Strategy<Value = TrialSubject> {
    let target = "/[a-z/%+.]{0,12}(\\?[a-z=&%+0-9]{0,12})?";
    let fields = proptest::collection::vec(("(X-A|x-a|Cookie|Accept)", "[ -~]{0,10}"), 0..5);
    (target, fields, proptest::option::of(Just("10.1.2.3:4")), any::<bool>()).prop_map(
        |(target, fields, client, tls)| {
            let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("GET {target} HTTP/1.1\r\nHost: A.example:80\r\n{fields}\r\n");
            let tls = tls.then(|| json!({"name": "a.example", "verified": true}));
            let scheme = if tls.is_some() { "https" } else { "http" };
            let subject =
                json!({"request": {"head": head, "client": client, "tls": tls, "scheme": scheme, "wall": 1}});
            serde_json::from_value(subject).expect("a subject")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_program_ends(
        tests in proptest::collection::vec((expression(), expression()), 0..4), subject in request(),
    ) {
        let program = Program::compile(&program(tests)).unwrap();
        let tried = program.attempt(&subject);
        prop_assert!(tried.is_some());
    }
}

#[test]
fn a_program_that_doubles_a_text_is_stopped() {
    let double = json!({"concat": [{"slot": 0}, {"slot": 0}]});
    let mut body = vec![json!({"let": {"slot": 0, "value": {"text": "x".repeat(1000)}}})];
    body.extend((0..40).map(|_| json!({"let": {"slot": 0, "value": double}})));
    let spec = json!({
        "name": "site:bomb", "kind": "request", "file": "site.py", "slots": 1, "matches": 0, "constants": [], "body": body,
    });
    let program = Program::compile(&serde_json::from_value(spec).unwrap()).unwrap();
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let subject = serde_json::from_value(json!({"request": {"head": head}})).unwrap();
    assert_eq!(program.attempt(&subject).unwrap().failure, Some("MemoryError"));
    assert_eq!(MOST_TEXT, 64 * 1024);
}

#[test]
fn what_is_wrong_with_a_program_is_said() {
    let compile = |body: Value, slots: usize| {
        let spec = json!({
            "name": "site:bad", "kind": "request", "file": "site.py", "slots": slots, "matches": 0,
            "constants": [{"networks": ["10.0.0.1/8"]}, {"regex": {"pattern": "(", "ends": false}}], "body": body,
        });
        let problems = Program::compile(&serde_json::from_value(spec).unwrap()).unwrap_err();
        problems.into_iter().map(|problem| problem.reason).collect::<Vec<_>>().join("\n")
    };
    let of = |value: Value| json!([{"let": {"slot": 0, "value": value}}]);
    let mut deep = json!("none");
    for _ in 0..300 {
        deep = json!({"not": deep});
    }
    for (body, slots, part) in [
        (json!([]), 33, "33 local variables"),
        (json!([]), 0, "bits set after its prefix"),
        (of(json!("none")), 0, "there is no local variable 0"),
        (of(json!({"get": "status"})), 1, "no attribute \"status\""),
        (of(json!({"in_set": ["none", 7]})), 1, "no such constant 7"),
        (of(json!({"group": [0, 0]})), 1, "there is no match 0"),
        (of(json!({"match": [1, "none", 0, "match"]})), 1, "unclosed group"),
        (of(deep), 1, "nested deeper than"),
        (verdict(json!({"redirect": {"to": "none", "code": 200}})), 0, "no status of a redirect"),
        (verdict(json!({"log": [["A b", "none"]]})), 0, "no key of a record"),
        (
            verdict(
                json!({"respond": {"status": {"int": 200}, "body": null, "headers": [["Content-Length", "none"]]}}),
            ),
            0,
            "by the proxy alone",
        ),
        (verdict(json!({"limit": {"key": "none", "requests": 0, "per": 1, "burst": 1}})), 0, "nothing pass"),
    ] {
        let said = compile(body, slots);
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn verdict(part: Value) -> Value {
    json!([{"return": {"verdict": [part], "line": 1, "text": "…"}}])
}
