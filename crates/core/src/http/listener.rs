//! The HTTP sides of Listeners and Backends: what was compiled of their Specs for requests.
//!
//! Listeners that speak something else have the default, which nobody asks. Must never decide: those who ask
//! do.

use std::sync::Arc;

use crate::http::compression::Compression;
use crate::http::limits::{Concurrency, RateLimit};
use crate::http::pages::Pages;
use crate::http::rewrite::{BackendRules, ListenerRules};
use crate::program::Programs;
use crate::wire::http1::Limits;

/// The HTTP side of a Listener.
#[derive(Debug, Default)]
pub struct HttpListener {
    /// Limits of request and response heads, as the codec wants them.
    pub limits: Limits,
    /// Limit of requests in a time.
    pub rate_limit: Option<RateLimit>,
    /// Limit of requests at once.
    pub concurrency: Option<Concurrency>,
    /// Error pages.
    pub pages: Pages,
    /// Rules for rewriting heads.
    pub rules: Arc<ListenerRules>,
    /// Compression of responses.
    pub compression: Option<Compression>,
}

/// The HTTP side of a Backend.
#[derive(Debug, Default)]
pub struct HttpBackend {
    /// Error pages, which win over the listener's.
    pub pages: Pages,
    /// Rules for rewriting heads.
    pub rules: BackendRules,
    /// Rules that people wrote.
    pub programs: Programs,
}

impl HttpListener {
    /// Copies it with the live state of `previous`, if there is any.
    pub(crate) fn adopt(&self, previous: Option<&Self>) -> Self {
        let (rate_limit, concurrency) = (self.rate_limit.as_ref(), self.concurrency.as_ref());
        Self {
            limits: self.limits,
            rate_limit: rate_limit.map(|limit| limit.adopt(previous.and_then(|old| old.rate_limit.as_ref()))),
            concurrency: concurrency
                .map(|most| most.adopt(previous.and_then(|old| old.concurrency.as_ref()))),
            pages: self.pages.clone(),
            rules: Arc::clone(&self.rules),
            compression: self.compression.clone(),
        }
    }
}

impl HttpBackend {
    /// Copies it with the live state of `previous`, for an engine that signs with `secret` what has no secret
    /// of its own.
    pub(crate) fn adopt(&self, previous: Option<&Self>, secret: &[u8; 32]) -> Self {
        Self {
            pages: self.pages.clone(),
            rules: self.rules.adopt(secret),
            programs: self.programs.adopt(previous.map(|previous| &previous.programs)),
        }
    }
}
