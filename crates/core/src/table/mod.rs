//! Table: the name a client asked for -> a Backend or an Answer: exact, then longest wildcard, then patterns
//! in file order, then `*`; of the entries for the same host, the one with the longest path that fits.
//!
//! Owns the compiled entries and their precedence. A lookup of an exact or wildcard name allocates nothing
//! and costs the same for 10 and for 100,000 entries; any lookup is bounded, whatever the name and path. Must
//! never resolve or repair a name: names arrive in lower case, in ASCII and without a trailing dot.

mod explain;
mod expressions;
mod paths;
mod pattern;
mod resolved;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::Serialize;

pub use explain::{EntryKind, LookupStep, Outcome};
use expressions::Expressions;
use paths::Paths;
use pattern::{LONGEST_NAME, Pattern, PatternProblem, WrittenEntry};
use resolved::Resolved;

/// A backend's index in its Plan.
pub type BackendIndex = u32;

/// An answer's index in its Plan.
pub type AnswerIndex = u32;

/// The target of an entry: what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A backend.
    Backend(BackendIndex),
    /// An answer of our own.
    Answer(AnswerIndex),
}

/// A compiled table.
///
/// Worked example: with the entries `a.example.org`, `*.example.org`, `~^b` and `*`, the name `a.example.org`
/// takes the first, `b.example.org` the second, `b.example.net` the third, and `example.org` and no name at
/// all the fourth. With `a.example.org/api` besides, requests for `/api` and what is below it take that one.
/// Were there no entry `a.example.org` then, other requests for this name would take the second.
#[derive(Debug, Default)]
pub struct Table {
    exact: Names,
    /// Entries keyed by the text after `*.`.
    wildcards: Names,
    /// Bit n is set when some wildcard has n labels after `*.`; a name has at most 127 labels (RFC 1035,
    /// 2.3.4).
    depths: u128,
    expressions: Expressions,
    any: Option<Match>,
    /// The entries that have a path. All above are those that have none, which take every path.
    paths: Paths,
}

/// Foldhash in its "quality" form, seeded at random: a client that chooses the names cannot choose the
/// collisions.
type Names = HashMap<Box<str>, Match, foldhash::quality::RandomState>;

/// The match of a lookup: which entry it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Index of the entry in file order.
    pub entry: u32,
    /// Target that the entry leads to.
    pub target: Target,
}

/// An error in one entry's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Index of the entry in file order.
    pub entry: usize,
    /// Reason in words that can follow `tables.sites."PATTERN": `.
    pub reason: String,
    /// Text to write instead, when there is a good guess.
    pub hint: Option<String>,
}

