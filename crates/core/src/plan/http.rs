//! Compiling what HTTP listeners and the backends behind them are told; the part of the Plan that is about HTTP alone.

use super::Compiler;
use crate::http::compression::Compression;
use crate::http::limits::{Concurrency, RateLimit};
use crate::http::listener::{HttpBackend, HttpListener};
use crate::http::pages::Pages;
use crate::http::rewrite::{BackendRules, ListenerRules};
use crate::http::rules::{self, Rule, Setting};
use crate::problem::Problem;
use crate::spec::{BackendSpec, HttpSpec, ListenerSpec};
use crate::tls::Termination;
use crate::wire::http1::Limits;

impl Compiler<'_> {
    /// The HTTP side of a listener; the default for those that speak something else.
    pub(super) fn http_listener(&mut self, name: &str, spec: &ListenerSpec, speaks: bool) -> HttpListener {
        let http = match (&spec.http, speaks) {
            (Some(http), true) => http,
            (None, true) => {
                self.error(
                    &["listeners", name, "http"],
                    "an http listener must say what it demands of requests",
                );
                return HttpListener::default();
            }
            (Some(_), false) => {
                self.refuse_request_keys(name, spec);
                let reason = format!("a {} listener knows no requests", spec.protocol);
                self.error(&["listeners", name, "http"], reason);
                return HttpListener::default();
            }
            (None, false) => {
                self.refuse_request_keys(name, spec);
                return HttpListener::default();
            }
        };
        HttpListener {
            limits: Limits {
                head: http.head_limit as usize,
                fields: http.fields_limit as usize,
                line: http.line_limit as usize,
            },
            body_limit: http.body_limit,
            min_body_rate: http.min_body_rate,
            connect: http.connect,
            requests_per_connection: (http.requests_per_connection > 0)
                .then_some(http.requests_per_connection),
            keep_alive_timeout: http.keep_alive_timeout,
            body_timeout: http.body_timeout,
            tunnel_timeout: http.tunnel_timeout,
            rate_limit: self.rate_limit(name, http),
            concurrency: self.concurrency(name, http),
            pages: self.below(&["listeners", name, "error_pages"], Pages::compile(&http.error_pages)),
            rules: self.below(&["listeners", name], ListenerRules::compile(http, spec.tls.as_ref())),
            compression: self.compression(name, http),
            rules_in_force: Box::default(),
        }
    }

    /// Of the keys of `tls`, those that change requests and responses are of no use where there are none.
    fn refuse_request_keys(&mut self, name: &str, spec: &ListenerSpec) {
        let Some(tls) = &spec.tls else { return };
        let reason = format!("a {} listener knows no requests", spec.protocol);
        if tls.client_certificates.as_ref().is_some_and(|clients| !clients.headers.is_empty()) {
            self.error(&["listeners", name, "tls", "client_certificates", "headers"], reason.clone());
        }
        if tls.hsts.is_some() {
            self.error(&["listeners", name, "tls", "hsts"], reason);
        }
    }

    /// The rules that can apply to requests of a listener.
    pub(super) fn rules_in_force(
        &self,
        http: &HttpListener,
        termination: Option<&Termination>,
    ) -> Box<[&'static dyn Rule]> {
        let mut backends = self.spec.backends.values();
        let maintained = backends.any(|backend| backend.http.as_ref().is_some_and(|http| http.maintenance));
        rules::in_force(&Setting { http, termination, maintained })
    }

    fn rate_limit(&mut self, name: &str, http: &HttpSpec) -> Option<RateLimit> {
        let old = self.previous.and_then(|plan| plan.listener(name));
        let old = old.and_then(|(_, listener)| listener.http.rate_limit.as_ref());
        let compiled = RateLimit::compile(http.rate_limit.as_ref()?, old);
        self.below(&["listeners", name, "rate_limit"], compiled.map(Some))
    }

    fn concurrency(&mut self, name: &str, http: &HttpSpec) -> Option<Concurrency> {
        let old = self.previous.and_then(|plan| plan.listener(name));
        let old = old.and_then(|(_, listener)| listener.http.concurrency.as_ref());
        let compiled = Concurrency::compile(http.max_requests_per_client?, old);
        self.below(&["listeners", name, "max_requests_per_client"], compiled.map(Some))
    }

    fn compression(&mut self, name: &str, http: &HttpSpec) -> Option<Compression> {
        let compiled = Compression::compile(http.compression.as_ref()?);
        match compiled {
            Ok(compression) => Some(compression),
            Err(errors) => {
                for error in errors {
                    let index = error.index.to_string();
                    self.error(&["listeners", name, "compression", error.key, &index], error.reason);
                }
                None
            }
        }
    }

    /// The HTTP side of a backend; the default for one that was told nothing.
    pub(super) fn http_backend(&mut self, name: &str, spec: &BackendSpec) -> HttpBackend {
        let Some(http) = &spec.http else { return HttpBackend::default() };
        HttpBackend {
            pages: self.below(&["backends", name, "error_pages"], Pages::compile(&http.error_pages)),
            rules: self.below(&["backends", name], BackendRules::compile(http, &self.secret)),
            response_timeout: http.response_timeout,
            queue_timeout: http.queue_timeout,
            queue_limit: http.queue_limit,
            pool_size: http.pool_size as usize,
            pool_timeout: http.pool_timeout,
            hash_header: http.hash_header.as_deref().map(Box::from),
            maintenance: http.maintenance,
            eject_after_responses: spec.ejection.responses,
        }
    }

    /// Reports errors whose paths are below `root`.
    pub(super) fn below<T: Default>(&mut self, root: &[&str], compiled: Result<T, Vec<Problem>>) -> T {
        compiled.unwrap_or_else(|errors| {
            self.errors.extend(errors.into_iter().map(|error| error.below(root)));
            T::default()
        })
    }
}

/// A key for what is signed by this process alone, and by all Plans after this one.
pub(super) fn secret() -> [u8; 32] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut secret = [0; 32];
    for part in secret.chunks_exact_mut(8) {
        // RandomState is the standard library's way to the system's random numbers.
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_ne_bytes());
    }
    secret
}
