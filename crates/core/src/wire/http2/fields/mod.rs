//! Fields: what a header block means, for requests, responses and trailers, in either direction (RFC 9113
//! section 8).
//!
//! A block that was read becomes the text of field lines and the Head beside it, as messages of HTTP/1 are
//! kept; such a text becomes a block when it is sent.
//!
//! ```text
//!   :method: GET␍␊:authority: a.example␍␊:path: /x␍␊host: a.example␍␊accept: */*␍␊cookie: a=1; b=2␍␊␍␊
//!   '---------- where the Head's method and target are ---------''----------- the field lines -----------'
//! ```
//!
//! Must never let through what a reader of HTTP/1 would take for two messages, or for another one.

mod crumbs;
mod read;
pub mod write;

pub(super) use read::drain;
pub use read::read;

use super::hpack::HpackError;
use super::priority::Priority;
use crate::message::{Head, Message, Method};
use crate::wire::http1::Malformed;

/// A sheet that the head of one message is written on; the memory serves message after message.
#[derive(Debug, Default)]
pub struct Sheet {
    /// The places of the head's parts in `text`.
    pub head: Head,
    /// The head as text.
    pub text: Vec<u8>,
    /// Names of fields that are in no table on no hop, beyond those known for it: each with a line feed.
    pub marked: Vec<u8>,
    /// The priority that a request asks for.
    pub priority: Option<Priority>,
}

impl Sheet {
    /// Returns the message.
    pub fn message(&self) -> Message<'_> {
        Message::new(&self.head, &self.text)
    }

    pub(super) fn clear(&mut self) {
        self.head.clear();
        self.text.clear();
        self.marked.clear();
        self.priority = None;
    }
}

/// The message that a block is the head, or the end, of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// A request.
    Request {
        /// Extended CONNECT may be asked for (RFC 8441).
        extended: bool,
    },
    /// A response to a request with this method.
    Response(Method),
    /// Fields after a body.
    Trailers,
}

/// A reason why a block is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockFault {
    /// The block cannot be decoded: an error of the connection.
    Undecodable(HpackError),
    /// The message is malformed: an error of the stream. The rest of the block was decoded.
    Malformed(Malformed),
    /// The block stands for several times the text that a head may have: not decoded to its end.
    Bomb,
}

impl From<HpackError> for BlockFault {
    fn from(error: HpackError) -> Self {
        Self::Undecodable(error)
    }
}
