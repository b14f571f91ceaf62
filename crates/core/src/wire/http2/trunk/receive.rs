//! Frames that come: what each does to streams and windows, and what is told of it (RFC 9113 sections 5 and
//! 6). Must never leave a byte of flow control, or a header block, out of account, whatever becomes of its
//! stream.

use super::super::ErrorCode;
use super::super::fields::{self, BlockFault, BlockKind, Sheet};
use super::super::frames::{Frame, Piece, write};
use super::super::patience::Strain;
use super::super::priority::Priority;
use super::clock::FAREWELL;
use super::streams::{EndedBy, Extent, Past, Stream};
use super::{Leaving, Trunk, TrunkEvent, TrunkRole};
use crate::message::{Framing, Head};
use crate::wire::http1::Malformed;

/// Frames of one header block, at most.
const MOST_FRAGMENTS: u8 = 8;

/// A credit that is worth a frame, and the content of a frame that is worth one.
pub(super) const WORTH: usize = 1_024;

/// A rule that the other end broke (RFC 9113 section 5.4).
#[derive(Debug)]
pub(super) enum Violation {
    /// Nothing more can be read.
    Connection(ErrorCode),
    /// The stream alone is lost.
    Stream { stream: u32, code: ErrorCode, reason: Option<Malformed> },
}

type Taken<'i> = Result<Option<TrunkEvent<'i>>, Violation>;

fn protocol_error<T>() -> Result<T, Violation> {
    Err(Violation::Connection(ErrorCode::PROTOCOL_ERROR))
}

fn stream_error<T>(stream: u32, code: ErrorCode) -> Result<T, Violation> {
    Err(Violation::Stream { stream, code, reason: None })
}

fn malformed<T>(stream: u32, reason: Malformed) -> Result<T, Violation> {
    Err(Violation::Stream { stream, code: ErrorCode::PROTOCOL_ERROR, reason: Some(reason) })
}

/// A header block that is coming.
#[derive(Debug, Default)]
pub(super) struct Block {
    stream: u32,
    end_stream: bool,
    fate: Fate,
    fragments: u8,
    held: Vec<u8>,
}

impl Block {
    pub(super) fn relax(&mut self) {
        if self.fragments == 0 {
            self.held = Vec::new();
        }
    }
}

/// The fate of a header block, which is decoded in any case.
#[derive(Debug, Clone, Copy, Default)]
enum Fate {
    /// A block for a stream that we ended: nobody cares.
    #[default]
    Ignored,
    /// A request, or a response.
    Message,
    /// The end of a message.
    Trailers,
    /// A stream over the limit.
    TooMany,
    /// A stream that is refused.
    Refused(ErrorCode),
}

impl Trunk {
    /// Takes a frame.
    #[inline]
    pub(super) fn take<'i>(&mut self, frame: Frame<'i, '_>, sheet: &mut Sheet) -> Taken<'i> {
        // Either end says its settings first (RFC 9113 section 3.4).
        if !self.theirs.told && !matches!(frame, Frame::Settings(_)) {
            return protocol_error();
        }
        match frame {
            Frame::Data(piece) => self.take_body(piece),
            Frame::Headers { stream, fragment, end_stream, end_headers, depends_on_itself } => {
                let fate = self.admit(stream, end_stream, depends_on_itself)?;
                (self.block.stream, self.block.end_stream, self.block.fate) = (stream, end_stream, fate);
                self.fragment(fragment, end_headers, sheet)
            }
            Frame::Continuation { fragment, end_headers, .. } => self.fragment(fragment, end_headers, sheet),
            Frame::Reset { stream, code } => self.take_reset(stream, code),
            Frame::WindowUpdate { stream, increment } => self.take_credit(stream, increment),
            Frame::Settings(list) => self.apply(list).map(|()| None),
            Frame::SettingsAcknowledged => {
                self.acknowledged();
                self.strain(Strain::Settings).map(|()| None)
            }
            Frame::Ping { payload, acknowledged } => self.take_ping(payload, acknowledged),
            Frame::GoAway { last, code } => {
                self.last = Some(self.last.map_or(last, |before| before.min(last)));
                Ok(Some(TrunkEvent::GoingAway { code }))
            }
            Frame::PriorityUpdate { stream, value } => self.take_priority(stream, value),
            Frame::Priority { .. } => self.strain(Strain::Priority).map(|()| None),
            Frame::Unknown => self.strain(Strain::Unknown).map(|()| None),
            // Pushes are refused: a server must not, a client never may.
            Frame::Push => protocol_error(),
            Frame::Refused { stream, code } => match self.streams.past(stream) {
                Past::Idle => Err(Violation::Connection(code)),
                _ => stream_error(stream, code),
            },
        }
    }

