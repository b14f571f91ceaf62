//! Trunk: one connection of HTTP/2, of either role, as a state machine.
//!
//! ```text
//!   bytes --> feed ----> TrunkEvent     what the other end has said, stream by stream
//!   open respond send trailers reset    what we say; it gathers in the output
//!   passed want release                 what became of what was said
//!   output written       --> bytes      one write for all streams
//!   deadline expire      <-- the clock  what has not come in time
//! ```
//!
//! Call `feed` until it gives nothing, act on each event, ask `turn` whose body is sent next, and write the
//! output at the end. A stream that had an event [`Head`](TrunkEvent::Head) counts until it is released,
//! whoever ended it: work that is still done for it is work.
//!
//! Owns streams' states, settings, flow control, the way a connection ends, and what too much is. Must never
//! hold bytes of a body, nor answer in more bytes than it lets wait.

mod clock;
mod receive;
mod send;
mod settings;
mod streams;

use super::ErrorCode;
use super::fields::Sheet;
use super::frames::{FrameReader, LAST_STREAM, write};
use super::hpack::{HpackDecoder, HpackEncoder};
use super::patience::{Mood, Patience, Strain};
use super::priority::Priority;
use super::windows::{FIRST_WINDOW, ReceiveWindow, SendWindow};
use crate::time::Millis;
use crate::wire::http1::{Limits, Malformed};

use self::receive::{Block, Violation};
use self::settings::Theirs;
use self::streams::Streams;

/// Bytes that may wait to be written before nothing more is read: answers to PING and SETTINGS cannot pile
/// up.
pub const OUTPUT_LIMIT: usize = 65_536;

/// The role that we have on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkRole {
    /// The other end asks, and we answer.
    Server,
    /// We ask.
    Client,
}

/// Limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct TrunkLimits {
    /// Streams at once.
    pub streams: u32,
    /// Bytes of a body that a stream may have under way, at first.
    pub window: u32,
    /// The same at most, once it was always passed on.
    pub max_window: u32,
    /// Bytes of all bodies under way; windows grow within it.
    pub upload_buffer: u32,
    /// The size of heads.
    pub head: Limits,
    /// Points of [`Patience`].
    pub patience: u32,
    /// Points added each second.
    pub patience_rate: u32,
    /// Time for the first bytes of the connection, and for each whole head.
    pub first_bytes: Millis,
    /// Time that a body may wait for the window of its receiver.
    pub idle: Millis,
    /// Bytes a second that a receiver must take on average once it made us wait.
    pub min_response_rate: u32,
    /// Extended CONNECT is understood (RFC 8441).
    pub websocket: bool,
    /// Heads are sent in the Huffman code.
    pub huffman: bool,
}

/// The words of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkEvent<'i> {
    /// A head is on the sheet: a request's, or a response's, interim ones included.
    Head {
        /// The stream.
        stream: u32,
        /// No body follows.
        end: bool,
    },
    /// The head of a request that cannot be served, and may be answered: too large, or with an expectation
    /// or a coding that nobody has.
    Unreadable {
        /// The stream.
        stream: u32,
        /// The rule that it breaks.
        reason: Malformed,
    },
    /// Bytes of a body, to be passed on or held; [`passed`](Trunk::passed) tells when they have left.
    Body {
        /// The stream.
        stream: u32,
        /// The bytes.
        bytes: &'i [u8],
        /// The body is whole.
        end: bool,
    },
    /// Fields after the body are on the sheet; the message is whole.
    Trailers {
        /// The stream.
        stream: u32,
    },
    /// The stream was ended before its time by the other end.
    Reset {
        /// The stream.
        stream: u32,
        /// The reason.
        code: ErrorCode,
    },
    /// The stream was ended by us, for a fault of the other end. A request that was never told of is none.
    Broken {
        /// The stream.
        stream: u32,
        /// The rule of messages that was broken, if it was one of these.
        reason: Option<Malformed>,
    },
    /// The receiver of this stream's body takes less than it must.
    Stalled {
        /// The stream.
        stream: u32,
    },
    /// The other end takes no new streams. Those that it has not dealt with follow as
    /// [`Reset`](Self::Reset), with `REFUSED_STREAM`.
    GoingAway {
        /// The reason.
        code: ErrorCode,
    },
    /// The connection is over once the output is written.
    Over {
        /// The reason.
        code: ErrorCode,
    },
}

