//! `tcp`: bytes that nobody looks at, to one backend, from the first moment.

use super::Protocol;
use crate::analyze::Analyzer;
use crate::close::CloseReason;

/// Plain TCP.
#[derive(Debug)]
pub(super) struct Tcp;

impl Protocol for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[]
    }

    fn names(&self) -> bool {
        false
    }

    fn refusal(&self, _reason: CloseReason) -> &'static [u8] {
        b""
    }
}
