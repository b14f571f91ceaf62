//! `http`: requests and responses, each routed by its host and path.
//!
//! Exchanges supervise its connections, not Sessions: the analyzers of a request are the codec and the
//! listener's rules, and a refusal is a response with a page, which takes more than a constant.

use super::Protocol;

/// HTTP/1.1 and 1.0.
#[derive(Debug)]
pub(super) struct Http;

impl Protocol for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn names(&self) -> bool {
        true
    }

    fn exchanges(&self) -> bool {
        true
    }

    fn versions(&self) -> &'static [&'static str] {
        &["http/1.1", "http/1.0"]
    }
}
