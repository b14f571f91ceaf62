//! Limits on requests: how many one client may make in a time (a token bucket a key), and how many at once.
//!
//! Shared by all workers and carried over reloads; every map is split in parts with a lock each, and nothing
//! is touched where no limit is configured. Must never grow beyond the keys it was given, nor read a clock.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crossbeam_utils::CachePadded;
use hashbrown::HashMap;

use super::names::is_token;
use crate::lock::lock;
use crate::message::Message;
use crate::problem::Flaw;
use crate::problem::Problem;
use crate::spec::RateLimitSpec;
use crate::time::Millis;

/// Requests in a time, for each client address or value of a field.
///
/// The generic cell rate algorithm (ITU-T I.371): a key's bucket is one number, the moment at which it will
/// be full again. Each request moves it on by what one token takes to come back, and is refused when that
/// lies further ahead than a whole bucket. So in any time t at most `burst + t / per * requests` are
/// admitted.
///
/// Worked example: 10 a second, burst 3, a token each 100 ms. Three requests at 0 move the moment to 300 ms;
/// a fourth finds it more than 200 ms ahead and is refused. At 100 ms one is admitted.
#[derive(Debug)]
pub struct RateLimit {
    /// Field whose value is the key; None: the client's address.
    header: Option<Box<str>>,
    /// Nanoseconds in which one token comes back.
    token: u64,
    /// Nanoseconds that the moment may lie ahead.
    tolerance: u64,
    /// Keys remembered in each part.
    keys: usize,
    buckets: Arc<Buckets>,
}

/// The buckets of a listener.
#[derive(Debug)]
struct Buckets {
    hasher: foldhash::quality::RandomState,
    parts: Box<[CachePadded<Mutex<Part>>]>,
    forgotten: AtomicU64,
}

/// A part of the buckets. Keys are hashes, seeded at random: 64 bits that nobody can make collide.
#[derive(Debug, Default)]
struct Part {
    places: HashMap<u64, u32, foldhash::fast::RandomState>,
    buckets: Vec<Bucket>,
    /// Place at which the next search for one to forget begins.
    hand: usize,
}

#[derive(Debug)]
struct Bucket {
    key: u64,
    /// Moment at which the bucket is full, nanoseconds of the engine's clock.
    full_at: u64,
}

/// Parts of each map.
const PARTS: usize = 64;

/// Buckets looked at when one must be forgotten.
const LOOKED_AT: usize = 32;

const NANOS: u64 = 1_000_000;

