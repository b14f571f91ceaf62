//! Rates: the limits that an analyzer's verdicts have named, made when they are first named.
//!
//! Shared by all workers. Must never grow beyond [`MOST_KINDS`], whatever an analyzer makes up.

use std::sync::Mutex;

use crate::http::limits::RateLimit;
use crate::lock::lock;
use crate::spec::RateLimitSpec;
use crate::time::Millis;

/// A rate: so many requests in a time, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateKind {
    /// Requests.
    pub requests: u32,
    /// Milliseconds in which they count.
    pub per: Millis,
    /// Requests that may come at once after a silence.
    pub burst: u32,
}

/// The rates of one analyzer, each with its buckets.
#[derive(Debug, Default)]
pub struct RateLimits(Mutex<Vec<NamedRate>>);

#[derive(Debug)]
struct NamedRate {
    kind: RateKind,
    limit: RateLimit,
}

/// Kinds of rate that an analyzer may name; what it names beyond counts as the last of them.
const MOST_KINDS: usize = 64;

/// Keys remembered for each kind.
const KEYS: u32 = 100_000;

impl RateKind {
    /// Whether something would pass.
    pub fn is_sound(self) -> bool {
        self.requests > 0 && self.per > 0 && self.burst > 0
    }
}

impl RateLimits {
    /// Admits what has this key, or says after how many seconds it would be.
    pub(crate) fn admit(&self, kind: RateKind, key: &[u8], now: Millis) -> Result<(), u64> {
        let mut named = lock(&self.0);
        let known = named.iter().position(|one| one.kind == kind);
        let place = match known {
            Some(place) => place,
            None if named.len() >= MOST_KINDS => MOST_KINDS - 1,
            None => {
                let RateKind { requests, per, burst } = kind;
                let spec = RateLimitSpec { requests, per, burst: Some(burst), header: None, keys: KEYS };
                let Ok(limit) = RateLimit::compile(&spec) else { return Ok(()) };
                named.push(NamedRate { kind, limit });
                named.len() - 1
            }
        };
        named[place].limit.admit_key(key, now)
    }
}
