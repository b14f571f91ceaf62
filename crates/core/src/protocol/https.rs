//! `https`: requests and responses over TLS that ends here.
//!
//! Its connections are Exchanges' as those of `http` are, once the handshake is complete.

use super::Protocol;
use crate::analyze::Analyzer;
use crate::close::CloseReason;

/// HTTP over TLS.
#[derive(Debug)]
pub(super) struct Https;

impl Protocol for Https {
    fn name(&self) -> &'static str {
        "https"
    }

    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[]
    }

    fn names(&self) -> bool {
        true
    }

    fn exchanges(&self) -> bool {
        true
    }

    fn refusal(&self, _reason: CloseReason) -> &'static [u8] {
        b""
    }
}
