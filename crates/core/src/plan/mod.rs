//! Plan: the compiled, immutable configuration. Each connection keeps the Plan it was accepted under.
//!
//! Compiling checks everything and reports every problem at once, each with the path of keys that leads to
//! it. Live state (counters, server up or down) is keyed by identity and taken over from the previous Plan.
//! Must never touch the system: an address that cannot be bound is the engine's to report.

mod tables;
mod tls;
mod view;

mod http;

pub use view::ListenerView;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::Address;
use crate::balance;
use crate::close::CloseReason;
use crate::http::answers::Answer;
use crate::http::check::HttpCheck;
use crate::listener::{self, Listener, ListenerState, Route};
use crate::networks::Networks;
use crate::path;
use crate::pool::{Backend, Health, HealthKind, ServerSet, ServerSettings};
use crate::problem::{Item, Problem};
use crate::protocol;
use crate::spec::{BackendSpec, HealthSpec, ListenerSpec, ProxySpec, ServerSpec, Spec};
use crate::table::{BackendIndex, Match, Table, Target};
use crate::tally::Tally;
use crate::wire::proxy_protocol::HeaderVersion;

/// One compiled configuration.
#[derive(Debug)]
pub struct Plan {
    /// What the file says of the process.
    pub proxy: ProxySpec,
    /// In order of their names.
    pub listeners: Box<[Listener]>,
    /// In order of their names.
    pub tables: Arc<[NamedTable]>,
    /// In order of their names.
    pub backends: Box<[Backend]>,
    /// The answers that entries and listeners give themselves.
    pub answers: Arc<[Answer]>,
    /// Signs what only this process must recognise; handed on from Plan to Plan.
    secret: [u8; 32],
}

/// A Table and what the user wrote.
#[derive(Debug)]
pub struct NamedTable {
    /// The name in the configuration.
    pub name: Box<str>,
    /// Patterns and what they lead to, in file order.
    pub entries: Vec<(String, Target)>,
    /// The compiled table.
    pub table: Table,
}

/// Where a client goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// A backend, or an answer of our own.
    pub target: Target,
    /// The table's entry that matched; None for what the listener itself names and for its fallback.
    pub entry: Option<Match>,
}

impl Plan {
    /// Compiles `spec`, or says everything that is wrong. The Plan knows nothing of what runs: it is good for
    /// explaining, and what an engine runs is a copy that [`adopt`](Self::adopt) makes.
    pub fn compile(spec: &Spec) -> Result<Self, Vec<Problem>> {
        let mut compiler = Compiler { spec, answers: Vec::new(), errors: Vec::new() };
        let backends = spec.backends.iter().map(|(name, backend)| compiler.backend(name, backend)).collect();
        let tables = compiler.tables();
        let listeners =
            spec.listeners.iter().filter_map(|(name, listener)| compiler.listener(name, listener)).collect();
        compiler.check_binds();
        compiler.check_balances();
        if compiler.errors.is_empty() {
            let answers = compiler.answers.into();
            let (proxy, secret) = (spec.proxy, http::secret());
            Ok(Self { proxy, listeners, tables: tables.into(), backends, answers, secret })
        } else {
            Err(compiler.errors)
        }
    }

    /// Copies the Plan for an engine with `shards` workers. What the system has learnt under `previous`
    /// (counters, states of servers, turns, buckets, the secret) is taken over by identity; without it
    /// everything begins anew.
    pub fn adopt(&self, previous: Option<&Self>, shards: usize) -> Self {
        let secret = previous.map_or_else(http::secret, |previous| previous.secret);
        let listener = |listener: &Listener| {
            let old = previous.and_then(|plan| plan.listener(&listener.name));
            listener.adopt(old.map(|(_, old)| old), shards)
        };
        let backend = |backend: &Backend| {
            backend.adopt(previous.and_then(|plan| plan.backend(&backend.name)), shards, &secret)
        };
        Self {
            proxy: self.proxy,
            listeners: self.listeners.iter().map(listener).collect(),
            tables: Arc::clone(&self.tables),
            backends: self.backends.iter().map(backend).collect(),
            answers: Arc::clone(&self.answers),
            secret,
        }
    }

    /// The listener called `name`.
    pub fn listener(&self, name: &str) -> Option<(u32, &Listener)> {
        let index = self.listeners.iter().position(|listener| &*listener.name == name)?;
        Some((index as u32, &self.listeners[index]))
    }

