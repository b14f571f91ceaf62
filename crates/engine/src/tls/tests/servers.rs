//! Connections to servers: whom we trust, what we ask for and what we present.

use headworks_core::address::Address;
use headworks_core::close::Fault;
use headworks_core::spec::BackendTlsSpec;
use headworks_core::tls::Encryption;
use rcgen::PKCS_ECDSA_P256_SHA256;
use rustls::CertificateError;

use super::*;
use crate::tls::{Connector, agreed, server_fault};

fn encryption(ca: Option<&Authority>, name: Option<&str>) -> Encryption {
    let spec = BackendTlsSpec {
        verify: ca.is_some(),
        ca: Vec::new(),
        server_name: name.map(str::to_owned),
        min_version: "1.2".into(),
        alpn: vec!["http/1.1".into()],
        certificate: None,
    };
    Encryption {
        spec,
        roots: ca.map(|ca| vec![ca.der.clone()]),
        min_version: TlsVersion::Tls12,
        certificate: None,
    }
}

fn connector(tls: &Encryption) -> Connector {
    Connector::new(tls, &mut Keys::default()).unwrap()
}

/// Returns what the server learns of us.
fn reach(
    connector: &Connector,
    acceptor: &Acceptor,
    address: &str,
) -> Result<(TlsFacts, Option<String>), Error> {
    let mut client = connector.begin_buffered(&Address::parse(address).unwrap());
    let mut server = acceptor.begin_buffered();
    talk(&mut client, &mut server)?;
    let facts = agreed::agreed(&client);
    assert_eq!(facts.version, "TLSv1.3");
    Ok((acceptor.facts(&server, None), server.server_name().map(str::to_owned)))
}

#[test]
fn the_name_or_else_the_address_is_verified() {
    let (ca, other) = (Authority::new("authority"), Authority::new("another"));
    let server =
        acceptor(&termination(vec![ca.sign(&["app.internal", "192.0.2.1"], &PKCS_ECDSA_P256_SHA256)]));
    let by = |ca: Option<&Authority>, name, address| {
        reach(&connector(&encryption(ca, name)), &server, address).map(|(facts, name)| {
            assert_eq!(facts.alpn.as_deref(), Some("http/1.1"));
            name
        })
    };
    assert_eq!(by(Some(&ca), Some("app.internal"), "192.0.2.9:1"), Ok(Some("app.internal".into())));
    assert_eq!(by(Some(&ca), None, "192.0.2.1:1"), Ok(None));
    assert_eq!(by(Some(&ca), Some("192.0.2.1"), "unix:/run/app"), Ok(None));
    for (ca, name, address) in [(&ca, Some("other.internal"), "192.0.2.1:1"), (&ca, None, "192.0.2.9:1")] {
        let why = by(Some(ca), name, address).unwrap_err();
        assert!(
            matches!(why, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
            "{why:?}"
        );
    }
    let why = by(Some(&other), Some("app.internal"), "192.0.2.1:1").unwrap_err();
    assert_eq!(why, Error::InvalidCertificate(CertificateError::UnknownIssuer));
}

#[test]
fn a_listed_certificate_is_trusted_for_its_names_and_time() {
    let authority = IsCa::Ca(BasicConstraints::Unconstrained);
    for is_ca in [authority, IsCa::ExplicitNoCa, IsCa::NoCa] {
        for expired in [false, true] {
            let mut params = CertificateParams::new(vec!["app.internal".to_owned()]).unwrap();
            params.is_ca = is_ca;
            if expired {
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            }
            let key = KeyPair::generate().unwrap();
            let der: DerBytes = params.self_signed(&key).unwrap().der().as_ref().into();
            let mut own = Authority::new("other").sign(&["app.internal"], &PKCS_ECDSA_P256_SHA256);
            (own.chain, own.key) = (vec![der.clone()], key.serialized_der().into());
            let server = acceptor(&termination(vec![own]));
            let by = |roots: DerBytes, name| {
                let tls = Encryption { roots: Some(vec![roots]), ..encryption(None, Some(name)) };
                reach(&connector(&tls), &server, "192.0.2.1:1")
                    .map(|_| ())
                    .map_err(|error| server_fault(&error))
            };
            let listed = by(der.clone(), "app.internal");
            assert_eq!(listed, if expired { Err(Fault::Expired) } else { Ok(()) }, "{is_ca:?}");
            if !expired {
                assert_eq!(by(der, "else.internal"), Err(Fault::WrongName), "{is_ca:?}");
            }
            assert!(by(Authority::new("other").der, "app.internal").is_err(), "{is_ca:?}");
        }
    }
}

#[test]
fn without_verification_anybody_will_do() {
    let ca = Authority::new("authority");
    let server = acceptor(&termination(vec![ca.sign(&["app.internal"], &PKCS_ECDSA_P256_SHA256)]));
    for (name, asked) in [(None, None), (Some("else.internal"), Some("else.internal".to_owned()))] {
        for address in ["192.0.2.9:1", "unix:/run/app"] {
            let (_, name) = reach(&connector(&encryption(None, name)), &server, address).unwrap();
            assert_eq!(name, asked);
        }
    }
}

#[test]
fn we_present_our_certificate_and_resume() {
    let ca = Authority::new("authority");
    let mut demanded = termination(vec![ca.sign(&["app.internal"], &PKCS_ECDSA_P256_SHA256)]);
    demanded.clients = demanding(&ca, true);
    let server = acceptor(&demanded);
    let mut tls = encryption(Some(&ca), Some("app.internal"));
    assert!(reach(&connector(&tls), &server, "192.0.2.1:1").is_err());
    tls.certificate = Some(ca.sign(&["proxy.internal"], &PKCS_ECDSA_P256_SHA256));
    let connector = connector(&tls);
    for resumed in [false, true] {
        let (facts, _) = reach(&connector.clone(), &server, "192.0.2.1:1").unwrap();
        assert_eq!(facts.resumed, resumed);
        assert!(facts.client.is_some());
    }
}

#[test]
fn every_problem_is_named() {
    let ca = Authority::new("authority");
    let mut certificate = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256);
    certificate.key = ca.sign(&["a.example"], &PKCS_ECDSA_P256_SHA256).key;
    let tls = Encryption {
        roots: Some(vec![b"nothing"[..].into()]),
        certificate: Some(certificate),
        ..encryption(None, Some("no name"))
    };
    let errors = Connector::new(&tls, &mut Keys::default()).unwrap_err();
    let paths: Vec<_> = errors.into_iter().map(|error| error.place()).collect();
    assert_eq!(paths, ["ca", "server_name", "certificate"]);
}