impl RateLimit {
    /// Compiles a limit; the paths of the errors are those below `rate_limit`.
    pub fn compile(spec: &RateLimitSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        let burst = spec.burst.unwrap_or(spec.requests);
        for (key, number) in [
            ("requests", u64::from(spec.requests)),
            ("per", spec.per),
            ("burst", u64::from(burst)),
            ("keys", u64::from(spec.keys)),
        ] {
            if number == 0 {
                errors.push(Flaw::new("0 would let nothing pass").at(&[key]));
            }
        }
        if let Some(header) = spec.header.as_deref().filter(|header| !is_token(header.as_bytes())) {
            let reason = format!("\"{}\" is not the name of a field", header.escape_debug());
            errors.push(Flaw::new(reason).at(&["header"]));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        // Rounded up: rather a little less than what is allowed than a little more.
        let token = spec.per.saturating_mul(NANOS).div_ceil(u64::from(spec.requests));
        let header = spec.header.as_deref().map(Box::from);
        Ok(Self {
            header,
            token,
            tolerance: token.saturating_mul(u64::from(burst) - 1),
            keys: (spec.keys as usize).div_ceil(PARTS),
            buckets: Arc::default(),
        })
    }

    /// Copies the limit. It goes on with the buckets of `previous` if keys mean the same there, else with
    /// fresh ones.
    pub fn adopt(&self, previous: Option<&Self>) -> Self {
        let same = previous.filter(|previous| previous.header == self.header);
        Self {
            header: self.header.clone(),
            buckets: same.map_or_else(Arc::default, |previous| Arc::clone(&previous.buckets)),
            ..*self
        }
    }

    /// Admits a request, or says after how many seconds it would be.
    ///
    /// One without the field counts for its client's address; one without either (a unix client) is admitted.
    pub fn admit(&self, client: Option<SocketAddr>, message: Message<'_>, now: Millis) -> Result<(), u64> {
        let value =
            self.header.as_deref().and_then(|name| message.value(name)).filter(|value| !value.is_empty());
        let hasher = &self.buckets.hasher;
        let key = match (value, client) {
            (Some(value), _) => hash(hasher, (true, value)),
            (None, Some(client)) => hash(hasher, (false, network(client.ip()))),
            (None, None) => return Ok(()),
        };
        self.take(key, now.saturating_mul(NANOS)).map_err(|wait| wait.div_ceil(1000 * NANOS).max(1))
    }

    /// Admits what has this key, or says after how many seconds it would be.
    pub fn admit_key(&self, key: &[u8], now: Millis) -> Result<(), u64> {
        let key = hash(&self.buckets.hasher, (true, key));
        self.take(key, now.saturating_mul(NANOS)).map_err(|wait| wait.div_ceil(1000 * NANOS).max(1))
    }

    /// Takes a token, or says in how many nanoseconds there will be one.
    fn take(&self, key: u64, now: u64) -> Result<(), u64> {
        let mut part = lock(&self.buckets.parts[key as usize % PARTS]);
        let (bucket, forgotten) = part.bucket(key, now, self.keys);
        let full_at = bucket.full_at.max(now);
        let excess = (full_at - now).saturating_sub(self.tolerance);
        if excess == 0 {
            bucket.full_at = full_at.saturating_add(self.token);
        }
        if forgotten {
            self.buckets.forgotten.fetch_add(1, Relaxed);
        }
        if excess == 0 { Ok(()) } else { Err(excess) }
    }

    /// Returns how many keys were forgotten before their buckets were full again, because there were more
    /// than `keys`.
    pub fn forgotten(&self) -> u64 {
        self.buckets.forgotten.load(Relaxed)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let burst = self.tolerance / self.token + 1;
        let key = self.header.as_deref().unwrap_or("address");
        write!(f, "{burst} at once and one each {} ms for an {key}", self.token / NANOS)
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            hasher: foldhash::quality::RandomState::default(),
            parts: (0..PARTS).map(|_| CachePadded::default()).collect(),
            forgotten: AtomicU64::new(0),
        }
    }
}

impl Part {
    /// Returns the bucket of `key`, and whether one that was not full had to be forgotten for it.
    fn bucket(&mut self, key: u64, now: u64, most: usize) -> (&mut Bucket, bool) {
        if let Some(&place) = self.places.get(&key) {
            return (&mut self.buckets[place as usize], false);
        }
        // After a reload there may be fewer places than there were.
        while self.buckets.len() > most {
            self.buckets.pop().map(|bucket| self.places.remove(&bucket.key));
        }
        let fresh = Bucket { key, full_at: now };
        if self.buckets.len() < most {
            self.places.insert(key, self.buckets.len() as u32);
            self.buckets.push(fresh);
            let last = self.buckets.len() - 1;
            return (&mut self.buckets[last], false);
        }
        let place = self.least(now);
        let forgotten = std::mem::replace(&mut self.buckets[place], fresh);
        self.places.remove(&forgotten.key);
        self.places.insert(key, place as u32);
        (&mut self.buckets[place], forgotten.full_at > now)
    }

    /// Returns the place of a bucket that is full again, or of the fullest among those looked at: forgetting
    /// it gives away least. A client that is at its limit is forgotten last.
    fn least(&mut self, now: u64) -> usize {
        let (mut best, mut full_at) = (self.hand % self.buckets.len(), u64::MAX);
        for _ in 0..LOOKED_AT.min(self.buckets.len()) {
            self.hand = (self.hand + 1) % self.buckets.len();
            let bucket = &self.buckets[self.hand];
            if bucket.full_at < full_at {
                (best, full_at) = (self.hand, bucket.full_at);
            }
            if full_at <= now {
                break;
            }
        }
        best
    }
}

