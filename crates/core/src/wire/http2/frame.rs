//! Frame headers (RFC 9113 section 4.1): nine bytes in front of each frame.
//!
//! Must never read a payload.

/// Bytes of a frame header.
pub const HEADER: usize = 9;

/// Bytes of a payload at most, as long as nobody has agreed on more (RFC 9113 section 6.5.2).
pub const LONGEST: usize = 1 << 14;

/// Set in the last frame of a field block.
pub const END_HEADERS: u8 = 0x4;
/// Set where padding follows the payload.
pub const PADDED: u8 = 0x8;
/// Set where a field block begins with a priority.
pub const PRIORITISED: u8 = 0x20;
/// Set in an acknowledgement.
pub const ACK: u8 = 0x1;

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the payload.
    pub length: usize,
    /// The type.
    pub kind: FrameKind,
    /// Flags, whose meaning depends on the type.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
}

/// The type of a frame (RFC 9113 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Content of a message.
    Data,
    /// The beginning of a field block.
    Headers,
    /// An order of streams that nobody heeds any more.
    Priority,
    /// The end of a stream.
    RstStream,
    /// Settings of the connection.
    Settings,
    /// A request that a server answers unasked.
    PushPromise,
    /// A sign of life.
    Ping,
    /// The end of the connection.
    GoAway,
    /// Room for more content.
    WindowUpdate,
    /// The rest of a field block.
    Continuation,
    /// Another type, which is passed over.
    Unknown,
}

impl FrameHeader {
    /// Reads a header; the reserved bit is passed over.
    pub fn read(bytes: &[u8; HEADER]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind: FrameKind::of(kind),
            flags,
            stream: u32::from_be_bytes(stream) & (u32::MAX >> 1),
        }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

impl FrameKind {
    fn of(number: u8) -> Self {
        match number {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }
}
