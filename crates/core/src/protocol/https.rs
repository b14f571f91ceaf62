//! `https`: requests and responses over TLS that ends here.
//!
//! Its connections are Exchanges' as those of `http` are, once the handshake is complete.

use super::Protocol;

/// HTTP over TLS.
#[derive(Debug)]
pub(super) struct Https;

impl Protocol for Https {
    fn name(&self) -> &'static str {
        "https"
    }

    fn names(&self) -> bool {
        true
    }

    fn exchanges(&self) -> bool {
        true
    }
}
