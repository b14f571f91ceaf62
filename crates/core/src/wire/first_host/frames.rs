//! HTTP/2 with prior knowledge (RFC 9113 section 3.3): the frames up to the end of the first field block.
//!
//! Must never go on behind a frame that a server would not take: it names nothing.

use std::borrow::Cow;

use super::{HostParsed, name_of};
use crate::wire::http2::PREFACE;
use crate::wire::http2::frame::{self, FrameHeader, FrameKind};
use crate::wire::http2::hpack::{self, BadBlock, Decoder};

/// Frames in front of the first request at most, and frames of its field block.
const FRAMES: usize = 64;

/// Bytes of a name that is worth keeping, with a port.
const LONGEST_NAME: usize = 300;

/// Bytes of a priority in front of a field block (RFC 9113 section 6.2).
const PRIORITY: usize = 5;

/// A reason why there is no name yet.
enum NoName {
    Need(usize),
    Never,
}

/// Reads bytes that begin with the preface.
pub(super) fn parse(held: &[u8]) -> HostParsed {
    match block(held) {
        Ok(block) => HostParsed::Complete(authority(&block)),
        Err(NoName::Need(need)) => HostParsed::Partial { need },
        Err(NoName::Never) => HostParsed::Complete(None),
    }
}

/// Returns the first field block.
fn block(held: &[u8]) -> Result<Cow<'_, [u8]>, NoName> {
    let mut at = PREFACE.len();
    for nth in 0..FRAMES {
        let header = header(held, at)?;
        let end = at + frame::HEADER + header.length;
        if header.kind == FrameKind::Headers && nth > 0 {
            return fields(held, at, header);
        }
        // Settings come first (RFC 9113 section 3.4).
        if (nth == 0 && header.kind != FrameKind::Settings) || !may_come_before(header) {
            return Err(NoName::Never);
        }
        at = end;
    }
    Err(NoName::Never)
}

/// Returns the header of the frame at `at`.
fn header(held: &[u8], at: usize) -> Result<FrameHeader, NoName> {
    let bytes = held.get(at..).and_then(<[u8]>::first_chunk).ok_or(NoName::Need(at + frame::HEADER))?;
    let header = FrameHeader::read(bytes);
    if header.length > frame::LONGEST { Err(NoName::Never) } else { Ok(header) }
}

/// Whether a frame may come before the first request.
fn may_come_before(header: FrameHeader) -> bool {
    let FrameHeader { length, stream, .. } = header;
    match header.kind {
        FrameKind::Settings => {
            stream == 0 && length.is_multiple_of(6) && (length == 0 || !header.has(frame::ACK))
        }
        FrameKind::WindowUpdate => length == 4 && stream == 0,
        FrameKind::Ping => length == 8 && stream == 0,
        FrameKind::Priority => length == 5 && stream != 0,
        FrameKind::Unknown => true,
        _ => false,
    }
}

/// Returns the field block that begins with the frame at `at`.
fn fields(held: &[u8], at: usize, first: FrameHeader) -> Result<Cow<'_, [u8]>, NoName> {
    if first.stream.is_multiple_of(2) {
        return Err(NoName::Never);
    }
    let mut end = at + frame::HEADER + first.length;
    let payload = held.get(at + frame::HEADER..end).ok_or(NoName::Need(end))?;
    let mut block = Cow::Borrowed(unpadded(payload, first).ok_or(NoName::Never)?);
    let mut is_last = first.has(frame::END_HEADERS);
    for _ in 0..FRAMES {
        if is_last {
            return Ok(block);
        }
        let header = header(held, end)?;
        if header.kind != FrameKind::Continuation || header.stream != first.stream {
            return Err(NoName::Never);
        }
        let start = end + frame::HEADER;
        end = start + header.length;
        block.to_mut().extend_from_slice(held.get(start..end).ok_or(NoName::Need(end))?);
        is_last = header.has(frame::END_HEADERS);
    }
    Err(NoName::Never)
}

/// Returns the payload of a HEADERS frame without padding and priority.
fn unpadded(payload: &[u8], header: FrameHeader) -> Option<&[u8]> {
    let mut rest = payload;
    if header.has(frame::PADDED) {
        let (&padding, after) = rest.split_first()?;
        rest = after.get(..after.len().checked_sub(usize::from(padding))?)?;
    }
    if header.has(frame::PRIORITISED) { rest.get(PRIORITY..) } else { Some(rest) }
}

/// Returns the name in `:authority`, or else in Host (RFC 9113 section 8.3.1).
fn authority(block: &[u8]) -> Option<Box<str>> {
    let (mut authority, mut host, mut is_regular) = (None::<Box<[u8]>>, None::<Box<[u8]>>, false);
    let read = Decoder::new(hpack::TABLE).read(block, |name, value| {
        let is_pseudo = name.first() == Some(&b':');
        if is_pseudo && is_regular {
            return Err(BadBlock);
        }
        is_regular = !is_pseudo;
        let place = match name {
            b":authority" => &mut authority,
            b"host" => &mut host,
            _ => return Ok(()),
        };
        if place.is_some() || value.len() > LONGEST_NAME {
            return Err(BadBlock);
        }
        *place = Some(value.into());
        Ok(())
    });
    read.ok()?;
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(&host) => None,
        (Some(name), _) | (None, Some(name)) => name_of(&name),
        (None, None) => None,
    }
}
