//! Tests which certificate, version, suite, group and protocol clients get; and what is wrong with keys.

use headworks_core::path;
use std::sync::{Arc, Mutex};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, DigitallySignedStruct, PeerIncompatible, SignatureScheme};

use super::*;
use crate::tls::unverified::Unverified;

/// A client that verifies no other signatures than these schemes make.
fn verifies_only(authority: &Authority, schemes: &[SignatureScheme]) -> Arc<ClientConfig> {
    let mut provider = CryptoProvider::clone(&provider::provider(true));
    let algorithms = &mut provider.signature_verification_algorithms;
    let kept = algorithms.mapping.iter().filter(|(scheme, _)| schemes.contains(scheme));
    algorithms.mapping = Box::leak(kept.copied().collect());
    let builder =
        ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(ANY).unwrap();
    Arc::new(builder.with_root_certificates(authority.roots()).with_no_client_auth())
}

#[test]
fn names_choose_certificates() {
    let ca = Authority::new("authority");
    let kind = &PKCS_ECDSA_P256_SHA256;
    let certificates = vec![
        ca.sign(&["default.example"], kind),
        ca.sign(&["*.example.com"], kind),
        ca.sign(&["a.example.com"], kind),
    ];
    let mut tls = termination(certificates);
    let config = Arc::new(client(&ca, ANY, None));
    let listener = acceptor(&tls);
    for (name, index) in [("A.Example.com", 2), ("b.example.com", 1), ("default.example", 0)] {
        let met = meet(&listener, &config, name).unwrap();
        assert_eq!(met.presented, Some(index), "{name}");
        assert_eq!(met.leaf(), &*tls.certificates[index as usize].chain[0]);
    }
    // Others get the default, which the client then refuses.
    assert!(matches!(meet(&listener, &config, "b.a.example.com"), Err(Error::InvalidCertificate(_))));
    assert!(listener.knows(None) && listener.knows(Some("b.a.example.com")));
    tls.spec.strict_sni = true;
    let strict = acceptor(&tls);
    assert!(meet(&strict, &config, "b.a.example.com").is_err());
    assert!(meet(&strict, &config, "192.0.2.1").is_err());
    assert!(
        !strict.knows(None) && !strict.knows(Some("b.a.example.com")) && strict.knows(Some("b.example.com"))
    );
}

#[test]
fn rsa_is_for_those_who_cannot_verify_better() {
    let ca = Authority::new("authority");
    let names = &["a.example"];
    let tls = termination(vec![
        ca.sign(names, &PKCS_RSA_SHA256),
        ca.sign(names, &PKCS_ECDSA_P384_SHA384),
        ca.sign(names, &PKCS_ED25519),
    ]);
    let listener = acceptor(&tls);
    // The authority's own signature is ECDSA with P-256, which is no matter of these schemes' order.
    let p256 = SignatureScheme::ECDSA_NISTP256_SHA256;
    for (schemes, index) in [
        (&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384, p256][..], 1),
        (&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ED25519, p256], 2),
        (&[SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP384_SHA384, p256], 1),
        (&[SignatureScheme::RSA_PSS_SHA512, p256], 0),
    ] {
        let met = meet(&listener, &verifies_only(&ca, schemes), "a.example").unwrap();
        assert_eq!(met.presented, Some(index), "{schemes:?}");
    }
    assert!(meet(&listener, &verifies_only(&ca, &[p256]), "a.example").is_err());
    // An address is no name: the default is the first certificate or its twins.
    let nameless = meet(&listener, &verifies_only(&ca, &[SignatureScheme::ED25519, p256]), "192.0.2.1");
    assert!(matches!(nameless, Err(Error::InvalidCertificate(_))), "presented, and not for this address");
}

#[test]
fn suites_groups_and_versions_are_those_that_we_prefer() {
    let ca = Authority::new("authority");
    let mut tls = termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)]);
    let agreed = |tls: &Termination, versions| {
        let facts = meet(&acceptor(tls), &Arc::new(client(&ca, versions, None)), "a.example").unwrap().facts;
        (facts.version, facts.cipher, facts.group)
    };
    assert_eq!(agreed(&tls, ANY), ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "X25519MLKEM768"));
    let (version, cipher) = ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert_eq!(agreed(&tls, ONLY_12), (version, cipher, "x25519"));
    tls.spec.post_quantum = false;
    assert_eq!(agreed(&tls, ANY), ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "x25519"));
    tls.min_version = TlsVersion::Tls13;
    assert_eq!(agreed(&tls, ANY).0, "TLSv1.3");
    let refused = meet(&acceptor(&tls), &Arc::new(client(&ca, ONLY_12, None)), "a.example").err();
    assert!(
        matches!(
            refused,
            Some(Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOfferedOrEnabled
                    | PeerIncompatible::SupportedVersionsExtensionRequired
            ))
        ),
        "{refused:?}"
    );
}

