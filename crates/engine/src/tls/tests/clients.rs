//! Certificates of clients: who gets in, and what is told of them.

use std::sync::Arc;

use rcgen::{
    CertificateRevocationListParams, DistinguishedName, DnValue, KeyIdMethod, PKCS_ECDSA_P256_SHA256,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::CertificateError;

use super::*;

/// A client's certificate with this common name and serial number.
fn person(
    ca: &Authority,
    name: &str,
    serial: u64,
    change: impl FnOnce(&mut CertificateParams),
) -> Certificate {
    ca.sign_with(&[], &KeyPair::generate().unwrap(), |params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(name.into()));
        params.serial_number = Some(SerialNumber::from(serial));
        change(params);
    })
}

fn list(ca: &Authority, revoked: &[u64], until: i32) -> DerBytes {
    let revoked_certs = revoked.iter().map(|&serial| RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&ca.issuer).unwrap().der().as_ref().into()
}

/// Meets a listener that demands what `clients` says, with each version.
fn admitted(
    ca: &Authority,
    clients: &ClientCertificates,
    certificate: Option<&Certificate>,
) -> Result<TlsFacts, Error> {
    let mut tls = termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)]);
    tls.clients = Some(clients.clone());
    let listener = acceptor(&tls);
    let by = |versions| {
        meet(&listener, &Arc::new(client(ca, versions, certificate)), "a.example").map(|met| met.facts)
    };
    let (old, new) = (by(ONLY_12), by(ONLY_13));
    let client_of = |facts: &Result<TlsFacts, Error>| facts.clone().map(|facts| facts.client);
    assert_eq!(client_of(&old), client_of(&new));
    new
}

#[test]
fn only_the_right_clients_get_in() {
    let (ca, other) = (Authority::new("authority"), Authority::new("somebody else"));
    let mut clients = demanding(&ca, true).unwrap();
    let good = person(&ca, "Alice", 7, |_| {});
    assert!(admitted(&ca, &clients, Some(&good)).unwrap().client.is_some());
    assert_eq!(admitted(&ca, &clients, None).unwrap_err(), Error::NoCertificatesPresented);
    let expired = person(&ca, "Bob", 8, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let stranger = person(&other, "Mallory", 9, |_| {});
    for required in [true, false] {
        clients.required = required;
        let why = |certificate| admitted(&ca, &clients, Some(certificate)).unwrap_err();
        let expired = why(&expired);
        assert!(
            matches!(expired, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
            "{expired:?}"
        );
        assert_eq!(why(&stranger), Error::InvalidCertificate(CertificateError::UnknownIssuer));
    }
    assert_eq!(admitted(&ca, &clients, None).unwrap().client, None);
}

#[test]
fn a_revoked_certificate_and_a_list_out_of_force_refuse() {
    let ca = Authority::new("authority");
    let mut clients = demanding(&ca, true).unwrap();
    let (good, revoked) = (person(&ca, "Alice", 7, |_| {}), person(&ca, "Bob", 8, |_| {}));
    clients.crl = vec![list(&ca, &[8], 4000)];
    assert!(admitted(&ca, &clients, Some(&good)).is_ok());
    let why = admitted(&ca, &clients, Some(&revoked)).unwrap_err();
    assert_eq!(why, Error::InvalidCertificate(CertificateError::Revoked));
    clients.crl = vec![list(&ca, &[], 2025)];
    let why = admitted(&ca, &clients, Some(&good)).unwrap_err();
    assert!(
        matches!(why, Error::InvalidCertificate(CertificateError::ExpiredRevocationListContext { .. })),
        "{why:?}"
    );
    clients.crl = vec![list(&Authority::new("somebody else"), &[], 4000)];
    let why = admitted(&ca, &clients, Some(&good)).unwrap_err();
    assert_eq!(why, Error::InvalidCertificate(CertificateError::UnknownRevocationStatus));
}

#[test]
fn servers_are_told_who_the_client_is() {
    let ca = Authority::new("authority");
    let certificate = person(&ca, "Ali\r\nX-Admin: yes\u{202e}", 0xab12, |_| {});
    let facts = admitted(&ca, &demanding(&ca, true).unwrap(), Some(&certificate)).unwrap();
    let client = facts.client.unwrap();
    let name = r"Ali\0D\0AX-Admin: yes\E2\80\AE";
    assert_eq!(&*client.common_name, name);
    assert!(client.subject.starts_with(&format!(r"CN={name},O=Example\, Inc.")), "{}", client.subject);
    assert!(client.issuer.starts_with("CN=authority"), "{}", client.issuer);
    assert_eq!(&*client.serial, "ab12");
    assert_eq!(client.fingerprint.len(), 64);
}

#[test]
fn a_bad_authority_or_list_is_named() {
    let ca = Authority::new("authority");
    let mut tls = termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)]);
    let mut clients = demanding(&ca, true).unwrap();
    clients.ca.push(b"nothing"[..].into());
    clients.crl = vec![list(&ca, &[], 4000), b"nothing"[..].into()];
    tls.clients = Some(clients);
    let problems = problems(&tls);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("client_certificates.ca: no certificate of an authority"));
    assert!(problems[1].starts_with("client_certificates.crl: no revocation list"));
}
