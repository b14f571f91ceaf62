//! The bytes of a head that may be looked at: never beyond its limits, so that an answer is the same however
//! many bytes follow. Must never call Partial what is surely too long.

use super::{Limits, Malformed, Parsed};

/// A reason why reading stopped before the end of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Partial,
    Invalid(Malformed),
}

impl From<Malformed> for Stop {
    fn from(reason: Malformed) -> Self {
        Self::Invalid(reason)
    }
}

pub(super) fn parsed(outcome: Result<(), Stop>) -> Parsed {
    match outcome {
        Ok(()) => Parsed::Complete,
        Err(Stop::Partial) => Parsed::Partial,
        Err(Stop::Invalid(reason)) => Parsed::Invalid(reason),
    }
}

#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    /// Bytes held: at most as many as a head may have.
    pub held: &'a [u8],
    pub limits: &'a Limits,
}

impl<'a> Window<'a> {
    pub(super) fn new(held: &'a [u8], limits: &'a Limits) -> Self {
        Self { held: &held[..held.len().min(limits.head)], limits }
    }

    /// Returns the bytes up to where the line that begins at `start` must have ended, with its CRLF.
    #[inline]
    pub(super) fn line(&self, start: usize) -> &'a [u8] {
        &self.held[..self.held.len().min(self.line_limit(start))]
    }

    /// Returns what it means that the line from `start` on has no more bytes.
    #[cold]
    pub(super) fn ran_out(&self, start: usize, line_too_long: Malformed) -> Stop {
        if self.held.len() >= self.line_limit(start) {
            Stop::Invalid(line_too_long)
        } else if self.held.len() >= self.limits.head {
            Stop::Invalid(Malformed::HeadTooLong)
        } else {
            Stop::Partial
        }
    }

    #[inline]
    fn line_limit(&self, start: usize) -> usize {
        start.saturating_add(self.limits.line).saturating_add(2)
    }
}

/// Takes the CRLF at `at`, or says what is there instead; `other` is the reason for any other byte. `None`:
/// too few bytes.
#[inline]
pub(super) fn line_end(line: &[u8], at: usize, other: Malformed) -> Option<Result<usize, Malformed>> {
    match (line.get(at)?, line.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(Ok(at + 2)),
        (b'\r', Some(_)) => Some(Err(Malformed::BareCr)),
        (b'\r', None) => None,
        (b'\n', _) => Some(Err(Malformed::BareLf)),
        _ => Some(Err(other)),
    }
}
