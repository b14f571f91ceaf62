//! Sessions resumed, refused and sent early.

use std::sync::Arc;

use rcgen::PKCS_ECDSA_P256_SHA256;
use rustls::CertificateError;

use super::*;

fn listener_of(ca: &Authority) -> Termination {
    termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)])
}

/// Whether each of some visits of one client resumed.
fn visits(acceptor: &Acceptor, config: &Arc<ClientConfig>, count: usize) -> Vec<bool> {
    (0..count).map(|_| meet(acceptor, config, "a.example").unwrap().facts.resumed).collect()
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    let ca = Authority::new("authority");
    for early_data in [0, 16_384] {
        let tls = taking(early_data, listener_of(&ca));
        let listener = acceptor(&tls);
        for versions in [ONLY_12, ONLY_13] {
            let config = Arc::new(client(&ca, versions, None));
            assert_eq!(visits(&listener, &config, 3), [false, true, true], "early data {early_data}");
            let met = meet(&listener, &config, "a.example").unwrap();
            assert_eq!((met.facts.resumed, met.presented), (true, None));
            assert_eq!(met.facts.alpn, None);
        }
    }
}

#[test]
fn without_tickets_nothing_is_resumed() {
    let ca = Authority::new("authority");
    for early_data in [0, 16_384] {
        let mut tls = taking(early_data, listener_of(&ca));
        tls.spec.tickets = false;
        let listener = acceptor(&tls);
        for versions in [ONLY_12, ONLY_13] {
            let config = Arc::new(client(&ca, versions, None));
            assert_eq!(visits(&listener, &config, 2), [false, false]);
        }
    }
}

#[test]
fn a_session_of_one_name_is_not_one_of_another() {
    let ca = Authority::new("authority");
    let tls = termination(vec![ca.sign(&["a.example", "b.example"], &PKCS_ECDSA_P256_SHA256)]);
    let listener = acceptor(&tls);
    let config = Arc::new(client(&ca, ANY, None));
    assert_eq!(visits(&listener, &config, 2), [false, true]);
    assert!(!meet(&listener, &config, "b.example").unwrap().facts.resumed);
}

#[test]
fn a_resumed_client_is_still_known() {
    let ca = Authority::new("authority");
    let tls = Termination { clients: demanding(&ca, true), ..listener_of(&ca) };
    let listener = acceptor(&tls);
    let certificate = ca.sign(&["alice.example"], &PKCS_ECDSA_P256_SHA256);
    for versions in [ONLY_12, ONLY_13] {
        let config = Arc::new(client(&ca, versions, Some(&certificate)));
        let first = meet(&listener, &config, "a.example").unwrap().facts;
        let second = meet(&listener, &config, "a.example").unwrap().facts;
        assert_eq!((first.resumed, second.resumed), (false, true));
        assert!(first.client.is_some());
        assert_eq!(first.client, second.client);
    }
}

#[test]
fn a_certificate_that_has_expired_since_resumes_nothing() {
    let ca = Authority::new("authority");
    let tls = Termination { clients: demanding(&ca, false), ..listener_of(&ca) };
    let listener = acceptor(&tls);
    let key = KeyPair::generate().unwrap();
    let until = rcgen::date_time_ymd(3000, 1, 1);
    let certificate = ca.sign_with(&["alice.example"], &key, |params| params.not_after = until);
    let expiry = u64::try_from(certificate.not_after).unwrap();
    for versions in [ONLY_12, ONLY_13] {
        let config = Arc::new(client(&ca, versions, Some(&certificate)));
        let first = meet(&listener, &config, "a.example").unwrap();
        // It was verified a moment ago.
        assert_eq!(listener.would_readmit(&first.server, expiry + 1), Ok(()));
        let second = meet(&listener, &config, "a.example").unwrap();
        assert!(second.facts.resumed);
        assert_eq!(listener.would_readmit(&second.server, expiry - 1), Ok(()));
        assert!(matches!(
            listener.would_readmit(&second.server, expiry + 1),
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
        ));
        let anybody = Arc::new(client(&ca, versions, None));
        meet(&listener, &anybody, "a.example").unwrap();
        let again = meet(&listener, &anybody, "a.example").unwrap();
        assert!(again.facts.resumed);
        assert_eq!(listener.would_readmit(&again.server, expiry + 1), Ok(()));
    }
}

/// Returns what a client sends that has a request to send at once; None if it has no session that allows it.
fn sent_early(client: &mut ClientConnection, request: &[u8]) -> Option<Vec<u8>> {
    client.early_data()?.write_all(request).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).unwrap();
    }
    Some(wire)
}

/// Returns what the server takes of the request before the handshake is complete.
fn taken_early(server: &mut ServerConnection, wire: &[u8]) -> Vec<u8> {
    server.read_tls(&mut &wire[..]).unwrap();
    server.process_new_packets().unwrap();
    assert!(server.is_handshaking());
    let mut early = Vec::new();
    if let Some(mut reader) = server.early_data() {
        reader.read_to_end(&mut early).unwrap();
    }
    early
}

#[test]
fn early_data_is_taken_where_it_is_allowed_and_never_twice() {
    let ca = Authority::new("authority");
    let name = ServerName::try_from("a.example").unwrap();
    for (early_data, allowed) in [(100, true), (0, false)] {
        let mut config = client(&ca, ONLY_13, None);
        config.enable_early_data = true;
        let config = Arc::new(config);
        let listener = acceptor(&taking(early_data, listener_of(&ca)));
        meet(&listener, &config, "a.example").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&config), name.clone()).unwrap();
        let sent = sent_early(&mut client, b"GET / HTTP/1.1");
        assert_eq!(sent.is_some(), allowed);
        let Some(sent) = sent else { continue };
        let (mut server, mut replayed) = (listener.begin_buffered(), listener.begin_buffered());
        assert_eq!(taken_early(&mut server, &sent), b"GET / HTTP/1.1");
        assert_eq!(taken_early(&mut replayed, &sent), b"");
        talk(&mut client, &mut server).unwrap();
        assert!(client.is_early_data_accepted());
        assert!(listener.facts(&server, None).resumed);
    }
}
