//! The chunked coding (RFC 9112 section 7.1), checked byte by byte as it passes on unchanged.
//!
//! Since the next reader frames by these very bytes, only what all readers take for the same is let through:
//! CRLF alone ends lines, sizes are plain hexadecimal, no whitespace anywhere in a size line (the standard
//! calls it bad and has it removed; readers that do not would see another size), extensions are well formed
//! and short, trailer fields are as strict as those of a head and may not be framing, routing or credentials.
//! Must never keep content, nor grow with what is sent.

use super::http1::{Limits, Malformed, is_framing_in_disguise, is_text, is_token_byte};

/// The largest chunk; more is no size that anything honest announces.
const LARGEST: u64 = 1 << 60;
/// Digits of a size at most, leading zeros included.
const DIGITS: u32 = 16;
/// Bytes of a size line at most, without its CRLF.
const LINE: u32 = 256;
/// Bytes of a trailer name that are kept: one more than the longest that is refused.
const NAME: usize = 20;

/// Fields that may not be trailers (RFC 9110 section 6.5.1): they frame, route, authenticate or say how to
/// read what has been read already. A reader that merges trailers into the head would act on them late.
const REFUSED: &[&[u8]] = &[
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"http2-settings",
    b"keep-alive",
    b"proxy-authorization",
    b"proxy-connection",
    b"range",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
];

/// The progress of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    at: At,
    /// Size of the chunk: while its line is read, the number that its digits give; then the bytes left of it.
    left: u64,
    /// Content of all chunks that were announced so far.
    announced: u64,
    /// Bytes of this size line, or of all trailer fields.
    line: u32,
    /// Bytes of trailer fields at most.
    most: u32,
    /// Trailer fields that may still come.
    fields: u32,
    /// Bytes of the trailer name so far; all that do not fit in `name` count as one.
    named: u8,
    /// The trailer name, in lower case.
    name: [u8; NAME],
}

/// The part of the body that the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A size: its first digit or a further one.
    Size,
    /// An extension's name: after `;` there must be a first byte.
    ExtensionName {
        empty: bool,
    },
    /// The place after `=`: a token or a quoted string.
    ExtensionValue,
    /// A further byte of a token.
    ExtensionToken,
    /// The inside of quotes.
    Quoted,
    /// The place after a backslash inside of quotes.
    Escaped,
    /// The place after the closing quote.
    QuoteEnd,
    /// The LF of a size line.
    SizeEnd,
    Content,
    /// The CR and the LF after a chunk's content.
    ContentCr,
    ContentLf,
    /// A trailer field or the last line.
    Trailer,
    TrailerName,
    TrailerValue,
    /// The LF of a trailer field.
    TrailerEnd,
    /// The very last LF.
    End,
    Done,
    Failed(Malformed),
}

impl Chunks {
    /// Makes a body that has not begun. Its trailer fields may together be as many and as large as those of a
    /// head.
    pub(super) fn new(limits: &Limits) -> Self {
        let bounded = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
        Self {
            at: At::Size,
            left: 0,
            announced: 0,
            line: 0,
            most: bounded(limits.head),
            fields: bounded(limits.fields),
            named: 0,
            name: [0; NAME],
        }
    }

    /// Whether the last chunk and the trailer fields have passed.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// Returns how many bytes of content are in all chunks so far, those of the current one included that are
    /// still to come.
    #[inline]
    pub fn announced(&self) -> u64 {
        self.announced
    }

    /// Returns what is left of the current chunk's content.
    #[inline]
    pub fn unseen(&self) -> u64 {
        if self.at == At::Content { self.left } else { 0 }
    }

    /// Skips as much of the current chunk's content, which has passed.
    #[inline]
    pub fn skip(&mut self, bytes: u64) {
        if self.at == At::Content {
            self.left = self.left.saturating_sub(bytes);
            if self.left == 0 {
                self.at = At::ContentCr;
            }
        }
    }

