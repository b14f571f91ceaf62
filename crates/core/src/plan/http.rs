//! Compiling what HTTP listeners and the backends behind them are told; the part of the Plan that is about
//! HTTP alone.

use std::sync::Arc;

use super::Compiler;
use crate::http::compression::Compression;
use crate::http::limits::{Concurrency, RateLimit};
use crate::http::listener::{HttpBackend, HttpListener};
use crate::http::pages::Pages;
use crate::http::rewrite::{BackendRules, ListenerRules};
use crate::http::rules::{self, Analyzed, Rule, Setting};
use crate::path;
use crate::problem::{Item, Problem};
use crate::program::Programs;
use crate::spec::{BackendSpec, Hook, ListenerSpec, ProgramKind, ProgramSpec};
use crate::tls::Termination;
use crate::wire::http1::Limits;

impl Compiler<'_> {
    /// Compiles the HTTP side of a listener; the default for those that speak something else.
    pub(super) fn http_listener(&mut self, name: &str, spec: &ListenerSpec, speaks: bool) -> HttpListener {
        if !speaks {
            self.refuse_request_keys(name, spec);
            return HttpListener::default();
        }
        let (http, root) = (&spec.http, path!["listeners", name]);
        HttpListener {
            limits: Limits {
                head: http.head_limit as usize,
                fields: http.fields_limit as usize,
                line: http.line_limit as usize,
            },
            rate_limit: self.rate_limit(name, spec),
            concurrency: self.concurrency(name, spec),
            pages: self.below(path!["listeners", name, "error_pages"], Pages::compile(&spec.error_pages)),
            rules: Arc::new(self.below(root, ListenerRules::compile(spec))),
            compression: self.compression(name, spec),
        }
    }

    /// Reports keys that change requests and responses where there are none.
    fn refuse_request_keys(&mut self, name: &str, spec: &ListenerSpec) {
        let tls = spec.tls.as_ref();
        let clients = tls.and_then(|tls| tls.client_certificates.as_ref());
        let given = [
            (path!["redirect"], spec.redirect.is_some()),
            (path!["respond"], spec.respond.is_some()),
            (path!["rate_limit"], spec.rate_limit.is_some()),
            (path!["compression"], spec.compression.is_some()),
            (
                path!["tls", "client_certificates", "headers"],
                clients.is_some_and(|clients| !clients.headers.is_empty()),
            ),
            (path!["tls", "hsts"], tls.is_some_and(|tls| tls.hsts.is_some())),
        ];
        for (path, _) in given.into_iter().filter(|(_, given)| *given) {
            let reason = format!("a {} listener knows no requests", spec.protocol);
            self.errors.push(Problem::new(path, reason).below(&path!["listeners", name]));
        }
    }

    /// Returns the rules that can apply to requests of a listener.
    pub(super) fn rules_in_force(
        &self,
        http: &HttpListener,
        spec: &ListenerSpec,
        termination: Option<&Termination>,
    ) -> Box<[&'static dyn Rule]> {
        let mut backends = self.spec.backends.values();
        let maintained = backends.any(|backend| backend.maintenance);
        let for_requests = |rules: &[ProgramSpec]| rules.iter().any(|rule| rule.kind == ProgramKind::Request);
        let programs = for_requests(&spec.rules);
        let backend_programs = self.spec.backends.values().any(|backend| for_requests(&backend.rules));
        let http_spec = &spec.http;
        rules::in_force(&Setting {
            spec: http_spec,
            http,
            termination,
            maintained,
            programs,
            backend_programs,
            analyzers: self.analyzed(spec),
        })
    }

    /// Returns where analyzers are asked about requests of a listener.
    fn analyzed(&self, spec: &ListenerSpec) -> Analyzed {
        let asked = |names: &Vec<String>| {
            let asks =
                |name| self.spec.analyzers.get(name).is_some_and(|one| one.hooks.contains(&Hook::Request));
            names.iter().any(asks)
        };
        let table = spec.table.as_ref().and_then(|table| self.spec.tables.get(table));
        Analyzed {
            listener: asked(&spec.analyzers),
            entry: table.is_some_and(|table| table.0.iter().any(|(_, entry)| asked(&entry.analyzers))),
            backend: self.spec.backends.values().any(|backend| asked(&backend.analyzers)),
        }
    }

    fn rate_limit(&mut self, name: &str, spec: &ListenerSpec) -> Option<RateLimit> {
        let compiled = RateLimit::compile(spec.rate_limit.as_ref()?);
        self.below(path!["listeners", name, "rate_limit"], compiled.map(Some))
    }

    fn concurrency(&mut self, name: &str, spec: &ListenerSpec) -> Option<Concurrency> {
        let compiled = Concurrency::compile(spec.http.max_requests_per_client?);
        self.below(path!["listeners", name, "http", "max_requests_per_client"], compiled.map(Some))
    }

    fn compression(&mut self, name: &str, spec: &ListenerSpec) -> Option<Compression> {
        let compiled = Compression::compile(spec.compression.as_ref()?);
        self.below(path!["listeners", name, "compression"], compiled.map(Some))
    }

    /// Compiles the HTTP side of a backend.
    pub(super) fn http_backend(&mut self, name: &str, spec: &BackendSpec) -> HttpBackend {
        let pages = self.below(path!["backends", name, "error_pages"], Pages::compile(&spec.error_pages));
        // Whoever adopts the Plan signs with a secret of its own.
        let rules = self.below(path!["backends", name], BackendRules::compile(spec, &[0; 32]));
        let programs = self.below(path!["backends", name, "rules"], Programs::compile(&spec.rules));
        HttpBackend { pages, rules, programs }
    }

    /// Reports errors whose paths are below `root`.
    pub(super) fn below<T: Default>(&mut self, root: Vec<Item>, compiled: Result<T, Vec<Problem>>) -> T {
        compiled.unwrap_or_else(|errors| {
            self.errors.extend(errors.into_iter().map(|error| error.below(&root)));
            T::default()
        })
    }
}

/// Makes the key for what this process signs under this Plan and all that follow it.
pub(super) fn secret() -> [u8; 32] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut secret = [0; 32];
    for part in secret.chunks_exact_mut(8) {
        // RandomState is the standard library's way to the system's random numbers.
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_ne_bytes());
    }
    secret
}
