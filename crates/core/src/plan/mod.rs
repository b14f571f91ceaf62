//! Plan: the compiled, immutable configuration. Each connection keeps the Plan it was accepted under.
//!
//! Compiling checks everything and reports every problem at once, each with the path of keys that leads to
//! it. Live state (counters, server up or down) is keyed by identity and taken over from the previous Plan.
//! Must never touch the system: an address that cannot be bound is the engine's to report.

mod alpn;
mod backend;
mod compiler;
mod http;
mod kinds;
mod listener;
mod resolver;
mod tables;
mod tls;
mod view;

pub use alpn::AlpnWays;
pub use resolver::Resolver;
pub use view::ListenerView;

use std::sync::Arc;

use self::compiler::Compiler;
use crate::close::CloseReason;
use crate::consult::{Consultant, ConsultantIndex, Consultants};
use crate::http::answers::Answer;
use crate::listener::{Listener, Route, Way};
use crate::pool::Backend;
use crate::problem::Problem;
use crate::spec::{ProxySpec, Spec};
use crate::table::{BackendIndex, Match, Table, Target};
use crate::wire::client_hello::Offered;

/// One compiled configuration.
#[derive(Debug)]
pub struct Plan {
    /// The values of the file that concern the process.
    pub proxy: ProxySpec,
    /// How names are resolved.
    pub resolver: Arc<Resolver>,
    /// In the order of their names.
    pub listeners: Box<[Listener]>,
    /// In the order of their names.
    pub tables: Arc<[NamedTable]>,
    /// In the order of their names.
    pub backends: Box<[Backend]>,
    /// The answers that entries and listeners give themselves.
    pub answers: Arc<[Answer]>,
    /// Analyzers that people wrote, in the order of their names.
    pub consultants: Box<[Consultant]>,
    /// Some rule that people wrote takes the time of day.
    pub asks_time: bool,
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
    /// The analyzers of each entry; empty where none has any.
    pub consultants: Box<[Consultants]>,
    /// The ways of each entry that goes by ALPN; empty where none does.
    pub alpn: Box<[Option<AlpnWays>]>,
    /// The compiled table.
    pub table: Table,
}

/// The way of a client: what it is led to, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// A backend, or an answer of our own.
    pub target: Target,
    /// The table's entry that matched; None for what the listener itself names and for its fallback.
    pub entry: Option<Match>,
}

/// The reason why a client is led nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrouted {
    /// The reason that its connection ends with.
    Because(CloseReason),
    /// Nothing that it offers by ALPN is spoken at its name.
    NoProtocol,
}

impl From<Unrouted> for CloseReason {
    fn from(unrouted: Unrouted) -> Self {
        match unrouted {
            Unrouted::Because(reason) => reason,
            Unrouted::NoProtocol => Self::NoMatch,
        }
    }
}

impl NamedTable {
    /// Returns the ways of an entry, where it goes by ALPN.
    pub fn alpn_of(&self, entry: Match) -> Option<&AlpnWays> {
        self.alpn.get(entry.entry as usize)?.as_ref()
    }

    /// Returns where an entry leads a client that offers this.
    fn led(&self, entry: Match, offered: &Offered) -> Option<Target> {
        match self.alpn_of(entry) {
            None => Some(entry.target),
            Some(ways) => ways.choose(offered).map(Target::Backend),
        }
    }
}

