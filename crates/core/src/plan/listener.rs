//! Compiling listeners: the addresses, where their clients lead, and who may connect.
//!
//! Checks each listener, and that no two bind one address. Must never bind: whether an address can be had is
//! the engine's to find out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Compiler;
use crate::address::Address;
use crate::bandwidth::Bandwidth;
use crate::connection_rate::ConnectionRate;
use crate::listener::{self, Listener, ListenerState, Route};
use crate::path;
use crate::program::Programs;
use crate::protocol;
use crate::spec::ListenerSpec;

impl Compiler<'_> {
    pub(super) fn listener(&mut self, name: &str, spec: &ListenerSpec) -> Option<Listener> {
        let protocol = protocol::find(&spec.protocol);
        if protocol.is_none() {
            let names: Vec<_> = protocol::REGISTRY.iter().map(|protocol| protocol.name()).collect();
            let reason = format!("unknown protocol \"{}\"; known are {}", spec.protocol, names.join(", "));
            self.error(path!["listeners", name, "protocol"], reason);
        }
        let bind = self.bind(name, spec);
        let tls = self.termination(name, spec);
        // A client that speaks TLS names what it wants.
        let named = tls.is_some() || protocol.is_none_or(|protocol| protocol.names());
        let tells_kinds = protocol.is_some_and(|protocol| protocol.kinds());
        let route = if tells_kinds { self.kinds_route(name, spec) } else { self.route(name, spec, named) };
        let kinds = self.kinds(name, spec).filter(|_| tells_kinds);
        if let (Some(protocol), Some(Route::Table(table))) = (protocol, route) {
            self.check_table(name, protocol, table);
        }
        self.check_circles(name, spec);
        let fallback = self.backend_number(path!["listeners", name, "fallback"], spec.fallback.as_deref());
        self.check_destination(name, spec);
        let proxy_from = self.networks(name, "accept_proxy_from", &spec.accept_proxy_from);
        let speaks = protocol?.exchanges();
        let http = self.http_listener(name, spec, speaks);
        let rules = if speaks { self.rules_in_force(&http, spec, tls.as_ref()) } else { Box::default() };
        let (kinds, kind_ways) = kinds.unwrap_or_default();
        Some(Listener {
            name: name.into(),
            spec: Arc::new(spec.without_files()),
            bind,
            fallback,
            kinds,
            kind_ways,
            analyzers: listener::analyzers(protocol?, &proxy_from),
            proxy_from,
            allow: self.networks(name, "allow", &spec.allow),
            deny: self.networks(name, "deny", &spec.deny),
            bandwidth: self.bandwidth(name, spec),
            connection_rate: self.connection_rate(name, spec),
            state: Arc::new(ListenerState::new(1)),
            protocol: protocol?,
            route: route?,
            http,
            rules,
            tls: tls.map(Arc::new),
            consultants: self.consultants(&path!["listeners", name, "analyzers"], &spec.analyzers),
            programs: self.below(path!["listeners", name, "rules"], Programs::compile(&spec.rules)),
        })
    }

    /// Reports a backend that goes where clients wanted to go, where nothing tells where that was.
    fn check_destination(&mut self, name: &str, spec: &ListenerSpec) {
        if spec.accept.learns_destination() || !spec.accept_proxy_from.is_empty() {
            return;
        }
        for (key, backend) in [("backend", &spec.backend), ("fallback", &spec.fallback)] {
            let backend = backend.as_ref().and_then(|backend| self.spec.backends.get(backend));
            if backend
                .is_some_and(|backend| backend.servers.iter().any(|server| server.address == "original"))
            {
                let reason = "its server is \"original\", which nobody tells: the listener needs \
                    accept.original_destination, accept.transparent or accept_proxy_from";
                self.error(path!["listeners", name, key], reason);
            }
        }
    }

    fn connection_rate(&mut self, name: &str, spec: &ListenerSpec) -> Option<ConnectionRate> {
        let compiled = ConnectionRate::compile(spec.connection_rate.as_ref()?);
        self.below(path!["listeners", name, "connection_rate"], compiled.map(Some))
    }

    fn bandwidth(&mut self, name: &str, spec: &ListenerSpec) -> Option<Bandwidth> {
        let compiled = Bandwidth::compile(spec.bandwidth.as_ref()?);
        self.below(path!["listeners", name, "bandwidth"], compiled.map(Some))
    }

    fn bind(&mut self, name: &str, spec: &ListenerSpec) -> Vec<Address> {
        if spec.bind.is_empty() {
            self.error(path!["listeners", name, "bind"], "at least one address is needed");
        }
        if !spec.accept.is_plain() && spec.bind.iter().any(|text| text.starts_with("unix:")) {
            let reason = "it is for TCP, and the listener has a unix socket";
            self.error(path!["listeners", name, "accept"], reason);
        }
        let mut parsed = Vec::with_capacity(spec.bind.len());
        for (nth, text) in spec.bind.iter().enumerate() {
            match Address::parse(text) {
                Ok(address) => parsed.push(address),
                Err(reason) => self.error(path!["listeners", name, "bind", nth], reason),
            }
        }
        parsed
    }

    fn kinds_route(&mut self, name: &str, spec: &ListenerSpec) -> Option<Route> {
        for (key, given) in [("table", &spec.table), ("backend", &spec.backend)] {
            if given.is_some() {
                let reason = "each kind has a table or backend of its own, in first_bytes";
                self.error(path!["listeners", name, key], reason);
            }
        }
        if spec.first_bytes.is_none() {
            self.error(path!["listeners", name], "first_bytes is needed");
        }
        Some(Route::Kinds)
    }

    fn route(&mut self, name: &str, spec: &ListenerSpec, named: bool) -> Option<Route> {
        if let Some(answer) = self.listener_answer(name, spec) {
            return Some(Route::Answer(answer));
        }
        match (&spec.table, &spec.backend) {
            (Some(_), Some(_)) => {
                self.error(path!["listeners", name, "backend"], "give either table or backend, not both");
                None
            }
            (None, None) => {
                let reason = if named { "table or backend is needed" } else { "backend is needed" };
                self.error(path!["listeners", name], reason);
                None
            }
            (Some(_), None) if !named => {
                let reason = format!("{} clients give no name to look up; give backend", spec.protocol);
                self.error(path!["listeners", name, "table"], reason);
                None
            }
            (Some(table), None) => self.table_number(name, table).map(Route::Table),
            (None, Some(backend)) => {
                self.backend_number(path!["listeners", name, "backend"], Some(backend)).map(Route::Backend)
            }
        }
    }

    /// Reports addresses that two listeners would share; port 0 is a fresh one each time.
    pub(super) fn check_binds(&mut self) {
        let mut taken: BTreeMap<Address, &str> = BTreeMap::new();
        let spec = self.spec;
        for (name, listener) in &spec.listeners {
            for (nth, text) in listener.bind.iter().enumerate() {
                let Ok(address) = Address::parse(text) else { continue };
                if address.ip().is_some_and(|ip| ip.port() == 0) {
                    continue;
                }
                if let Some(other) = taken.insert(address, name) {
                    let reason = format!("{text} is already bound by listeners.{other}");
                    self.error(path!["listeners", name, "bind", nth], reason);
                }
            }
        }
    }
}
