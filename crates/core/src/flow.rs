//! Flow: one direction of a connection: bytes from one side, whether they are held, and which analyzers still
//! run.
//!
//! A flow is *held* while analyzers have a turn to come: its bytes are shown to them and not passed on. After
//! the last turn the hold ends for good and the relay moves bytes without asking. Must never own bytes: those
//! are the engine's scratch or a [`Buffer`](crate::buffer::Buffer).

use crate::time::Millis;

/// One direction, named by the side that sends.
#[derive(Debug, Default)]
pub struct Flow {
    /// Bytes wait for an analyzer's verdict.
    pub hold: bool,
    /// The side has ended its sending.
    pub ended: bool,
    /// Number of the analyzer whose turn it is, among its listener's.
    pub turn: u8,
    /// Time at which that turn began.
    pub since: Millis,
    /// Held bytes at the front that were for us alone (a PROXY header) and are not passed on.
    pub consumed: u32,
    /// Number of bytes that must be held before an analyzer can say more.
    pub need: u32,
    /// Bytes received from this side.
    pub bytes: u64,
}
