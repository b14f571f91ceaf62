//! Paths: of the entries that name the same host, the one with the longest path prefix that a request's path
//! begins with.
//!
//! A prefix ends where a segment ends: `/api` takes `/api`, `/api/` and `/api/x`, not `/apix`. Case matters.
//! One question is one binary search and a walk to shorter prefixes, whatever the number of entries; nothing
//! is allocated. Must never see a path that is not resolved (see `resolved.rs`).

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::Match;

/// The entries that have a path, by the kind of their host.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub(super) exact: Hosts,
    /// Entries keyed by the text after `*.`.
    pub(super) wildcards: Hosts,
    pub(super) any: Prefixes,
    /// Depths of the wildcards, as in [`Table::depths`](super::Table).
    pub(super) depths: u128,
}

pub(super) type Hosts = HashMap<Box<str>, Prefixes, foldhash::quality::RandomState>;

/// The path prefixes of one host.
///
/// Worked example: `/api`, `/api-v2` and `/api/x` in this order, since `-` sorts before `/`. The last that is
/// not greater than the path `/api/old` is `/api-v2`, which does not fit; the longest prefix that it begins
/// with itself, `/api`, does.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    sorted: Box<[Prefix]>,
}

#[derive(Debug)]
struct Prefix {
    path: Box<[u8]>,
    /// The longest other one whose bytes this one begins with.
    shorter: Option<u32>,
    target: Match,
}

impl Paths {
    /// Whether no entry has a path.
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty() && self.any.sorted.is_empty()
    }
}

impl Prefixes {
    fn of(paths: BTreeMap<Box<[u8]>, Match>) -> Self {
        let mut sorted: Vec<Prefix> = Vec::with_capacity(paths.len());
        for (path, target) in paths {
            let mut shorter = sorted.len().checked_sub(1).map(|last| last as u32);
            while let Some(index) = shorter {
                let before = &sorted[index as usize];
                if path.starts_with(&before.path) {
                    break;
                }
                shorter = before.shorter;
            }
            sorted.push(Prefix { path, shorter, target });
        }
        Self { sorted: sorted.into() }
    }

    /// Returns the entry with the longest prefix of `path`.
    pub(super) fn longest(&self, path: &[u8]) -> Option<Match> {
        self.fitting(path).next().map(|(_, target)| target)
    }

    /// Returns every entry with a prefix of `path`, longest first.
    pub(super) fn fitting<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Match)> {
        // Whatever lies between a prefix of `path` and `path` begins with that prefix: all are ancestors of
        // the last.
        let after = self.sorted.partition_point(|prefix| &*prefix.path <= path);
        let last = after.checked_sub(1).and_then(|index| self.sorted.get(index));
        std::iter::successors(last, |prefix| self.sorted.get(prefix.shorter? as usize))
            .filter(|prefix| takes(&prefix.path, path))
            .map(|prefix| (&*prefix.path, prefix.target))
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }
}

/// Whether `path` begins with `prefix`, which ends where one of its segments ends.
fn takes(prefix: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Entries with paths collected while a table is compiled.
#[derive(Debug, Default)]
pub(super) struct PathsDraft {
    exact: BTreeMap<String, BTreeMap<Box<[u8]>, Match>>,
    wildcards: BTreeMap<String, BTreeMap<Box<[u8]>, Match>>,
    any: BTreeMap<Box<[u8]>, Match>,
    depths: u128,
}

impl PathsDraft {
    /// Adds `host` + `path`, or returns the earlier entry that it repeats.
    pub(super) fn add(&mut self, host: super::Pattern, path: Box<[u8]>, target: Match) -> Option<u32> {
        let paths = match host {
            super::Pattern::Exact(name) => self.exact.entry(name).or_default(),
            super::Pattern::Wildcard(suffix) => {
                self.depths |= super::depth(&suffix);
                self.wildcards.entry(suffix).or_default()
            }
            super::Pattern::Any | super::Pattern::Expression(_) => &mut self.any,
        };
        if let Some(earlier) = paths.get(&path) {
            return Some(earlier.entry);
        }
        paths.insert(path, target);
        None
    }

    pub(super) fn compile(self) -> Paths {
        let hosts = |drafted: BTreeMap<String, _>| {
            drafted.into_iter().map(|(host, paths)| (host.into_boxed_str(), Prefixes::of(paths))).collect()
        };
        Paths {
            exact: hosts(self.exact),
            wildcards: hosts(self.wildcards),
            any: Prefixes::of(self.any),
            depths: self.depths,
        }
    }
}
