//! Consultants: analyzers that people write in Python, as the Plan knows them: when each is asked, how long
//! that may take, and what its answers come to.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | a Consultant, and the lists of them that listeners, entries and backends have |
//! | `advice.rs` | an answer, and how it becomes Findings like those of a rule |
//! | `chain.rs` | a body on its way through those who look at it |
//! | `foretold.rs` | answers that are known before anybody is asked: an explanation's |
//! | `rates.rs` | the limits that answers name |
//!
//! Questions are the engine's to carry: no Python is known here. Must never hold a connection's bytes or read
//! a clock.

mod advice;
mod chain;
mod foretold;
mod rates;

use std::sync::Arc;

pub use advice::{Advice, AdviceField, AdvicePart, BodyWord};
pub use chain::{BodyPart, Chain, ChainStep};
pub use foretold::{Foretold, Word};
pub use rates::{RateKind, RateLimits};

use crate::close::{CloseReason, ConsultFault};
use crate::program::Findings;
use crate::spec::{AnalyzerSpec, Hook, OnFailure};

/// Number of a consultant in its Plan.
pub type ConsultantIndex = u16;

/// Analyzers that a configuration may have: each has a bit in the sets of those that are bypassed.
pub const MOST: usize = 64;

/// An analyzer that somebody wrote.
#[derive(Debug, Clone)]
pub struct Consultant {
    /// Name in the configuration.
    pub name: Box<str>,
    /// Settings as they were written.
    pub spec: Arc<AnalyzerSpec>,
    /// The rates that its verdicts named; they go on over reloads.
    pub limits: Arc<RateLimits>,
}

/// The analyzers of one listener, entry or backend, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Consultants {
    all: Box<[ConsultantIndex]>,
    hooks: [Box<[ConsultantIndex]>; Hook::ALL.len()],
}

/// A set of consultants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsultantSet(u64);

impl Consultant {
    /// Makes one that nobody was asked of.
    pub fn new(name: &str, spec: &AnalyzerSpec) -> Self {
        Self { name: name.into(), spec: Arc::new(spec.clone()), limits: Arc::default() }
    }

    /// Copies it; the rates of the one of its name in `previous` go on.
    pub(crate) fn adopt(&self, previous: Option<&Self>) -> Self {
        let limits = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.limits));
        Self { name: self.name.clone(), spec: Arc::clone(&self.spec), limits }
    }

    /// Whether what it is asked about goes on when it fails.
    pub fn passes(&self) -> bool {
        self.spec.on_failure == OnFailure::Pass
    }

    /// Goes on without its answer where that may be missed; else notes why, and returns the reason.
    pub fn miss(&self, fault: ConsultFault, findings: &mut Option<Box<Findings>>) -> Result<(), CloseReason> {
        if self.passes() {
            return Ok(());
        }
        findings.get_or_insert_default().note_analyzer(&self.name, Some(fault));
        Err(fault.reason())
    }

    /// Says that it would be asked about a client's connection or request, in words.
    pub fn tell(&self, hook: Hook) -> String {
        let subject = if hook == Hook::Request { "request" } else { "connection" };
        let otherwise = if self.passes() { "goes on" } else { "is refused" };
        let Self { name, spec, .. } = self;
        format!(
            "analyzer {name} would be asked; without an answer in {} ms the {subject} {otherwise}",
            spec.deadline
        )
    }

    /// Admits what has this key at a rate that its verdict named, or says after how many seconds it would be.
    pub(crate) fn admit(&self, kind: RateKind, key: &[u8], now: u64) -> Result<(), u64> {
        self.limits.admit(kind, key, now)
    }
}

impl Consultants {
    /// Makes a list of those with these numbers.
    pub fn new(all: Box<[ConsultantIndex]>, known: &[Consultant]) -> Self {
        let hooks = Hook::ALL.map(|hook| {
            let asks = |index: &&ConsultantIndex| {
                known.get(usize::from(**index)).is_some_and(|one| one.spec.hooks.contains(&hook))
            };
            all.iter().filter(asks).copied().collect()
        });
        Self { all, hooks }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns those that are asked at this moment.
    #[inline]
    pub fn at(&self, hook: Hook) -> &[ConsultantIndex] {
        &self.hooks[hook as usize]
    }
}

impl ConsultantSet {
    /// Adds one.
    pub fn add(&mut self, index: ConsultantIndex) {
        self.0 |= bit(index);
    }

    /// Whether it is in there.
    pub fn has(self, index: ConsultantIndex) -> bool {
        self.0 & bit(index) != 0
    }
}

fn bit(index: ConsultantIndex) -> u64 {
    1_u64.checked_shl(u32::from(index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consultant(name: &str, hooks: &[Hook]) -> Consultant {
        let hooks = hooks.to_vec();
        let spec = AnalyzerSpec {
            version: String::new(),
            deadline: 50,
            on_failure: OnFailure::Reject,
            waiting: 1,
            hooks,
        };
        Consultant::new(name, &spec)
    }

    #[test]
    fn only_hooks_that_are_defined_are_asked_in_order() {
        let known = [
            consultant("a", &[Hook::Request]),
            consultant("b", &[Hook::Request, Hook::Response]),
            consultant("c", &[Hook::Hello]),
        ];
        let list = Consultants::new([2, 1, 0].into(), &known);
        assert_eq!(list.at(Hook::Request), [1, 0]);
        assert_eq!(list.at(Hook::Response), [1]);
        assert_eq!(list.at(Hook::Hello), [2]);
        assert!(list.at(Hook::Accepted).is_empty() && !list.is_empty());
    }

    #[test]
    fn a_set_has_what_was_added() {
        let mut set = ConsultantSet::default();
        set.add(0);
        set.add(63);
        assert!(set.has(0) && set.has(63) && !set.has(1) && !set.has(64));
    }
}
