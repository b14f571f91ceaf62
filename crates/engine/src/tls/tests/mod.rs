//! Whole handshakes in memory, between rustls as a client and what listeners are made into.

mod certificates;
mod clients;
mod deployment;
mod reload;
mod servers;
mod sessions;

use std::io::{Read, Write};
use std::sync::Arc;

use headworks_core::spec::ListenerTlsSpec;
use headworks_core::tls::{
    Certificate, ClientCertificates, DerBytes, Names, Termination, TlsFacts, TlsVersion,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Error, RootCertStore, ServerConnection, SupportedProtocolVersion,
};

use super::acceptor::Acceptor;
use super::keys::Keys;
use super::provider;

/// An authority that signs for everybody in a test.
struct Authority {
    der: DerBytes,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().as_ref().into();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names with a key of this kind.
    fn sign(&self, names: &[&str], kind: &'static SignatureAlgorithm) -> Certificate {
        self.sign_with(names, &KeyPair::generate_for(kind).unwrap(), |_| {})
    }

    fn sign_with(
        &self,
        names: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(owned).unwrap();
        change(&mut params);
        let leaf = params.signed_by(key, &self.issuer).unwrap();
        Certificate {
            path: vec!["certificates".into()],
            place: format!("{}.pem", names.first().unwrap_or(&"client")).into(),
            names: names.iter().map(|&name| name.into()).collect(),
            chain: vec![leaf.der().as_ref().into()],
            key: key.serialized_der().into(),
            ocsp: None,
            not_after: params.not_after.unix_timestamp(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.der.to_vec())).unwrap();
        roots
    }
}

/// A listener with these certificates that demands nothing special.
fn termination(certificates: Vec<Certificate>) -> Termination {
    let spec = ListenerTlsSpec {
        certificates: Vec::new(),
        self_signed: Vec::new(),
        strict_sni: false,
        min_version: "1.2".into(),
        profile: "intermediate".into(),
        post_quantum: true,
        alpn: vec!["http/1.1".into()],
        tickets: true,
        ticket_rotation: 43_200_000,
        early_data: 0,
        handshake_timeout: 10_000,
        check_host: false,
        hsts: None,
        passthrough: None,
        client_certificates: None,
    };
    Termination {
        spec,
        names: Arc::new(Names::new(&certificates)),
        certificates,
        min_version: TlsVersion::Tls12,
        check_host: false,
        clients: None,
        passthrough: None,
    }
}

/// Makes the listener take so much early data.
fn taking(early_data: u32, mut tls: Termination) -> Termination {
    tls.spec.early_data = early_data;
    tls
}

fn demanding(authority: &Authority, required: bool) -> Option<ClientCertificates> {
    Some(ClientCertificates { required, ca: vec![authority.der.clone()], crl: Vec::new() })
}

fn acceptor(tls: &Termination) -> Acceptor {
    successor(tls, None)
}

fn successor(tls: &Termination, old: Option<&Acceptor>) -> Acceptor {
    let acceptor = Acceptor::new(tls, &mut Keys::default()).unwrap();
    old.map_or_else(|| acceptor.clone(), |old| acceptor.adopt(old))
}

/// Problems as `path: reason`.
fn problems(tls: &Termination) -> Vec<String> {
    let errors = Acceptor::new(tls, &mut Keys::default()).unwrap_err();
    errors.into_iter().map(|error| format!("{}: {}", error.place(), error.reason)).collect()
}

const ANY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const ONLY_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const ONLY_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A client that trusts `authority` and has a certificate or none.
fn client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    certificate: Option<&Certificate>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider::provider(true))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(authority.roots());
    match certificate {
        None => builder.with_no_client_auth(),
        Some(one) => {
            let chain = one.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::try_from(one.key.to_vec()).unwrap()).unwrap()
        }
    }
}

/// A complete handshake.
struct Met {
    client: ClientConnection,
    server: ServerConnection,
    facts: TlsFacts,
    presented: Option<u32>,
}

impl Met {
    /// The certificate that the client got.
    fn leaf(&self) -> &[u8] {
        self.client.peer_certificates().unwrap()[0].as_ref()
    }
}

/// Lets a client that wants `name` meet the listener; what the server or else the client says if it fails.
fn meet(acceptor: &Acceptor, config: &Arc<ClientConfig>, name: &str) -> Result<Met, Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(config), name.clone()).unwrap();
    let mut server = acceptor.begin_buffered();
    let presented = talk(&mut client, &mut server)?;
    let name = match &name {
        ServerName::DnsName(name) => Some(name.as_ref()),
        _ => None,
    };
    let facts = acceptor.facts(&server, name);
    let presented = presented.filter(|_| !facts.resumed);
    Ok(Met { client, server, facts, presented })
}

/// Moves records until nobody has anything to say, tickets and a byte each way included.
fn talk(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<Option<u32>, Error> {
    let mut presented = None;
    let mut said = false;
    loop {
        let mut to_server = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut to_server).unwrap();
        }
        let mut rest = &to_server[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
            presented = Acceptor::presented().or(presented);
        }
        let mut to_client = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut to_client).unwrap();
        }
        let mut rest = &to_client[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if to_server.is_empty() && to_client.is_empty() {
            if std::mem::replace(&mut said, true) { return Ok(presented) } else { say_hello(client, server) }
        }
    }
}

/// Traffic keys must be the same.
fn say_hello(client: &mut ClientConnection, server: &mut ServerConnection) {
    client.writer().write_all(b"from the client").unwrap();
    server.writer().write_all(b"from the server").unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    server.read_tls(&mut &wire[..]).unwrap();
    server.process_new_packets().unwrap();
    wire.clear();
    server.write_tls(&mut wire).unwrap();
    client.read_tls(&mut &wire[..]).unwrap();
    client.process_new_packets().unwrap();
    let mut read = [0; 15];
    server.reader().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"from the client");
    client.reader().read_exact(&mut read).unwrap();
    assert_eq!(&read, b"from the server");
}
