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

/// The path prefixes of one host. Nearly every comparison is one of two numbers: what all begin with is
/// compared once, and of what follows it the first eight bytes are a number in the same order.
///
/// Worked example: `/api`, `/api-v2` and `/api/x` in this order, since `-` sorts before `/`. The last that is
/// not greater than the path `/api/old` is `/api-v2`, which does not fit; the longest prefix that it begins
/// with itself, `/api`, does.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    sorted: Box<[Prefix]>,
    /// Number of bytes that all of them begin with.
    common: usize,
    /// Of each, the eight bytes after those.
    keys: Box<[u64]>,
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
        let common = common(&paths);
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
        let keys = sorted.iter().map(|prefix| key(&prefix.path[common..])).collect();
        Self { sorted: sorted.into(), common, keys }
    }

    /// Returns the entry with the longest prefix of `path`.
    pub(super) fn longest(&self, path: &[u8]) -> Option<Match> {
        self.fitting(path).next().map(|(_, target)| target)
    }

    /// Returns every entry with a prefix of `path`, longest first.
    pub(super) fn fitting<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Match)> {
        // Whatever lies between a prefix of `path` and `path` begins with that prefix: all are ancestors of
        // the last.
        let last = self.last_not_after(path);
        std::iter::successors(last, |prefix| self.sorted.get(prefix.shorter? as usize))
            .filter(|prefix| takes(&prefix.path, path))
            .map(|prefix| (&*prefix.path, prefix.target))
    }

    /// Returns the last one that is not greater than `path`, if it begins as all of them do.
    fn last_not_after(&self, path: &[u8]) -> Option<&Prefix> {
        let begins = &self.sorted.first()?.path[..self.common];
        let wanted = key(path.strip_prefix(begins)?);
        let mut after = self.keys.partition_point(|key| *key <= wanted);
        if self.keys[after.checked_sub(1)?] == wanted {
            // The same number, but perhaps not the same text: there may be more of it, or zeros at its end.
            let before = self.keys.partition_point(|key| *key < wanted);
            after = before + self.sorted[before..after].partition_point(|prefix| &*prefix.path <= path);
        }
        self.sorted.get(after.checked_sub(1)?)
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }
}

/// Returns the number of bytes that all paths begin with: those that the first and the last have in common.
fn common(sorted: &BTreeMap<Box<[u8]>, Match>) -> usize {
    let (Some((first, _)), Some((last, _))) = (sorted.first_key_value(), sorted.last_key_value()) else {
        return 0;
    };
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}

/// Returns the first eight bytes as a number, zeros for those that are missing.
#[inline]
fn key(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => text.iter().enumerate().fold(0, |key, (at, byte)| key | u64::from(*byte) << (56 - 8 * at)),
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

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    proptest::proptest! {
        /// The search by numbers finds what a look at every prefix finds.
        #[test]
        fn the_longest_prefix_wins(
            prefixes in proptest::collection::btree_set("/(a|b|abcdefgh)?(/[ab\\x00]{0,3}){0,3}", 0..20),
            path in "/(a|b|abcdefgh)?(/[ab\\x00]{0,3}){0,5}",
        ) {
            let target = |at: usize| Match { entry: at as u32, target: Target::Backend(0) };
            let all = prefixes.iter().enumerate();
            let paths = all.clone().map(|(at, path)| (path.as_bytes().into(), target(at))).collect();
            let fits = all.filter(|(_, prefix)| takes(prefix.as_bytes(), path.as_bytes()));
            let longest = fits.max_by_key(|(_, prefix)| prefix.len()).map(|(at, _)| target(at));
            assert_eq!(Prefixes::of(paths).longest(path.as_bytes()), longest);
        }
    }
}
