//! `tls`: routed by the name in the ClientHello and never decrypted.

use super::Protocol;
use crate::analyze::{Analyzer, Sni};
use crate::close::CloseReason;
use crate::tls;

/// TLS passed through.
#[derive(Debug)]
pub(super) struct Tls;

impl Protocol for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[&Sni]
    }

    fn names(&self) -> bool {
        true
    }

    fn passes_tls(&self) -> bool {
        true
    }

    fn refusal(&self, reason: CloseReason) -> &'static [u8] {
        tls::refusal(reason)
    }
}
