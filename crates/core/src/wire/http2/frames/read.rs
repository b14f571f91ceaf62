//! FrameReader: frames out of bytes that come in any pieces. DATA is handed on as it comes; of other frames
//! those that came whole are read in place, the rest are held until they are whole.

use super::super::{ErrorCode, LARGEST_FRAME};
use super::{FRAME_HEADER, Frame, LONGEST_PRIORITY, MOST_SETTINGS, Piece, SettingsList, flag, kind};

/// Reads the frames of one direction of a connection.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// A frame's header or payload that has not come whole.
    held: Vec<u8>,
    /// The bytes held were handed on and are of no more use.
    spent: bool,
    at: At,
    /// The stream whose header block is not whole; 0: none is.
    block: u32,
}

/// The place in the current frame.
#[derive(Debug, Clone, Copy, Default)]
enum At {
    /// Before the end of a header.
    #[default]
    Header,
    /// Before the end of a payload that is looked at as a whole.
    Payload(FrameHeader),
    /// Before the length of the padding of a DATA frame.
    PadLength(FrameHeader),
    /// Within a DATA frame.
    Body(Rest),
    /// Within a payload that nobody looks at.
    Skipped(u32),
}

#[derive(Debug, Clone, Copy)]
struct FrameHeader {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

/// The rest of a DATA frame.
#[derive(Debug, Clone, Copy)]
struct Rest {
    stream: u32,
    content: u32,
    padding: u32,
    /// Bytes that count and were not told of: that of the padding's length.
    uncounted: u32,
    end_stream: bool,
    first: bool,
    /// Content, and all that counts, of the whole frame.
    whole: (u32, u32),
}

impl FrameReader {
    /// Whether a frame has begun and is not whole.
    pub fn is_within_frame(&self) -> bool {
        !matches!(self.at, At::Header) || !self.held.is_empty() && !self.spent
    }

    /// Whether a header block, or a frame other than DATA, has begun and is not whole.
    pub fn is_within_head(&self) -> bool {
        self.block != 0 || self.is_within_frame() && !matches!(self.at, At::Body(_) | At::PadLength(_))
    }

    /// Gives back memory that is not in use.
    pub fn relax(&mut self) {
        if self.spent || self.held.is_empty() {
            (self.held, self.spent) = (Vec::new(), false);
        }
    }

    /// Takes bytes from the front of `input` until there is a frame, or a piece of one; None: all are taken.
    /// An error is one of the connection: nothing may be read after it.
    pub fn next<'r, 'i: 'r>(&'r mut self, input: &mut &'i [u8]) -> Result<Option<Frame<'i, 'r>>, ErrorCode> {
        if self.spent {
            self.held.clear();
            self.spent = false;
        }
        loop {
            match self.at {
                At::Header => match self.header(input) {
                    Some(header) => self.at = self.enter(header)?,
                    None => return Ok(None),
                },
                At::PadLength(header) => match input.split_first() {
                    Some((padding, rest)) => {
                        *input = rest;
                        self.at = At::Body(Rest::padded(header, *padding)?);
                    }
                    None => return Ok(None),
                },
                At::Body(rest) => return Ok(self.piece(rest, input).map(Frame::Data)),
                At::Skipped(left) => {
                    let taken = (left as usize).min(input.len());
                    *input = &input[taken..];
                    if (taken as u32) < left {
                        self.at = At::Skipped(left - taken as u32);
                        return Ok(None);
                    }
                    self.at = At::Header;
                    return Ok(Some(Frame::Unknown));
                }
                At::Payload(header) => {
                    return match self.payload(header.length as usize, input) {
                        Some(payload) => parse(header, payload).map(Some),
                        None => Ok(None),
                    };
                }
            }
        }
    }

    /// Takes a header, which nearly always comes whole.
    #[inline]
    fn header(&mut self, input: &mut &[u8]) -> Option<FrameHeader> {
        if self.held.is_empty()
            && let Some((header, rest)) = input.split_first_chunk()
        {
            *input = rest;
            return Some(FrameHeader::of(header));
        }
        self.hold(FRAME_HEADER, input);
        let header = FrameHeader::of(self.held.first_chunk()?);
        self.held.clear();
        Some(header)
    }

    /// Holds bytes until there are `length`.
    fn hold(&mut self, length: usize, input: &mut &[u8]) {
        let (taken, rest) = input.split_at(input.len().min(length - self.held.len()));
        self.held.extend_from_slice(taken);
        *input = rest;
    }

