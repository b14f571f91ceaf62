//! From the Spec to a handshake: errors with their paths, what a reload takes over, and 10,000 certificates.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headworks_core::problem::Problem;
use rcgen::PKCS_ECDSA_P256_SHA256;
use serde_json::{Value, json};

use super::*;
use crate::tls::Deployment;

#[path = "../../../../core/tests/common/mod.rs"]
mod described;

fn written(certificate: &Certificate) -> Value {
    json!({
        "place": certificate.place, "names": certificate.names[..],
        "chain": certificate.chain.iter().map(|der| STANDARD.encode(der)).collect::<Vec<_>>(),
        "key": STANDARD.encode(&certificate.key), "not_after": certificate.not_after,
    })
}

/// A tcp listener that presents `certificates` and, if `ca` says so, asks for clients' by it.
fn listener(certificates: &[&Certificate], ca: Option<&Authority>) -> Value {
    let clients = ca
        .map(|ca| json!({"verify": "optional", "ca": [STANDARD.encode(&ca.der)], "crl": [], "headers": []}));
    json!({
        "protocol": "tcp", "backend": "app",
        "tls": {
            "certificates": certificates.iter().map(|one| written(one)).collect::<Vec<_>>(),
            "strict_sni": false, "min_version": "1.2", "profile": "intermediate", "post_quantum": true, "alpn": [],
            "tickets": true, "ticket_rotation": 43_200_000, "early_data": 0, "handshake_timeout": 10_000,
            "check_host": false, "hsts": null, "client_certificates": clients, "passthrough": null,
        },
    })
}

fn deployed(
    listener: &Value,
    backend_tls: Value,
    old: Option<&Deployment>,
) -> Result<Deployment, Vec<Problem>> {
    let backend = json!({"servers": ["192.0.2.1:443"], "tls": backend_tls});
    let spec = described::spec(json!({"listeners": {"secure": listener}, "backends": {"app": backend}}));
    Ok(Deployment::compile(&spec)?.adopt(old, 1))
}

#[test]
fn problems_are_named_from_the_root() {
    let ca = Authority::new("authority");
    let good = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let mut mixed = ca.sign(&["b.example"], &PKCS_ECDSA_P256_SHA256);
    mixed.key = good.key.clone();
    let backend = json!({
        "verify": true, "ca": [STANDARD.encode("nothing")], "server_name": null, "min_version": "1.2", "alpn": [],
        "certificate": null,
    });
    let errors = deployed(&listener(&[&good, &mixed], None), backend, None).unwrap_err();
    let paths: Vec<_> = errors.into_iter().map(|error| error.place()).collect();
    assert_eq!(paths, ["listeners.secure.tls.certificates.1", "backends.app.tls.ca"]);
}

#[test]
fn tickets_live_on_unless_the_policy_for_clients_changes() {
    let ca = Authority::new("authority");
    let certificate = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let first = deployed(&listener(&[&certificate], None), Value::Null, None).unwrap();
    let renewed = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let second = deployed(&listener(&[&renewed], None), Value::Null, Some(&first)).unwrap();
    let third = deployed(&listener(&[&renewed], Some(&ca)), Value::Null, Some(&second)).unwrap();
    let config = Arc::new(client(&ca, ANY, None));
    let visit = |deployment: &Deployment| {
        meet(deployment.acceptor(0).unwrap(), &config, "a.example").unwrap().facts.resumed
    };
    assert_eq!(
        [visit(&first), visit(&first), visit(&second), visit(&third), visit(&third)],
        [false, true, true, false, true]
    );
    assert_eq!(first.listeners[0].tls.as_ref().unwrap().expires(), Some(certificate.not_after));
}

#[test]
fn what_reaches_servers_lives_on_while_it_is_the_same() {
    let ca = Authority::new("authority");
    let certificate = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let listener = listener(&[&certificate], None);
    let backend = |name: &str| {
        json!({
            "verify": true, "ca": [STANDARD.encode(&ca.der)], "server_name": name, "min_version": "1.2",
            "alpn": [], "certificate": null,
        })
    };
    let first = deployed(&listener, backend("a.example"), None).unwrap();
    let second = deployed(&listener, backend("a.example"), Some(&first)).unwrap();
    let third = deployed(&listener, backend("b.example"), Some(&second)).unwrap();
    let is_same =
        |one: &Deployment, other: &Deployment| one.connector(0).unwrap().is_same(other.connector(0).unwrap());
    assert!(is_same(&first, &second));
    assert!(!is_same(&second, &third));
}

/// Prints how long it takes; what must hold is that each of the many gets its own.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "a measurement that decides nothing")]
fn ten_thousand_certificates() {
    let ca = Authority::new("authority");
    let key = |_| KeyPair::generate().unwrap();
    let keys: Vec<_> = (0..10_000).map(key).collect();
    let names: Vec<_> = (0..keys.len()).map(|number| format!("n{number}.example")).collect();
    let certificates: Vec<_> =
        names.iter().zip(&keys).map(|(name, key)| ca.sign_with(&[name], key, |_| {})).collect();
    let spec = listener(&certificates.iter().collect::<Vec<_>>(), None);
    let start = Instant::now();
    let first = deployed(&spec, Value::Null, None).unwrap();
    let loaded = start.elapsed();
    let again = deployed(&spec, Value::Null, Some(&first)).unwrap();
    eprintln!("loaded in {loaded:?}, again in {:?}", start.elapsed() - loaded);
    let config = Arc::new(client(&ca, ANY, None));
    for deployment in [&first, &again] {
        for index in [0_usize, 4_567, 9_999] {
            let met = meet(deployment.acceptor(0).unwrap(), &config, &names[index]).unwrap();
            assert_eq!(met.leaf(), &*certificates[index].chain[0]);
        }
    }
    let names_of = &first.listeners[0].tls.as_ref().unwrap().names;
    let start = Instant::now();
    let found = names.iter().filter(|name| !names_of.candidates(name)[0].is_empty()).count();
    eprintln!("{:?} a lookup", start.elapsed() / 10_000);
    assert_eq!(found, 10_000);
}