impl Plan {
    /// Compiles `spec`, or says everything that is wrong. The Plan knows nothing of what runs: it is good for
    /// explaining, and what an engine runs is a copy that [`adopt`](Self::adopt) makes.
    pub fn compile(spec: &Spec) -> Result<Self, Vec<Problem>> {
        let consultants = spec.analyzers.iter().map(|(name, spec)| Consultant::new(name, spec)).collect();
        let mut compiler = Compiler { spec, consultants, answers: Vec::new(), errors: Vec::new() };
        compiler.check_consultants();
        let backends = spec.backends.iter().map(|(name, backend)| compiler.backend(name, backend)).collect();
        let tables = compiler.tables();
        let listeners =
            spec.listeners.iter().filter_map(|(name, listener)| compiler.listener(name, listener)).collect();
        let resolver = Arc::new(compiler.resolver());
        compiler.check_binds();
        compiler.check_balances();
        if compiler.errors.is_empty() {
            let (answers, consultants) = (compiler.answers.into(), compiler.consultants.into());
            let (proxy, secret) = (spec.proxy, http::secret());
            let (listeners, backends): (Box<[Listener]>, Box<[Backend]>) = (listeners, backends);
            let asks_time = listeners.iter().any(|listener| listener.programs.asks_time())
                || backends.iter().any(|backend| backend.http.programs.asks_time());
            Ok(Self {
                proxy,
                resolver,
                listeners,
                tables: tables.into(),
                backends,
                answers,
                consultants,
                asks_time,
                secret,
            })
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
        let consultant = |one: &Consultant| {
            let mut all = previous.into_iter().flat_map(|plan| &plan.consultants);
            one.adopt(all.find(|old| old.name == one.name))
        };
        Self {
            proxy: self.proxy,
            resolver: Arc::clone(&self.resolver),
            listeners: self.listeners.iter().map(listener).collect(),
            tables: Arc::clone(&self.tables),
            backends: self.backends.iter().map(backend).collect(),
            answers: Arc::clone(&self.answers),
            consultants: self.consultants.iter().map(consultant).collect(),
            asks_time: self.asks_time,
            secret,
        }
    }

    /// Returns the listener called `name`.
    pub fn listener(&self, name: &str) -> Option<(u32, &Listener)> {
        let index = self.listeners.iter().position(|listener| &*listener.name == name)?;
        Some((index as u32, &self.listeners[index]))
    }

    /// Returns the number of the backend called `name`.
    pub fn backend_named(&self, name: &[u8]) -> Option<BackendIndex> {
        // They are in the order of their names.
        let at = self.backends.binary_search_by(|backend| backend.name.as_bytes().cmp(name));
        at.ok().map(|at| at as BackendIndex)
    }

    /// Returns the identity of the server of a backend that is called `name`.
    pub fn server_named(&self, backend: BackendIndex, name: &[u8]) -> Option<u64> {
        let list = self.backends[backend as usize].servers.list();
        list.iter().find(|server| server.name.as_bytes() == name).map(|server| server.identity)
    }

    /// Returns the number of the analyzer called `name`.
    pub fn consultant_named(&self, name: &[u8]) -> Option<ConsultantIndex> {
        let at = self.consultants.binary_search_by(|one| one.name.as_bytes().cmp(name));
        at.ok().map(|at| at as ConsultantIndex)
    }

    /// Returns the analyzers of an entry of the table that a route leads to.
    pub fn entry_analyzers(&self, route: Route, entry: Match) -> Option<&Consultants> {
        let Route::Table(table) = route else { return None };
        self.tables[table as usize].consultants.get(entry.entry as usize)
    }

    /// Returns where a client on this way goes that gave this name or none, and offers this by ALPN. Without
    /// a name the fallback comes before `*`.
    pub fn route(&self, way: Way, name: Option<&str>, offered: &Offered) -> Result<Routed, Unrouted> {
        let lookup = |table: &Table| name.map_or(table.any(), |name| table.lookup(name));
        let routed = self.route_by(way, name, lookup).map_err(Unrouted::Because)?;
        let (Route::Table(table), Some(entry)) = (way.route, routed.entry) else { return Ok(routed) };
        let target = self.tables[table as usize].led(entry, offered).ok_or(Unrouted::NoProtocol)?;
        Ok(Routed { target, ..routed })
    }

    /// Returns where a client of `listener` goes whose name (and what it offers, where the entry goes by
    /// that) is in its table `passthrough`. None: TLS ends here.
    pub fn pass_through(&self, listener: &Listener, name: Option<&str>, offered: &Offered) -> Option<Routed> {
        let named = &self.tables[listener.tls.as_ref()?.passthrough? as usize];
        let entry = name.map_or(named.table.any(), |name| named.table.lookup(name))?;
        Some(Routed { target: named.led(entry, offered)?, entry: Some(entry) })
    }

    /// Returns where a request of `path` goes (as it was sent, with its query).
    pub fn route_request(
        &self,
        listener: &Listener,
        name: Option<&str>,
        path: &[u8],
    ) -> Result<Routed, CloseReason> {
        let way = listener.way(None);
        self.route_by(way, name, |table| table.lookup_path(name, path)).map_err(|reason| match way.route {
            Route::Table(table) if self.tables[table as usize].table.has_host(name) => CloseReason::NoPath,
            _ => reason,
        })
    }

    #[inline]
    fn route_by(
        &self,
        way: Way,
        name: Option<&str>,
        lookup: impl FnOnce(&Table) -> Option<Match>,
    ) -> Result<Routed, CloseReason> {
        let table = match way.route {
            Route::Backend(backend) => {
                return Ok(Routed { target: Target::Backend(backend), entry: None });
            }
            Route::Answer(answer) => return Ok(Routed { target: Target::Answer(answer), entry: None }),
            Route::Table(table) => &self.tables[table as usize].table,
            Route::Kinds => {
                let target = way.fallback.map(Target::Backend).ok_or(CloseReason::NoMatch)?;
                return Ok(Routed { target, entry: None });
            }
        };
        let entry = if name.is_none() && way.fallback.is_some() { None } else { lookup(table) };
        let target = entry.map(|entry| entry.target).or(way.fallback.map(Target::Backend));
        let nowhere = if name.is_some() { CloseReason::NoMatch } else { CloseReason::NoName };
        target.map(|target| Routed { target, entry }).ok_or(nowhere)
    }

    /// Returns the backend called `name`.
    pub fn backend(&self, name: &str) -> Option<&Backend> {
        self.backends.iter().find(|backend| &*backend.name == name)
    }
}
