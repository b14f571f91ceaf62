//! Writing frames. Must never decide what is sent.

use super::super::{ErrorCode, LARGEST_FRAME};
use super::{FRAME_HEADER, flag, kind};

/// Appends the header of a frame.
#[inline]
pub fn header(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, length: usize) {
    out.extend_from_slice(&head(kind, flags, stream, length));
}

#[inline]
fn head(kind: u8, flags: u8, stream: u32, length: usize) -> [u8; FRAME_HEADER] {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

/// Appends SETTINGS.
pub fn settings(out: &mut Vec<u8>, entries: &[(u16, u32)]) {
    header(out, kind::SETTINGS, 0, 0, entries.len() * 6);
    for (id, value) in entries {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of SETTINGS.
pub fn settings_acknowledged(out: &mut Vec<u8>) {
    header(out, kind::SETTINGS, flag::ACK, 0, 0);
}

/// Appends PING, or its answer.
pub fn ping(out: &mut Vec<u8>, payload: [u8; 8], acknowledged: bool) {
    header(out, kind::PING, if acknowledged { flag::ACK } else { 0 }, 0, 8);
    out.extend_from_slice(&payload);
}

/// Appends GOAWAY.
pub fn go_away(out: &mut Vec<u8>, last: u32, code: ErrorCode) {
    go_away_saying(out, last, code, b"");
}

/// Appends GOAWAY with debug data, which people read (section 6.8).
pub fn go_away_saying(out: &mut Vec<u8>, last: u32, code: ErrorCode, told: &[u8]) {
    header(out, kind::GOAWAY, 0, 0, 8 + told.len());
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(told);
}

/// Appends RST_STREAM.
pub fn reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    header(out, kind::RST_STREAM, 0, stream, 4);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends WINDOW_UPDATE.
pub fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    header(out, kind::WINDOW_UPDATE, 0, stream, 4);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends the place of a header, which is filled in when the payload behind it is there.
#[inline]
pub fn gap(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER]);
    start
}

/// Fills the gap at `start` in, for a DATA frame whose payload is all behind it.
#[inline]
pub fn end_body(out: &mut [u8], start: usize, stream: u32, end_stream: bool) {
    let length = out.len() - start - FRAME_HEADER;
    let flags = if end_stream { flag::END_STREAM } else { 0 };
    out[start..start + FRAME_HEADER].copy_from_slice(&head(kind::BODY, flags, stream, length));
}

/// Fills the gap at `start` in, for the header block that is all behind it, and divides the block where one
/// frame cannot hold it.
pub fn end_block(out: &mut Vec<u8>, start: usize, stream: u32, end_stream: bool) {
    let ends = if end_stream { flag::END_STREAM } else { 0 };
    let length = out.len() - start - FRAME_HEADER;
    let whole = length <= LARGEST_FRAME;
    let flags = ends | if whole { flag::END_HEADERS } else { 0 };
    let first = head(kind::HEADERS, flags, stream, length.min(LARGEST_FRAME));
    out[start..start + FRAME_HEADER].copy_from_slice(&first);
    if !whole {
        divide(out, start + FRAME_HEADER + LARGEST_FRAME, stream);
    }
}

/// Puts the header of a CONTINUATION frame at `at`, and before each further part.
#[cold]
fn divide(out: &mut Vec<u8>, at: usize, stream: u32) {
    let rest = out.split_off(at);
    let last = rest.len().div_ceil(LARGEST_FRAME) - 1;
    for (number, part) in rest.chunks(LARGEST_FRAME).enumerate() {
        let flags = if number == last { flag::END_HEADERS } else { 0 };
        header(out, kind::CONTINUATION, flags, stream, part.len());
        out.extend_from_slice(part);
    }
}
