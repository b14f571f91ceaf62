//! `first_bytes`: several kinds of clients at one address, told apart by what they say first.
//!
//! What a refused client is sent is said in what it speaks, as far as that is known; else it is sent nothing.

use super::Protocol;
use crate::analyze::{self, Analyzer};

/// Kinds told apart.
#[derive(Debug)]
pub(super) struct FirstBytes;

impl Protocol for FirstBytes {
    fn name(&self) -> &'static str {
        "first_bytes"
    }

    fn analyzers(&self) -> &'static [&'static dyn Analyzer] {
        &[&analyze::FirstKind]
    }

    fn names(&self) -> bool {
        false
    }

    fn kinds(&self) -> bool {
        true
    }
}
