//! ConnectionRate: connections that the clients of one network may open in a time.
//!
//! The buckets are those of requests ([`RateLimit`]): shared by all workers, bounded, carried over reloads.
//! Must never read a clock or close anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::http::limits::RateLimit;
use crate::networks::Networks;
use crate::problem::{Flaw, Problem};
use crate::spec::{ConnectionRateSpec, RateLimitSpec};
use crate::time::Millis;

/// Connections in a time, for each network that clients come from.
///
/// Worked example: with `ipv6_prefix = 64` the clients `2001:db8::1` and `2001:db8::2` share one bucket,
/// since whoever has one of these addresses has all of them.
#[derive(Debug)]
pub struct ConnectionRate {
    limit: RateLimit,
    prefixes: Prefixes,
    exempt: Networks,
}

/// Bits of an address that are one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefixes {
    ipv4: u8,
    ipv6: u8,
}

impl ConnectionRate {
    /// Compiles a limit; the paths of the errors are those below `connection_rate`.
    pub fn compile(spec: &ConnectionRateSpec) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        for (key, bits, most) in
            [("ipv4_prefix", spec.ipv4_prefix, 32), ("ipv6_prefix", spec.ipv6_prefix, 128)]
        {
            if bits > most {
                errors.push(Flaw::new(format!("{bits} is more than {most}")).at(&[key]));
            }
        }
        if spec.connections == 0 {
            errors.push(Flaw::new("0 would let nothing pass").at(&["connections"]));
        }
        let exempt = Networks::parse(&spec.exempt).unwrap_or_else(|found| {
            errors.extend(
                found.into_iter().map(|(index, reason)| Problem::new(crate::path!["exempt", index], reason)),
            );
            Networks::default()
        });
        let limit = RateLimit::compile(&RateLimitSpec {
            requests: spec.connections.max(1),
            per: spec.per,
            burst: spec.burst,
            header: None,
            keys: spec.keys,
        });
        match limit {
            Ok(limit) if errors.is_empty() => {
                let prefixes = Prefixes { ipv4: spec.ipv4_prefix, ipv6: spec.ipv6_prefix };
                Ok(Self { limit, prefixes, exempt })
            }
            limit => {
                errors.extend(limit.err().into_iter().flatten());
                Err(errors)
            }
        }
    }

    /// Copies the limit. It goes on with the buckets of `previous` if networks mean the same there, else with
    /// fresh ones.
    pub fn adopt(&self, previous: Option<&Self>) -> Self {
        let same = previous.filter(|previous| previous.prefixes == self.prefixes);
        Self {
            limit: self.limit.adopt(same.map(|previous| &previous.limit)),
            prefixes: self.prefixes,
            exempt: self.exempt.clone(),
        }
    }

    /// Whether one more connection of this client is admitted; that counts. A unix client has no address and
    /// no limit.
    pub fn admits(&self, client: Option<IpAddr>, now: Millis) -> bool {
        match client {
            Some(client) if !self.exempt.contains(client) => {
                self.limit.admit_key(&self.prefixes.network(client), now).is_ok()
            }
            _ => true,
        }
    }

    /// Returns how many networks were forgotten before their buckets were full again, because there were more
    /// than `keys`.
    pub fn forgotten(&self) -> u64 {
        self.limit.forgotten()
    }
}

impl Prefixes {
    /// Returns what stands for the network of an address: its family and its first bits.
    fn network(self, address: IpAddr) -> [u8; 17] {
        let mut key = [0; 17];
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.ipv4)).unwrap_or(0);
                key[0] = 4;
                key[1..5].copy_from_slice(&Ipv4Addr::from(u32::from(address) & mask).octets());
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.ipv6)).unwrap_or(0);
                key[0] = 6;
                key[1..].copy_from_slice(&Ipv6Addr::from(u128::from(address) & mask).octets());
            }
        }
        key
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use proptest::prelude::*;

    use super::*;

    fn spec() -> ConnectionRateSpec {
        ConnectionRateSpec {
            connections: 1,
            per: 1000,
            burst: None,
            ipv4_prefix: 24,
            ipv6_prefix: 64,
            exempt: vec!["10.0.0.0/8".into()],
            keys: 1000,
        }
    }

    fn admits(rate: &ConnectionRate, client: &str, now: Millis) -> bool {
        rate.admits(Some(client.parse().unwrap()), now)
    }

    #[test]
    fn a_network_is_one_client() {
        let rate = ConnectionRate::compile(&spec()).unwrap();
        for (client, admitted) in [
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("::ffff:192.0.2.3", false),
            ("192.0.3.1", true),
            ("2001:db8::1", true),
            ("2001:db8::2:0:0:1", false),
            ("2001:db8:0:1::1", true),
        ] {
            assert_eq!(admits(&rate, client, 5000), admitted, "{client}");
        }
        assert!(admits(&rate, "192.0.2.2", 6000), "a token has come back");
    }

    #[test]
    fn who_is_trusted_or_has_no_address_is_not_counted() {
        let rate = ConnectionRate::compile(&spec()).unwrap();
        assert!((0..9).all(|_| admits(&rate, "10.1.2.3", 5000) && rate.admits(None, 5000)));
    }

    #[test]
    fn a_reload_keeps_what_clients_have_used() {
        let rate = ConnectionRate::compile(&spec()).unwrap();
        assert!(admits(&rate, "192.0.2.1", 5000));
        let next = ConnectionRate::compile(&spec()).unwrap().adopt(Some(&rate));
        assert!(!admits(&next, "192.0.2.1", 5000));
        let other = ConnectionRateSpec { ipv4_prefix: 32, ..spec() };
        let other = ConnectionRate::compile(&other).unwrap().adopt(Some(&rate));
        assert!(admits(&other, "192.0.2.1", 5000), "another network, another bucket");
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let wrong = ConnectionRateSpec {
            connections: 0,
            per: 0,
            burst: Some(0),
            ipv4_prefix: 33,
            ipv6_prefix: 129,
            exempt: vec!["10.0.0.0/33".into()],
            keys: 0,
        };
        let errors = ConnectionRate::compile(&wrong).unwrap_err();
        assert_eq!(errors.len(), 7, "{errors:?}");
    }

    proptest! {
        #[test]
        fn addresses_of_one_network_have_one_key(address: u128, other: u128, bits in 0_u8..=128) {
            let prefixes = Prefixes { ipv4: bits.min(32), ipv6: bits };
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            let same = Ipv6Addr::from((address & mask) | (other & !mask));
            let address = Ipv6Addr::from(address);
            prop_assume!(address.to_ipv4_mapped().is_none() && same.to_ipv4_mapped().is_none());
            prop_assert_eq!(prefixes.network(address.into()), prefixes.network(same.into()));
        }
    }
}
