//! Nameservers: whom to ask first. One that was silent lately is asked after all others, so that it costs
//! each name no time; it must never be left out, for it may be the only one that answers.

use std::net::SocketAddr;

use crate::time::Millis;

/// Time for which a silent nameserver stands behind the others.
const AVOIDED: Millis = 30_000;

/// Nameservers in their order, each with the time until which it is avoided.
#[derive(Debug, Clone)]
pub struct Nameservers(Vec<(SocketAddr, Millis)>);

impl Nameservers {
    /// Takes the nameservers in the order in which they were written.
    pub fn new(addresses: &[SocketAddr]) -> Self {
        Self(addresses.iter().map(|address| (*address, 0)).collect())
    }

    /// Whether these are the nameservers.
    pub fn are(&self, addresses: &[SocketAddr]) -> bool {
        self.0.iter().map(|(address, _)| address).eq(addresses)
    }

    /// Returns them in the order in which they are asked.
    pub fn order(&self, now: Millis) -> Vec<SocketAddr> {
        let (avoided, good): (Vec<_>, Vec<_>) = self.0.iter().partition(|(_, until)| *until > now);
        good.into_iter().chain(avoided).map(|(address, _)| address).collect()
    }

    /// Notes that one gave no answer.
    pub fn was_silent(&mut self, nameserver: SocketAddr, now: Millis) {
        self.note(nameserver, now + AVOIDED);
    }

    /// Notes that one answered.
    pub fn answered(&mut self, nameserver: SocketAddr) {
        self.note(nameserver, 0);
    }

    fn note(&mut self, nameserver: SocketAddr, until: Millis) {
        if let Some(known) = self.0.iter_mut().find(|(address, _)| *address == nameserver) {
            known.1 = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_one_stands_behind_the_others_for_a_time() {
        let [first, second] = ["192.0.2.1:53", "192.0.2.2:53"].map(|text| text.parse().unwrap());
        let mut nameservers = Nameservers::new(&[first, second]);
        assert_eq!(nameservers.order(1_000), [first, second]);
        nameservers.was_silent(first, 1_000);
        assert_eq!(nameservers.order(2_000), [second, first]);
        assert_eq!(nameservers.order(1_000 + AVOIDED), [first, second]);
        nameservers.was_silent(second, 2_000);
        assert_eq!(nameservers.order(3_000), [first, second]);
        nameservers.answered(second);
        assert_eq!(nameservers.order(3_000), [second, first]);
    }
}
