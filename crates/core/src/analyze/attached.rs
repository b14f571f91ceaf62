//! Attached: an analyzer as a listener has it look at a flow: at whose bytes, for how long and how many.
//!
//! Owns the bounds of one analyzer and what follows when it exceeds them. Must never call the analyzer:
//! Sessions do, in the order of the listener's list.

use super::{Analyzer, HeaderRule};
use crate::action::Side;
use crate::spec::OnFailure;
use crate::time::Millis;

/// An analyzer with its bounds.
#[derive(Debug, Clone, Copy)]
pub struct Attached {
    /// The analyzer.
    pub analyzer: &'static dyn Analyzer,
    /// The side whose bytes it looks at.
    pub side: Side,
    /// The clients it is for, by what they must do about a PROXY header; None: all.
    pub rule: Option<HeaderRule>,
    /// Whether the connection is routed only after its verdict. For bytes of the server this is never the
    /// case.
    pub awaited: bool,
    /// Milliseconds that its turn may take; None: until the wait of the connection is over.
    pub timeout: Option<Millis>,
    /// Bytes that may be held in its turn; None: as many as the listener allows.
    pub limit: Option<usize>,
    /// The consequence when the analyzer is late or over its limit.
    pub on_failure: OnFailure,
}

impl Attached {
    /// Attaches the analyzer to what every client says, without bounds of its own.
    pub fn new(analyzer: &'static dyn Analyzer) -> Self {
        Self {
            analyzer,
            side: Side::Client,
            rule: None,
            awaited: true,
            timeout: None,
            limit: None,
            on_failure: OnFailure::Reject,
        }
    }

    /// Whether it looks at bytes of `side` where the client is under `rule`.
    #[inline]
    pub fn looks_at(&self, side: Side, rule: HeaderRule) -> bool {
        self.side == side && self.rule.is_none_or(|wanted| wanted == rule)
    }
}