    /// Takes what belongs to the body, gives its content to `sink` and says how many bytes were taken.
    pub(super) fn run(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.at {
                At::Done => break,
                At::Failed(reason) => return Err(reason),
                At::Content => {
                    let rest = &bytes[taken..];
                    let content = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                    sink(&rest[..content]);
                    self.skip(content as u64);
                    taken += content;
                }
                _ => taken += self.take_frame(&bytes[taken..])?,
            }
        }
        if let At::Failed(reason) = self.at { Err(reason) } else { Ok(taken) }
    }

    /// Takes what is not content and gives its length: a byte, or more where that is plain.
    #[inline]
    fn take_frame(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        if let Some(length) = self.take_plain(bytes) {
            return Ok(length);
        }
        let Some(byte) = bytes.first() else { return Ok(0) };
        self.at = self.step(*byte).inspect_err(|reason| self.at = At::Failed(*reason))?;
        Ok(1)
    }

    /// Takes the end of a chunk, or a size line without extensions, where all of it is there: with the same
    /// outcome as byte by byte.
    #[inline]
    fn take_plain(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.at {
            At::ContentCr if bytes.starts_with(b"\r\n") => {
                self.at = self.begin_chunk();
                Some(2)
            }
            At::Size if self.line == 0 => {
                let (size, length) = plain_size(bytes)?;
                self.left = size;
                self.at = self.begin_content();
                Some(length)
            }
            _ => None,
        }
    }

    /// Takes one byte that is not content.
    fn step(&mut self, byte: u8) -> Result<At, Malformed> {
        match self.at {
            At::Size
            | At::ExtensionName { .. }
            | At::ExtensionValue
            | At::ExtensionToken
            | At::Quoted
            | At::Escaped
            | At::QuoteEnd => self.step_size_line(byte),
            At::SizeEnd => line_feed(byte, Malformed::BareCr).map(|()| self.begin_content()),
            At::ContentCr if byte == b'\r' => Ok(At::ContentLf),
            At::ContentCr => Err(Malformed::ChunkEnd),
            At::ContentLf => line_feed(byte, Malformed::ChunkEnd).map(|()| self.begin_chunk()),
            At::Trailer | At::TrailerName | At::TrailerValue => self.step_trailer(byte),
            At::TrailerEnd => line_feed(byte, Malformed::BareCr).map(|()| At::Trailer),
            At::End => line_feed(byte, Malformed::BareCr).map(|()| At::Done),
            At::Content | At::Done | At::Failed(_) => Ok(self.at),
        }
    }

    fn begin_chunk(&mut self) -> At {
        (self.left, self.line) = (0, 0);
        At::Size
    }

    /// Begins what follows a size line. The last chunk has no content, and trailer fields follow it.
    fn begin_content(&mut self) -> At {
        self.line = 0;
        self.announced = self.announced.saturating_add(self.left);
        if self.left == 0 { At::Trailer } else { At::Content }
    }

    fn step_size_line(&mut self, byte: u8) -> Result<At, Malformed> {
        if byte == b'\n' {
            return Err(Malformed::BareLf);
        }
        if byte != b'\r' {
            self.line += 1;
            if self.line > LINE {
                return Err(Malformed::ChunkLineTooLong);
            }
        }
        if self.at == At::Size { self.step_size(byte) } else { step_extension(self.at, byte) }
    }

    /// Steps in the size; `line` counts the digits, this byte included.
    fn step_size(&mut self, byte: u8) -> Result<At, Malformed> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if self.line > DIGITS || self.left > LARGEST >> 4 {
                return Err(Malformed::ChunkSize);
            }
            self.left = self.left << 4 | u64::from(digit);
            return if self.left > LARGEST { Err(Malformed::ChunkSize) } else { Ok(At::Size) };
        }
        match byte {
            b'\r' if self.line > 0 => Ok(At::SizeEnd),
            b';' if self.line > 1 => Ok(At::ExtensionName { empty: true }),
            _ => Err(Malformed::ChunkSize),
        }
    }

    fn step_trailer(&mut self, byte: u8) -> Result<At, Malformed> {
        if byte == b'\n' {
            return Err(Malformed::BareLf);
        }
        if self.at == At::Trailer && byte == b'\r' {
            return Ok(At::End);
        }
        self.line = self.line.saturating_add(1);
        if self.line > self.most {
            return Err(Malformed::TrailersTooLong);
        }
        match self.at {
            At::TrailerValue if byte == b'\r' => Ok(At::TrailerEnd),
            At::TrailerValue if is_text(byte) => Ok(At::TrailerValue),
            At::TrailerValue => Err(Malformed::FieldValue),
            At::TrailerName if byte == b':' => self.check_name().map(|()| At::TrailerValue),
            At::TrailerName => self.push_name(byte),
            _ => self.begin_name(byte),
        }
    }

    fn begin_name(&mut self, byte: u8) -> Result<At, Malformed> {
        self.fields = self.fields.checked_sub(1).ok_or(Malformed::TrailersTooLong)?;
        self.named = 0;
        match byte {
            b' ' | b'\t' => Err(Malformed::Folded),
            _ => self.push_name(byte),
        }
    }

    fn push_name(&mut self, byte: u8) -> Result<At, Malformed> {
        if !is_token_byte(byte) {
            let blank = matches!(byte, b' ' | b'\t');
            return Err(if blank { Malformed::SpaceBeforeColon } else { Malformed::FieldName });
        }
        if let Some(place) = self.name.get_mut(usize::from(self.named)) {
            *place = byte.to_ascii_lowercase();
            self.named += 1;
        }
        Ok(At::TrailerName)
    }

    fn check_name(&self) -> Result<(), Malformed> {
        let name = &self.name[..usize::from(self.named)];
        if is_framing_in_disguise(name) {
            return Err(Malformed::Underscore);
        }
        if !may_be_trailer(name) { Err(Malformed::TrailerField) } else { Ok(()) }
    }
}

