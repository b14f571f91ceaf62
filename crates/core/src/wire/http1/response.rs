//! Response heads (RFC 9112 section 4), and what ends the body of each (section 6.3). Must never take bytes
//! for a body that a client would take for the next response.

use super::Role;
use super::bytes::text_end;
use super::fields::{self, Notes};
use super::window::{Stop, Window, line_end};
use super::{Malformed, version};
use crate::message::{Framing, Head, Known, Method, Span};

pub(super) fn read(window: Window<'_>, to: Method, head: &mut Head) -> Result<(), Stop> {
    let at = read_line(window, head)?;
    let mut notes = Notes::new(Role::Response);
    fields::read(window, at, &mut notes, head)?;
    let tunnel = to == Method::Connect && matches!(head.status, 200..300);
    if head.status == 101 && !head.upgrade {
        return Err(Malformed::Switching.into());
    }
    // Servers offer protocols in other responses too: only these two end HTTP on the connection.
    head.upgrade = tunnel || head.status == 101;
    if tunnel || matches!(head.status, 100..200 | 204) {
        return Ok(drop_framing(&notes, head)?);
    }
    // Where the status says that there is no body and a field says there is, some readers wait for one.
    head.persistent &= !(head.status == 304 && notes.chunked);
    head.framing = match notes.length {
        _ if to == Method::Head || head.status == 304 => Framing::None,
        Some(length) => Framing::Length(length),
        None if notes.chunked => Framing::Chunked,
        None => Framing::ToEnd,
    };
    head.persistent &= head.framing != Framing::ToEnd;
    Ok(())
}

/// Drops the framing of statuses that never have a body, and must not have framing fields (RFC 9112 section
/// 6.1, RFC 9110 section 8.6).
///
/// They are not passed on, since some clients obey them. Where they announce bytes, those may come: nothing
/// more is read from that server after a 204; after an interim response, or where a tunnel begins, what
/// follows could be anything, so that is refused.
fn drop_framing(notes: &Notes, head: &mut Head) -> Result<(), Malformed> {
    let announces = notes.chunked || notes.length.is_some_and(|length| length > 0);
    if (announces && head.status < 200) || (notes.chunked && head.status != 204) {
        return Err(Malformed::NoBody);
    }
    for field in head.fields.iter_mut().filter(|field| field.known == Known::ContentLength) {
        field.hop_by_hop = true;
    }
    head.persistent &= !announces;
    Ok(())
}

/// Reads `version SP status SP reason CRLF`, and gives where the fields begin. The second space belongs to
/// the line even when the reason is empty, but many servers leave it out, and nothing else can be meant.
fn read_line(window: Window<'_>, head: &mut Head) -> Result<usize, Stop> {
    let line = window.line(0);
    let ran_out = || window.ran_out(0, Malformed::StatusLineTooLong);
    let (version, at) = version::read(line, 0)?.ok_or_else(ran_out)?;
    head.version = version;
    let word = &line[at..];
    let fits = |at: usize, byte: &u8| if at == 0 { *byte == b' ' } else { byte.is_ascii_digit() };
    if !word.iter().take(4).enumerate().all(|(at, byte)| fits(at, byte)) {
        return Err(Malformed::StatusLine.into());
    }
    let Some([_, digits @ ..]) = word.first_chunk::<4>() else { return Err(ran_out()) };
    head.status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    // Classes end at 5; a status beyond is understood by nobody and passed on all the same (RFC 9110 section
    // 15).
    if head.status < 100 {
        return Err(Malformed::Status.into());
    }
    let at = at + 4;
    let start = at + usize::from(line.get(at) == Some(&b' '));
    let end = if start > at { text_end(line, start) } else { start };
    head.reason = Span::new(start, end);
    line_end(line, end, Malformed::StatusLine).ok_or_else(ran_out)?.map_err(Stop::from)
}
