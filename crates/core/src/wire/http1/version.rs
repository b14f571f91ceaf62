//! The protocol version (RFC 9112 section 2.3). Must never accept a version whose rules are not those of this
//! codec.

use super::Malformed;
use crate::message::Version;

const PREFIX: &[u8] = b"HTTP/";
const LENGTH: usize = 8;

/// Reads the version at `at` and gives where it ends; None: too few bytes to tell.
///
/// The standard would have HTTP/1.2 read as HTTP/1.1. It does not exist, and who sends it tries how readers
/// differ.
#[inline]
pub(super) fn read(line: &[u8], at: usize) -> Result<Option<(Version, usize)>, Malformed> {
    match line[at..].first_chunk::<LENGTH>() {
        Some(b"HTTP/1.1") => Ok(Some((Version::Http11, at + LENGTH))),
        Some(b"HTTP/1.0") => Ok(Some((Version::Http10, at + LENGTH))),
        _ => explain(&line[at..]),
    }
}

/// Returns what is wrong with the bytes there are.
#[cold]
fn explain(rest: &[u8]) -> Result<Option<(Version, usize)>, Malformed> {
    for (at, &byte) in rest.iter().take(LENGTH).enumerate() {
        let fits = match at {
            5 | 7 => byte.is_ascii_digit(),
            6 => byte == b'.',
            _ => byte == PREFIX[at],
        };
        if !fits {
            return Err(Malformed::VersionSyntax);
        }
    }
    if rest.len() < LENGTH { Ok(None) } else { Err(Malformed::Version) }
}
