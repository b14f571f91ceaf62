//! Problem: one thing that is wrong with a configuration, and where.
//!
//! What every `compile` returns, all at once. A plain value: must know no other room.

use serde::Serialize;

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Keys from the root; an array index is a number.
    pub path: Vec<String>,
    /// What is wrong.
    pub reason: String,
    /// What to write instead, where there is a good guess.
    pub hint: Option<String>,
}

impl Problem {
    /// The same problem, of something that stands below `root`.
    pub(crate) fn below(mut self, root: &[&str]) -> Self {
        self.path.splice(0..0, root.iter().map(|&key| key.to_owned()));
        self
    }
}
