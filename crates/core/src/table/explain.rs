//! Explain: which entries a lookup consults, and why each did or did not match, for people.
//!
//! Agrees with [`Table::lookup`] and [`Table::lookup_path`] by construction: the first step that matches won,
//! every later one that matches was outranked. The number of steps is bounded by the name, the path and
//! [`MOST_LISTED`], never by the size of the table.

use serde::Serialize;

use super::paths::Prefixes;
use super::pattern::{LONGEST_NAME, normalise};
use super::resolved::Resolved;
use super::{Match, Table, Target, suffixes};

/// Regular expressions listed besides the one that won; what is left out is counted in one more step.
const MOST_LISTED: usize = 32;

/// One thing a lookup consulted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LookupStep {
    /// Kind of the entry.
    pub kind: EntryKind,
    /// The pattern as it would be written in the table.
    pub pattern: String,
    /// Index of the entry in file order; None when the table has no such entry.
    pub entry: Option<u32>,
    /// Target that the entry leads to.
    pub target: Option<Target>,
    /// Outcome of the step.
    pub outcome: Outcome,
    /// Reason of the outcome, in words.
    pub why: String,
}

/// The kinds of entries, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// `example.com`.
    Exact,
    /// `*.example.org`.
    Wildcard,
    /// `~regex`.
    Pattern,
    /// `*`.
    Any,
}

/// The outcome of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The entry matches and nothing before it did: its backend is taken.
    Won,
    /// The entry matches, but something before it won.
    Outranked,
    /// The entry does not match, or there is no such entry.
    NoMatch,
}

impl Table {
    /// Lists what a lookup of `name` (as a person writes it: any case, a trailing dot allowed) consults, in
    /// order. With a `path` it is that of a request, without one that of a connection.
    pub fn explain(&self, name: Option<&str>, path: Option<&[u8]>) -> Vec<LookupStep> {
        let path = path.map(Resolved::of);
        let mut steps = Steps { path: path.as_deref(), ..Steps::default() };
        match name.map(normalise) {
            Some(name) if name.len() <= LONGEST_NAME => {
                self.explain_exact(&name, &mut steps);
                self.explain_wildcards(&name, &mut steps);
                self.explain_expressions(&name, &mut steps);
            }
            Some(name) => {
                let why = format!("the name has {} bytes; at most {LONGEST_NAME} are possible", name.len());
                steps.miss(EntryKind::Exact, String::new(), None, &why);
            }
            None => steps.miss(EntryKind::Exact, String::new(), None, "the client gave no name"),
        }
        steps.paths(EntryKind::Any, "*", Some(&self.paths.any));
        match self.any {
            Some(any) => steps.hit(EntryKind::Any, "*".into(), any, "it takes anything else"),
            None => steps.miss(EntryKind::Any, "*".into(), None, NO_SUCH_ENTRY),
        }
        steps.taken
    }

    fn explain_exact(&self, name: &str, steps: &mut Steps<'_>) {
        steps.paths(EntryKind::Exact, name, self.paths.exact.get(name));
        match self.exact.get(name) {
            Some(exact) => steps.hit(EntryKind::Exact, name.into(), *exact, "it is the name itself"),
            None => steps.miss(EntryKind::Exact, name.into(), None, NO_SUCH_ENTRY),
        }
    }

    fn explain_wildcards(&self, name: &str, steps: &mut Steps<'_>) {
        if let Some(apex) = self.wildcards.get(name) {
            let why = "it takes subdomains, not the name itself";
            steps.miss(EntryKind::Wildcard, format!("*.{name}"), Some(*apex), why);
        }
        let depths = self.depths | steps.path.map_or(0, |_| self.paths.depths);
        for suffix in suffixes(name, depths).take(MOST_LABELS) {
            let pattern = format!("*.{suffix}");
            steps.paths(EntryKind::Wildcard, &pattern, self.paths.wildcards.get(suffix));
            match self.wildcards.get(suffix) {
                Some(wildcard) => {
                    steps.hit(EntryKind::Wildcard, pattern, *wildcard, "it is the longest that fits");
                }
                None => steps.miss(EntryKind::Wildcard, pattern, None, NO_SUCH_ENTRY),
            }
        }
    }

    fn explain_expressions(&self, name: &str, steps: &mut Steps<'_>) {
        let (mut listed, mut left_out) = (0, 0);
        for (text, target, matched) in self.expressions.each(name) {
            let wins = matched && steps.winner.is_none();
            if !wins && listed == MOST_LISTED {
                left_out += 1;
                continue;
            }
            listed += usize::from(!wins);
            let pattern = format!("~{text}");
            if matched {
                steps.hit(EntryKind::Pattern, pattern, target, "it is the first that matches");
            } else {
                steps.miss(EntryKind::Pattern, pattern, Some(target), "it does not match");
            }
        }
        if left_out > 0 {
            let why = format!("{left_out} more did not match or come too late");
            steps.miss(EntryKind::Pattern, "~".into(), None, &why);
        }
    }
}

const NO_SUCH_ENTRY: &str = "no such entry";

/// Labels of a name at most: 253 bytes of one letter and one dot each.
const MOST_LABELS: usize = 127;

/// The steps so far, the path asked for, and the pattern of the one that won.
#[derive(Default)]
struct Steps<'a> {
    taken: Vec<LookupStep>,
    path: Option<&'a [u8]>,
    winner: Option<String>,
}

impl Steps<'_> {
    /// Lists the entries of `host` that have a path, when the lookup is that of a request.
    fn paths(&mut self, kind: EntryKind, host: &str, prefixes: Option<&Prefixes>) {
        let (Some(path), Some(prefixes)) = (self.path, prefixes) else { return };
        let mut listed = 0;
        for (prefix, target) in prefixes.fitting(path).take(MOST_LISTED) {
            let pattern = format!("{host}{}", String::from_utf8_lossy(prefix));
            self.hit(kind, pattern, target, "it is the longest path that fits");
            listed += 1;
        }
        if prefixes.len() > listed {
            let why = format!("{} of its paths do not fit or come too late", prefixes.len() - listed);
            self.miss(kind, format!("{host}/"), None, &why);
        }
    }

    fn hit(&mut self, kind: EntryKind, pattern: String, found: Match, why: &str) {
        let (outcome, why) = match &self.winner {
            None => (Outcome::Won, why.to_owned()),
            Some(winner) => (Outcome::Outranked, format!("\"{winner}\" goes first")),
        };
        self.winner.get_or_insert_with(|| pattern.clone());
        let (entry, target) = (Some(found.entry), Some(found.target));
        self.taken.push(LookupStep { kind, pattern, entry, target, outcome, why });
    }

    fn miss(&mut self, kind: EntryKind, pattern: String, found: Option<Match>, why: &str) {
        let entry = found.map(|found| found.entry);
        let target = found.map(|found| found.target);
        let outcome = Outcome::NoMatch;
        self.taken.push(LookupStep { kind, pattern, entry, target, outcome, why: why.to_owned() });
    }
}
