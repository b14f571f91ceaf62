//! Tickets: sessions that clients keep for us (RFC 5077, RFC 8446 section 4.6.1), sealed under keys that
//! rotate.
//!
//! A ticket is the name of its key, a nonce and the session under AES-256-GCM. Keys live in this process's
//! memory alone and are shared by its workers. Must never open a ticket of another listener or of another
//! policy for clients: each has keys of its own.

use std::sync::{PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{error::Unspecified, rand};
use headworks_core::time::Millis;
use rustls::server::ProducesTickets;

use super::rotation::Rotating;
use crate::clock;

/// Seals and opens the tickets of one listener.
#[derive(Debug)]
pub(super) struct Tickets {
    rotation: Millis,
    keys: RwLock<Rotating<TicketKey>>,
}

#[derive(Debug)]
struct TicketKey {
    name: Name,
    seal: RandomizedNonceKey,
}

/// Name of the key that sealed a ticket: it is found without trying, and authenticated with the ticket.
type Name = [u8; 16];

impl Tickets {
    /// Makes one with a new key, which is replaced after `rotation`.
    pub(super) fn new(rotation: Millis) -> Result<Self, Unspecified> {
        Self::from(rotation, clock::now())
    }

    fn from(rotation: Millis, now: Millis) -> Result<Self, Unspecified> {
        let keys = Rotating::new(TicketKey::new()?, now.saturating_add(rotation));
        Ok(Self { rotation, keys: RwLock::new(keys) })
    }

    fn seal(&self, session: &[u8], now: Millis) -> Result<Vec<u8>, Unspecified> {
        self.rotate(now)?;
        self.keys.read().unwrap_or_else(PoisonError::into_inner).current().seal(session)
    }

    fn open(&self, ticket: &[u8], now: Millis) -> Option<Vec<u8>> {
        self.rotate(now).ok()?;
        let (name, rest) = ticket.split_first_chunk::<{ size_of::<Name>() }>()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.both().find(|key| key.name == *name)?.open(rest)
    }

    fn rotate(&self, now: Millis) -> Result<(), Unspecified> {
        if self.keys.read().unwrap_or_else(PoisonError::into_inner).is_fresh(now) {
            return Ok(());
        }
        let next = TicketKey::new()?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been faster.
        if !keys.is_fresh(now) {
            keys.advance(next, now, self.rotation);
        }
        Ok(())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// Returns the time that every ticket lasts at least; those made early in a period last longer.
    fn lifetime(&self) -> u32 {
        u32::try_from(self.rotation / 1000).unwrap_or(u32::MAX).max(1)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, clock::now()).ok()
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, clock::now())
    }
}

impl TicketKey {
    fn new() -> Result<Self, Unspecified> {
        let (mut name, mut secret) = (Name::default(), [0; 32]);
        rand::fill(&mut name)?;
        rand::fill(&mut secret)?;
        Ok(Self { name, seal: RandomizedNonceKey::new(&AES_256_GCM, &secret)? })
    }

    fn seal(&self, session: &[u8]) -> Result<Vec<u8>, Unspecified> {
        const SESSION: usize = size_of::<Name>() + NONCE_LEN;
        let mut ticket = Vec::with_capacity(SESSION + session.len() + AES_256_GCM.tag_len());
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(&[0; NONCE_LEN]);
        ticket.extend_from_slice(session);
        let (nonce, tag) =
            self.seal.seal_in_place_separate_tag(Aad::from(self.name), &mut ticket[SESSION..])?;
        ticket[size_of::<Name>()..SESSION].copy_from_slice(nonce.as_ref());
        ticket.extend_from_slice(tag.as_ref());
        Ok(ticket)
    }

    fn open(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut session = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.seal.open_in_place(nonce, Aad::from(self.name), &mut session).ok()?.len();
        session.truncate(length);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn a_ticket_lasts_for_one_period_and_not_for_two() {
        let start = 5_000;
        let tickets = Tickets::from(HOUR, start).unwrap();
        let early = tickets.seal(b"session", start).unwrap();
        let late = tickets.seal(b"session", start + HOUR - 1).unwrap();
        for (now, opens) in [(start, true), (start + HOUR + 1000, true), (start + 2 * HOUR + 3000, false)] {
            for ticket in [&early, &late] {
                assert_eq!(tickets.open(ticket, now).is_some(), opens, "at {now}");
            }
        }
        assert!(!tickets.seal(b"session", start + 2 * HOUR + 3000).unwrap().starts_with(&early[..16]));
    }

    #[test]
    fn nothing_is_left_of_a_key_that_nobody_used_for_two_periods() {
        let tickets = Tickets::new(HOUR).unwrap();
        let ticket = tickets.seal(b"session", clock::now()).unwrap();
        assert_eq!(tickets.open(&ticket, clock::now() + 2 * HOUR + 1000), None);
    }

    #[test]
    fn a_changed_or_foreign_ticket_does_not_open() {
        let tickets = Tickets::new(HOUR).unwrap();
        let ticket = tickets.encrypt(b"session").unwrap();
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "byte {index}");
            assert_eq!(tickets.decrypt(&ticket[..index]), None, "cut to {index}");
        }
        assert_eq!(Tickets::new(HOUR).unwrap().decrypt(&ticket), None);
        assert_ne!(tickets.encrypt(b"session").unwrap(), ticket);
    }
}
