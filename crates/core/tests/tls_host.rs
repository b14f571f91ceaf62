//! Which host a connection was opened for, and which requests are misdirected.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;

use common::{certificate, plan};
use headworks_core::host::covers;
use headworks_core::plan::Plan;
use headworks_core::tls::{Termination, TlsFacts};
use proptest::prelude::*;
use serde_json::{Value, json};

fn names(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| Box::from(*name)).collect()
}

/// An https listener with certificates for these names and these other keys of `tls`.
fn secure(certificates: &[&[&str]], keys: &Value) -> Plan {
    let certificates: Vec<_> = certificates.iter().map(|names| certificate("made up", names)).collect();
    let mut tls = keys.clone();
    tls["certificates"] = json!(certificates);
    plan(json!({
        "listeners": {"secure": {"protocol": "https", "backend": "app", "tls": tls}},
        "backends": {"app": {"servers": ["192.0.2.1:80"]}},
    }))
}

fn of(plan: &Plan) -> &Termination {
    plan.listeners[0].tls.as_ref().unwrap()
}

/// A connection of a client that asked for this name and was shown this one of the plan's certificates.
fn opened(plan: &Plan, name: Option<&str>, certificate: Option<usize>) -> TlsFacts {
    let certificate = certificate.map(|index| Arc::clone(&of(plan).certificates[index].names));
    TlsFacts { name: name.map(Box::from), certificate, ..TlsFacts::default() }
}

#[test]
fn names_of_certificates() {
    let all = names(&["a.example", "*.b.example", "192.0.2.1", "2001:db8::1", "*", "*.", "bare"]);
    for (host, covered) in [
        ("a.example", true),
        ("A.Example.:443", true),
        ("b.a.example", false),
        ("x.b.example", true),
        ("X.B.EXAMPLE:8443", true),
        ("b.example", false),
        (".b.example", false),
        ("x.y.b.example", false),
        ("192.0.2.1", true),
        ("192.0.2.1:443", true),
        ("192.0.2.2", false),
        ("[2001:DB8:0::1]:443", true),
        ("[2001:db8::2]", false),
        ("[2001:db8::1", false),
        ("2001:db8::1", false),
        ("bare", true),
        ("other", false),
        ("", false),
        (":443", false),
        (".", false),
        ("\u{e9}.example", false),
    ] {
        assert_eq!(covers(&all, host.as_bytes()), covered, "{host}");
    }
    assert!(!covers(&names(&["*.0.2.1"]), b"192.0.2.1"), "a wildcard is for no address");
    assert!(!covers(&[], b"a.example"));
}

#[test]
fn a_connection_is_good_for_its_name_and_its_certificate() {
    let certificates: &[&[&str]] = &[&["default.example"], &["a.example", "*.a.example"], &["b.example"]];
    let plan = secure(certificates, &json!({}));
    for (name, certificate, host, misdirected) in [
        (Some("a.example"), Some(1), "a.example", false),
        (Some("a.example"), Some(1), "A.example.:8443", false),
        (Some("a.example"), Some(1), "www.a.example", false),
        (Some("a.example"), Some(1), "b.example", true),
        // The client took a certificate for another name: that is its own affair.
        (Some("c.example"), Some(0), "c.example", false),
        (Some("c.example"), Some(0), "default.example", false),
        (Some("c.example"), Some(0), "a.example", true),
        (None, Some(0), "default.example", false),
        (None, Some(0), "a.example", true),
        (None, Some(0), "192.0.2.1", true),
        (Some("a.example"), Some(1), "", false),
        // Resumed: no certificate was shown.
        (Some("a.example"), None, "a.example", false),
        (Some("a.example"), None, "www.a.example", false),
        (Some("www.a.example"), None, "a.example", false),
        (Some("a.example"), None, "b.example", true),
        (Some("c.example"), None, "default.example", false),
        (Some("c.example"), None, "b.example", true),
        (None, None, "default.example", false),
        (None, None, "a.example", true),
    ] {
        let told = of(&plan).misdirected(&opened(&plan, name, certificate), host.as_bytes());
        assert_eq!(told, misdirected, "{name:?} {certificate:?} {host}");
    }
    let lenient = secure(certificates, &json!({"check_host": false}));
    assert!(!of(&lenient).misdirected(&opened(&lenient, Some("a.example"), Some(1)), b"b.example"));
}

#[test]
fn the_certificate_with_the_very_name_goes_first_and_the_first_takes_the_rest() {
    let certificates: &[&[&str]] = &[&["default.example"], &["*.example"], &["a.example"]];
    for (strict, others) in [(false, Some(0)), (true, None)] {
        let plan = secure(certificates, &json!({"strict_sni": strict}));
        for (name, presented) in [
            (Some("a.example"), Some(2)),
            (Some("b.example"), Some(1)),
            (Some("default.example"), Some(0)),
            (Some("a.b.example"), others),
            (None, others),
        ] {
            assert_eq!(of(&plan).presented(name), presented, "{name:?} {strict}");
        }
    }
}

proptest! {
    #[test]
    fn any_host_is_judged(host in prop::collection::vec(any::<u8>(), 0..40)) {
        let covered = covers(&names(&["a.example", "*.b.example", "::1"]), &host);
        prop_assert!(!covered || host.to_ascii_lowercase().windows(2).any(|part| part == b".e" || part == b":1"));
    }

    #[test]
    fn a_resumed_connection_is_as_good_as_its_first(
        name in "(www\\.)?[abc]\\.example", host in "(www\\.)?[abc]\\.example(:443)?",
    ) {
        let plan = secure(&[&["a.example", "www.a.example"], &["*.b.example"], &["b.example"]], &json!({}));
        let listener = of(&plan);
        let shown = listener.presented(Some(&name)).map(|index| index as usize);
        let first = listener.misdirected(&opened(&plan, Some(&name), shown), host.as_bytes());
        let resumed = listener.misdirected(&opened(&plan, Some(&name), None), host.as_bytes());
        prop_assert_eq!(first, resumed);
    }
}