#[test]
fn every_suite_has_the_name_of_the_registry() {
    let ca = Authority::new("authority");
    let names = &["a.example"];
    let tls = termination(vec![ca.sign(names, &PKCS_ECDSA_P256_SHA256)]);
    let listener = acceptor(&tls);
    for (suite, name) in [
        (cipher_suite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
        (cipher_suite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
        (
            cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
    ] {
        let mut provider = CryptoProvider::clone(&provider::provider(false));
        provider.cipher_suites = vec![suite];
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let versions = if suite.tls13().is_some() { ONLY_13 } else { ONLY_12 };
        let builder = builder.with_protocol_versions(versions).unwrap();
        let config = Arc::new(builder.with_root_certificates(ca.roots()).with_no_client_auth());
        assert_eq!(meet(&listener, &config, "a.example").unwrap().facts.cipher, name);
    }
}

#[test]
fn protocols_are_agreed_on_by_alpn() {
    let ca = Authority::new("authority");
    let mut tls = termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)]);
    tls.spec.alpn = vec!["http/1.1".into(), "http/1.0".into()];
    let listener = acceptor(&tls);
    let with = |alpn: &[&str]| {
        let mut config = client(&ca, ANY, None);
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        meet(&listener, &Arc::new(config), "a.example").map(|met| met.facts.alpn)
    };
    assert_eq!(with(&["h2", "http/1.0", "http/1.1"]).unwrap().as_deref(), Some("http/1.1"));
    assert_eq!(with(&[]).unwrap(), None);
    assert_eq!(with(&["h2"]), Err(Error::NoApplicationProtocol));
}

#[test]
fn an_ocsp_response_is_stapled() {
    let ca = Authority::new("authority");
    let mut certificate = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    certificate.ocsp = Some(b"a response".as_slice().into());
    let listener = acceptor(&termination(vec![certificate]));
    for versions in [ONLY_12, ONLY_13] {
        let provider = provider::provider(true);
        let seen = Arc::new(Seen { stapled: Mutex::default(), inner: Unverified::new(&provider) });
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let verifier = Arc::clone(&seen) as Arc<dyn ServerCertVerifier>;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        meet(&listener, &Arc::new(builder.with_no_client_auth()), "a.example").unwrap();
        assert_eq!(*seen.stapled.lock().unwrap(), b"a response");
    }
}

/// Remembers what was stapled.
#[derive(Debug)]
struct Seen {
    stapled: Mutex<Vec<u8>>,
    inner: Unverified,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.stapled.lock().unwrap() = stapled.to_vec();
        self.inner.verify_server_cert(leaf, rest, name, stapled, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[test]
fn every_bad_key_is_named() {
    let ca = Authority::new("authority");
    let good = ca.sign(&["good.example"], &PKCS_ECDSA_P256_SHA256);
    let mut mixed = ca.sign(&["mixed.example"], &PKCS_ECDSA_P256_SHA256);
    mixed.key = good.key.clone();
    let mut broken = ca.sign(&["broken.example"], &PKCS_ECDSA_P256_SHA256);
    broken.key = b"no key"[..].into();
    let mut weak = ca.sign(&["weak.example"], &PKCS_ECDSA_P256_SHA256);
    weak.key = WEAK.into();
    for (index, certificate) in [&mut mixed, &mut broken, &mut weak].into_iter().enumerate() {
        certificate.path = path!["certificates", index + 1];
    }
    assert_eq!(
        problems(&termination(vec![good, mixed, broken, weak])),
        [
            "certificates.1: mixed.example.pem: the key does not sign for the certificate",
            "certificates.2: broken.example.pem: no private key in PKCS #8, PKCS #1 or SEC 1",
            "certificates.3: weak.example.pem: the key is weak or of no kind that is supported (RSA of 2048 to 8192 \
             bits, ECDSA with P-256, P-384 or P-521, Ed25519)",
        ]
    );
}

/// The SEC 1 form of a key on secp256k1, which no browser verifies.
const WEAK: &[u8] =
    b"\x30\x2e\x02\x01\x01\x04\x20\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\
    \x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\xa0\x07\x06\x05\x2b\x81\x04\x00\x0a";

#[test]
fn a_key_is_parsed_once() {
    let ca = Authority::new("authority");
    let key = KeyPair::generate().unwrap();
    let (one, two) = (ca.sign_with(&["a.example"], &key, |_| {}), ca.sign_with(&["b.example"], &key, |_| {}));
    let mut keys = Keys::default();
    let (one, two) = (keys.certified(&one).unwrap(), keys.certified(&two).unwrap());
    assert!(Arc::ptr_eq(&one.key, &two.key));
}

#[test]
fn a_client_that_offers_nothing_of_ours_gets_the_right_alert() {
    let ca = Authority::new("authority");
    let mut tls = termination(vec![ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256)]);
    tls.min_version = TlsVersion::Tls13;
    let name = ServerName::try_from("a.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client(&ca, ONLY_12, None)), name).unwrap();
    let mut server = acceptor(&tls).begin_buffered();
    assert!(talk(&mut client, &mut server).is_err());
    let mut wire = Vec::new();
    server.write_tls(&mut wire).unwrap();
    client.read_tls(&mut &wire[..]).unwrap();
    let alert = client.process_new_packets().unwrap_err();
    assert_eq!(alert, Error::AlertReceived(AlertDescription::ProtocolVersion));
}