/// Requests in flight for each client address.
#[derive(Debug)]
pub struct Concurrency {
    most: u32,
    in_flight: Arc<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    hasher: foldhash::quality::RandomState,
    parts: Box<[CachePadded<Mutex<Counts>>]>,
}

type Counts = HashMap<u64, u32, foldhash::fast::RandomState>;

/// A place for one request, given back when dropped.
#[derive(Debug)]
pub struct RequestPermit(Option<(Arc<InFlight>, u64)>);

impl Concurrency {
    /// Compiles a limit of `most`; the paths of the errors are those below its key.
    pub fn compile(most: u32) -> Result<Self, Vec<Problem>> {
        if most == 0 {
            return Err(vec![Flaw::new("0 would let nothing pass").at(&[])]);
        }
        Ok(Self { most, in_flight: Arc::default() })
    }

    /// Copies the limit. It goes on with what `previous` has in flight, if there is any.
    pub fn adopt(&self, previous: Option<&Self>) -> Self {
        let in_flight = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.in_flight));
        Self { most: self.most, in_flight }
    }

    /// Returns the number that may be at once.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Takes a place, or None when the client has all of its own in use. A unix client has no address and no
    /// limit.
    pub fn enter(&self, client: Option<SocketAddr>) -> Option<RequestPermit> {
        let Some(client) = client else { return Some(RequestPermit(None)) };
        let key = hash(&self.in_flight.hasher, network(client.ip()));
        let mut part = lock(&self.in_flight.parts[key as usize % PARTS]);
        let count = part.entry(key).or_insert(0);
        // An entry that is there has at least one in flight, and `most` is at least one: none is left behind
        // at 0.
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(RequestPermit(Some((Arc::clone(&self.in_flight), key))))
    }
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            hasher: foldhash::quality::RandomState::default(),
            parts: (0..PARTS).map(|_| CachePadded::default()).collect(),
        }
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let Some((in_flight, key)) = &self.0 else { return };
        let mut part = lock(&in_flight.parts[*key as usize % PARTS]);
        if let Some(count) = part.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                part.remove(key);
            }
        }
    }
}

/// Returns what counts as one client: an IPv4 address, or an IPv6 network of 64 bits, of which a client
/// commands all.
fn network(ip: IpAddr) -> (bool, u64) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (false, u64::from(u32::from(ip))),
        IpAddr::V6(ip) => (true, (u128::from(ip) >> 64) as u64),
    }
}

