//! Rendezvous (highest random weight) hashing with weights: each key prefers the servers in its own order.
//!
//! Sources: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998), for the
//! hashing; Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005), for the score `-weight /
//! ln(u)`. Removing one server moves exactly its keys, adding one to N equal servers moves about 1/(N+1) of
//! them, changing one weight moves keys only to or from that server. Cost: one hash and one logarithm a
//! candidate. Results are the same on every machine and in every version, so nothing here may depend on the
//! standard library's hashes or the platform's `ln`. The hash is not keyed: a client that chooses its key can
//! choose its server.

use std::fmt::Debug;

use super::random::Random;
use super::{Balance, Candidate, Memory, Ready, Seed};

/// Returns a hash of `text` that is the same on every machine and in every version.
pub fn identity(text: &str) -> u64 {
    hash(text.as_bytes())
}

/// Returns the [`Candidate::server`] that `key` prefers; the first of equals.
pub(super) fn choose(candidates: &[Candidate], key: u64) -> usize {
    let mut best = (f64::INFINITY, 0);
    for candidate in candidates {
        // The highest weight / -ln(u) is the lowest -ln(u) / weight, which needs no care for ln(u) near 0.
        let cost = minus_ln(unit(mix(key ^ candidate.identity))) / f64::from(candidate.weight.max(1));
        if cost < best.0 {
            best = (cost, candidate.server);
        }
    }
    best.1
}

/// An algorithm that sends a key to the server which it prefers. Where there is no key, a random server is
/// chosen.
pub(super) trait ByKey: Debug + Sync {
    /// Returns the algorithm's name in the configuration.
    fn name(&self) -> &'static str;

    /// Returns the key; None when there is none.
    fn key(&self, seed: &Seed<'_>) -> Option<u64>;

    /// Whether the key is a request's, so that it is of no use where there are none.
    fn asks_request(&self) -> bool {
        false
    }
}

impl<T: ByKey> Balance for T {
    fn name(&self) -> &'static str {
        ByKey::name(self)
    }

    fn choose(&self, candidates: &[Candidate], seed: &Seed<'_>, memory: &mut Memory) -> usize {
        match self.key(seed) {
            Some(key) => choose(candidates, key),
            None => Random.choose(candidates, seed, memory),
        }
    }

    fn choose_ready(&self, ready: &mut Ready, seed: &Seed<'_>, active: &dyn Fn(usize) -> u32) -> usize {
        match self.key(seed) {
            Some(key) => ready.home(key),
            None => Random.choose_ready(ready, seed, active),
        }
    }

    fn asks_request(&self) -> bool {
        ByKey::asks_request(self)
    }
}

/// Hashes words of 8 bytes, little-endian, the last filled up with zeros: each is xored into the state and
/// mixed. The state begins with the length, so that filling up cannot make two keys equal.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let start = mix(SEED ^ bytes.len() as u64);
    bytes.chunks(8).fold(start, |state, chunk| {
        let word = chunk.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        mix(state ^ word)
    })
}

/// Mixes by the finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014, with Stafford's variant 13): every input bit flips each output bit with a probability
/// close to one half.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// "headwork" in ASCII. Never changes: every key would move.
const SEED: u64 = 0x6865_6164_776f_726b;

/// Returns a number above 0 and below 1 from the upper 52 bits.
fn unit(hash: u64) -> f64 {
    ((hash >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// Returns `-ln(u)` for `u` above 0 and below 1, from operations that IEEE 754 defines to the last bit;
/// `f64::ln` is the platform's. Relative error below 1e-11.
///
/// u = m * 2^e with m from sqrt(1/2) to sqrt(2), and ln(m) = 2 artanh(s) with s = (m - 1) / (m + 1), at most
/// 0.172.
fn minus_ln(u: f64) -> f64 {
    let bits = u.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut m = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0].iter().fold(0.0, |sum, odd| sum * square + 1.0 / odd);
    -(f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * s * series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right() {
        let mut worst: f64 = 0.0;
        for n in 0..100_000_u64 {
            let u = unit(mix(n));
            worst = worst.max((minus_ln(u) / -u.ln() - 1.0).abs());
        }
        for u in [unit(0), unit(u64::MAX), 0.5, 0.25, 0.70, 0.71, 1.0 - 1e-9] {
            worst = worst.max((minus_ln(u) / -u.ln() - 1.0).abs());
        }
        assert!(worst < 1e-11, "{worst}");
        assert!(minus_ln(unit(u64::MAX)) > 0.0 && minus_ln(unit(0)).is_finite());
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(identity(""), 0x6f25_b4a9_1ca6_c485);
        assert_eq!(identity("127.0.0.1:8001"), 0x7441_7140_9ca6_d6e4);
        assert_eq!(identity("unix:/run/x.sock"), 0x5867_ab8e_6b20_4f5b);
        assert_ne!(hash(b"a"), hash(b"a\0"));
        assert_ne!(hash(&[0; 8]), hash(&[0; 16]));
    }
}
