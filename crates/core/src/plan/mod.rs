//! Plan: the compiled, immutable configuration. Each connection keeps the Plan it was accepted under.
//!
//! Compiling checks everything and reports every problem at once, each with the path of keys that leads to it. Live
//! state (counters, server up or down) is keyed by identity and taken over from the previous Plan. Must never touch
//! the system: an address that cannot be bound is the engine's to report.

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
use crate::listener::{self, AcceptFlags, Listener, ListenerState, Route, Timeouts};
use crate::networks::Networks;
use crate::pool::{Backend, Health, HealthKind, ServerSet, ServerSettings};
use crate::problem::Problem;
use crate::protocol;
use crate::spec::{BackendSpec, HealthSpec, ListenerSpec, ServerSpec, Spec};
use crate::table::{BackendIndex, Match, Table, Target};
use crate::tally::Tally;
use crate::wire::proxy_protocol::HeaderVersion;

/// One compiled configuration.
#[derive(Debug)]
pub struct Plan {
    /// In order of their names.
    pub listeners: Box<[Listener]>,
    /// In order of their names.
    pub tables: Box<[NamedTable]>,
    /// In order of their names.
    pub backends: Box<[Backend]>,
    /// What entries and listeners answer themselves.
    pub answers: Box<[Answer]>,
    /// Signs what only this process must recognise; handed on from Plan to Plan.
    secret: [u8; 32],
}

/// A Table and what the user wrote.
#[derive(Debug)]
pub struct NamedTable {
    /// Its name in the configuration.
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
    /// Compiles `spec` for `shards` workers, taking live state over from `previous`; or says everything that is wrong.
    pub fn compile(spec: &Spec, shards: usize, previous: Option<&Plan>) -> Result<Self, Vec<Problem>> {
        let secret = previous.map_or_else(http::secret, |previous| previous.secret);
        let mut compiler =
            Compiler { spec, shards, previous, secret, answers: Vec::new(), errors: Vec::new() };
        let backends = spec.backends.iter().map(|(name, backend)| compiler.backend(name, backend)).collect();
        let tables = compiler.tables();
        let listeners =
            spec.listeners.iter().filter_map(|(name, listener)| compiler.listener(name, listener)).collect();
        compiler.check_binds();
        compiler.check_balances();
        match compiler.errors.is_empty() {
            true => Ok(Self { listeners, tables, backends, answers: compiler.answers.into(), secret }),
            false => Err(compiler.errors),
        }
    }

    /// The listener called `name`.
    pub fn listener(&self, name: &str) -> Option<(u32, &Listener)> {
        let index = self.listeners.iter().position(|listener| &*listener.name == name)?;
        Some((index as u32, &self.listeners[index]))
    }

    /// Where a client of `listener` goes that gave this name (or none). Without a name the fallback comes before `*`.
    pub fn route(&self, listener: &Listener, name: Option<&str>) -> Result<Routed, CloseReason> {
        self.route_by(listener, name, |table| name.map_or(table.any(), |name| table.lookup(name)))
    }

    /// Where a client of `listener` goes whose name is in its table of what is passed through untouched; None: TLS ends here.
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
    shards: usize,
    previous: Option<&'a Plan>,
    secret: [u8; 32],
    answers: Vec<Answer>,
    errors: Vec<Problem>,
}

