//! `tls`: routed by the name in the ClientHello and never decrypted.

use super::Protocol;
use crate::action::CloseReason;
use crate::analyze::{Analyzer, Sni};

/// TLS passed through.
#[derive(Debug)]
pub(super) struct Tls;

/// A fatal alert in a record of its own (RFC 8446 section 6). The record version is TLS 1.0's, which every client
/// accepts before a version has been agreed on.
macro_rules! alert {
    ($description:literal) => {
        &[21, 3, 1, 0, 2, 2, $description]
    };
}

const HANDSHAKE_FAILURE: &[u8] = alert!(40);
const INTERNAL_ERROR: &[u8] = alert!(80);
const UNRECOGNIZED_NAME: &[u8] = alert!(112);

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

    fn refusal(&self, reason: CloseReason) -> &'static [u8] {
        match reason {
            CloseReason::NoMatch => UNRECOGNIZED_NAME,
            CloseReason::NoServer => INTERNAL_ERROR,
            CloseReason::BadRequest
            | CloseReason::NoName
            | CloseReason::TooLarge
            | CloseReason::FirstBytesTimeout => HANDSHAKE_FAILURE,
            _ => b"",
        }
    }
}
