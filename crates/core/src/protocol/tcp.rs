//! `tcp`: bytes that nobody looks at, to one backend, from the first moment.

use super::{Protocol, TlsUse};

/// Plain TCP.
#[derive(Debug)]
pub(super) struct Tcp;

impl Protocol for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn names(&self) -> bool {
        false
    }

    fn tls(&self) -> TlsUse {
        TlsUse::May
    }
}
