//! Table: the name a client asked for -> a Backend: exact, then longest wildcard, then patterns in file order, then `*`.

use serde::Serialize;

/// A backend's index in its Plan.
pub type BackendIndex = u32;

/// A compiled table.
#[derive(Debug, Default)]
pub struct Table {}

/// Which entry matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Index of the entry in file order.
    pub entry: u32,
    /// The entry's backend.
    pub backend: BackendIndex,
}

/// What is wrong with one entry's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Index of the entry in file order.
    pub entry: usize,
    /// Why, in words that can follow `tables.sites."PATTERN": `.
    pub reason: String,
    /// What to write instead, when there is a good guess.
    pub hint: Option<String>,
}

impl Table {
    /// Compiles entries in file order, or says what is wrong with each that is.
    pub fn compile(_entries: &[(String, BackendIndex)]) -> Result<Self, Vec<PatternError>> {
        Ok(Self {})
    }

    /// The entry for `name` (lower case, no trailing dot).
    pub fn lookup(&self, _name: &str) -> Option<Match> {
        None
    }

    /// The entry `*`, which also takes clients that gave no name.
    pub fn any(&self) -> Option<Match> {
        None
    }
}