    /// Decides, by its header alone, whether a frame may be, and what becomes of its payload.
    fn enter(&mut self, header: FrameHeader) -> Result<At, ErrorCode> {
        if header.length as usize > LARGEST_FRAME {
            return Err(ErrorCode::FRAME_SIZE_ERROR);
        }
        let continues = header.kind == kind::CONTINUATION;
        if self.block != 0 && !(continues && header.stream == self.block) || self.block == 0 && continues {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        header.check_stream()?;
        header.check_length()?;
        if matches!(header.kind, kind::HEADERS | kind::CONTINUATION) {
            let whole = header.flags & flag::END_HEADERS != 0;
            self.block = if whole { 0 } else { header.stream };
        }
        Ok(match header.kind {
            kind::BODY if header.flags & flag::PADDED != 0 => At::PadLength(header),
            kind::BODY => At::Body(Rest::plain(header)),
            ..=kind::CONTINUATION | kind::PRIORITY_UPDATE => At::Payload(header),
            _ => At::Skipped(header.length),
        })
    }

    /// Takes a piece of a DATA frame; None: no byte of it has come.
    fn piece<'i>(&mut self, mut rest: Rest, input: &mut &'i [u8]) -> Option<Piece<'i>> {
        if input.is_empty() && rest.content + rest.padding > 0 {
            return None;
        }
        let (bytes, after) = input.split_at(input.len().min(rest.content as usize));
        rest.content -= bytes.len() as u32;
        let padding = if rest.content == 0 { after.len().min(rest.padding as usize) } else { 0 };
        rest.padding -= padding as u32;
        *input = &after[padding..];
        let done = rest.content + rest.padding == 0;
        let piece = Piece {
            stream: rest.stream,
            bytes,
            counted: (bytes.len() + padding) as u32 + rest.uncounted,
            first: rest.first,
            end_stream: done && rest.end_stream,
            content: rest.whole.0,
            weight: rest.whole.1,
        };
        (rest.uncounted, rest.first) = (0, false);
        self.at = if done { At::Header } else { At::Body(rest) };
        Some(piece)
    }

    /// Returns a whole payload: in place if it came so.
    #[inline]
    fn payload<'r, 'i: 'r>(&'r mut self, length: usize, input: &mut &'i [u8]) -> Option<&'r [u8]> {
        if self.held.is_empty() && input.len() >= length {
            let (payload, rest) = input.split_at(length);
            *input = rest;
            self.at = At::Header;
            return Some(payload);
        }
        self.held_payload(length, input)
    }

    #[cold]
    fn held_payload(&mut self, length: usize, input: &mut &[u8]) -> Option<&[u8]> {
        self.hold(length, input);
        if self.held.len() < length {
            return None;
        }
        (self.at, self.spent) = (At::Header, true);
        Some(&self.held)
    }
}

impl FrameHeader {
    #[inline]
    fn of(bytes: &[u8; FRAME_HEADER]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            // The reserved bit means nothing (section 4.1).
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    /// Whether the type belongs to a stream, or to the connection.
    fn check_stream(self) -> Result<(), ErrorCode> {
        let fits = match self.kind {
            kind::BODY | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM => self.stream != 0,
            kind::PUSH_PROMISE | kind::CONTINUATION => self.stream != 0,
            kind::SETTINGS | kind::PING | kind::GOAWAY | kind::PRIORITY_UPDATE => self.stream == 0,
            _ => true,
        };
        if fits { Ok(()) } else { Err(ErrorCode::PROTOCOL_ERROR) }
    }

    /// Whether the payload has a length that the type can have. That of PRIORITY is an error of its stream.
    fn check_length(self) -> Result<(), ErrorCode> {
        let length = self.length as usize;
        let fits = match self.kind {
            kind::BODY => length >= usize::from(self.flags & flag::PADDED != 0),
            kind::RST_STREAM | kind::WINDOW_UPDATE => length == 4,
            kind::SETTINGS if self.flags & flag::ACK != 0 => length == 0,
            kind::SETTINGS => length.is_multiple_of(6),
            kind::PING => length == 8,
            kind::GOAWAY => length >= 8,
            kind::PRIORITY_UPDATE => length >= 4,
            _ => true,
        };
        if !fits {
            return Err(ErrorCode::FRAME_SIZE_ERROR);
        }
        match self.kind {
            kind::SETTINGS if length > MOST_SETTINGS * 6 => Err(ErrorCode::ENHANCE_YOUR_CALM),
            kind::PRIORITY_UPDATE if length > 4 + LONGEST_PRIORITY => Err(ErrorCode::ENHANCE_YOUR_CALM),
            _ => Ok(()),
        }
    }
}

impl Rest {
    fn plain(header: FrameHeader) -> Self {
        Self {
            stream: header.stream,
            content: header.length,
            padding: 0,
            uncounted: 0,
            end_stream: header.flags & flag::END_STREAM != 0,
            first: true,
            whole: (header.length, header.length),
        }
    }