    /// Where a client of `listener` goes that gave this name (or none). Without a name the fallback comes
    /// before `*`.
    pub fn route(&self, listener: &Listener, name: Option<&str>) -> Result<Routed, CloseReason> {
        self.route_by(listener, name, |table| name.map_or(table.any(), |name| table.lookup(name)))
    }

    /// Where a client of `listener` goes whose name is in its table of what is passed through untouched;
    /// None: TLS ends here.
    pub fn pass_through(&self, listener: &Listener, name: Option<&str>) -> Option<Routed> {
        let table = &self.tables[listener.tls.as_ref()?.passthrough? as usize].table;
        let entry = name.map_or(table.any(), |name| table.lookup(name))?;
        Some(Routed { target: entry.target, entry: Some(entry) })
    }

    /// Where a request of `path` goes (as it was sent, with its query).
    pub fn route_request(
        &self,
        listener: &Listener,
        name: Option<&str>,
        path: &[u8],
    ) -> Result<Routed, CloseReason> {
        self.route_by(listener, name, |table| table.lookup_path(name, path)).map_err(|reason| match listener
            .route
        {
            Route::Table(table) if self.tables[table as usize].table.has_host(name) => CloseReason::NoPath,
            _ => reason,
        })
    }

    #[inline]
    fn route_by(
        &self,
        listener: &Listener,
        name: Option<&str>,
        lookup: impl FnOnce(&Table) -> Option<Match>,
    ) -> Result<Routed, CloseReason> {
        let table = match listener.route {
            Route::Backend(backend) => {
                return Ok(Routed { target: Target::Backend(backend), entry: None });
            }
            Route::Answer(answer) => return Ok(Routed { target: Target::Answer(answer), entry: None }),
            Route::Table(table) => &self.tables[table as usize].table,
        };
        let entry = if name.is_none() && listener.fallback.is_some() { None } else { lookup(table) };
        let target = entry.map(|entry| entry.target).or(listener.fallback.map(Target::Backend));
        let nowhere = if name.is_some() { CloseReason::NoMatch } else { CloseReason::NoName };
        target.map(|target| Routed { target, entry }).ok_or(nowhere)
    }

    /// The backend called `name`.
    pub fn backend(&self, name: &str) -> Option<&Backend> {
        self.backends.iter().find(|backend| &*backend.name == name)
    }
}

/// Servers of one backend at most: every choice looks at each of them.
const MOST_SERVERS: usize = 10_000;

/// One run of `compile`: methods report problems and return what can be built all the same.
struct Compiler<'a> {
    spec: &'a Spec,
    answers: Vec<Answer>,
    errors: Vec<Problem>,
}

