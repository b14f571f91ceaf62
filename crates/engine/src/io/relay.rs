//! Relay: autonomous mode. Moves bytes of one direction without waking the Session until end or error.
//!
//! One pump for both directions, named by the sending side. Back-pressure: what does not fit waits in the
//! lane's buffer or pipe, and nothing more is read until it has gone, so a slow reader costs at most one
//! scratch buffer or one pipe. Copies go through the worker's scratch; a lane that moved much without running
//! dry gets a pipe. Must never look at bytes or decide what an end or an error means.

use headworks_core::action::Side;

use super::{Lane, Pipes, Socket, Stop};
use crate::outcome::{Read, Written};

/// Bytes of a worker's scratch buffer.
pub(crate) const SCRATCH: usize = 64 * 1024;
/// Bytes moved in one go before other connections get their turn.
pub(crate) const TURN: usize = 1024 * 1024;
/// Reads in one go before other connections get their turn: many may give little.
pub(crate) const READS: u32 = 64;
/// Reads in one go of a client that was told all there is to say, and whose bytes are thrown away.
pub(crate) const DISCARDS: usize = 16;

/// The reason why a pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// The sender has nothing more now.
    Dry,
    /// The receiver takes no more now.
    Full,
    /// The lane had its turn; more may be there.
    Unfinished,
    /// The sender has ended and everything is delivered.
    Ended,
    /// The named side is broken.
    Broken(Side),
}

/// One direction of a connection, for the length of one call.
#[derive(Debug)]
pub(crate) struct Pump<'a> {
    /// The side that sends.
    pub(crate) from: Side,
    /// The socket of the side.
    pub(crate) source: &'a mut Socket,
    /// The other side's socket.
    pub(crate) sink: &'a mut Socket,
    /// The bytes in between.
    pub(crate) lane: &'a mut Lane,
    /// Bytes read in this call.
    pub(crate) read: u64,
    /// Bytes that may be read in this call: [`TURN`], or less where bandwidth is limited.
    pub(crate) turn: u64,
}

impl Pump<'_> {
    /// Moves bytes to the other side until something stops it.
    pub(crate) fn run(&mut self, scratch: &mut [u8], pipes: &mut Pipes) -> Pumped {
        let why = self.pump(scratch, pipes);
        if why != Pumped::Unfinished && why != Pumped::Full {
            self.lane.return_pipe(pipes);
        }
        why
    }

    fn pump(&mut self, scratch: &mut [u8], pipes: &mut Pipes) -> Pumped {
        for reads in 0.. {
            if let Some(stop) = self.deliver() {
                return stop;
            }
            if self.lane.ended {
                return Pumped::Ended;
            }
            if !self.source.readable {
                return Pumped::Dry;
            }
            if self.read >= self.turn || reads >= READS {
                return Pumped::Unfinished;
            }
            let plain = self.source.is_plain() && self.sink.is_plain();
            let read = if plain && self.lane.spliced(pipes) { self.fill_pipe() } else { self.copy(scratch) };
            match read {
                Read::Bytes(_) | Read::Nothing => {}
                // What a TLS side cut off without a word may not be all: it is passed on as a reset, not as
                // an end.
                Read::End if self.source.was_truncated() => return Pumped::Broken(self.from),
                Read::End => self.lane.ended = true,
                Read::Broken => return Pumped::Broken(self.from),
            }
        }
        Pumped::Unfinished
    }

    /// Writes what waits; None when nothing waits any more.
    fn deliver(&mut self) -> Option<Pumped> {
        self.lane.deliver(self.sink).map(|stop| match stop {
            Stop::Full => Pumped::Full,
            Stop::Broken => Pumped::Broken(self.from.other()),
        })
    }

    fn fill_pipe(&mut self) -> Read {
        let Some(pipe) = self.lane.pipe.as_mut() else { return Read::Nothing };
        let most = if self.turn < TURN as u64 { (self.turn - self.read) as usize } else { pipe.size };
        let read = self.source.read_into_pipe(pipe.write_end(), most.min(pipe.size));
        if let Read::Bytes(n) = read {
            pipe.held += n;
            self.read += n as u64;
            self.lane.run += n as u64;
        }
        read
    }

    /// Reads into scratch and writes straight from there; what does not fit is kept.
    #[inline]
    fn copy(&mut self, scratch: &mut [u8]) -> Read {
        let read = self.source.read(scratch);
        let Read::Bytes(n) = read else { return read };
        self.read += n as u64;
        self.lane.run += n as u64;
        // Of a sender that has ended, the last bytes and the end can travel in one packet. A write that is
        // known to fail is not tried.
        let more = self.source.ending && !self.source.broken;
        let written =
            if self.sink.writable { self.sink.write(&scratch[..n], more) } else { Written::Bytes(0) };
        match written {
            Written::Bytes(m) if m < n => self.lane.buffer.push(&scratch[m..n]),
            Written::Bytes(_) => {}
            // The bytes cannot be delivered any more; writing again says so.
            Written::Broken => self.lane.buffer.push(&scratch[..n]),
        }
        read
    }
}