    fn padded(header: FrameHeader, padding: u8) -> Result<Self, ErrorCode> {
        let padding = u32::from(padding);
        let content = (header.length - 1).checked_sub(padding).ok_or(ErrorCode::PROTOCOL_ERROR)?;
        Ok(Self { content, padding, uncounted: 1, whole: (content, header.length), ..Self::plain(header) })
    }
}

/// Reads a whole payload. Its length was looked at.
fn parse<'i, 'r>(header: FrameHeader, payload: &'r [u8]) -> Result<Frame<'i, 'r>, ErrorCode> {
    let FrameHeader { kind, flags, stream, .. } = header;
    let word = |at: usize| payload[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    Ok(match kind {
        kind::HEADERS => return headers(header, payload),
        kind::CONTINUATION => {
            Frame::Continuation { stream, fragment: payload, end_headers: flags & flag::END_HEADERS != 0 }
        }
        kind::PRIORITY if payload.len() != 5 => Frame::Refused { stream, code: ErrorCode::FRAME_SIZE_ERROR },
        kind::PRIORITY if word(0) & 0x7fff_ffff == stream => {
            Frame::Refused { stream, code: ErrorCode::PROTOCOL_ERROR }
        }
        kind::PRIORITY => Frame::Priority { stream },
        kind::RST_STREAM => Frame::Reset { stream, code: ErrorCode(word(0)) },
        kind::SETTINGS if flags & flag::ACK != 0 => Frame::SettingsAcknowledged,
        kind::SETTINGS => Frame::Settings(SettingsList(payload)),
        kind::PUSH_PROMISE => Frame::Push,
        kind::PING => {
            let payload = payload.first_chunk().copied().unwrap_or_default();
            Frame::Ping { payload, acknowledged: flags & flag::ACK != 0 }
        }
        kind::GOAWAY => Frame::GoAway { last: word(0) & 0x7fff_ffff, code: ErrorCode(word(4)) },
        kind::WINDOW_UPDATE => match word(0) & 0x7fff_ffff {
            0 if stream == 0 => return Err(ErrorCode::PROTOCOL_ERROR),
            0 => Frame::Refused { stream, code: ErrorCode::PROTOCOL_ERROR },
            increment => Frame::WindowUpdate { stream, increment },
        },
        kind::PRIORITY_UPDATE => {
            Frame::PriorityUpdate { stream: word(0) & 0x7fff_ffff, value: &payload[4..] }
        }
        _ => Frame::Unknown,
    })
}

/// Takes padding and the old priority off a HEADERS frame.
fn headers<'i, 'r>(header: FrameHeader, mut payload: &'r [u8]) -> Result<Frame<'i, 'r>, ErrorCode> {
    let FrameHeader { flags, stream, .. } = header;
    let mut padding = 0;
    if flags & flag::PADDED != 0 {
        let (first, rest) = payload.split_first().ok_or(ErrorCode::FRAME_SIZE_ERROR)?;
        (padding, payload) = (usize::from(*first), rest);
    }
    let mut depends_on_itself = false;
    if flags & flag::PRIORITY != 0 {
        let (first, rest) = payload.split_first_chunk::<5>().ok_or(ErrorCode::FRAME_SIZE_ERROR)?;
        let [a, b, c, d, _] = *first;
        depends_on_itself = u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff == stream;
        payload = rest;
    }
    let length = payload.len().checked_sub(padding).ok_or(ErrorCode::PROTOCOL_ERROR)?;
    Ok(Frame::Headers {
        stream,
        fragment: &payload[..length],
        end_stream: flags & flag::END_STREAM != 0,
        end_headers: flags & flag::END_HEADERS != 0,
        depends_on_itself,
    })
}