impl Compiler<'_> {
    fn error(&mut self, path: &[&str], reason: impl Into<String>) {
        self.report(path, reason.into(), None);
    }

    fn report(&mut self, path: &[&str], reason: String, hint: Option<String>) {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        self.errors.push(Problem { path, reason, hint });
    }

    fn backend(&mut self, name: &str, spec: &BackendSpec) -> Backend {
        let root = ["backends", name];
        let old = self.previous.and_then(|plan| plan.backend(name));
        if spec.servers.is_empty() {
            self.error(&[root[0], name, "servers"], "at least one server is needed");
        }
        let servers = self.servers(name, spec);
        self.check_hash_header(name, spec);
        let balance = balance::find(&spec.balance).unwrap_or_else(|| {
            let names: Vec<_> = balance::REGISTRY.iter().map(|balance| balance.name()).collect();
            let reason = format!("unknown balance \"{}\"; known are {}", spec.balance, names.join(", "));
            self.error(&[root[0], name, "balance"], reason);
            balance::REGISTRY[0]
        });
        Backend {
            name: name.into(),
            servers: ServerSet::new(servers, old.map(|old| &old.servers), self.shards),
            balance,
            connect_timeout: spec.connect_timeout,
            retries: spec.retries,
            proxy_header: self.header_version(name, spec),
            source: self.source(name, spec),
            keepalive: spec.keepalive,
            slow_start: spec.slow_start,
            health: spec.health.as_ref().and_then(|health| self.health(name, health)),
            eject_after: spec.ejection.failures,
            eject_for: spec.ejection.duration,
            http: self.http_backend(name, spec),
            tls: self.encryption(name, spec),
            tally: old.map_or_else(|| Arc::new(Tally::new(self.shards)), |old| Arc::clone(&old.tally)),
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
                self.error(&["backends", name, "servers", &index.to_string(), "address"], reason);
            }
        }
        if servers.len() > MOST_SERVERS {
            self.error(&["backends", name, "servers"], format!("more than {MOST_SERVERS} servers"));
        }
        servers
    }

    fn server(&mut self, backend: &str, index: usize, spec: &ServerSpec) -> Option<ServerSettings> {
        let number = index.to_string();
        let mut problem = |key: &str, reason: String| {
            let path = ["backends", backend, "servers", &number, key].map(str::to_owned).to_vec();
            self.errors.push(Problem { path, reason, hint: None });
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
        let header = spec.http.as_ref().and_then(|http| http.hash_header.as_deref());
        if spec.balance == "header_hash" && header.is_none() {
            self.error(
                &["backends", name, "hash_header"],
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
                self.error(&["backends", backend, "proxy_protocol"], reason);
                None
            }
        }
    }

    fn source(&mut self, backend: &str, spec: &BackendSpec) -> Option<std::net::SocketAddr> {
        let text = spec.source.as_deref()?;
        let parsed = text.parse().or_else(|_| text.parse().map(|ip| std::net::SocketAddr::new(ip, 0)));
        if parsed.is_err() {
            let reason = format!("\"{text}\" is not an IP address, with or without a port");
            self.error(&["backends", backend, "source"], reason);
        }
        parsed.ok()
    }

    fn health(&mut self, backend: &str, spec: &HealthSpec) -> Option<Health> {
        let kind = match (spec.kind.as_str(), &spec.http) {
            ("tcp", _) => HealthKind::Tcp,
            ("http", Some(http)) => match HttpCheck::compile(http) {
                Ok(check) => HealthKind::Http(check),
                Err(errors) => {
                    for (key, reason) in errors {
                        self.error(&["backends", backend, "health", key], reason);
                    }
                    return None;
                }
            },
            ("http", None) => {
                self.error(&["backends", backend, "health", "path"], "a check of kind http needs a path");
                return None;
            }
            (other, _) => {
                let reason = format!("unknown kind \"{other}\"; known are tcp, http");
                self.error(&["backends", backend, "health", "kind"], reason);
                return None;
            }
        };
        Some(Health {
            kind,
            interval: spec.interval,
            timeout: spec.timeout,
            rise: spec.rise.max(1),
            fall: spec.fall.max(1),
        })
    }

    fn listener(&mut self, name: &str, spec: &ListenerSpec) -> Option<Listener> {
        let protocol = protocol::find(&spec.protocol);
        if protocol.is_none() {
            let names: Vec<_> = protocol::REGISTRY.iter().map(|protocol| protocol.name()).collect();
            let reason = format!("unknown protocol \"{}\"; known are {}", spec.protocol, names.join(", "));
            self.error(&["listeners", name, "protocol"], reason);
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
        let fallback = self.backend_number(&["listeners", name, "fallback"], spec.fallback.as_deref());
        let old = self.previous.and_then(|plan| plan.listener(name));
        let speaks = protocol?.exchanges();
        let mut http = self.http_listener(name, spec, speaks);
        if speaks {
            http.rules_in_force = self.rules_in_force(&http, tls.as_ref());
        }
        let flags = AcceptFlags {
            proxy_from: self.networks(name, "accept_proxy_from", &spec.accept_proxy_from),
            keepalive: spec.keepalive,
            ipv6_only: spec.ipv6_only,
            backlog: spec.backlog,
            unix_mode: spec.unix_mode,
        };
        Some(Listener {
            name: name.into(),
            bind,
            fallback,
            analyzers: listener::analyzers(protocol?, &flags),
            flags,
            allow: self.networks(name, "allow", &spec.allow),
            deny: self.networks(name, "deny", &spec.deny),
            first_bytes_limit: spec.first_bytes_limit as usize,
            timeouts: Timeouts {
                first_bytes: spec.timeouts.first_bytes,
                idle: spec.timeouts.idle,
                half_close: spec.timeouts.half_close,
            },
            max_connections: spec.max_connections.unwrap_or(u32::MAX),
            max_connections_per_client: spec.max_connections_per_client,
            state: old
                .map_or_else(|| Arc::new(ListenerState::new(self.shards)), |(_, old)| Arc::clone(&old.state)),
            protocol: protocol?,
            route: route?,
            http,
            tls,
        })
    }

    fn bind(&mut self, name: &str, spec: &ListenerSpec) -> Vec<Address> {
        if spec.bind.is_empty() {
            self.error(&["listeners", name, "bind"], "at least one address is needed");
        }
        let mut parsed = Vec::with_capacity(spec.bind.len());
        for (nth, text) in spec.bind.iter().enumerate() {
            match Address::parse(text) {
                Ok(address) => parsed.push(address),
                Err(reason) => self.error(&["listeners", name, "bind", &nth.to_string()], reason),
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
                self.error(&["listeners", name, "backend"], "give either table or backend, not both");
                None
            }
            (None, None) => {
                let reason = if named { "table or backend is needed" } else { "backend is needed" };
                self.error(&["listeners", name], reason);
                None
            }
            (Some(_), None) if !named => {
                let reason = format!("{} clients give no name to look up; give backend", spec.protocol);
                self.error(&["listeners", name, "table"], reason);
                None
            }
            (Some(table), None) => self.table_number(name, table).map(Route::Table),
            (None, Some(backend)) => {
                self.backend_number(&["listeners", name, "backend"], Some(backend)).map(Route::Backend)
            }
        }
    }

    fn table_number(&mut self, listener: &str, table: &str) -> Option<u32> {
        let number = self.spec.tables.keys().position(|name| name == table);
        if number.is_none() {
            self.error(&["listeners", listener, "table"], format!("there is no table \"{table}\""));
        }
        number.map(|number| number as u32)
    }

    fn backend_number(&mut self, path: &[&str], name: Option<&str>) -> Option<BackendIndex> {
        let name = name?;
        let number = self.spec.backends.keys().position(|known| known == name);
        if number.is_none() {
            self.unknown_backend(path, name);
        }
        number.map(|number| number as BackendIndex)
    }

    fn unknown_backend(&mut self, path: &[&str], name: &str) {
        self.error(path, format!("there is no backend \"{name}\""));
    }

    fn networks(&mut self, listener: &str, key: &str, written: &[String]) -> Networks {
        Networks::parse(written).unwrap_or_else(|errors| {
            for (index, reason) in errors {
                self.error(&["listeners", listener, key, &index.to_string()], reason);
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
                    self.error(&["listeners", name, "bind", &nth.to_string()], reason);
                }
            }
        }
    }
}