    /// Takes a piece of a body.
    fn take_body<'i>(&mut self, piece: Piece<'i>) -> Taken<'i> {
        let Piece { stream: id, bytes, counted, .. } = piece;
        // The connection's window is for the order of things, not for memory: streams bound that.
        let fits = !piece.first || self.receive.fits(piece.weight);
        if self.receive.receive(counted).is_err() || !fits {
            return Err(Violation::Connection(ErrorCode::FLOW_CONTROL_ERROR));
        }
        if let Some(credit) = self.receive.pass(counted) {
            write::window_update(&mut self.out, 0, credit);
        }
        let Some(stream) = self.streams.get(id) else { return self.stray_body(piece) };
        match (stream.ended, stream.came) {
            (Some(EndedBy::Us), _) => return Ok(None),
            // A frame is one fault, in however many pieces it comes.
            (Some(EndedBy::Them), _) | (None, Extent::Whole) if !piece.first => return Ok(None),
            (Some(EndedBy::Them), _) | (None, Extent::Whole) => {
                return stream_error(id, ErrorCode::STREAM_CLOSED);
            }
            (None, Extent::Nothing) => return malformed(id, Malformed::NoBody),
            (None, Extent::Head) => {}
        }
        // A frame is judged as a whole, before any of it is told.
        let fits = !piece.first || stream.receive.fits(piece.weight);
        if stream.receive.receive(counted).is_err() || !fits {
            return stream_error(id, ErrorCode::FLOW_CONTROL_ERROR);
        }
        if let Some(expected) = &mut stream.expected {
            let too_many = piece.first && u64::from(piece.content) > *expected;
            *expected = expected.saturating_sub(bytes.len() as u64);
            if too_many || piece.end_stream && *expected > 0 {
                return malformed(id, Malformed::LengthDisagrees);
            }
        }
        if piece.end_stream {
            stream.came = Extent::Whole;
        }
        // Padding is passed on by nobody.
        self.passed(id, counted as usize - bytes.len());
        if piece.content == 0 && piece.first && !piece.end_stream {
            self.strain(Strain::EmptyBody)?;
        }
        let any = !bytes.is_empty() || piece.end_stream;
        Ok(any.then_some(TrunkEvent::Body { stream: id, bytes, end: piece.end_stream }))
    }

    #[cold]
    fn stray_body<'i>(&mut self, piece: Piece<'i>) -> Taken<'i> {
        match self.streams.past(piece.stream) {
            Past::Idle => protocol_error(),
            Past::OurEnd => Ok(None),
            Past::Over | Past::Unknown if !piece.first => Ok(None),
            Past::Over | Past::Unknown => stream_error(piece.stream, ErrorCode::STREAM_CLOSED),
        }
    }

    /// Decides what a header block is for, before it is whole.
    fn admit(&mut self, id: u32, end_stream: bool, depends_on_itself: bool) -> Result<Fate, Violation> {
        let is_new = self.role == TrunkRole::Server && id > self.streams.highest();
        if id.is_multiple_of(2) || !is_new && id > self.streams.highest() {
            return protocol_error();
        }
        if is_new {
            self.streams.use_number(id);
            return Ok(match self.leaving {
                Leaving::Told(last) if id > last => Fate::Ignored,
                _ if depends_on_itself => Fate::Refused(ErrorCode::PROTOCOL_ERROR),
                _ if self.streams.len() >= self.limits.streams as usize => Fate::TooMany,
                _ => Fate::Message,
            });
        }
        let server = self.role == TrunkRole::Server;
        let Some(stream) = self.streams.get(id) else {
            return match self.streams.past(id) {
                Past::OurEnd => Ok(Fate::Ignored),
                Past::Over => Err(Violation::Connection(ErrorCode::STREAM_CLOSED)),
                // A number that was passed over may not be used any more (section 5.1.1).
                _ if server => protocol_error(),
                _ => self.strain(Strain::Late).map(|()| Fate::Ignored),
            };
        };
        Ok(match (stream.ended, stream.came) {
            (Some(EndedBy::Us), _) => Fate::Ignored,
            _ if stream.is_closed() => return Err(Violation::Connection(ErrorCode::STREAM_CLOSED)),
            (_, Extent::Whole) => Fate::Refused(ErrorCode::STREAM_CLOSED),
            _ if depends_on_itself => Fate::Refused(ErrorCode::PROTOCOL_ERROR),
            (_, Extent::Nothing) => Fate::Message,
            (_, Extent::Head) if end_stream => Fate::Trailers,
            (_, Extent::Head) => Fate::Refused(ErrorCode::PROTOCOL_ERROR),
        })
    }

    /// Takes a fragment of a header block; acts on the block when it is whole.
    #[inline]
    fn fragment<'i>(&mut self, fragment: &[u8], whole: bool, sheet: &mut Sheet) -> Taken<'i> {
        if whole && self.block.fragments == 0 {
            return self.conclude(fragment, sheet);
        }
        self.hold(fragment, whole)?;
        if !whole {
            return Ok(None);
        }
        self.block.fragments = 0;
        let mut held = std::mem::take(&mut self.block.held);
        let taken = self.conclude(&held, sheet);
        held.clear();
        self.block.held = held;
        taken
    }

    /// Holds a fragment, within bounds.
    #[cold]
    fn hold(&mut self, fragment: &[u8], whole: bool) -> Result<(), Violation> {
        self.block.fragments += 1;
        self.block.held.extend_from_slice(fragment);
        let too_long = self.block.held.len() > self.limits.head.head.max(super::super::LARGEST_FRAME);
        if too_long || self.block.fragments > MOST_FRAGMENTS {
            return Err(Violation::Connection(ErrorCode::ENHANCE_YOUR_CALM));
        }
        if fragment.is_empty() && !whole { self.strain(Strain::EmptyFragment) } else { Ok(()) }
    }

    /// Acts on a whole header block.
    fn conclude<'i>(&mut self, block: &[u8], sheet: &mut Sheet) -> Taken<'i> {
        let (id, end) = (self.block.stream, self.block.end_stream);
        match self.block.fate {
            Fate::Message if self.role == TrunkRole::Server => self.take_request(id, end, block, sheet),
            Fate::Message => self.take_response(id, end, block, sheet),
            Fate::Trailers => self.take_trailers(id, block, sheet),
            Fate::Ignored => {
                self.skip(block, sheet)?;
                self.strain(Strain::Late).map(|()| None)
            }
            Fate::Refused(code) => {
                self.skip(block, sheet)?;
                stream_error(id, code)
            }
            Fate::TooMany => {
                self.skip(block, sheet)?;
                write::reset(&mut self.out, id, ErrorCode::REFUSED_STREAM);
                self.streams.end(id, true);
                self.strain(Strain::Refused).map(|()| None)
            }
        }
    }

    /// Decodes a block that nobody reads.
    fn skip(&mut self, block: &[u8], sheet: &mut Sheet) -> Result<(), Violation> {
        sheet.clear();
        let skipped = fields::drain(self.decoder.block(block), &self.limits.head, &mut sheet.text);
        skipped.map_err(connection_fault)
    }

    /// Reads a block onto the sheet; a fault of its message is given back.
    fn read_block(
        &mut self,
        block: &[u8],
        kind: BlockKind,
        end: bool,
        sheet: &mut Sheet,
    ) -> Result<Result<(), Malformed>, Violation> {
        match fields::read(self.decoder.block(block), kind, end, &self.limits.head, sheet) {
            Ok(()) => Ok(Ok(())),
            Err(BlockFault::Malformed(reason)) => Ok(Err(reason)),
            Err(fault) => Err(connection_fault(fault)),
        }
    }

    fn take_request<'i>(&mut self, id: u32, end: bool, block: &[u8], sheet: &mut Sheet) -> Taken<'i> {
        let kind = BlockKind::Request { extended: self.limits.websocket };
        let read = self.read_block(block, kind, end, sheet)?;
        let mut stream = Stream::new(id, self.theirs.window, self.window);
        stream.came = if end { Extent::Whole } else { Extent::Head };
        if let Err(reason) = read {
            // Such a request was understood, and is told why it is not served.
            if !matches!(reason.status(), 414 | 417 | 431) {
                return malformed(id, reason);
            }
            self.streams.push(stream);
            self.strain(Strain::TooLarge)?;
            return Ok(Some(TrunkEvent::Unreadable { stream: id, reason }));
        }
        stream.expected = expected(&sheet.head);
        stream.extended = sheet.head.upgrade;
        let told = self.next_priority.take_if(|(next, _)| *next <= id).filter(|(next, _)| *next == id);
        stream.priority = told.map(|(_, priority)| priority).or(sheet.priority).unwrap_or_default();
        self.streams.push(stream);
        Ok(Some(TrunkEvent::Head { stream: id, end }))
    }

    fn take_response<'i>(&mut self, id: u32, end: bool, block: &[u8], sheet: &mut Sheet) -> Taken<'i> {
        let Some(asked) = self.streams.get(id).map(|stream| stream.asked) else { return Ok(None) };
        if let Err(reason) = self.read_block(block, BlockKind::Response(asked), end, sheet)? {
            return malformed(id, reason);
        }
        let Some(stream) = self.streams.get(id) else { return Ok(None) };
        if sheet.head.status >= 200 {
            stream.came = if end { Extent::Whole } else { Extent::Head };
            stream.expected = expected(&sheet.head);
            self.patience.earn();
        }
        Ok(Some(TrunkEvent::Head { stream: id, end }))
    }

    fn take_trailers<'i>(&mut self, id: u32, block: &[u8], sheet: &mut Sheet) -> Taken<'i> {
        if let Err(reason) = self.read_block(block, BlockKind::Trailers, true, sheet)? {
            return malformed(id, reason);
        }
        let Some(stream) = self.streams.get(id) else { return Ok(None) };
        if stream.expected.is_some_and(|left| left > 0) {
            return malformed(id, Malformed::LengthDisagrees);
        }
        stream.came = Extent::Whole;
        Ok(Some(TrunkEvent::Trailers { stream: id }))
    }

    fn take_reset<'i>(&mut self, id: u32, code: ErrorCode) -> Taken<'i> {
        let server = self.role == TrunkRole::Server;
        let Some(stream) = self.streams.get(id) else {
            if self.streams.past(id) == Past::Idle {
                return protocol_error();
            }
            return self.strain(Strain::Late).map(|()| None);
        };
        if stream.is_closed() {
            return self.strain(Strain::Late).map(|()| None);
        }
        let unanswered = if server { stream.went } else { stream.came } == Extent::Nothing;
        self.streams.end(id, false);
        if unanswered {
            self.strain(Strain::Reset)?;
        }
        Ok(Some(TrunkEvent::Reset { stream: id, code }))
    }

    fn take_credit<'i>(&mut self, id: u32, increment: u32) -> Taken<'i> {
        if (increment as usize) < WORTH {
            self.strain(Strain::TinyCredit)?;
        }
        if id == 0 {
            let shifted = self.send.shift(i64::from(increment));
            return shifted.map(|()| None).map_err(|_| Violation::Connection(ErrorCode::FLOW_CONTROL_ERROR));
        }
        if self.streams.past(id) == Past::Idle {
            return protocol_error();
        }
        match self.streams.get(id) {
            Some(stream) if !stream.is_closed() => {
                let shifted = stream.send.shift(i64::from(increment));
                shifted.map(|()| None).or_else(|_| stream_error(id, ErrorCode::FLOW_CONTROL_ERROR))
            }
            // The stream ended while it was under way.
            _ => self.strain(Strain::Late).map(|()| None),
        }
    }

    fn take_ping<'i>(&mut self, payload: [u8; 8], acknowledged: bool) -> Taken<'i> {
        match self.leaving {
            // Whatever was under way when we announced the end has come.
            Leaving::Announced(_) if acknowledged && payload == FAREWELL => self.tell_last(),
            _ => {
                if !acknowledged {
                    write::ping(&mut self.out, payload, true);
                }
                self.strain(Strain::Ping)?;
            }
        }
        Ok(None)
    }

    /// Takes a priority, for a stream that there is or that may come next.
    fn take_priority<'i>(&mut self, id: u32, value: &[u8]) -> Taken<'i> {
        // Only clients say what they want first (RFC 9218 section 7.1).
        if self.role == TrunkRole::Client || id == 0 {
            return protocol_error();
        }
        let priority = Priority::read(value).unwrap_or_default();
        let highest = self.streams.highest();
        match self.streams.get(id) {
            Some(stream) => stream.priority = priority,
            None if id > highest => self.next_priority = Some((id, priority)),
            None => {}
        }
        self.strain(Strain::Priority).map(|()| None)
    }

    /// Gives the next of our streams that the other end did not deal with.
    #[inline]
    pub(super) fn next_refused<'i>(&mut self) -> Option<TrunkEvent<'i>> {
        let last = self.last.filter(|_| self.role == TrunkRole::Client)?;
        let stream = self.streams.iter().find(|stream| stream.id > last && !stream.is_closed())?.id;
        self.streams.end(stream, false);
        Some(TrunkEvent::Reset { stream, code: ErrorCode::REFUSED_STREAM })
    }
}

/// Returns what a fault of a block is that the connection does not survive.
fn connection_fault(fault: BlockFault) -> Violation {
    Violation::Connection(match fault {
        BlockFault::Undecodable(_) => ErrorCode::COMPRESSION_ERROR,
        BlockFault::Bomb => ErrorCode::ENHANCE_YOUR_CALM,
        BlockFault::Malformed(_) => ErrorCode::PROTOCOL_ERROR,
    })
}

/// Returns how many bytes a body must have; None: as many as come.
fn expected(head: &Head) -> Option<u64> {
    match head.framing {
        Framing::Length(length) => Some(length),
        // The bytes of a tunnel are no body.
        Framing::None if !head.upgrade && head.method != crate::message::Method::Connect => Some(0),
        _ => None,
    }
}
