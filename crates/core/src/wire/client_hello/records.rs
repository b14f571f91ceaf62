//! The record layer in front of the hello (RFC 8446 section 5.1): finds the handshake message and its end.
//!
//! Every check is made in the order of the bytes, so that a defect is found with the same bytes however they
//! arrive. Must never copy before the whole message is held, nor when one record holds it.
//!
//! ```text
//! 16 03 01 len16 | 01 len24 client_hello ............ | 16 03 03 len16 | ... client_hello | (not looked at)
//! record header    handshake header, part of the body   record header    the rest
//! ```

use std::borrow::Cow;

use super::{Defect, NoHello};

/// ContentType handshake.
pub(super) const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const MAJOR: u8 = 3;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;
const LONGEST_RECORD: usize = (1 << 14) + 256;
/// Version, random, empty session id, one suite, one compression method, no extensions.
const SHORTEST_HELLO: usize = 2 + 32 + 1 + 4 + 2;
/// The same with every vector as long as it may be.
const LONGEST_HELLO: usize = 2 + 32 + 33 + 2 + 0xfffe + 256 + 2 + 0xffff;

/// Returns the hello without its handshake header, joined if it spans records.
pub(super) fn body(held: &[u8]) -> Result<Cow<'_, [u8]>, NoHello> {
    if let Some(body) = alone(held) {
        return Ok(Cow::Borrowed(body));
    }
    let mut start = 0;
    let mut message = HelloMessage::default();
    loop {
        let payload = record(held, start, &message)?;
        let end = start + RECORD_HEADER + payload;
        let present = &held[start + RECORD_HEADER..end.min(held.len())];
        message.add(present, payload)?;
        if end > held.len() {
            return Err(NoHello::Need(message.need(end, held.len())));
        }
        if message.missing() == Some(0) {
            return Ok(if start == 0 {
                Cow::Borrowed(&present[HANDSHAKE_HEADER..])
            } else {
                Cow::Owned(join(&held[..end]))
            });
        }
        start = end;
    }
}

/// Returns the hello that has a record for itself, as nearly all have, where all of it is held: what is found
/// the long way, too.
#[inline]
fn alone(held: &[u8]) -> Option<&[u8]> {
    let (&[HANDSHAKE, MAJOR, _, high, low, CLIENT_HELLO, a, b, c], rest) = held.split_first_chunk()? else {
        return None;
    };
    let record = usize::from(u16::from_be_bytes([high, low]));
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let fits = record == HANDSHAKE_HEADER + length && record <= LONGEST_RECORD && length >= SHORTEST_HELLO;
    if fits { rest.get(..length) } else { None }
}

/// Returns the length of the payload of the record at `start`, whose header must be held.
fn record(held: &[u8], start: usize, message: &HelloMessage) -> Result<usize, NoHello> {
    let header = &held[start..];
    if header.first().is_some_and(|&content| content != HANDSHAKE) {
        return Err(Defect::RecordType.into());
    }
    if header.get(1).is_some_and(|&major| major != MAJOR) {
        return Err(Defect::RecordVersion.into());
    }
    let Some(&[_, _, _, high, low]) = header.first_chunk::<RECORD_HEADER>() else {
        return Err(NoHello::Need(message.need(start, held.len())));
    };
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(Defect::RecordLength.into()),
        length if length > LONGEST_RECORD => Err(Defect::RecordLength.into()),
        length => Ok(length),
    }
}

/// The length of the handshake message that the records so far hold or announce.
#[derive(Default)]
struct HelloMessage {
    header: [u8; HANDSHAKE_HEADER],
    /// Bytes of `header` that are known.
    known: usize,
    /// Handshake bytes in the records looked at, the last one counted whole.
    announced: usize,
}

impl HelloMessage {
    /// Counts a record of `payload` bytes, of which `present` are held.
    fn add(&mut self, present: &[u8], payload: usize) -> Result<(), Defect> {
        let wanted = HANDSHAKE_HEADER - self.known;
        for &byte in present.iter().take(wanted) {
            self.header[self.known] = byte;
            self.known += 1;
        }
        self.announced += payload;
        if self.known > 0 && self.header[0] != CLIENT_HELLO {
            return Err(Defect::HandshakeType);
        }
        match self.total() {
            Some(total) if !(SHORTEST_HELLO..=LONGEST_HELLO).contains(&(total - HANDSHAKE_HEADER)) => {
                Err(Defect::HandshakeLength)
            }
            Some(total) if total < self.announced => Err(Defect::RecordExcess),
            _ => Ok(()),
        }
    }

    /// Returns the length of the whole message, once its header is known.
    fn total(&self) -> Option<usize> {
        let [_, a, b, c] = self.header;
        (self.known == HANDSHAKE_HEADER)
            .then(|| HANDSHAKE_HEADER + ((usize::from(a) << 16) | (usize::from(b) << 8) | usize::from(c)))
    }

    /// Returns the number of handshake bytes that records to come must hold.
    fn missing(&self) -> Option<usize> {
        self.total().map(|total| total - self.announced)
    }

    /// Returns the least total with which the message can be complete, when the records looked at end at
    /// `end`; before its length is known, each byte may already tell that this is no hello.
    fn need(&self, end: usize, held: usize) -> usize {
        match self.missing() {
            Some(missing) => end + missing + missing.div_ceil(LONGEST_RECORD) * RECORD_HEADER,
            None => held + 1,
        }
    }
}

/// Joins the hello from whole, checked records.
fn join(mut records: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(records.len());
    while let Some((&[_, _, _, high, low], rest)) = records.split_first_chunk::<RECORD_HEADER>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        message.extend_from_slice(&rest[..length]);
        records = &rest[length..];
    }
    message.drain(..HANDSHAKE_HEADER.min(message.len()));
    message
}
