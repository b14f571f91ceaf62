//! Body: where a message's body ends, found in its bytes as they pass (RFC 9112 section 6).
//!
//! A Body keeps a few words and never bytes. Must never let through framing that [`chunked`](super::chunked)
//! refuses, nor take a byte that belongs to the next message.

use super::chunked::Chunks;
use super::http1::{Limits, Malformed};
use crate::message::Framing;

/// The rest of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Body {
    /// There is no body.
    #[default]
    None,
    /// The body has this many more bytes.
    Length(u64),
    /// The body has chunks, and fields after the last.
    Chunked(Chunks),
    /// The body is everything until the connection ends. The codec cannot see that end: such a body is never
    /// done.
    ToEnd,
}

impl Body {
    /// Makes a body that has not begun. `limits` are those of the head that it follows: they bound its
    /// trailer fields, too.
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        match framing {
            Framing::None => Self::None,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::new(limits)),
            // The end of a stream is told beside the bytes, as that of a connection is.
            Framing::ToEnd | Framing::Stream => Self::ToEnd,
        }
    }

    /// Counts how many of these bytes belong to the body, framing and trailer fields included, and says
    /// whether it is complete with them. After an error no byte of `bytes` may be passed on, and every
    /// further call gives the same error.
    #[inline]
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        self.run(bytes, &mut |_: &[u8]| ())
    }

    /// Does as [`advance`](Self::advance) does, and gives the content, without framing and trailer fields, to
    /// `sink` in order.
    pub fn decode(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(usize, bool), Malformed> {
        self.run(bytes, &mut |content: &[u8]| sink(content))
    }

    /// Whether all of it has passed.
    #[inline]
    pub fn is_done(&self) -> bool {
        match self {
            Self::None => true,
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_done(),
            Self::ToEnd => false,
        }
    }

    /// Returns how many bytes surely follow and are content, so that they can pass unseen. In a body that
    /// lasts to the end these are as many as can be.
    #[inline]
    pub fn unseen(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Length(left) => *left,
            Self::Chunked(chunks) => chunks.unseen(),
            Self::ToEnd => u64::MAX,
        }
    }

    /// Returns how many bytes of content are in all chunks that have begun, which is known before they come;
    /// 0 for bodies without chunks.
    #[inline]
    pub fn announced(&self) -> u64 {
        match self {
            Self::Chunked(chunks) => chunks.announced(),
            _ => 0,
        }
    }

    /// Skips as many bytes, which have passed unseen: at most [`unseen`](Self::unseen).
    #[inline]
    pub fn skip(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.unseen(), "skipped more than surely follows");
        match self {
            Self::Length(left) => *left = left.saturating_sub(bytes),
            Self::Chunked(chunks) => chunks.skip(bytes),
            Self::None | Self::ToEnd => {}
        }
    }

    #[inline]
    fn run(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<(usize, bool), Malformed> {
        match self {
            Self::None => Ok((0, true)),
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if taken > 0 {
                    sink(&bytes[..taken]);
                }
                Ok((taken, *left == 0))
            }
            Self::Chunked(chunks) => Ok((chunks.run(bytes, sink)?, chunks.is_done())),
            Self::ToEnd => {
                sink(bytes);
                Ok((bytes.len(), false))
            }
        }
    }
}
