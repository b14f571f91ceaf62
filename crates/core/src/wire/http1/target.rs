//! The request target in its four forms (RFC 9112 section 3.2). Must never accept a form that its method does
//! not have.

use super::Malformed;
use super::authority;
use crate::message::{Head, Method, Span};

/// Takes the target apart. Its bytes are known to be visible ASCII without `#`.
pub(super) fn read(held: &[u8], target: Span, head: &mut Head) -> Result<(), Malformed> {
    let text = target.of(held);
    match (head.method, text) {
        (Method::Connect, _) => {
            let authority = authority::read(text).ok_or(Malformed::Target)?;
            authority.port.ok_or(Malformed::Target)?;
            head.authority = target;
        }
        (_, [b'/', ..]) | (Method::Options, b"*") => head.target = target,
        _ => read_absolute(text, target.start as usize, head)?,
    }
    Ok(())
}

/// Reads `http://authority` or `https://authority`, then a path or nothing. A query without a path would have
/// to be repaired.
fn read_absolute(text: &[u8], start: usize, head: &mut Head) -> Result<(), Malformed> {
    let colon = text.iter().position(|byte| *byte == b':').ok_or(Malformed::Target)?;
    let (scheme, rest) = text.split_at(colon);
    let is_known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    let rest = rest.strip_prefix(b"://").filter(|_| is_known).ok_or(Malformed::Target)?;
    let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    authority::read(&rest[..length]).ok_or(Malformed::Target)?;
    let at = start + colon + 3;
    head.scheme = Span::new(start, start + colon);
    head.authority = Span::new(at, at + length);
    head.target = Span::new(at + length, start + text.len());
    Ok(())
}

/// Whether Host names what the target names, where the target names something (RFC 9112 section 3.2.2).
pub(super) fn agrees_with_host(held: &[u8], head: &Head) -> bool {
    if head.authority.is_empty() {
        return true;
    }
    let (Some(target), Some(host)) =
        (authority::read(head.authority.of(held)), authority::read(head.host.of(held)))
    else {
        return false;
    };
    match default_port(head.scheme.of(held)) {
        // CONNECT: its target always has a port; clients leave it out of Host.
        None => target.same_host(&host) && host.port.is_none_or(|_| target.agrees(&host, None)),
        port => target.agrees(&host, port),
    }
}

fn default_port(scheme: &[u8]) -> Option<u16> {
    match scheme.len() {
        4 => Some(80),
        5 => Some(443),
        _ => None,
    }
}
