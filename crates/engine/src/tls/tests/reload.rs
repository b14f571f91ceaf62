//! Tests what a reload takes over: sessions made under the same policy for clients, and no others.

use std::sync::Arc;

use rcgen::PKCS_ECDSA_P256_SHA256;

use super::*;

/// Whether a session made with `old` is resumed with its successor `new`, by version 1.2 and 1.3, with
/// tickets and with sessions of our own.
fn survives(ca: &Authority, old: impl Fn(&mut Termination), new: impl Fn(&mut Termination)) -> bool {
    let alice = ca.sign(&["alice.example"], &PKCS_ECDSA_P256_SHA256);
    let ours = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    let made = |change: &dyn Fn(&mut Termination), early_data| {
        let again = Certificate {
            path: ours.path.clone(),
            place: ours.place.clone(),
            names: ours.names.clone(),
            chain: ours.chain.clone(),
            key: ours.key.clone(),
            ocsp: None,
            not_after: 0,
        };
        let mut tls = taking(early_data, termination(vec![again]));
        change(&mut tls);
        tls
    };
    let mut resumed = Vec::new();
    for (versions, early_data) in [(ONLY_12, 0), (ONLY_13, 0), (ONLY_12, 1000), (ONLY_13, 1000)] {
        let before = acceptor(&made(&old, early_data));
        let after = successor(&made(&new, early_data), Some(&before));
        let config = Arc::new(client(ca, versions, Some(&alice)));
        meet(&before, &config, "a.example").unwrap();
        resumed.push(meet(&after, &config, "a.example").unwrap().facts.resumed);
    }
    assert!(resumed.iter().all(|&one| one == resumed[0]), "{resumed:?}");
    resumed[0]
}

#[test]
fn sessions_live_on_where_the_policy_is_the_same() {
    let ca = Authority::new("authority");
    assert!(survives(&ca, |_| {}, |_| {}));
    assert!(survives(&ca, |_| {}, |tls| tls.spec.alpn = vec!["other".into()]));
    let required = |tls: &mut Termination| tls.clients = demanding(&ca, true);
    assert!(survives(&ca, required, required));
}

#[test]
fn a_session_of_another_policy_for_clients_opens_nothing() {
    let (ca, other) = (Authority::new("authority"), Authority::new("another"));
    let none = |_: &mut Termination| {};
    let optional = |tls: &mut Termination| tls.clients = demanding(&ca, false);
    let required = |tls: &mut Termination| tls.clients = demanding(&ca, true);
    let two = |tls: &mut Termination| {
        required(tls);
        if let Some(clients) = &mut tls.clients {
            clients.ca.push(other.der.clone());
        }
    };
    assert!(!survives(&ca, none, optional));
    assert!(!survives(&ca, none, required));
    assert!(!survives(&ca, optional, required));
    assert!(!survives(&ca, two, required));
    assert!(!survives(&ca, none, |tls| tls.spec.ticket_rotation += 1));
}

#[test]
fn a_session_of_one_listener_opens_no_other() {
    let ca = Authority::new("authority");
    let lax = termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)]);
    let strict = Termination {
        clients: demanding(&ca, true),
        ..termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)])
    };
    let (lax, strict) = (acceptor(&lax), acceptor(&strict));
    for versions in [ONLY_12, ONLY_13] {
        let anybody = Arc::new(client(&ca, versions, None));
        assert!(meet(&lax, &anybody, "a.example").is_ok());
        assert!(meet(&lax, &anybody, "a.example").unwrap().facts.resumed);
        assert_eq!(meet(&strict, &anybody, "a.example").err(), Some(Error::NoCertificatesPresented));
    }
}
