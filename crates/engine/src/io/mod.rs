//! Moving bytes: sockets, the lanes between them, pipes, bodies.
//!
//! | file | owns |
//! |---|---|
//! | `socket/` | one stream socket |
//! | `lane.rs` | bytes on their way in one direction |
//! | `relay.rs` | autonomous mode: one direction of a connection |
//! | `body.rs`, `compress.rs` | the body of one message, as it came or in another form |
//! | `pipes.rs` | pipes for splicing |
//! | `leaving.rs` | sockets that are closed when their last bytes have arrived |
//!
//! Must never decide what an end or an error means, or know whose bytes they are.

mod body;
mod compress;
mod lane;
mod leaving;

mod pipes;
mod relay;
mod socket;

pub(crate) use body::{BodyForm, Compressed, Filtered, Transfer};
pub(crate) use compress::{Compressor, Compressors};
pub(crate) use lane::{Lane, Stop};
pub(crate) use leaving::Leaving;

pub(crate) use pipes::{Pipe, Pipes};
pub(crate) use relay::{DISCARDS, Pump, Pumped, READS, SCRATCH, TURN};
pub(crate) use socket::{Dial, Socket};
