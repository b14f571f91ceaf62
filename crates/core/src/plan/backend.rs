//! Compiling backends: their servers, the balance, health checks and how servers are reached.
//!
//! Checks what each key says for itself and beside its neighbours. Must never take over what runs: that is
//! [`Plan::adopt`](super::Plan::adopt)'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Compiler;
use crate::address::Address;
use crate::balance;
use crate::http::check::HttpCheck;
use crate::path;
use crate::pool::{
    AskedFor, Backend, BackendState, Health, HealthKind, Locator, MOST_SERVERS, Roll, Source, Written,
};
use crate::problem::Problem;
use crate::spec::{BackendSpec, HealthSpec, ServerSpec};
use crate::tally::Tally;
use crate::wire::proxy_protocol::HeaderVersion;

impl Compiler<'_> {
    pub(super) fn backend(&mut self, name: &str, spec: &BackendSpec) -> Backend {
        if spec.servers.is_empty() {
            self.error(path!["backends", name, "servers"], "at least one server is needed");
        }
        let written = self.servers(name, spec);
        let asked_for = self.asked_for(name, spec, &written);
        self.check_options(name, spec, &written);
        let roll = Roll::new(written);
        self.check_hash_header(name, spec);
        let balance = balance::find(&spec.balance).unwrap_or_else(|| {
            let names: Vec<_> = balance::REGISTRY.iter().map(|balance| balance.name()).collect();
            let reason = format!("unknown balance \"{}\"; known are {}", spec.balance, names.join(", "));
            self.error(path!["backends", name, "balance"], reason);
            balance::REGISTRY[0]
        });
        Backend {
            name: name.into(),
            spec: Arc::new(spec.without_files()),
            servers: roll.servers(),
            roll,
            asked_for,
            balance,
            proxy_header: self.header_version(name, spec),
            source: self.source(name, spec),
            health: spec.health.as_ref().and_then(|health| self.health(name, health)),
            http: self.http_backend(name, spec),
            tls: self.encryption(name, spec).map(Arc::new),
            consultants: self.consultants(&path!["backends", name, "analyzers"], &spec.analyzers),
            tally: Arc::new(Tally::new(1)),
            state: Arc::new(BackendState::new(1)),
        }
    }

    fn servers(&mut self, name: &str, spec: &BackendSpec) -> Vec<Written> {
        let mut servers = Vec::with_capacity(spec.servers.len());
        let mut listed = BTreeSet::new();
        for (index, server) in spec.servers.iter().enumerate() {
            let Some(server) = self.server(name, index, server) else { continue };
            if listed.insert(server.locator.to_string()) {
                servers.push(server);
            } else {
                let reason = format!("{} is listed twice", server.locator);
                self.error(path!["backends", name, "servers", index, "address"], reason);
            }
        }
        if servers.len() > MOST_SERVERS {
            self.error(path!["backends", name, "servers"], format!("more than {MOST_SERVERS} servers"));
        }
        servers
    }

    fn server(&mut self, backend: &str, index: usize, spec: &ServerSpec) -> Option<Written> {
        let mut problem = |key: &str, reason: String| {
            self.errors.push(Problem::new(path!["backends", backend, "servers", index, key], reason));
        };
        if spec.weight > 256 {
            problem("weight", format!("{} is more than 256", spec.weight));
        }
        let locator = match Locator::parse(&spec.address) {
            Ok(locator) => locator,
            Err(reason) => {
                problem("address", reason);
                return None;
            }
        };
        Some(Written {
            locator,
            weight: spec.weight,
            backup: spec.backup,
            max_connections: spec.max_connections.unwrap_or(u32::MAX),
        })
    }

    /// Returns the servers that clients name, where they do: then there are no others.
    fn asked_for(&mut self, name: &str, spec: &BackendSpec, written: &[Written]) -> Option<AskedFor> {
        let (allowed, denied) = (&spec.allow_destinations, &spec.deny_destinations);
        let is_asked = |server: &&Written| matches!(server.locator, Locator::Asked(_) | Locator::Original);
        let Some(server) = written.iter().find(is_asked) else {
            for (key, listed) in [("allow_destinations", allowed), ("deny_destinations", denied)] {
                if !listed.is_empty() {
                    let reason = "only servers = \"*\" and \"original\", which clients choose, may lead to \
                        others than are written";
                    self.error(path!["backends", name, key], reason);
                }
            }
            return None;
        };
        let is_original = server.locator == Locator::Original;
        let shown = if is_original { "original" } else { "*" };
        let mut wrong = |key: &str, reason: &str| self.error(path!["backends", name, key], reason);
        if written.len() > 1 {
            wrong("servers", &format!("\"{shown}\" is whatever clients ask for: it stands alone"));
        }
        if allowed.is_empty() {
            let all = "[\"0.0.0.0/0\", \"::/0\"] is every public address";
            let what = if is_original { "networks" } else { "names or networks" };
            wrong("servers", &format!("\"{shown}\" needs allow_destinations, {what}: {all}"));
        }
        for (key, is_set) in [
            ("health", spec.health.is_some()),
            ("affinity", spec.affinity.is_some()),
            ("tls", spec.tls.is_some()),
        ] {
            if is_set {
                wrong(key, "it is for servers that are known, and clients name those of this backend");
            }
        }
        match AskedFor::compile(&server.locator, server.max_connections, allowed, denied) {
            Ok(asked) => Some(asked),
            Err(errors) => {
                for (key, index, reason) in errors {
                    self.error(path!["backends", name, key, index], reason);
                }
                None
            }
        }
    }

    fn check_hash_header(&mut self, name: &str, spec: &BackendSpec) {
        if spec.balance == "header_hash" && spec.hash_header.is_none() {
            self.error(
                path!["backends", name, "hash_header"],
                "header_hash needs the name of the field that it hashes",
            );
        }
    }

    fn header_version(&mut self, backend: &str, spec: &BackendSpec) -> Option<HeaderVersion> {
        match spec.proxy_protocol.as_deref()? {
            "v1" => Some(HeaderVersion::V1),
            "v2" => Some(HeaderVersion::V2),
            other => {
                let reason = format!("unknown version \"{other}\"; known are v1, v2");
                self.error(path!["backends", backend, "proxy_protocol"], reason);
                None
            }
        }
    }

    fn source(&mut self, backend: &str, spec: &BackendSpec) -> Option<Source> {
        let text = spec.source.as_deref()?;
        if text == "client" {
            return Some(Source::Client);
        }
        let parsed = text.parse().or_else(|_| text.parse().map(|ip| std::net::SocketAddr::new(ip, 0)));
        if parsed.is_err() {
            let reason = format!("\"{text}\" is not an IP address, with or without a port, nor \"client\"");
            self.error(path!["backends", backend, "source"], reason);
        }
        parsed.ok().map(Source::Address)
    }

    /// Reports options of TCP sockets where servers are unix sockets.
    fn check_options(&mut self, name: &str, spec: &BackendSpec, written: &[Written]) {
        let is_unix = |server: &Written| matches!(server.locator, Locator::Address(Address::Unix(_)));
        if !written.iter().any(is_unix) {
            return;
        }
        let from_client = spec.source.as_deref() == Some("client");
        for (key, is_set) in [("connect", !spec.connect.is_plain()), ("source", from_client)] {
            if is_set {
                self.error(path!["backends", name, key], "it is for TCP, and a server is a unix socket");
            }
        }
    }

    fn health(&mut self, backend: &str, spec: &HealthSpec) -> Option<Health> {
        let kind = match spec.kind.as_str() {
            "tcp" => HealthKind::Tcp,
            "http" => {
                let compiled = HttpCheck::compile(spec).map(HealthKind::Http).map(Some);
                self.below(path!["backends", backend, "health"], compiled)?
            }
            other => {
                let reason = format!("unknown kind \"{other}\"; known are tcp, http");
                self.error(path!["backends", backend, "health", "kind"], reason);
                return None;
            }
        };
        Some(Health { spec: spec.clone(), kind })
    }
}