impl Table {
    /// Compiles entries in file order, or says what is wrong with each that is.
    pub fn compile(entries: &[(String, Target)]) -> Result<Self, Vec<PatternError>> {
        let mut table = Self::default();
        let mut expressions = expressions::ExpressionsDraft::default();
        let mut paths = paths::PathsDraft::default();
        let mut errors = Vec::new();
        for (entry, (written, target)) in entries.iter().enumerate() {
            let target = Match { entry: entry as u32, target: *target };
            let added = WrittenEntry::parse(written).and_then(|written| match written {
                WrittenEntry { host: Pattern::Expression(text), .. } => expressions.add(text, target),
                WrittenEntry { host, path: Some(path) } => Ok(paths.add(host, path, target)),
                WrittenEntry { host, path: None } => Ok(table.add(host, target)),
            });
            let problem = match added {
                Ok(None) => continue,
                Ok(Some(earlier)) => repeats(entries, earlier),
                Err(problem) => problem,
            };
            errors.push(problem.at(entry));
        }
        table.paths = paths.compile();
        match expressions.compile() {
            Ok(compiled) => table.expressions = compiled,
            Err((entry, problem)) => errors.push(problem.at(entry)),
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// Returns the entry for `name` (lower case, no trailing dot) of those that have no path. A name over 253
    /// bytes is no name and takes `*`.
    pub fn lookup(&self, name: &str) -> Option<Match> {
        if name.len() > LONGEST_NAME {
            return self.any;
        }
        self.exact
            .get(name)
            .or_else(|| suffixes(name, self.depths).find_map(|suffix| self.wildcards.get(suffix)))
            .copied()
            .or_else(|| self.expressions.first(name))
            .or(self.any)
    }

    /// Returns the entry for a request of `path` (as the client sent it, a query allowed) at `name`, or at no
    /// name, which takes `*`.
    ///
    /// The most specific kind of host comes first, and of its entries the longest path; a host whose paths do
    /// not fit leaves the request to the next kind. The path is compared as `resolved.rs` reads it.
    pub fn lookup_path(&self, name: Option<&str>, path: &[u8]) -> Option<Match> {
        if self.paths.is_empty() {
            return name.map_or(self.any, |name| self.lookup(name));
        }
        let path = &*Resolved::of(path);
        name.filter(|name| name.len() <= LONGEST_NAME)
            .and_then(|name| self.lookup_named(name, path))
            .or_else(|| self.paths.any.longest(path))
            .or(self.any)
    }

    fn lookup_named(&self, name: &str, path: &[u8]) -> Option<Match> {
        let longest = |hosts: &paths::Hosts, names: &Names, host: &str| {
            hosts.get(host).and_then(|paths| paths.longest(path)).or_else(|| names.get(host).copied())
        };
        longest(&self.paths.exact, &self.exact, name)
            .or_else(|| {
                suffixes(name, self.depths | self.paths.depths)
                    .find_map(|suffix| longest(&self.paths.wildcards, &self.wildcards, suffix))
            })
            .or_else(|| self.expressions.first(name))
    }

    /// Whether some entry takes requests at `name` (or at no name), be it of other paths.
    pub fn has_host(&self, name: Option<&str>) -> bool {
        let named = |name: &str| {
            let mut suffixes = suffixes(name, self.depths | self.paths.depths);
            self.paths.exact.contains_key(name)
                || suffixes.any(|suffix| self.paths.wildcards.contains_key(suffix))
                || self.lookup(name).is_some()
        };
        self.any.is_some()
            || self.paths.any.len() > 0
            || name.is_some_and(|name| name.len() <= LONGEST_NAME && named(name))
    }

    /// Returns the entry `*`, which also takes clients that gave no name.
    pub fn any(&self) -> Option<Match> {
        self.any
    }

    /// Whether a pattern without mistakes has a path.
    pub fn is_path(written: &str) -> bool {
        WrittenEntry::parse(written).is_ok_and(|written| written.path.is_some())
    }

    /// Adds an entry, or returns the earlier one that it repeats.
    fn add(&mut self, pattern: Pattern, target: Match) -> Option<u32> {
        let (names, name) = match pattern {
            Pattern::Exact(name) => (&mut self.exact, name),
            Pattern::Wildcard(suffix) => {
                self.depths |= depth(&suffix);
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

/// Returns the suffixes of `name` that may be a wildcard's, longest first: none when there is no wildcard,
/// and only those with a number of labels that some wildcard has. A name that is longer than any has none.
#[inline]
fn suffixes(name: &str, depths: u128) -> impl Iterator<Item = &str> {
    // A dot at the very start leaves an empty label, which a wildcard does not take.
    let wanted = move |(at, labels): &(usize, usize)| *at > 0 && has_depth(depths, *labels);
    let cuts = (depths != 0).then(|| cuts(name)).into_iter().flatten();
    cuts.filter(wanted).map(move |(at, _)| &name[at + 1..])
}

/// Returns the dots of a name, and how many labels follow each.
#[inline]
fn cuts(name: &str) -> impl Iterator<Item = (usize, usize)> + use<> {
    let mut dots = headworks_scan::dots(name.as_bytes());
    let count = |word: &u64| if *word == 0 { 0 } else { word.count_ones() as usize };
    // The text after the first dot has as many labels as there are dots, the next one less, and so on.
    let mut labels = dots.iter().map(count).sum::<usize>() + 1;
    std::iter::from_fn(move || {
        let word = dots.iter().position(|word| *word != 0)?;
        let at = word * 64 + dots[word].trailing_zeros() as usize;
        dots[word] &= dots[word] - 1;
        labels -= 1;
        Some((at, labels))
    })
}

/// Returns the bit in `depths` for a wildcard with this after `*.`.
fn depth(suffix: &str) -> u128 {
    1 << suffix.split('.').count().min(127)
}

fn has_depth(depths: u128, labels: usize) -> bool {
    labels < 128 && depths >> labels & 1 == 1
}

fn repeats(entries: &[(String, Target)], earlier: u32) -> PatternProblem {
    let written = entries.get(earlier as usize).map_or("", |(written, _)| written);
    let reason = format!("repeats \"{written}\", entry {} of this table", earlier + 1);
    PatternProblem::new(reason, Some("remove one of the two".into()))
}

#[cfg(test)]
mod tests;
