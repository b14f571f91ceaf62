//! Relay: autonomous mode. Moves bytes of one direction without waking the Session until end or error.
//!
//! One pump for both directions, named by the sending side. Back-pressure: what does not fit waits in the lane's
//! buffer or pipe, and nothing more is read until it has gone, so a slow reader costs at most one scratch buffer or
//! one pipe. Copies go through the worker's scratch; a lane that moved [`MUCH`] without running dry gets a pipe.
//! Must never look at bytes or decide what an end or an error means.

use headworks_core::action::Side;

use crate::connection::{Connection, Lane};
use crate::pipes::{PIPE_SIZE, Pipes};
use crate::socket::{Read, Socket, Written};

/// Bytes of a worker's scratch buffer.
pub(crate) const SCRATCH: usize = 64 * 1024;
/// A lane that moved so much without running dry is spliced.
const MUCH: u64 = 128 * 1024;
/// Bytes moved in one go before other connections get their turn.
pub(crate) const TURN: usize = 1024 * 1024;
/// Reads in one go before other connections get their turn: many may give little.
pub(crate) const READS: u32 = 64;

/// Why a pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pumped {
    /// The sender has nothing more now.
    Dry,
    /// The receiver takes no more now.
    Full,
    /// It had its turn; more may be there.
    Unfinished,
    /// The sender has ended and everything is delivered.
    Ended,
    /// This side is broken.
    Broken(Side),
}

/// What a worker lends to every pump.
#[derive(Debug)]
pub(crate) struct Tools {
    /// Bytes in flight for the length of one call.
    pub(crate) scratch: Box<[u8]>,
    /// Pipes.
    pub(crate) pipes: Pipes,
}

impl Default for Tools {
    fn default() -> Self {
        Self { scratch: vec![0; SCRATCH].into(), pipes: Pipes::default() }
    }
}

/// Moves bytes from `from` to the other side until one of them stops it. Returns how many were read, too.
pub(crate) fn pump(connection: &mut Connection, from: Side, tools: &mut Tools) -> (Pumped, u64) {
    let Connection { client, server: Some(server), lanes, .. } = connection else {
        return (Pumped::Dry, 0);
    };
    let (source, sink) = match from {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    let mut pump = Pump { from, source, sink, lane: &mut lanes[from as usize], read: 0 };
    let why = pump.run(tools);
    let read = pump.read;
    if why != Pumped::Unfinished && why != Pumped::Full {
        pump.lane.settle(&mut tools.pipes);
    }
    (why, read)
}

struct Pump<'a> {
    from: Side,
    source: &'a mut Socket,
    sink: &'a mut Socket,
    lane: &'a mut Lane,
    read: u64,
}

impl Pump<'_> {
    fn run(&mut self, tools: &mut Tools) -> Pumped {
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
            if self.read >= TURN as u64 || reads >= READS {
                return Pumped::Unfinished;
            }
            let plain = self.source.is_plain() && self.sink.is_plain();
            let read = match plain && self.lane.spliced(&mut tools.pipes) {
                true => self.fill_pipe(),
                false => self.copy(&mut tools.scratch),
            };
            match read {
                Read::Bytes(_) | Read::Nothing => {}
                // What a TLS side cut off without a word may not be all: it is passed on as a reset, not as an end.
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
        let read = self.source.read_into_pipe(pipe.write_end(), PIPE_SIZE);
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
        // Of a sender that has ended, the last bytes and the end can travel in one packet. A write that is known to
        // fail is not tried.
        let more = self.source.ending && !self.source.broken;
        let written = match self.sink.writable {
            true => self.sink.write(&scratch[..n], more),
            false => Written::Bytes(0),
        };
        match written {
            Written::Bytes(m) if m < n => self.lane.buffer.push(&scratch[m..n]),
            Written::Bytes(_) => {}
            // The bytes cannot be delivered any more; writing again says so.
            Written::Broken => self.lane.buffer.push(&scratch[..n]),
        }
        read
    }
}

/// Why what waits could not all be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The receiver takes no more now.
    Full,
    /// The receiver is broken.
    Broken,
}

impl Lane {
    /// Writes what waits; None when nothing waits any more.
    pub(crate) fn deliver(&mut self, sink: &mut Socket) -> Option<Stop> {
        if !sink.writable && self.waiting() > 0 {
            return Some(Stop::Full);
        }
        if sink.owes() && sink.write(&[], false) == Written::Broken {
            return Some(Stop::Broken);
        }
        if sink.owes() {
            return Some(Stop::Full);
        }
        while !self.buffer.is_empty() {
            let written = sink.write(self.buffer.pending(), false);
            let Written::Bytes(n) = written else { return Some(Stop::Broken) };
            self.buffer.take(n);
            if !sink.writable || sink.owes() {
                return Some(Stop::Full);
            }
        }
        while let Some(pipe) = self.pipe.as_mut().filter(|pipe| pipe.held > 0) {
            let written = sink.write_from_pipe(pipe.read_end(), pipe.held);
            let Written::Bytes(n) = written else { return Some(Stop::Broken) };
            pipe.held -= n;
            if !sink.writable {
                return Some(Stop::Full);
            }
        }
        None
    }

    /// Whether this lane has a pipe, borrowing one if it is worth it.
    pub(crate) fn spliced(&mut self, pipes: &mut Pipes) -> bool {
        if self.pipe.is_none() && self.run >= MUCH {
            self.pipe = pipes.lend();
            // Without one it goes on copying and asks again after as much.
            if self.pipe.is_none() {
                self.run = 0;
            }
        }
        self.pipe.is_some()
    }

    /// After a pump: a lane that ran dry is not moving much any more, and gives an empty pipe back.
    pub(crate) fn settle(&mut self, pipes: &mut Pipes) {
        // A fast sender runs dry between two of its packets, too: only a lane that moved little ends its run.
        self.run /= 2;
        if self.pipe.as_ref().is_some_and(|pipe| pipe.held == 0)
            && let Some(pipe) = self.pipe.take()
        {
            pipes.give_back(pipe);
        }
    }
}