/// The end of a connection in two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The end was announced; new streams are still taken, since they may be under way.
    Announced(Millis),
    /// The last stream was told.
    Told(u32),
}

/// One connection.
#[derive(Debug)]
pub struct Trunk {
    role: TrunkRole,
    limits: TrunkLimits,
    reader: FrameReader,
    decoder: HpackDecoder,
    encoder: HpackEncoder,
    streams: Streams,
    theirs: Theirs,
    /// The header block that is coming.
    block: Block,
    /// Bytes that are to be written, of which the first `written` are.
    out: Vec<u8>,
    written: usize,
    /// Bytes of the preface that have not come.
    preface: usize,
    send: SendWindow,
    receive: ReceiveWindow,
    /// Bytes that the other end may send in a new stream: what we have said once it was acknowledged.
    window: u32,
    /// Bytes that windows of streams have beyond their first.
    grown: u32,
    patience: Patience,
    /// A priority that was told before its stream.
    next_priority: Option<(u32, Priority)>,
    leaving: Leaving,
    /// The last stream that the other end deals with; none when it has not said.
    last: Option<u32>,
    over: Option<ErrorCode>,
    now: Millis,
    begun: Millis,
    /// Since then our settings are not acknowledged.
    unacknowledged: Option<Millis>,
    /// Since then a head is not whole.
    partial: Option<Millis>,
}

impl Trunk {
    /// Begins a connection: what we say first is in the output.
    pub fn new(role: TrunkRole, limits: TrunkLimits, now: Millis) -> Self {
        let mut trunk = Self {
            role,
            limits,
            reader: FrameReader::default(),
            decoder: HpackDecoder::default(),
            encoder: HpackEncoder::new(limits.huffman),
            streams: Streams::new(),
            theirs: Theirs::default(),
            block: Block::default(),
            out: Vec::new(),
            written: 0,
            preface: if role == TrunkRole::Server { super::PREFACE.len() } else { 0 },
            send: SendWindow::new(FIRST_WINDOW),
            receive: ReceiveWindow::new(FIRST_WINDOW),
            window: FIRST_WINDOW,
            grown: 0,
            patience: Patience::new(limits.patience, limits.patience_rate, now),
            next_priority: None,
            leaving: Leaving::No,
            last: None,
            over: None,
            now,
            begun: now,
            unacknowledged: Some(now),
            partial: None,
        };
        trunk.greet();
        trunk
    }