impl Compiler<'_> {
    fn error(&mut self, path: Vec<Item>, reason: impl Into<String>) {
        self.report(path, reason.into(), None);
    }

    fn report(&mut self, path: Vec<Item>, reason: String, hint: Option<String>) {
        self.errors.push(Problem { path, reason, hint });
    }

    fn backend(&mut self, name: &str, spec: &BackendSpec) -> Backend {
        if spec.servers.is_empty() {
            self.error(path!["backends", name, "servers"], "at least one server is needed");
        }
        let servers = self.servers(name, spec);
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
            servers: ServerSet::new(servers, None, 1),
            balance,
            proxy_header: self.header_version(name, spec),
            source: self.source(name, spec),
            health: spec.health.as_ref().and_then(|health| self.health(name, health)),
            http: self.http_backend(name, spec),
            tls: self.encryption(name, spec).map(Arc::new),
            tally: Arc::new(Tally::new(1)),
        }
    }

    fn servers(&mut self, name: &str, spec: &BackendSpec) -> Vec<ServerSettings> {
        let mut servers = Vec::with_capacity(spec.servers.len());
        let mut listed = BTreeSet::new();
        for (index, server) in spec.servers.iter().enumerate() {
            let Some(server) = self.server(name, index, server) else { continue };
            if listed.insert(server.address.clone()) {
                servers.push(server);
            } else {
                let reason = format!("{} is listed twice", server.address);
                self.error(path!["backends", name, "servers", index, "address"], reason);
            }
        }
        if servers.len() > MOST_SERVERS {
            self.error(path!["backends", name, "servers"], format!("more than {MOST_SERVERS} servers"));
        }
        servers
    }

    fn server(&mut self, backend: &str, index: usize, spec: &ServerSpec) -> Option<ServerSettings> {
        let mut problem = |key: &str, reason: String| {
            self.errors.push(Problem::new(path!["backends", backend, "servers", index, key], reason));
        };
        if spec.weight > 256 {
            problem("weight", format!("{} is more than 256", spec.weight));
        }
        let address = match Address::parse(&spec.address) {
            Ok(Address::Descriptor(_)) => {
                problem("address", "a descriptor can be listened on, not connected to".into());
                return None;
            }
            Ok(Address::Ip(ip)) if ip.port() == 0 => {
                problem("address", "port 0 cannot be connected to".into());
                return None;
            }
            Ok(Address::Ip(ip)) if ip.ip().is_unspecified() => {
                problem("address", format!("{ip} is no address to connect to"));
                return None;
            }
            Ok(address) => address,
            Err(reason) => {
                problem("address", reason);
                return None;
            }
        };
        Some(ServerSettings {
            address,
            weight: spec.weight,
            backup: spec.backup,
            max_connections: spec.max_connections.unwrap_or(u32::MAX),
        })
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

    fn source(&mut self, backend: &str, spec: &BackendSpec) -> Option<std::net::SocketAddr> {
        let text = spec.source.as_deref()?;
        let parsed = text.parse().or_else(|_| text.parse().map(|ip| std::net::SocketAddr::new(ip, 0)));
        if parsed.is_err() {
            let reason = format!("\"{text}\" is not an IP address, with or without a port");
            self.error(path!["backends", backend, "source"], reason);
        }
        parsed.ok()
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

    fn listener(&mut self, name: &str, spec: &ListenerSpec) -> Option<Listener> {
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
        let route = self.route(name, spec, named);
        if let (Some(protocol), Some(Route::Table(table))) = (protocol, route) {
            self.check_table(name, protocol, table);
        }
        self.check_circles(name, spec);
        let fallback = self.backend_number(path!["listeners", name, "fallback"], spec.fallback.as_deref());
        let proxy_from = self.networks(name, "accept_proxy_from", &spec.accept_proxy_from);
        let speaks = protocol?.exchanges();
        let http = self.http_listener(name, spec, speaks);
        let rules = if speaks { self.rules_in_force(&http, spec, tls.as_ref()) } else { Box::default() };
        Some(Listener {
            name: name.into(),
            spec: Arc::new(spec.without_files()),
            bind,
            fallback,
            analyzers: listener::analyzers(protocol?, &proxy_from),
            proxy_from,
            allow: self.networks(name, "allow", &spec.allow),
            deny: self.networks(name, "deny", &spec.deny),
            state: Arc::new(ListenerState::new(1)),
            protocol: protocol?,
            route: route?,
            http,
            rules,
            tls: tls.map(Arc::new),
        })
    }

    fn bind(&mut self, name: &str, spec: &ListenerSpec) -> Vec<Address> {
        if spec.bind.is_empty() {
            self.error(path!["listeners", name, "bind"], "at least one address is needed");
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

    fn table_number(&mut self, listener: &str, table: &str) -> Option<u32> {
        let number = self.spec.tables.keys().position(|name| name == table);
        if number.is_none() {
            self.error(path!["listeners", listener, "table"], format!("there is no table \"{table}\""));
        }
        number.map(|number| number as u32)
    }

    fn backend_number(&mut self, path: Vec<Item>, name: Option<&str>) -> Option<BackendIndex> {
        let name = name?;
        let number = self.spec.backends.keys().position(|known| known == name);
        if number.is_none() {
            self.unknown_backend(path, name);
        }
        number.map(|number| number as BackendIndex)
    }

    fn unknown_backend(&mut self, path: Vec<Item>, name: &str) {
        self.error(path, format!("there is no backend \"{name}\""));
    }

    fn networks(&mut self, listener: &str, key: &str, written: &[String]) -> Networks {
        Networks::parse(written).unwrap_or_else(|errors| {
            for (index, reason) in errors {
                self.error(path!["listeners", listener, key, index], reason);
            }
            Networks::default()
        })
    }

    /// Two listeners cannot share an address; port 0 is a fresh one each time.
    fn check_binds(&mut self) {
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
