//! `http_host`: routed by the host that the first request of a connection names, and relayed untouched.

use super::Protocol;
use crate::analyze::{self, Analyzer};
use crate::close::CloseReason;
use crate::spoken::Spoken;

/// HTTP passed through.
#[derive(Debug)]
pub(super) struct HttpHost;

impl Protocol for HttpHost {
    fn name(&self) -> &'static str {
        "http_host"
    }

    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[&analyze::FirstHost]
    }

    fn names(&self) -> bool {
        true
    }

    fn refusal(&self, reason: CloseReason) -> &'static [u8] {
        Spoken::Http1.refusal(reason)
    }
}
