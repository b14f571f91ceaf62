//! Compiling what listeners that end TLS and backends that are reached by TLS are told.
//!
//! Checks what can be said without speaking TLS; whether a key signs for its certificate is the engine's to
//! find out.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Compiler;
use crate::path;
use crate::problem::Item;
use crate::protocol::{self, TlsUse};
use crate::spec::{BackendSpec, BackendTlsSpec, CertificateSpec, ListenerSpec, ListenerTlsSpec};
use crate::time::Millis;
use crate::tls::{Certificate, ClientCertificates, DerBytes, Encryption, Names, Termination, TlsVersion};

/// A ticket can be used for two periods at most, and must not be for more than a week (RFC 8446, section
/// 4.6.1).
const LONGEST_ROTATION: Millis = 7 * 24 * 3_600_000 / 2;

/// Early data at most: what one client can make us hold before its handshake is complete.
const MOST_EARLY_DATA: u32 = 64 * 1024;

impl Compiler<'_> {
    /// Compiles the TLS side of a listener.
    pub(super) fn termination(&mut self, name: &str, spec: &ListenerSpec) -> Option<Termination> {
        let root = path!["listeners", name, "tls"];
        let protocol = protocol::find(&spec.protocol);
        let exchanges = protocol.is_some_and(|protocol| protocol.exchanges());
        let tls = match (&spec.tls, protocol.map_or(TlsUse::Never, |protocol| protocol.tls())) {
            (Some(tls), TlsUse::May | TlsUse::Must) => tls,
            (Some(_), TlsUse::Never) => {
                self.error(root, format!("TLS does not end at a {} listener", spec.protocol));
                return None;
            }
            (None, TlsUse::Must) => {
                let reason =
                    format!("listeners that speak {} must say which certificates they have", spec.protocol);
                self.error(root, reason);
                return None;
            }
            (None, _) => return None,
        };
        if tls.certificates.iter().flatten().chain(&tls.self_signed).next().is_none() {
            self.error(path!["listeners", name, "tls", "certificates"], "at least one certificate is needed");
        }
        if tls.early_data > MOST_EARLY_DATA {
            let reason = format!("{} bytes are more than {MOST_EARLY_DATA}", tls.early_data);
            self.error(path!["listeners", name, "tls", "early_data"], reason);
        }
        if tls.early_data > 0 && !exchanges {
            let reason = "only an https listener can tell which requests may be repeated";
            self.error(path!["listeners", name, "tls", "early_data"], reason);
        }
        if tls.tickets && !(1..=LONGEST_ROTATION).contains(&tls.ticket_rotation) {
            let reason = "ticket keys are replaced after 1 millisecond to 84 hours";
            self.error(path!["listeners", name, "tls", "ticket_rotation"], reason);
        }
        let places = tls.certificates.iter().enumerate();
        let placed = places.flat_map(|(index, place)| {
            place.iter().map(move |certificate| (path!["certificates", index], certificate))
        });
        let made = tls.self_signed.iter().map(|certificate| (path!["self_signed"], certificate));
        let certificates = placed
            .chain(made)
            .map(|(path, certificate)| self.certificate(&root, path, certificate))
            .collect::<Vec<_>>();
        if tls.early_data > 0 && tls.client_certificates.is_some() {
            let reason = "early data is acted on before a client has shown who it is; it cannot go with \
                          client_certificates";
            self.error(path!["listeners", name, "tls", "early_data"], reason);
        }
        let min_version = self.least_version(&root, &tls.min_version, &tls.profile);
        self.check_alpn(&root, &tls.alpn);
        Some(Termination {
            spec: tls.without_files(),
            names: Arc::new(Names::new(&certificates)),
            certificates,
            min_version,
            check_host: tls.check_host && exchanges,
            clients: self.client_certificates(name, tls),
            passthrough: tls.passthrough.as_deref().and_then(|table| self.passthrough(name, table)),
        })
    }

    /// Compiles the TLS side of a backend.
    pub(super) fn encryption(&mut self, name: &str, spec: &BackendSpec) -> Option<Encryption> {
        let tls: &BackendTlsSpec = spec.tls.as_ref()?;
        let root = path!["backends", name, "tls"];
        let roots = self.ders(&path!["backends", name, "tls", "ca"], &tls.ca);
        if tls.verify && tls.ca.is_empty() {
            self.error(path!["backends", name, "tls", "ca"], "no authority is known that could be trusted");
        }
        let unnamed = tls.verify && tls.server_name.is_none();
        if unnamed && spec.servers.iter().any(|server| server.address.starts_with("unix:")) {
            let reason = "the server at a unix socket needs a name that its certificate can be verified by";
            self.error(path!["backends", name, "tls", "server_name"], reason);
        }
        let certificate = tls.certificate.as_ref();
        let certificate = certificate.map(|one| self.certificate(&root, path!["certificate"], one));
        let min_version = self.least_version(&root, &tls.min_version, "intermediate");
        self.check_alpn(&root, &tls.alpn);
        Some(Encryption {
            spec: tls.without_files(),
            roots: tls.verify.then_some(roots),
            min_version,
            certificate,
        })
    }

    fn least_version(&mut self, root: &[Item], version: &str, profile: &str) -> TlsVersion {
        match (version, profile) {
            ("1.2", "modern") | ("1.3", "modern" | "intermediate") => TlsVersion::Tls13,
            ("1.2", "intermediate") => TlsVersion::Tls12,
            ("1.2" | "1.3", other) => {
                let reason = format!("unknown profile \"{other}\"; known are intermediate, modern");
                self.error(below(root, path!["profile"]), reason);
                TlsVersion::Tls12
            }
            (other, _) => {
                let reason = format!("unknown version \"{other}\"; known are 1.2, 1.3");
                self.error(below(root, path!["min_version"]), reason);
                TlsVersion::Tls12
            }
        }
    }

    fn check_alpn(&mut self, root: &[Item], protocols: &[String]) {
        for (index, protocol) in protocols.iter().enumerate() {
            if protocol.is_empty() || protocol.len() > 255 {
                let reason = "the name of a protocol has 1 to 255 bytes";
                self.error(below(root, path!["alpn", index]), reason);
            }
        }
    }

    fn client_certificates(&mut self, name: &str, tls: &ListenerTlsSpec) -> Option<ClientCertificates> {
        let clients = tls.client_certificates.as_ref()?;
        let path = |key| path!["listeners", name, "tls", "client_certificates", key];
        if clients.ca.is_empty() {
            self.error(path("ca"), "no authority is known that could have signed for clients");
        }
        if !matches!(clients.verify.as_str(), "required" | "optional") {
            let reason = format!("unknown kind \"{}\"; known are required, optional", clients.verify);
            self.error(path("verify"), reason);
        }
        Some(ClientCertificates {
            required: clients.verify == "required",
            ca: self.ders(&path("ca"), &clients.ca),
            crl: self.ders(&path("crl"), &clients.crl),
        })
    }

    fn passthrough(&mut self, listener: &str, table: &str) -> Option<u32> {
        let path = path!["listeners", listener, "tls", "passthrough"];
        let number = self.spec.tables.keys().position(|name| name == table);
        if number.is_none() {
            self.error(path.clone(), format!("there is no table \"{table}\""));
        }
        let entries = self.spec.tables.get(table).into_iter().flat_map(|table| &table.0);
        for (pattern, _) in
            entries.filter(|(pattern, entry)| entry.backends().next().is_none() || is_path(pattern))
        {
            let reason = format!(
                "the table's entry \"{pattern}\" needs a request, which nobody sees of what is passed through"
            );
            self.error(path.clone(), reason);
        }
        number.map(|number| number as u32)
    }

    /// Compiles one certificate, which is at `path` below `root`, the table `tls`.
    fn certificate(&mut self, root: &[Item], path: Vec<Item>, spec: &CertificateSpec) -> Certificate {
        let whole = below(root, path.clone());
        if spec.chain.is_empty() {
            self.error(whole.clone(), format!("{} has no certificate", spec.place));
        }
        Certificate {
            path,
            place: spec.place.as_str().into(),
            names: spec.names.iter().map(|name| name.to_ascii_lowercase().into()).collect(),
            chain: self.ders(&whole, &spec.chain),
            key: self.ders(&whole, std::slice::from_ref(&spec.key)).pop().unwrap_or_default(),
            ocsp: self.ders(&whole, spec.ocsp.as_slice()).pop(),
            not_after: spec.not_after,
        }
    }

    fn ders(&mut self, path: &[Item], written: &[String]) -> Vec<DerBytes> {
        let mut ders = Vec::with_capacity(written.len());
        for text in written {
            match STANDARD.decode(text) {
                Ok(der) => ders.push(der.into()),
                Err(error) => self.error(path.to_vec(), format!("no DER in Base64: {error}")),
            }
        }
        ders
    }
}

/// Returns the path that leads on from `root`.
fn below(root: &[Item], path: Vec<Item>) -> Vec<Item> {
    [root, &path].concat()
}

/// Whether a pattern speaks of a path; a slash in a regular expression is one of a name that never comes.
fn is_path(pattern: &str) -> bool {
    !pattern.starts_with('~') && pattern.contains('/')
}
