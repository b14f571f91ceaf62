//! The HTTP/2 codec (RFC 9113), for both roles: frames, header blocks, flow control, and one connection as a
//! state machine.
//!
//! Pure: bytes and a clock value in, bytes and events out. Must never open a socket, read a clock, or hold
//! more than it has advertised. Routing by first bytes reads with it.
//!
//! | room | owns |
//! |---|---|
//! | [`frames`] | where a frame begins and ends, and what each may look like |
//! | [`hpack`] | header blocks as field lines and back (RFC 7541) |
//! | [`fields`] | what field lines mean in requests, responses and trailers |
//! | [`windows`], [`priority`] | how much may be sent, and in which order |
//! | [`patience`] | what costs us and serves nobody |
//! | [`trunk`] | one connection as a state machine |

pub mod fields;
pub mod frames;
pub mod hpack;
pub mod patience;
pub mod priority;
pub mod trunk;
pub mod windows;

/// The bytes that a client's connection begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's payload, at most: everybody accepts that many (section 6.5.2), and we take no more.
pub const LARGEST_FRAME: usize = 16_384;

/// A reason for the end of a stream or of the connection (RFC 9113 section 7), as the other end sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// Returns its name in the standard.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// Nothing is wrong.
    NO_ERROR = 0x0;
    /// The other end broke a rule that has no code of its own.
    PROTOCOL_ERROR = 0x1;
    /// The fault is ours.
    INTERNAL_ERROR = 0x2;
    /// More was sent than flow control allows.
    FLOW_CONTROL_ERROR = 0x3;
    /// SETTINGS were not acknowledged in time.
    SETTINGS_TIMEOUT = 0x4;
    /// A frame for a stream whose sender has ended it.
    STREAM_CLOSED = 0x5;
    /// A frame of a size that its type does not have.
    FRAME_SIZE_ERROR = 0x6;
    /// Nothing was done for the stream: it may be tried again.
    REFUSED_STREAM = 0x7;
    /// Nobody needs the stream any more.
    CANCEL = 0x8;
    /// A header block that cannot be decoded: nothing after it could be.
    COMPRESSION_ERROR = 0x9;
    /// The connection of a CONNECT broke.
    CONNECT_ERROR = 0xa;
    /// Too much of what costs us and serves nobody.
    ENHANCE_YOUR_CALM = 0xb;
    /// The transport is not safe enough.
    INADEQUATE_SECURITY = 0xc;
    /// HTTP/1.1 is to be used.
    HTTP_1_1_REQUIRED = 0xd;
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
