//! Field lines (RFC 9112 section 5), and what the fields of a head mean for framing. Must never let a line
//! end with anything but CRLF, nor a framing field pass that could be read in two ways.

use super::bytes::{blanks_end, name, text_end, token_end};
use super::connection::{Options, nominate};
use super::window::{Stop, Window, line_end};
use super::{Malformed, Role, authority};
use crate::message::{Field, Head, Known, Span, Version};

/// Notes on what the fields say that is not in the Head yet.
pub(super) struct Notes {
    role: Role,
    pub length: Option<u64>,
    pub chunked: bool,
    pub has_host: bool,
    has_upgrade: bool,
    options: Options,
}

impl Notes {
    pub(super) fn new(role: Role) -> Self {
        let options = Options::default();
        Self { role, length: None, chunked: false, has_host: false, has_upgrade: false, options }
    }

    /// Concludes from both sides' words whether the connection is kept, and whether what is spoken on it
    /// changes.
    fn conclude(&self, held: &[u8], head: &mut Head) -> Result<(), Malformed> {
        let is_11 = head.version == Version::Http11;
        if self.chunked && self.length.is_some() {
            return Err(Malformed::TwoLengths);
        }
        // HTTP/1.0 has no transfer codings: its readers take the chunks for the body, or the body for the
        // next message.
        if self.chunked && !is_11 {
            return Err(Malformed::TransferEncodingVersion);
        }
        if self.options.others {
            nominate(held, &mut head.fields, self.role)?;
        }
        head.persistent = !self.options.close && (is_11 || self.options.keep_alive);
        // RFC 9110 sections 7.8 and 10.1.1: both are ignored in HTTP/1.0.
        head.upgrade = is_11 && self.options.upgrade && self.has_upgrade;
        head.expects_continue &= is_11;
        Ok(())
    }

    /// Takes note of a field that matters here, and says whether it concerns one hop only.
    #[inline]
    fn take(&mut self, known: Known, span: Span, held: &[u8], head: &mut Head) -> Result<bool, Malformed> {
        let value = span.of(held);
        match known {
            Known::ContentLength if self.length.is_some() => return Err(Malformed::ContentLengthTwice),
            Known::ContentLength => self.length = Some(read_length(value)?),
            Known::TransferEncoding if self.chunked => return Err(Malformed::TransferEncodingTwice),
            Known::TransferEncoding if value.eq_ignore_ascii_case(b"chunked") => self.chunked = true,
            Known::TransferEncoding => return Err(Malformed::TransferCoding),
            Known::Host if self.role == Role::Request => self.take_host(span, value, head)?,
            Known::Connection => self.options.read(value)?,
            Known::Upgrade => self.has_upgrade = true,
            Known::Expect if self.role == Role::Request => {
                // Any other expectation could make a reader wait where another does not.
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Malformed::Expectation);
                }
                head.expects_continue = true;
            }
            _ => {}
        }
        Ok(concerns_one_hop(known))
    }

    fn take_host(&mut self, span: Span, value: &[u8], head: &mut Head) -> Result<(), Malformed> {
        if self.has_host {
            return Err(Malformed::HostTwice);
        }
        if !value.is_empty() && authority::read(value).is_none() {
            return Err(Malformed::Host);
        }
        self.has_host = true;
        head.host = span;
        Ok(())
    }
}

/// Reads field lines from `at` up to and with the empty line, and concludes what they mean together.
pub(super) fn read(
    window: Window<'_>,
    mut at: usize,
    notes: &mut Notes,
    head: &mut Head,
) -> Result<(), Stop> {
    loop {
        let line = window.line(at);
        match line.get(at) {
            Some(b'\r') => {
                let Some(end) = line_end(line, at, Malformed::BareCr) else {
                    return Err(window.ran_out(at, Malformed::FieldTooLong));
                };
                head.length = end?;
                notes.conclude(window.held, head)?;
                return Ok(());
            }
            None => return Err(window.ran_out(at, Malformed::FieldTooLong)),
            Some(_) if head.fields.len() >= window.limits.fields => {
                return Err(Malformed::TooManyFields.into());
            }
            Some(_) => at = read_field(window, at, notes, head)?,
        }
    }
}

/// Reads one field line and gives where the next begins.
#[inline]
fn read_field(window: Window<'_>, at: usize, notes: &mut Notes, head: &mut Head) -> Result<usize, Stop> {
    let line = window.line(at);
    let ran_out = || window.ran_out(at, Malformed::FieldTooLong);
    let name = name(line, at);
    let colon = if name.plain { name.colon } else { token_end(&line[..name.colon], at) };
    match line.get(colon) {
        Some(b':') if colon > at => {}
        Some(found) => return Err(name_error(*found, colon == at).into()),
        None => return Err(ran_out()),
    }
    let name = &line[at..colon];
    let (known, nearest) = Known::look(name);
    if known == Known::Other && is_framing(nearest) && is_disguised(name) {
        return Err(Malformed::Underscore.into());
    }
    let start = blanks_end(line, colon + 1);
    let stop = text_end(line, start);
    let next = line_end(line, stop, Malformed::FieldValue).ok_or_else(ran_out)??;
    let mut end = stop;
    while end > start && matches!(line[end - 1], b' ' | b'\t') {
        end -= 1;
    }
    let value = Span::new(start, end);
    let hop_by_hop = known != Known::Other && notes.take(known, value, line, head)?;
    head.push(Field { name: Span::new(at, colon), value, known, hop_by_hop });
    Ok(next)
}

#[cold]
fn name_error(found: u8, is_empty: bool) -> Malformed {
    match found {
        b'\n' => Malformed::BareLf,
        b' ' | b'\t' if is_empty => Malformed::Folded,
        b' ' | b'\t' => Malformed::SpaceBeforeColon,
        _ => Malformed::FieldName,
    }
}

/// Reads 1 to 19 digits, which cannot overflow. No sign, no list of equal values: readers differ in what they
/// make of them.
pub(crate) fn read_length(value: &[u8]) -> Result<u64, Malformed> {
    if value.is_empty() || value.len() > 19 {
        return Err(Malformed::ContentLength);
    }
    value.iter().try_fold(0, |length: u64, byte| match byte {
        b'0'..=b'9' => Ok(length * 10 + u64::from(byte - b'0')),
        _ => Err(Malformed::ContentLength),
    })
}

/// Whether a field concerns one hop only: RFC 9110 section 7.6.1; HTTP2-Settings by RFC 7540 section 3.2.1.
#[inline]
fn concerns_one_hop(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

/// Whether a name becomes that of a framing or forwarding field for those who take `_` for `-`, as CGI and
/// its heirs do.
#[inline]
pub(crate) fn is_framing_in_disguise(name: &[u8]) -> bool {
    // Most names of these lengths do not have their first and last letter.
    is_framing(Known::nearest(name)) && is_disguised(name)
}

#[inline]
fn is_framing(known: Known) -> bool {
    use Known::{ContentLength, TransferEncoding, XForwardedFor, XForwardedHost, XForwardedProto};
    matches!(known, ContentLength | TransferEncoding | XForwardedFor | XForwardedHost | XForwardedProto)
}

#[cold]
fn is_disguised(name: &[u8]) -> bool {
    let mut plain = [0; 17];
    let Some(plain) = plain.get_mut(..name.len()) else { return false };
    plain.copy_from_slice(name);
    plain.iter_mut().filter(|byte| **byte == b'_').for_each(|byte| *byte = b'-');
    name.contains(&b'_') && Known::of(plain) != Known::Other
}
