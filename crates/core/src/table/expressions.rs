//! Expressions: the `~regex` entries of a Table, searched together.
//!
//! The expressions are one automaton (`regex::bytes::RegexSet`), so that a lookup reads the name once however
//! many there are (0.6 µs for 1,000 of which none matches; 10 µs one by one, which is quicker only for a
//! single one, by 0.02 µs). Time is linear in the name and in the compiled size, and both sizes are limited.
//! Names are ASCII, so Unicode classes are off: `\w` compiles to a few states and not to thousands. Must
//! never let the order of entries get lost: the smallest index that matches wins.

use hashbrown::HashMap;
use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::Match;
use super::pattern::PatternProblem;

/// Bytes one compiled expression may take.
const ONE_LIMIT: usize = 64 << 10;

/// Bytes all expressions of a table may take, compiled together: about 1,000 such as
/// `^(www|api)7\.example\.net$`.
///
/// The worst lookup grows with it: an automaton that has to be simulated state by state, because it has too
/// many combinations to cache, took up to 0.15 s for 253 bytes under this limit and 0.8 s under 8 MiB.
const ALL_LIMIT: usize = 2 << 20;

/// Bytes of cached automaton states, per thread that searches. More gained nothing.
const CACHE_LIMIT: usize = 1 << 20;

/// Expressions in one table at most.
const MOST: usize = 4096;

/// The compiled expressions.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    set: Option<RegexSet>,
    /// Targets in the order of the set.
    targets: Box<[Match]>,
}

/// Expressions collected while a table is compiled.
#[derive(Debug, Default)]
pub(super) struct ExpressionsDraft {
    texts: Vec<String>,
    targets: Vec<Match>,
    earlier: HashMap<String, u32>,
}

impl Expressions {
    /// Returns the first entry in file order that matches anywhere in `name`.
    pub(super) fn first(&self, name: &str) -> Option<Match> {
        let first = self.set.as_ref()?.matches(name.as_bytes()).iter().next()?;
        self.targets.get(first).copied()
    }

    /// Returns every expression in file order, and whether it matches.
    pub(super) fn each<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, Match, bool)> {
        self.set.iter().flat_map(move |set| {
            let matches = set.matches(name.as_bytes());
            let tried = set.patterns().iter().zip(&self.targets).enumerate();
            tried.map(move |(index, (text, target))| (text.as_str(), *target, matches.matched(index)))
        })
    }
}

impl ExpressionsDraft {
    /// Adds an expression, or returns the earlier entry that it repeats.
    pub(super) fn add(&mut self, text: String, target: Match) -> Result<Option<u32>, PatternProblem> {
        if let Some(earlier) = self.earlier.get(&text) {
            return Ok(Some(*earlier));
        }
        if self.texts.len() == MOST {
            return Err(PatternProblem::new(
                format!("a table holds at most {MOST} regular expressions"),
                None,
            ));
        }
        let built = RegexBuilder::new(&text)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(ONE_LIMIT)
            .dfa_size_limit(ONE_LIMIT)
            .build();
        built.map_err(|error| in_words(&error))?;
        self.earlier.insert(text.clone(), target.entry);
        self.texts.push(text);
        self.targets.push(target);
        Ok(None)
    }

    /// Compiles them together. Each compiles alone, so only their number can be wrong; the last one is
    /// blamed.
    pub(super) fn compile(self) -> Result<Expressions, (usize, PatternProblem)> {
        let Some(last) = self.targets.last() else {
            return Ok(Expressions::default());
        };
        let built = RegexSetBuilder::new(&self.texts)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(ALL_LIMIT)
            .dfa_size_limit(CACHE_LIMIT)
            .build();
        match built {
            Ok(set) => Ok(Expressions { set: Some(set), targets: self.targets.into() }),
            Err(_) => Err((last.entry as usize, too_many(self.texts.len()))),
        }
    }
}

fn too_many(number: usize) -> PatternProblem {
    let reason = format!(
        "the {number} regular expressions of this table together compile to over {}",
        size(ALL_LIMIT)
    );
    PatternProblem::new(reason, Some("write wildcards, or fewer and simpler expressions".into()))
}

/// Says what is wrong in one line: a syntax error is reported by the regex crate as a drawing of several.
fn in_words(error: &regex::Error) -> PatternProblem {
    match error {
        regex::Error::CompiledTooBig(_) => {
            let hint = "large repetition counts such as {1000} are what takes space".to_owned();
            PatternProblem::new(
                format!("the regular expression compiles to over {}", size(ONE_LIMIT)),
                Some(hint),
            )
        }
        other => {
            let drawn = other.to_string();
            let line = drawn.lines().rev().find_map(|line| line.strip_prefix("error: "));
            let reason = line.or(drawn.lines().next_back()).unwrap_or("it does not compile");
            PatternProblem::new(format!("the regular expression is wrong: {reason}"), None)
        }
    }
}

fn size(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}
