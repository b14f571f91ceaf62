//! Request ids: by its id one request is found in the records of everyone who saw it.
//!
//! A trusted client's id is kept if it is sane; all others get a new one, a random UUID (version 4, RFC 9562
//! section 5.4). The randomness is the caller's. Must never keep an id that could break a line or a record.

use super::names;
use crate::message::Message;

/// Bytes of an id at most.
const LONGEST: usize = 128;

/// The id of one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestId {
    text: [u8; LONGEST],
    length: u8,
}

impl RequestId {
    /// Returns the id that a trusted client sent in the field called `name`, if it is one field of 1 to 128
    /// visible characters.
    pub fn sent(message: Message<'_>, name: &str) -> Option<Self> {
        let mut named =
            message.head.fields.iter().filter(|field| names::is(message.name(field), name.as_bytes()));
        let value = message.text(named.next()?.value);
        let sane = (1..=LONGEST).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        if !sane || named.next().is_some() {
            return None;
        }
        let mut text = [0; LONGEST];
        text[..value.len()].copy_from_slice(value);
        Some(Self { text, length: value.len() as u8 })
    }

    /// Makes a new id from two random numbers.
    pub fn made(random: [u64; 2]) -> Self {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&random[0].to_be_bytes());
        octets[8..].copy_from_slice(&random[1].to_be_bytes());
        octets[6] = octets[6] & 0x0f | 0x40; // version 4
        octets[8] = octets[8] & 0x3f | 0x80; // the variant of RFC 9562
        let (mut text, mut at) = ([0; LONGEST], 0);
        for (index, octet) in octets.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text[at] = b'-';
                at += 1;
            }
            text[at] = b"0123456789abcdef"[usize::from(octet >> 4)];
            text[at + 1] = b"0123456789abcdef"[usize::from(octet & 15)];
            at += 2;
        }
        Self { text, length: at as u8 }
    }

    /// Returns the characters of the id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_uuids_of_version_4() {
        for (random, expected) in [
            ([0, 0], "00000000-0000-4000-8000-000000000000"),
            ([u64::MAX, u64::MAX], "ffffffff-ffff-4fff-bfff-ffffffffffff"),
            ([0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef], "01234567-89ab-4def-8123-456789abcdef"),
        ] {
            assert_eq!(RequestId::made(random).as_bytes(), expected.as_bytes());
        }
    }
}
