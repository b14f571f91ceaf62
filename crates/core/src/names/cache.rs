//! The cache: answers of nameservers as long as they hold, and for a while after that, when no nameserver
//! answers.
//!
//! Failures are kept for a moment too, so that a name nobody answers for is not asked about by every
//! client. Must never hold more than its limits; the oldest go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::message::{Found, NameAnswer, Query};
use super::{FAILURE_KEPT, Unresolved};
use crate::time::{Millis, NEVER};

/// Records that the cache holds for each answer that it may hold, on average.
const RECORDS_PER_ANSWER: usize = 16;

/// Limits of a [`NameCache`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLimits {
    /// Answers that are kept.
    pub answers: usize,
    /// Time for which an answer holds at least.
    pub shortest: Millis,
    /// Time for which it holds at most.
    pub longest: Millis,
    /// Time for which it holds at most that there is nothing.
    pub longest_absence: Millis,
    /// Time for which addresses are kept after that, for when no nameserver answers.
    pub stale: Millis,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            answers: 10_000,
            shortest: 1_000,
            longest: 3_600_000,
            longest_absence: 60_000,
            stale: 86_400_000,
        }
    }
}

/// An answer out of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The answer.
    pub answer: Arc<NameAnswer>,
    /// Time for which it still holds.
    pub fresh_for: Millis,
    /// Time for which it holds no longer. None: it holds.
    pub stale_since: Option<Millis>,
}

/// Knowledge of the cache about a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cached {
    /// The answer; nobody need be asked.
    Settled(Result<Kept, Unresolved>),
    /// A stale answer, for nameservers failed when they were asked last. They are to be asked again, but
    /// nobody waits for it.
    Failing(Kept),
    /// Nameservers are to be asked.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    /// The number of its place in the order of age.
    age: u64,
    answer: Option<Arc<NameAnswer>>,
    fresh_until: Millis,
    failure: Option<(Unresolved, Millis)>,
}

impl Entry {
    fn records(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.found.count())
    }
}

/// Answers by query.
#[derive(Debug)]
pub struct NameCache {
    limits: CacheLimits,
    entries: HashMap<Query, Entry>,
    /// The queries in the order of their age.
    ages: BTreeMap<u64, Query>,
    next_age: u64,
    records: usize,
}

impl NameCache {
    /// Makes an empty one.
    pub fn new(limits: CacheLimits) -> Self {
        Self { limits, entries: HashMap::new(), ages: BTreeMap::new(), next_age: 0, records: 0 }
    }

    /// Changes the limits; what is too much goes.
    pub fn limit(&mut self, limits: CacheLimits) {
        self.limits = limits;
        self.shrink();
    }

    /// Returns how many answers and failures are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns what is known at `now`.
    pub fn look(&self, query: &Query, now: Millis) -> Cached {
        let Some(entry) = self.entries.get(query) else { return Cached::Unknown };
        if let Some(answer) = entry.answer.as_ref().filter(|_| now < entry.fresh_until) {
            let fresh_for = entry.fresh_until - now;
            return Cached::Settled(Ok(Kept { answer: Arc::clone(answer), fresh_for, stale_since: None }));
        }
        match (entry.failure, self.stale(query, now)) {
            (None, _) => Cached::Unknown,
            (Some((_, until)), Some(kept)) if now < until => Cached::Settled(Ok(kept)),
            (Some(_), Some(kept)) => Cached::Failing(kept),
            (Some((failure, until)), None) if now < until => Cached::Settled(Err(failure)),
            (Some(_), None) => Cached::Unknown,
        }
    }

    /// Returns what held once, for when nobody answers. A name that did not exist may well do so now.
    pub fn stale(&self, query: &Query, now: Millis) -> Option<Kept> {
        let entry = self.entries.get(query)?;
        let answer = entry.answer.as_ref()?;
        let since = now.saturating_sub(entry.fresh_until);
        (answer.found != Found::NoSuchName && since <= self.limits.stale).then(|| Kept {
            answer: Arc::clone(answer),
            fresh_for: FAILURE_KEPT,
            stale_since: Some(since),
        })
    }

