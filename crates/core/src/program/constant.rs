//! Constants: sets, tables, networks and regular expressions that programs look into.
//!
//! Look-ups take constant time, or that of a binary search; expressions take linear time. Must never grow
//! once compiled.

use std::sync::{Mutex, PoisonError};

use hashbrown::{HashMap, HashSet};
use regex::bytes::{CaptureLocations, Regex, RegexBuilder};

use crate::networks::Networks;
use crate::spec::{MannerSpec, PlainSpec};

use super::scratch::Scratch;
use super::value::Value;

type Hasher = foldhash::fast::RandomState;

/// A set of texts and numbers.
#[derive(Debug, Default)]
pub(super) struct Set {
    texts: HashSet<Box<[u8]>, Hasher>,
    numbers: HashSet<i64, Hasher>,
    /// None is one of them.
    nothing: bool,
}

/// A table from texts and numbers to plain values.
#[derive(Debug, Default)]
pub(super) struct Map {
    texts: HashMap<Box<[u8]>, PlainSpec, Hasher>,
    numbers: HashMap<i64, PlainSpec, Hasher>,
}

/// A value that is looked into.
#[derive(Debug)]
pub(super) enum Constant {
    Set(Set),
    Map(Map),
    Networks(Networks),
    /// The pattern; it is compiled where it is used.
    Regex {
        pattern: String,
        ends: bool,
    },
}

impl Set {
    pub(super) fn of(items: &[PlainSpec]) -> Self {
        let mut set = Self::default();
        for item in items {
            match item {
                PlainSpec::Text(text) => drop(set.texts.insert(text.as_bytes().into())),
                PlainSpec::Int(number) => drop(set.numbers.insert(*number)),
                PlainSpec::Bool(truth) => drop(set.numbers.insert(i64::from(*truth))),
                PlainSpec::None => set.nothing = true,
            }
        }
        set
    }

    pub(super) fn contains(&self, value: Value<'_>, scratch: &Scratch) -> bool {
        match value {
            Value::Text(text) => self.texts.contains(text.of(scratch)),
            Value::Int(number) => self.numbers.contains(&number),
            Value::Bool(truth) => self.numbers.contains(&i64::from(truth)),
            Value::None => self.nothing,
            Value::Address(_) | Value::Match(_) => false,
        }
    }
}

impl Map {
    pub(super) fn of(pairs: &[(PlainSpec, PlainSpec)]) -> Self {
        let mut map = Self::default();
        for (key, value) in pairs {
            match key {
                PlainSpec::Text(text) => drop(map.texts.insert(text.as_bytes().into(), value.clone())),
                PlainSpec::Int(number) => drop(map.numbers.insert(*number, value.clone())),
                PlainSpec::Bool(truth) => drop(map.numbers.insert(i64::from(*truth), value.clone())),
                PlainSpec::None => {}
            }
        }
        map
    }

    pub(super) fn get(&self, key: Value<'_>, scratch: &Scratch) -> Option<&PlainSpec> {
        match key {
            Value::Text(text) => self.texts.get(text.of(scratch)),
            Value::Int(number) => self.numbers.get(&number),
            Value::Bool(truth) => self.numbers.get(&i64::from(truth)),
            Value::None | Value::Address(_) | Value::Match(_) => None,
        }
    }
}

/// A regular expression that is tried in one way.
#[derive(Debug)]
pub(super) struct Matcher {
    regex: Regex,
    /// A match may end before a final line feed, too (Python's `$`).
    before_feed: bool,
    /// Memory for groups, taken and given back: no match allocates once there is enough.
    spare: Mutex<Vec<CaptureLocations>>,
}

/// Bytes that one compiled expression may take.
const MOST_COMPILED: usize = 4 << 20;

impl Matcher {
    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn compile(pattern: &str, ends: bool, manner: MannerSpec) -> Result<Self, String> {
        let whole = manner == MannerSpec::Fullmatch;
        let start = if manner == MannerSpec::Search { "" } else { r"\A" };
        let end = if ends || whole { r"\z" } else { "" };
        let regex = RegexBuilder::new(&format!("{start}(?:{pattern}){end}"))
            .unicode(false)
            .size_limit(MOST_COMPILED)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { regex, before_feed: ends && !whole, spare: Mutex::default() })
    }

    /// Finds it in a text: places of the groups, the first of which is the whole match.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(usize, Option<(usize, usize)>)) -> bool {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut locations = spare.unwrap_or_else(|| self.regex.capture_locations());
        let whole = self.regex.captures_read(&mut locations, text);
        let matched = match text.strip_suffix(b"\n").filter(|_| self.before_feed && whole.is_none()) {
            Some(before) => self.regex.captures_read(&mut locations, before).is_some(),
            None => whole.is_some(),
        };
        if matched {
            (0..locations.len()).for_each(|group| found(group, locations.get(group)));
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(locations);
        matched
    }

    /// Returns the number of groups, with the whole match.
    pub(super) fn groups(&self) -> usize {
        self.regex.captures_len()
    }
}
