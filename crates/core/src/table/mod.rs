//! Table: the name a client asked for -> a Backend: exact, then longest wildcard, then patterns in file order, then `*`.
//!
//! Owns the compiled entries and their precedence. A lookup of an exact or wildcard name allocates nothing and costs
//! the same for 10 and for 100,000 entries; any lookup is bounded, whatever the name. Must never resolve or repair a
//! name: names arrive in lower case, in ASCII and without a trailing dot.

mod explain;
mod expressions;
mod pattern;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::Serialize;

pub use explain::{Kind, Outcome, Step};
use expressions::Expressions;
use pattern::{LONGEST_NAME, Pattern, Problem};

/// A backend's index in its Plan.
pub type BackendIndex = u32;

/// A compiled table.
///
/// Worked example: with the entries `a.example.org`, `*.example.org`, `~^b` and `*`, the name `a.example.org` takes the
/// first, `b.example.org` the second, `b.example.net` the third, and `example.org` and no name at all the fourth.
#[derive(Debug, Default)]
pub struct Table {
    exact: Names,
    /// Keyed by what follows `*.`.
    wildcards: Names,
    /// Bit n is set when some wildcard has n labels after `*.`; a name has at most 127 labels (RFC 1035, 2.3.4).
    depths: u128,
    expressions: Expressions,
    any: Option<Match>,
}

/// Foldhash in its "quality" form, seeded at random: whoever chooses the names cannot choose the collisions.
type Names = HashMap<Box<str>, Match, foldhash::quality::RandomState>;

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
    pub fn compile(entries: &[(String, BackendIndex)]) -> Result<Self, Vec<PatternError>> {
        let mut table = Self::default();
        let mut expressions = expressions::Draft::default();
        let mut errors = Vec::new();
        for (entry, (written, backend)) in entries.iter().enumerate() {
            let target = Match { entry: entry as u32, backend: *backend };
            let added = Pattern::parse(written).and_then(|pattern| match pattern {
                Pattern::Expression(text) => expressions.add(text, target),
                named => Ok(table.add(named, target)),
            });
            let problem = match added {
                Ok(None) => continue,
                Ok(Some(earlier)) => repeats(entries, earlier),
                Err(problem) => problem,
            };
            errors.push(problem.at(entry));
        }
        match expressions.compile() {
            Ok(compiled) => table.expressions = compiled,
            Err((entry, problem)) => errors.push(problem.at(entry)),
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// The entry for `name` (lower case, no trailing dot). A name over 253 bytes is no name and takes `*`.
    pub fn lookup(&self, name: &str) -> Option<Match> {
        if name.len() > LONGEST_NAME {
            return self.any;
        }
        self.exact
            .get(name)
            .or_else(|| self.suffixes(name).find_map(|suffix| self.wildcards.get(suffix)))
            .copied()
            .or_else(|| self.expressions.first(name))
            .or(self.any)
    }

    /// The entry `*`, which also takes clients that gave no name.
    pub fn any(&self) -> Option<Match> {
        self.any
    }

    /// The suffixes of `name` that may be a wildcard's, longest first: none when the table has no wildcard, and only
    /// those with a number of labels that some wildcard has.
    fn suffixes<'n>(&self, name: &'n str) -> impl Iterator<Item = &'n str> {
        let depths = self.depths;
        let name = if depths == 0 { "" } else { name };
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let cuts = name.bytes().enumerate().filter(|(_, byte)| *byte == b'.').map(|(at, _)| at);
        // What follows the first dot has as many labels as there are dots, the next one less, and so on. A dot at the
        // very start leaves an empty label, which a wildcard does not take.
        cuts.enumerate()
            .filter(move |(passed, at)| *at > 0 && has_depth(depths, dots - passed))
            .map(move |(_, at)| &name[at + 1..])
    }

    /// Adds an entry, or returns the earlier one that it repeats.
    fn add(&mut self, pattern: Pattern, target: Match) -> Option<u32> {
        let (names, name) = match pattern {
            Pattern::Exact(name) => (&mut self.exact, name),
            Pattern::Wildcard(suffix) => {
                self.depths |= 1 << suffix.split('.').count().min(127);
                (&mut self.wildcards, suffix)
            }
            Pattern::Any | Pattern::Expression(_) => {
                let earlier = self.any.map(|any| any.entry);
                self.any = self.any.or(Some(target));
                return earlier;
            }
        };
        match names.entry(name.into_boxed_str()) {
            Entry::Occupied(taken) => Some(taken.get().entry),
            Entry::Vacant(place) => {
                place.insert(target);
                None
            }
        }
    }
}

fn has_depth(depths: u128, labels: usize) -> bool {
    labels < 128 && depths >> labels & 1 == 1
}

fn repeats(entries: &[(String, BackendIndex)], earlier: u32) -> Problem {
    let written = entries.get(earlier as usize).map_or("", |(written, _)| written);
    let reason = format!("repeats \"{written}\", entry {} of this table", earlier + 1);
    Problem::new(reason, Some("remove one of the two".into()))
}

#[cfg(test)]
mod tests;
