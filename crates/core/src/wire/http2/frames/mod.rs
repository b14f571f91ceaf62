//! Frames (RFC 9113 sections 4 and 6): where each begins and ends, what it may look like, and how it is
//! written.
//!
//! ```text
//!   length 24 | type 8 | flags 8 | reserved 1, stream 31 | payload
//! ```
//!
//! Owns sizes, padding, the stream numbers that a type may have, and that nothing comes between the parts of
//! a header block. Must never know the state of a stream, nor wait for a payload that it would refuse.

mod read;
pub mod write;

pub use read::FrameReader;

use super::ErrorCode;

/// Bytes before a payload.
pub const FRAME_HEADER: usize = 9;

/// Entries of one SETTINGS frame, at most: there are eight settings.
pub const MOST_SETTINGS: usize = 32;

/// Bytes of the value of a PRIORITY_UPDATE frame, at most.
pub const LONGEST_PRIORITY: usize = 1_024;

/// The highest number of a stream.
pub const LAST_STREAM: u32 = 0x7fff_ffff;

/// Numbers of frame types.
pub mod kind {
    /// Bytes of a body.
    pub const BODY: u8 = 0x0;
    /// The beginning of a header block.
    pub const HEADERS: u8 = 0x1;
    /// A stream's place in a tree that is no more.
    pub const PRIORITY: u8 = 0x2;
    /// The end of a stream before its time.
    pub const RST_STREAM: u8 = 0x3;
    /// Values that the sender asks to be heeded.
    pub const SETTINGS: u8 = 0x4;
    /// A request that a server makes itself.
    pub const PUSH_PROMISE: u8 = 0x5;
    /// A question whether somebody is there.
    pub const PING: u8 = 0x6;
    /// The last stream that is dealt with.
    pub const GOAWAY: u8 = 0x7;
    /// Bytes more that may be sent.
    pub const WINDOW_UPDATE: u8 = 0x8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 0x9;
    /// The priority of a stream (RFC 9218 section 7.1).
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// Bits of a frame's flags.
pub mod flag {
    /// The last frame of its sender in this stream.
    pub const END_STREAM: u8 = 0x1;
    /// The answer to SETTINGS or PING.
    pub const ACK: u8 = 0x1;
    /// The last frame of a header block.
    pub const END_HEADERS: u8 = 0x4;
    /// Padding follows.
    pub const PADDED: u8 = 0x8;
    /// Fields of a priority come first.
    pub const PRIORITY: u8 = 0x20;
}

/// Numbers of settings (RFC 9113 section 6.5.2, RFC 8441, RFC 9218).
pub mod setting {
    /// Bytes of the table that the other end's encoder may use.
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    /// Whether pushes are taken.
    pub const ENABLE_PUSH: u16 = 0x2;
    /// Streams of the other end's at once.
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    /// Bytes that may be sent in a new stream.
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    /// Bytes of a payload.
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    /// Bytes of a decoded header list.
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    /// Whether extended CONNECT is understood (RFC 8441).
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    /// Whether the tree of priorities is given up (RFC 9218 section 2.1).
    pub const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// One frame, or one piece of a DATA frame. `'i`: of the bytes that were read; `'r`: of these or of the
/// reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'i, 'r> {
    /// A piece of a DATA frame, as it came.
    Data(Piece<'i>),
    /// The beginning of a header block.
    Headers {
        /// The stream.
        stream: u32,
        /// The first part of the block.
        fragment: &'r [u8],
        /// The sender ends the stream with the block.
        end_stream: bool,
        /// The block is whole.
        end_headers: bool,
        /// The stream is to depend on itself (an error of the stream; the block is decoded all the
        /// same).
        depends_on_itself: bool,
    },
    /// More of a header block, of the stream that its beginning was for.
    Continuation {
        /// The stream.
        stream: u32,
        /// More of the block.
        fragment: &'r [u8],
        /// The block is whole.
        end_headers: bool,
    },
    /// A stream's place in the old tree: checked, and of no effect.
    Priority {
        /// The stream.
        stream: u32,
    },
    /// The stream's end before its time.
    Reset {
        /// The stream.
        stream: u32,
        /// The reason.
        code: ErrorCode,
    },
    /// Settings that are to be applied and acknowledged.
    Settings(SettingsList<'r>),
    /// Our settings are in force.
    SettingsAcknowledged,
    /// A push, which nobody asked for.
    Push,
    /// A question, or the answer to ours.
    Ping {
        /// Bytes that the answer repeats.
        payload: [u8; 8],
        /// The answer.
        acknowledged: bool,
    },
    /// The last stream that is dealt with.
    GoAway {
        /// The number of the stream.
        last: u32,
        /// The reason.
        code: ErrorCode,
    },
    /// Bytes more that may be sent, at least one.
    WindowUpdate {
        /// The stream; 0: the connection.
        stream: u32,
        /// The bytes.
        increment: u32,
    },
    /// The priority of a stream (RFC 9218).
    PriorityUpdate {
        /// The stream.
        stream: u32,
        /// The value of its Priority field.
        value: &'r [u8],
    },
    /// A type that is not known, which means nothing.
    Unknown,
    /// A frame that is an error of its stream alone.
    Refused {
        /// The stream.
        stream: u32,
        /// The reason.
        code: ErrorCode,
    },
}

/// A piece of a DATA frame. Padding counts for flow control, and is no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'i> {
    /// The stream.
    pub stream: u32,
    /// The content, as much as has come.
    pub bytes: &'i [u8],
    /// Bytes that flow control counts, padding included.
    pub counted: u32,
    /// The first piece of its frame.
    pub first: bool,
    /// Bytes of content in the whole frame.
    pub content: u32,
    /// Bytes of the whole frame that flow control counts.
    pub weight: u32,
    /// The last piece of its frame, and the frame the last of its sender in this stream.
    pub end_stream: bool,
}

/// The entries of a SETTINGS frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsList<'r>(&'r [u8]);

impl SettingsList<'_> {
    /// Returns number and value of each, in order.
    pub fn entries(&self) -> impl Iterator<Item = (u16, u32)> {
        self.0.chunks_exact(6).filter_map(|entry| {
            let (id, value) = entry.split_first_chunk()?;
            Some((u16::from_be_bytes(*id), u32::from_be_bytes(*value.first_chunk()?)))
        })
    }
}
