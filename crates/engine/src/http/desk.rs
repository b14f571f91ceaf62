//! Desk: what one worker works with during a call and clears before the next: scratch bytes and heads.

use headworks_core::message::Head;

use crate::relay::SCRATCH;

/// One worker's tools for exchanges.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Bytes just read.
    pub(crate) scratch: Box<[u8]>,
    /// Bytes about to be written.
    pub(crate) out: Vec<u8>,
    /// The head just read.
    pub(crate) head: Head,
}

impl Desk {
    /// A desk with all its memory.
    pub(crate) fn new() -> Self {
        Self { scratch: vec![0; SCRATCH].into(), out: Vec::with_capacity(SCRATCH), ..Self::default() }
    }
}