fn hash(hasher: &foldhash::quality::RandomState, key: impl Hash) -> u64 {
    hasher.hash_one(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Field, Head, Span};

    fn spec(requests: u32, per: u64, burst: u32) -> RateLimitSpec {
        RateLimitSpec { requests, per, burst: Some(burst), header: None, keys: 10_000 }
    }

    fn limit(requests: u32, per: u64, burst: u32) -> RateLimit {
        RateLimit::compile(&spec(requests, per, burst)).unwrap()
    }

    fn ask(limit: &RateLimit, client: &str, now: Millis) -> Result<(), u64> {
        let head = Head::default();
        limit.admit(Some(SocketAddr::new(client.parse().unwrap(), 1)), Message::new(&head, b""), now)
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_token() {
        let limit = limit(10, 1000, 3);
        let asked: Vec<_> = (0..4).map(|_| ask(&limit, "192.0.2.1", 5000)).collect();
        assert_eq!(asked, [Ok(()), Ok(()), Ok(()), Err(1)]);
        assert_eq!(ask(&limit, "192.0.2.1", 5099), Err(1));
        assert_eq!(ask(&limit, "192.0.2.1", 5100), Ok(()));
        assert_eq!(ask(&limit, "192.0.2.1", 5100), Err(1));
        assert_eq!(ask(&limit, "192.0.2.1", 4000), Err(2), "another worker's clock may be behind");
        assert_eq!(
            (0..9).filter(|_| ask(&limit, "192.0.2.1", 99_000).is_ok()).count(),
            3,
            "no more than a burst"
        );
    }

    #[test]
    fn what_is_refused_is_told_when_to_come_again() {
        let limit = limit(1, 60_000, 1);
        assert_eq!(ask(&limit, "192.0.2.1", 1000), Ok(()));
        for (now, seconds) in [(1000, 60), (1001, 60), (2000, 59), (60_001, 1), (60_999, 1)] {
            assert_eq!(ask(&limit, "192.0.2.1", now), Err(seconds), "{now}");
        }
        assert_eq!(ask(&limit, "192.0.2.1", 61_000), Ok(()));
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let limit = limit(1, 1000, 1);
        for (client, admitted) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8::1", true),
            ("2001:db8::ffff:1", false),
            ("2001:db8:0:1::1", true),
            ("::c000:201", true),
        ] {
            assert_eq!(ask(&limit, client, 1000).is_ok(), admitted, "{client}");
        }
        let head = Head::default();
        assert!((0..9).all(|_| limit.admit(None, Message::new(&head, b""), 1000).is_ok()));
    }

    #[test]
    fn a_field_is_the_key_and_the_address_where_it_is_missing() {
        let spec = RateLimitSpec { header: Some("X-Key".into()), ..spec(1, 1000, 1) };
        let limit = RateLimit::compile(&spec).unwrap();
        let ask = |client: &str, bytes: &str| {
            let mut head = Head::default();
            if let Some(colon) = bytes.find(": ") {
                let (name, value) = (Span::new(0, colon), Span::new(colon + 2, bytes.len()));
                head.push(Field { name, value, ..Field::default() });
            }
            let client = SocketAddr::new(client.parse().unwrap(), 1);
            limit.admit(Some(client), Message::new(&head, bytes.as_bytes()), 1000).is_ok()
        };
        assert!(
            ask("192.0.2.1", "x-key: a") && !ask("192.0.2.2", "X-Key: a") && ask("192.0.2.1", "X-Key: b")
        );
        assert!(ask("192.0.2.1", "") && !ask("192.0.2.1", "X-Other: a") && !ask("192.0.2.1", "X-Key: "));
    }

    #[test]
    fn with_too_many_keys_those_at_their_limit_are_forgotten_last() {
        let spec = RateLimitSpec { keys: 64, ..spec(1, 1_000_000, 100) };
        let limit = RateLimit::compile(&spec).unwrap();
        let busy = 7; // of part 7, like every key with this remainder
        assert!((0..100).all(|_| limit.take(busy, 0).is_ok()) && limit.take(busy, 0).is_err());
        // One place in each part: a second key takes it, and that is counted.
        limit.take(busy + PARTS as u64, 0).unwrap();
        assert_eq!(limit.forgotten(), 1);
        let wide = RateLimit::compile(&RateLimitSpec { keys: 640, ..spec }).unwrap().adopt(Some(&limit));
        assert!((0..100).all(|_| wide.take(busy, 0).is_ok()));
        for n in 0..10_000 {
            wide.take(busy + n * PARTS as u64 * 3 + PARTS as u64, 0).unwrap();
        }
        assert!(wide.take(busy, 0).is_err(), "the busiest is still known");
        assert_eq!(lock(&wide.buckets.parts[7]).buckets.len(), 10);
        assert_eq!(lock(&wide.buckets.parts[7]).places.len(), 10);
        assert_eq!(wide.forgotten(), limit.forgotten(), "shared over reloads");
    }

    #[test]
    fn a_bucket_that_is_full_again_is_forgotten_without_count() {
        let limit = RateLimit::compile(&RateLimitSpec { keys: 64, ..spec(1, 1, 1) }).unwrap();
        for n in 0..1000 {
            limit.take(n * PARTS as u64, n * 2 * NANOS).unwrap();
        }
        assert_eq!(limit.forgotten(), 0);
    }

    #[test]
    fn a_reload_goes_on_where_keys_mean_the_same() {
        let old = limit(1, 60_000, 1);
        ask(&old, "192.0.2.1", 0).unwrap();
        let same = RateLimit::compile(&spec(2, 60_000, 1)).unwrap().adopt(Some(&old));
        assert!(ask(&same, "192.0.2.1", 0).is_err());
        let other = RateLimitSpec { header: Some("x".into()), ..spec(1, 60_000, 1) };
        let fresh = RateLimit::compile(&other).unwrap().adopt(Some(&old));
        assert!(ask(&fresh, "192.0.2.1", 0).is_ok());
    }

    #[test]
    fn mistakes_are_told() {
        let wrong =
            RateLimitSpec { requests: 0, per: 0, burst: Some(0), header: Some("a b".into()), keys: 0 };
        let errors = RateLimit::compile(&wrong).unwrap_err();
        let paths: Vec<_> = errors.iter().map(Problem::place).collect();
        assert_eq!(paths, ["requests", "per", "burst", "keys", "header"]);
        assert!(Concurrency::compile(0).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_in_any_window(
            requests in 1_u32..50, per in 1_u64..5_000, burst in 1_u32..20,
            steps in prop::collection::vec(0_u64..200, 1..300),
        ) {
            let limit = limit(requests, per, burst);
            let (mut now, mut admitted) = (1000, Vec::new());
            for step in steps {
                now += step;
                match ask(&limit, "192.0.2.1", now) {
                    Ok(()) => admitted.push(now),
                    Err(seconds) => prop_assert!(seconds >= 1),
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, to) in admitted.iter().enumerate().skip(first) {
                    let most = u64::from(burst) + (to - from) * u64::from(requests) / per;
                    prop_assert!((last - first + 1) as u64 <= most, "{} from {from} to {to}", last - first + 1);
                }
            }
        }

        #[test]
        fn whoever_waits_as_told_is_admitted(requests in 1_u32..50, per in 1_u64..500_000, burst in 1_u32..20) {
            let limit = limit(requests, per, burst);
            let refused = (0..=burst).find_map(|_| ask(&limit, "192.0.2.1", 1000).err());
            let seconds = refused.expect("one more than a burst");
            prop_assert_eq!(ask(&limit, "192.0.2.1", 1000 + 1000 * seconds), Ok(()));
        }
    }

    #[test]
    fn places_come_back_and_none_is_taken_twice() {
        let limit = Concurrency::compile(2).unwrap();
        let client = |text: &str| Some(SocketAddr::new(text.parse().unwrap(), 1));
        let enter = |text: &str| limit.enter(client(text));
        let (first, second) = (enter("192.0.2.1").unwrap(), enter("192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none() && enter("192.0.2.2").is_some());
        drop(first);
        let third = enter("::ffff:192.0.2.1").unwrap();
        let reloaded = Concurrency::compile(3).unwrap().adopt(Some(&limit));
        assert!(enter("192.0.2.1").is_none() && reloaded.enter(client("192.0.2.1")).is_some());
        drop((second, third));
        assert!(limit.in_flight.parts.iter().all(|part| lock(part).is_empty()), "nothing is left behind");
        assert!((0..9).all(|_| limit.enter(None).is_some()));
    }

    #[test]
    fn workers_together_never_exceed_the_limits() {
        let (rate, most) = (limit(1, 1_000_000, 500), Concurrency::compile(3).unwrap());
        let client = Some(SocketAddr::new("192.0.2.1".parse().unwrap(), 1));
        let (admitted, inside) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        admitted.fetch_add(u64::from(ask(&rate, "192.0.2.1", 1000).is_ok()), Relaxed);
                        if let Some(permit) = most.enter(client) {
                            assert!(inside.fetch_add(1, Relaxed) < 3);
                            inside.fetch_sub(1, Relaxed);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 500);
    }
}