    /// Keeps what came of a query; returns it as it is kept.
    pub fn keep(
        &mut self,
        query: Query,
        outcome: Result<NameAnswer, Unresolved>,
        now: Millis,
    ) -> Result<Kept, Unresolved> {
        let old = self.remove(&query);
        let (entry, kept) = match outcome {
            Ok(answer) => {
                let fresh_for = self.fresh_for(&answer);
                let answer = Arc::new(answer);
                let entry = Entry {
                    age: self.next_age,
                    answer: Some(Arc::clone(&answer)),
                    fresh_until: now + fresh_for,
                    failure: None,
                };
                (entry, Ok(Kept { answer, fresh_for, stale_since: None }))
            }
            Err(failure) => {
                let (answer, fresh_until) = old.map_or((None, now), |old| (old.answer, old.fresh_until));
                let failure_until = Some((failure, now + FAILURE_KEPT));
                (Entry { age: self.next_age, answer, fresh_until, failure: failure_until }, Err(failure))
            }
        };
        self.next_age += 1;
        self.records += entry.records();
        self.ages.insert(entry.age, query.clone());
        self.entries.insert(query.clone(), entry);
        let kept = kept.or_else(|failure| self.stale(&query, now).ok_or(failure));
        self.shrink();
        kept
    }

    /// Has everything asked for anew: other nameservers may know better.
    pub fn expire(&mut self, now: Millis) {
        for entry in self.entries.values_mut() {
            entry.fresh_until = entry.fresh_until.min(now);
            entry.failure = None;
        }
    }

    fn fresh_for(&self, answer: &NameAnswer) -> Millis {
        let longest = match answer.found {
            Found::Addresses(_) | Found::Services(_) => self.limits.longest,
            Found::NoRecords | Found::NoSuchName => self.limits.longest_absence.min(self.limits.longest),
        };
        (Millis::from(answer.ttl) * 1_000).max(self.limits.shortest).min(longest).min(NEVER / 2)
    }

