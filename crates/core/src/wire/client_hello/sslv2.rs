//! The SSLv2 form of the hello, which old clients send to offer SSL 3.0 and TLS too (RFC 5246 appendix E.2).
//!
//! The form carries no extensions, so no name. Must never be lenient for the sake of old clients: the form is
//! recognised by few bits, and all its fields must agree.
//!
//! ```text
//! 0x80 | length15 | 01 | version16 | suites16 | session id16 | challenge16 | suites, session id, challenge
//! ```

use super::{ClientHello, Defect, NoHello};

/// Set in the first byte of a record without padding.
pub(super) const LENGTH_FLAG: u8 = 0x80;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 2;
/// Both headers, up to the variable fields.
const HEADERS: usize = 11;
/// One suite, no session id, the shortest challenge.
const SHORTEST: usize = HEADERS - RECORD_HEADER + 3 + 16;
const SSL2: u16 = 0x0002;

/// Reads bytes whose first has [`LENGTH_FLAG`].
pub(super) fn read(held: &[u8]) -> Result<ClientHello, NoHello> {
    let word = |at: usize| held.get(at..at + 2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let length = word(0).map(|word| usize::from(word & 0x7fff));
    if length.is_some_and(|length| length < SHORTEST) {
        return Err(Defect::Sslv2.into());
    }
    if held.get(2).is_some_and(|&message| message != CLIENT_HELLO) {
        return Err(Defect::HandshakeType.into());
    }
    if word(3).is_some_and(|version| version != SSL2 && version >> 8 != 3) {
        return Err(Defect::Version.into());
    }
    let (Some(length), Some(version), Some(suites), Some(session), Some(challenge)) =
        (length, word(3), word(5), word(7), word(9))
    else {
        return Err(NoHello::Need(held.len() + 1));
    };
    check_lengths(length, [suites, session, challenge])?;
    let end = RECORD_HEADER + length;
    if held.len() < end {
        return Err(NoHello::Need(end));
    }
    Ok(ClientHello { version: version.min(super::TLS12), ..ClientHello::default() })
}

/// Checks the lengths: suites are three bytes each; a session id has none or 16 bytes, a challenge 16 to 32.
fn check_lengths(length: usize, fields: [u16; 3]) -> Result<(), Defect> {
    let [suites, session, challenge] = fields.map(usize::from);
    let agree = HEADERS - RECORD_HEADER + suites + session + challenge == length;
    let possible = suites > 0 && suites.is_multiple_of(3) && matches!(session, 0 | 16);
    if agree && possible && (16..=32).contains(&challenge) { Ok(()) } else { Err(Defect::Sslv2) }
}
