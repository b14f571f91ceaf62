//! Explain: which entries a lookup consults, and why each did or did not match, for people.
//!
//! Agrees with [`Table::lookup`] by construction: the first step that matches won, every later one that matches was
//! outranked. The number of steps is
//! bounded by the name and by [`MOST_LISTED`], never by the size of the table.

use serde::Serialize;

use super::pattern::{LONGEST_NAME, normalise};
use super::{BackendIndex, Match, Table};

/// Regular expressions listed besides the one that won; what is left out is counted in one more step.
const MOST_LISTED: usize = 32;

/// One thing a lookup consulted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which kind of entry.
    pub kind: Kind,
    /// The pattern as it would be written in the table.
    pub pattern: String,
    /// Index of the entry in file order; None when the table has no such entry.
    pub entry: Option<u32>,
    /// The entry's backend.
    pub backend: Option<BackendIndex>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, in words.
    pub why: String,
}

/// The kinds of entries, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `example.com`.
    Exact,
    /// `*.example.org`.
    Wildcard,
    /// `~regex`.
    Pattern,
    /// `*`.
    Any,
}

/// What came of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It matches and nothing before it did: its backend is taken.
    Won,
    /// It matches, but something before it won.
    Outranked,
    /// It does not match, or there is no such entry.
    NoMatch,
}

impl Table {
    /// What a lookup of `name` (as a person writes it: any case, a trailing dot allowed) consults, in order.
    pub fn explain(&self, name: Option<&str>) -> Vec<Step> {
        let mut steps = Steps::default();
        match name.map(normalise) {
            Some(name) if name.len() <= LONGEST_NAME => {
                self.explain_exact(&name, &mut steps);
                self.explain_wildcards(&name, &mut steps);
                self.explain_expressions(&name, &mut steps);
            }
            Some(name) => {
                let why = format!("the name has {} bytes; at most {LONGEST_NAME} are possible", name.len());
                steps.miss(Kind::Exact, String::new(), None, &why);
            }
            None => steps.miss(Kind::Exact, String::new(), None, "the client gave no name"),
        }
        match self.any {
            Some(any) => steps.hit(Kind::Any, "*".into(), any, "it takes anything else"),
            None => steps.miss(Kind::Any, "*".into(), None, NO_SUCH_ENTRY),
        }
        steps.taken
    }

    fn explain_exact(&self, name: &str, steps: &mut Steps) {
        match self.exact.get(name) {
            Some(exact) => steps.hit(Kind::Exact, name.into(), *exact, "it is the name itself"),
            None => steps.miss(Kind::Exact, name.into(), None, NO_SUCH_ENTRY),
        }
    }

    fn explain_wildcards(&self, name: &str, steps: &mut Steps) {
        if let Some(apex) = self.wildcards.get(name) {
            let why = "it takes subdomains, not the name itself";
            steps.miss(Kind::Wildcard, format!("*.{name}"), Some(*apex), why);
        }
        for suffix in self.suffixes(name).take(MOST_LABELS) {
            let pattern = format!("*.{suffix}");
            match self.wildcards.get(suffix) {
                Some(wildcard) => {
                    steps.hit(Kind::Wildcard, pattern, *wildcard, "it is the longest that fits");
                }
                None => steps.miss(Kind::Wildcard, pattern, None, NO_SUCH_ENTRY),
            }
        }
    }

    fn explain_expressions(&self, name: &str, steps: &mut Steps) {
        let (mut listed, mut left_out) = (0, 0);
        for (text, target, matched) in self.expressions.each(name) {
            let wins = matched && steps.winner.is_none();
            if !wins && listed == MOST_LISTED {
                left_out += 1;
                continue;
            }
            listed += usize::from(!wins);
            let pattern = format!("~{text}");
            match matched {
                true => steps.hit(Kind::Pattern, pattern, target, "it is the first that matches"),
                false => steps.miss(Kind::Pattern, pattern, Some(target), "it does not match"),
            }
        }
        if left_out > 0 {
            let why = format!("{left_out} more did not match or come too late");
            steps.miss(Kind::Pattern, "~".into(), None, &why);
        }
    }
}

const NO_SUCH_ENTRY: &str = "no such entry";

/// Labels of a name at most: 253 bytes of one letter and one dot each.
const MOST_LABELS: usize = 127;

/// The steps so far, and the pattern of the one that won.
#[derive(Default)]
struct Steps {
    taken: Vec<Step>,
    winner: Option<String>,
}

impl Steps {
    fn hit(&mut self, kind: Kind, pattern: String, target: Match, why: &str) {
        let (outcome, why) = match &self.winner {
            None => (Outcome::Won, why.to_owned()),
            Some(winner) => (Outcome::Outranked, format!("\"{winner}\" goes first")),
        };
        self.winner.get_or_insert_with(|| pattern.clone());
        self.taken.push(Step {
            kind,
            pattern,
            entry: Some(target.entry),
            backend: Some(target.backend),
            outcome,
            why,
        });
    }

    fn miss(&mut self, kind: Kind, pattern: String, target: Option<Match>, why: &str) {
        let entry = target.map(|target| target.entry);
        let backend = target.map(|target| target.backend);
        self.taken.push(Step {
            kind,
            pattern,
            entry,
            backend,
            outcome: Outcome::NoMatch,
            why: why.to_owned(),
        });
    }
}
