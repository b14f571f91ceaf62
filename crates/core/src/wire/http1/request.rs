//! Request heads (RFC 9112 section 3). Must never guess where a request ends.

use super::Role;
use super::bytes::{target_end, token_end};
use super::fields::{self, Notes};
use super::window::{Stop, Window, line_end};
use super::{Malformed, target, version};
use crate::message::{Framing, Head, Method, Span, Version};

pub(super) fn read(window: Window<'_>, head: &mut Head) -> Result<(), Stop> {
    let start = skip_empty_line(window)?;
    let at = read_line(window, start, head)?;
    let mut notes = Notes::new(Role::Request);
    fields::read(window, at, &mut notes, head)?;
    head.framing = match notes.length {
        Some(length) => Framing::Length(length),
        None if notes.chunked => Framing::Chunked,
        None => Framing::None,
    };
    // The bytes after CONNECT belong to the tunnel (RFC 9110 section 9.3.6), whatever its fields say: some
    // servers would read a body.
    if head.method == Method::Connect && head.framing != Framing::None {
        return Err(Malformed::NoBody.into());
    }
    check_host(window.held, &notes, head)?;
    Ok(())
}

/// Skips one empty line before a request (RFC 9112 section 2.2): old clients send one after a body. Not more:
/// what keeps sending them sends no request.
#[inline]
fn skip_empty_line(window: Window<'_>) -> Result<usize, Stop> {
    let held = window.held;
    if !matches!(held.first(), Some(b'\r' | b'\n') | None) {
        return Ok(0);
    }
    let ran_out = || window.ran_out(0, Malformed::RequestLineTooLong);
    let start = line_end(held, 0, Malformed::Method).ok_or_else(ran_out)??;
    match held.get(start) {
        Some(b'\r' | b'\n') => Err(Malformed::EmptyLines.into()),
        _ => Ok(start),
    }
}

/// Reads `method SP target SP version CRLF`, and gives where the fields begin.
fn read_line(window: Window<'_>, start: usize, head: &mut Head) -> Result<usize, Stop> {
    let line = window.line(start);
    let ran_out = || window.ran_out(start, Malformed::RequestLineTooLong);
    let method_end = token_end(line, start);
    match line.get(method_end) {
        Some(b' ') if method_end > start => {}
        Some(_) => return Err(Malformed::Method.into()),
        None => return Err(ran_out()),
    }
    head.method_span = Span::new(start, method_end);
    head.method = recognise(&line[start..method_end]);
    let target_start = method_end + 1;
    let target_end = target_end(line, target_start);
    match line.get(target_end) {
        Some(b' ') if target_end > target_start => {}
        Some(b' ' | b'\r' | b'\n') => return Err(Malformed::RequestLine.into()),
        Some(_) => return Err(Malformed::Target.into()),
        None => return Err(ran_out()),
    }
    target::read(line, Span::new(target_start, target_end), head)?;
    let (version, at) = version::read(line, target_end + 1)?.ok_or_else(ran_out)?;
    head.version = version;
    line_end(line, at, Malformed::VersionSyntax).ok_or_else(ran_out)?.map_err(Stop::from)
}

fn check_host(held: &[u8], notes: &Notes, head: &Head) -> Result<(), Malformed> {
    if !notes.has_host {
        return if head.version == Version::Http11 { Err(Malformed::HostMissing) } else { Ok(()) };
    }
    if target::agrees_with_host(held, head) { Ok(()) } else { Err(Malformed::HostDisagrees) }
}

pub(crate) fn recognise(method: &[u8]) -> Method {
    match method {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"CONNECT" => Method::Connect,
        b"OPTIONS" => Method::Options,
        b"TRACE" => Method::Trace,
        b"PATCH" => Method::Patch,
        _ => Method::Other,
    }
}
