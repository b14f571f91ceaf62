//! Problem: one thing that is wrong with a configuration, and where.
//!
//! Every `compile` returns them all at once. Paths are those of the file, so that nobody has to translate
//! them. A plain value: must know no other room.

use std::fmt;

use serde::Serialize;

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The keys and indices that lead to it from the root, as in the file.
    pub path: Vec<Item>,
    /// The reason: what is wrong.
    pub reason: String,
    /// The hint: what to write instead, where there is a good guess.
    pub hint: Option<String>,
}

/// One item of a path: a string in JSON, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// The key of a table.
    Key(String),
    /// The index of an array, from 0.
    Index(usize),
}

/// Makes a path of keys (strings) and indices (numbers).
#[macro_export]
macro_rules! path {
    ($($item:expr),* $(,)?) => { ::std::vec::Vec::from([$($crate::problem::Item::from($item)),*]) };
}

impl Problem {
    /// Makes a problem without a hint.
    pub fn new(path: Vec<Item>, reason: impl Into<String>) -> Self {
        Self { path, reason: reason.into(), hint: None }
    }

    /// Puts `root` in front of the path: the same problem, seen from above.
    pub fn below(mut self, root: &[Item]) -> Self {
        self.path.splice(0..0, root.iter().cloned());
        self
    }

    /// Writes the path with dots between its items.
    pub fn place(&self) -> String {
        self.path.iter().map(Item::to_string).collect::<Vec<_>>().join(".")
    }
}

/// A flaw of a text or a name whose place in the file is not known yet: [`at`](Self::at) its place it is a
/// Problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The reason: what is wrong.
    pub reason: String,
    /// The hint: what to write instead, where there is a good guess.
    pub hint: Option<String>,
}

impl Flaw {
    /// Makes a flaw without a hint.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Makes a Problem of it, at these keys.
    pub fn at(self, path: &[&str]) -> Problem {
        self.below(path.iter().map(|&key| key.into()).collect())
    }

    /// Makes a Problem of it, at this path.
    pub fn below(self, path: Vec<Item>) -> Problem {
        Problem { path, reason: self.reason, hint: self.hint }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
        }
    }
}

impl From<&str> for Item {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Item {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<usize> for Item {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_digits_is_no_index() {
        let problem = Problem::new(path!["error_pages", "503", 0], "wrong").below(&path!["listeners", "1"]);
        assert_eq!(problem.place(), "listeners.1.error_pages.503.0");
        let json = serde_json::to_string(&problem.path).unwrap();
        assert_eq!(json, r#"["listeners","1","error_pages","503",0]"#);
    }
}
