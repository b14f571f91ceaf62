//! HTTP/2 with prior knowledge (RFC 9113 section 3.3): the frames up to the end of the first field block.
//!
//! Must never go on behind a frame that a server would not take: it names nothing.

use super::{HostParsed, name_of};
use crate::wire::http2::PREFACE;
use crate::wire::http2::frames::{Frame, FrameReader};
use crate::wire::http2::hpack::{HpackDecoder, Pseudo};

/// Frames in front of the first request at most, and frames of its field block.
const FRAMES: usize = 64;

/// Bytes of a name that is worth keeping, with a port.
const LONGEST_NAME: usize = 300;

/// Bytes of the fields of a request, decoded: a short block may stand for many.
const MOST_TEXT: usize = 65_536;

/// A reason why there is no name yet.
enum NoName {
    Partial,
    Never,
}

/// Reads bytes that begin with the preface.
pub(super) fn parse(held: &[u8]) -> HostParsed {
    match block(&held[PREFACE.len()..]) {
        Ok(block) => HostParsed::Complete(authority(&block)),
        Err(NoName::Partial) => HostParsed::Partial { need: held.len() + 1 },
        Err(NoName::Never) => HostParsed::Complete(None),
    }
}

/// Returns the first field block.
fn block(mut held: &[u8]) -> Result<Vec<u8>, NoName> {
    let mut frames = FrameReader::default();
    for nth in 0..FRAMES {
        match next(&mut frames, &mut held)? {
            // Settings come first (RFC 9113 section 3.4).
            Frame::Settings(_) => {}
            _ if nth == 0 => return Err(NoName::Never),
            Frame::SettingsAcknowledged | Frame::Ping { .. } | Frame::Unknown => {}
            Frame::WindowUpdate { stream: 0, .. } => {}
            Frame::Priority { .. } | Frame::PriorityUpdate { .. } => {}
            Frame::Headers { stream, fragment, end_headers, depends_on_itself: false, .. }
                if !stream.is_multiple_of(2) =>
            {
                let block = fragment.to_vec();
                return if end_headers { Ok(block) } else { whole(block, &mut frames, held) };
            }
            _ => return Err(NoName::Never),
        }
    }
    Err(NoName::Never)
}

/// Returns a field block with all that follows of it.
fn whole(mut block: Vec<u8>, frames: &mut FrameReader, mut held: &[u8]) -> Result<Vec<u8>, NoName> {
    for _ in 0..FRAMES {
        let Frame::Continuation { fragment, end_headers, .. } = next(frames, &mut held)? else {
            return Err(NoName::Never);
        };
        block.extend_from_slice(fragment);
        if end_headers {
            return Ok(block);
        }
    }
    Err(NoName::Never)
}

fn next<'r, 'i: 'r>(frames: &'r mut FrameReader, held: &mut &'i [u8]) -> Result<Frame<'i, 'r>, NoName> {
    frames.next(held).map_err(|_| NoName::Never)?.ok_or(NoName::Partial)
}

/// Returns the name in `:authority`, or else in Host (RFC 9113 section 8.3.1).
fn authority(block: &[u8]) -> Option<Box<str>> {
    let (mut authority, mut host, mut is_regular) = (None::<Box<[u8]>>, None::<Box<[u8]>>, false);
    let (mut decoder, mut line, mut total) = (HpackDecoder::default(), Vec::new(), 0);
    let mut fields = decoder.block(block);
    while let Some(field) = fields.next(&mut line).ok()? {
        let (name, value) = (field.name.of(&line), field.value.of(&line));
        let is_pseudo = field.pseudo != Pseudo::None;
        total += line.len();
        if is_pseudo && is_regular || total > MOST_TEXT {
            return None;
        }
        is_regular = !is_pseudo;
        let place = match name {
            b":authority" => Some(&mut authority),
            b"host" => Some(&mut host),
            _ => None,
        };
        if let Some(place) = place {
            if place.is_some() || value.len() > LONGEST_NAME {
                return None;
            }
            *place = Some(value.into());
        }
        line.clear();
    }
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(&host) => None,
        (Some(name), _) | (None, Some(name)) => name_of(&name),
        (None, None) => None,
    }
}