    fn shrink(&mut self) {
        let most_records = self.limits.answers.saturating_mul(RECORDS_PER_ANSWER);
        while self.entries.len() > self.limits.answers || self.records > most_records {
            let Some((_, oldest)) = self.ages.first_key_value() else { return };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, query: &Query) -> Option<Entry> {
        let entry = self.entries.remove(query)?;
        self.ages.remove(&entry.age);
        self.records -= entry.records();
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Domain, QueryType};

    fn query(name: &str) -> Query {
        Query { name: Domain::new(name).unwrap(), query_type: QueryType::A }
    }

    fn answer(records: usize, ttl: u32) -> NameAnswer {
        let addresses = (0..records).map(|n| std::net::Ipv4Addr::from(n as u32).into()).collect();
        NameAnswer { found: Found::Addresses(addresses), ttl }
    }

    fn cache(answers: usize) -> NameCache {
        NameCache::new(CacheLimits { answers, ..CacheLimits::default() })
    }

    fn fresh_for(cached: Cached) -> Option<Millis> {
        match cached {
            Cached::Settled(Ok(Kept { fresh_for, stale_since: None, .. })) => Some(fresh_for),
            _ => None,
        }
    }

    #[test]
    fn an_answer_holds_for_its_time_and_no_longer() {
        let mut cache = cache(10);
        assert_eq!(cache.look(&query("a"), 1_000), Cached::Unknown);
        cache.keep(query("a"), Ok(answer(1, 30)), 1_000).unwrap();
        assert_eq!(fresh_for(cache.look(&query("a"), 1_000)), Some(30_000));
        assert_eq!(fresh_for(cache.look(&query("a"), 30_999)), Some(1));
        assert_eq!(cache.look(&query("a"), 31_000), Cached::Unknown);
    }

    #[test]
    fn times_are_clamped() {
        let mut cache = cache(10);
        let absence = NameAnswer { found: Found::NoSuchName, ttl: 86_400 };
        for (given, expected) in [(answer(1, 0), 1_000), (answer(1, u32::MAX), 3_600_000), (absence, 60_000)]
        {
            cache.keep(query("a"), Ok(given), 5_000).unwrap();
            assert_eq!(fresh_for(cache.look(&query("a"), 5_000)), Some(expected));
        }
    }

    #[test]
    fn when_nobody_answers_old_addresses_are_given_with_their_age() {
        let mut cache = cache(10);
        cache.keep(query("a"), Ok(answer(2, 10)), 1_000).unwrap();
        let kept = cache.keep(query("a"), Err(Unresolved::Timeout), 20_000).unwrap();
        assert_eq!((kept.answer.found.count(), kept.stale_since), (2, Some(9_000)));
        // For a moment nobody is asked; then somebody is, but nobody waits.
        assert_eq!(cache.look(&query("a"), 20_000), Cached::Settled(Ok(kept)));
        let Cached::Failing(kept) = cache.look(&query("a"), 20_000 + FAILURE_KEPT) else {
            panic!("not failing")
        };
        assert_eq!(kept.stale_since, Some(9_000 + FAILURE_KEPT));
        // In the end even the name of them is gone.
        let late = 11_000 + CacheLimits::default().stale + 1;
        assert_eq!(cache.look(&query("a"), late), Cached::Unknown);
        assert_eq!(cache.keep(query("a"), Err(Unresolved::Timeout), late), Err(Unresolved::Timeout));
        assert_eq!(cache.look(&query("a"), late), Cached::Settled(Err(Unresolved::Timeout)));
        // An answer ends the failure.
        cache.keep(query("a"), Ok(answer(1, 10)), late + 1).unwrap();
        assert_eq!(fresh_for(cache.look(&query("a"), late + 1)), Some(10_000));
    }

    #[test]
    fn what_is_gone_by_an_answer_is_not_given_any_more() {
        let mut cache = cache(10);
        cache.keep(query("a"), Ok(answer(2, 10)), 1_000).unwrap();
        cache.keep(query("a"), Ok(NameAnswer { found: Found::NoSuchName, ttl: 5 }), 20_000).unwrap();
        assert_eq!(cache.keep(query("a"), Err(Unresolved::Timeout), 30_000), Err(Unresolved::Timeout));
        assert_eq!(cache.stale(&query("a"), 30_000), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut cache = cache(3);
        for name in ["a", "b", "c", "a", "d"] {
            cache.keep(query(name), Ok(answer(1, 10)), 1_000).unwrap();
        }
        assert_eq!(cache.len(), 3);
        assert_eq!(cache.look(&query("b"), 1_000), Cached::Unknown);
        assert!(["a", "c", "d"].iter().all(|name| fresh_for(cache.look(&query(name), 1_000)).is_some()));
        cache.limit(CacheLimits { answers: 0, ..CacheLimits::default() });
        assert!(cache.is_empty() && cache.ages.is_empty() && cache.records == 0);
    }

    #[test]
    fn large_answers_count_for_more() {
        let mut cache = cache(100);
        for n in 0..1_000 {
            cache.keep(query(&format!("a{n}.example")), Ok(answer(1_000, 10)), 1_000).unwrap();
            assert!(cache.records <= 100 * RECORDS_PER_ANSWER);
        }
        assert_eq!((cache.len(), cache.ages.len()), (1, 1));
    }

    #[test]
    fn other_nameservers_may_know_better() {
        let mut cache = cache(10);
        cache.keep(query("a"), Ok(answer(1, 100)), 1_000).unwrap();
        cache.keep(query("b"), Err(Unresolved::Timeout), 1_000).unwrap_err();
        cache.expire(2_000);
        assert_eq!(cache.look(&query("a"), 2_000), Cached::Unknown);
        assert_eq!(cache.look(&query("b"), 2_000), Cached::Unknown);
        assert_eq!(cache.stale(&query("a"), 3_000).and_then(|kept| kept.stale_since), Some(1_000));
    }
}