/// Whether a field with this name, in lower case, may be a trailer.
#[inline]
pub(super) fn may_be_trailer(name: &[u8]) -> bool {
    !REFUSED.contains(&name)
}

/// Returns a size of fewer than [`DIGITS`] digits, which cannot be too large, and its length with the CRLF.
fn plain_size(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    for (at, byte) in bytes.iter().take(DIGITS as usize).enumerate() {
        match char::from(*byte).to_digit(16) {
            Some(digit) => size = size << 4 | u64::from(digit),
            None => return (at > 0 && bytes[at..].starts_with(b"\r\n")).then_some((size, at + 2)),
        }
    }
    None
}

/// Steps in the extensions: `;name`, `;name=token` or `;name="quoted"` (RFC 9112 section 7.1.1), any number
/// of them. Line ends cannot hide in quotes.
fn step_extension(at: At, byte: u8) -> Result<At, Malformed> {
    let is_token = is_token_byte(byte);
    match (at, byte) {
        (At::Quoted, b'"') => Ok(At::QuoteEnd),
        (At::Quoted, b'\\') => Ok(At::Escaped),
        (At::Quoted | At::Escaped, b'\r') => Err(Malformed::ChunkExtension),
        (At::Quoted | At::Escaped, _) if is_text(byte) => Ok(At::Quoted),
        (At::ExtensionName { .. }, _) if is_token => Ok(At::ExtensionName { empty: false }),
        (At::ExtensionValue | At::ExtensionToken, _) if is_token => Ok(At::ExtensionToken),
        (At::ExtensionName { empty: false }, b'=') => Ok(At::ExtensionValue),
        (At::ExtensionValue, b'"') => Ok(At::Quoted),
        (At::ExtensionName { empty: false } | At::ExtensionToken | At::QuoteEnd, b';') => {
            Ok(At::ExtensionName { empty: true })
        }
        (At::ExtensionName { empty: false } | At::ExtensionToken | At::QuoteEnd, b'\r') => Ok(At::SizeEnd),
        _ => Err(Malformed::ChunkExtension),
    }
}

fn line_feed(byte: u8, otherwise: Malformed) -> Result<(), Malformed> {
    if byte == b'\n' { Ok(()) } else { Err(otherwise) }
}