    /// Takes bytes from the front of `input` until something has happened; None: all are taken, or nothing
    /// more is before the output is written.
    pub fn feed<'i>(
        &mut self,
        input: &mut &'i [u8],
        sheet: &mut Sheet,
        now: Millis,
    ) -> Option<TrunkEvent<'i>> {
        self.now = now;
        if let Some(event) = self.next_refused() {
            return Some(event);
        }
        if self.over.is_some() {
            *input = &[];
            return None;
        }
        if let Err(code) = self.read_preface(input) {
            return Some(self.fail(code));
        }
        let mut reader = std::mem::take(&mut self.reader);
        let event = self.read(&mut reader, input, sheet);
        self.partial = if reader.is_within_head() { self.partial.or(Some(now)) } else { None };
        self.reader = reader;
        event
    }

    fn read<'i>(
        &mut self,
        reader: &mut FrameReader,
        input: &mut &'i [u8],
        sheet: &mut Sheet,
    ) -> Option<TrunkEvent<'i>> {
        loop {
            if self.waiting() >= OUTPUT_LIMIT {
                return None;
            }
            let taken = match reader.next(input) {
                Ok(None) => return None,
                Ok(Some(frame)) => self.take(frame, sheet),
                Err(code) => Err(Violation::Connection(code)),
            };
            match taken.or_else(|violation| self.punish(violation)) {
                Ok(None) if self.over.is_none() => {}
                Ok(event) => return event,
                Err(code) => return Some(self.fail(code)),
            }
        }
    }

    /// Takes the bytes that a client's connection begins with.
    #[inline]
    fn read_preface(&mut self, input: &mut &[u8]) -> Result<(), ErrorCode> {
        if self.preface == 0 {
            return Ok(());
        }
        let expected = &super::PREFACE[super::PREFACE.len() - self.preface..];
        let (came, rest) = input.split_at(input.len().min(expected.len()));
        if came != &expected[..came.len()] {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        self.preface -= came.len();
        *input = rest;
        Ok(())
    }

    /// Ends a stream, or finds that the connection has to end.
    fn punish<'i>(&mut self, violation: Violation) -> Result<Option<TrunkEvent<'i>>, ErrorCode> {
        let (stream, code, reason) = match violation {
            Violation::Connection(code) => return Err(code),
            Violation::Stream { stream, code, reason } => (stream, code, reason),
        };
        write::reset(&mut self.out, stream, code);
        let told = self.streams.end(stream, true);
        match self.strain(Strain::Fault) {
            Err(Violation::Connection(code)) => Err(code),
            _ => Ok((told || reason.is_some()).then_some(TrunkEvent::Broken { stream, reason })),
        }
    }

    /// Ends the connection.
    fn fail<'i>(&mut self, code: ErrorCode) -> TrunkEvent<'i> {
        write::go_away(&mut self.out, self.streams.highest(), code);
        self.over = Some(code);
        TrunkEvent::Over { code }
    }

    /// Takes the cost of what serves nobody.
    fn strain(&mut self, strain: Strain) -> Result<(), Violation> {
        match self.patience.spend(strain, self.now) {
            Mood::Calm => Ok(()),
            Mood::Strained => {
                self.drain();
                Ok(())
            }
            Mood::Spent => Err(Violation::Connection(ErrorCode::ENHANCE_YOUR_CALM)),
        }
    }

    /// Announces the end of the connection: streams that are under way are finished. A client just opens no
    /// more.
    pub fn drain(&mut self) {
        if self.leaving != Leaving::No || self.over.is_some() {
            return;
        }
        self.leaving = Leaving::Announced(self.now);
        if self.role == TrunkRole::Server {
            write::go_away(&mut self.out, LAST_STREAM, ErrorCode::NO_ERROR);
            write::ping(&mut self.out, clock::FAREWELL, false);
        }
    }

    /// Ends the connection at once.
    pub fn end(&mut self, code: ErrorCode) {
        if self.over.is_none() {
            self.fail(code);
        }
    }

    /// Whether nothing more is to come but the rest of the output.
    pub fn is_over(&self) -> bool {
        let left = match (self.role, self.leaving) {
            (TrunkRole::Client, Leaving::No) => self.last.is_some(),
            (TrunkRole::Client, _) | (TrunkRole::Server, Leaving::Told(_)) => true,
            (TrunkRole::Server, _) => false,
        };
        self.over.is_some() || left && self.streams.is_empty()
    }

    /// Returns the number of streams that are not released.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether the other end says that it understands extended CONNECT.
    pub fn takes_websocket(&self) -> bool {
        self.theirs.websocket
    }

    /// Returns how often a strain came.
    pub fn strains(&self, strain: Strain) -> u32 {
        self.patience.count(strain)
    }

    /// Returns the bytes that are to be written.
    #[inline]
    pub fn output(&self) -> &[u8] {
        &self.out[self.written..]
    }

    #[inline]
    fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// Takes note of bytes of the output that were written.
    pub fn written(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    /// Gives back memory that a connection without streams does not need.
    pub fn relax(&mut self) {
        if self.streams.is_empty() && self.waiting() == 0 {
            self.out = Vec::new();
            self.written = 0;
            self.reader.relax();
            self.block.relax();
            self.streams.relax();
            self.decoder.relax();
            self.encoder.relax();
        }
    }
}
