//! Lane: bytes on their way in one direction, between what was read and what was written.
//!
//! Back-pressure is here: what the receiver does not take waits. Must never know what the bytes mean.

use headworks_core::buffer::Buffer;

use super::{Pipe, Pipes, Socket};
use crate::outcome::Written;

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Bytes that wait: for a verdict, or for room.
    pub(crate) buffer: Buffer,
    /// The pipe, while much is moved.
    pub(crate) pipe: Option<Pipe>,
    /// Whether the sender's end was read.
    pub(crate) ended: bool,
    /// Bytes moved since the lane last ran dry; many in a row are worth a pipe.
    pub(crate) run: u64,
    /// Bytes already added to the counters.
    pub(crate) tallied: u64,
}

impl Lane {
    /// Returns the number of bytes read and not yet written.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len() + self.pipe.as_ref().map_or(0, |pipe| pipe.held)
    }
}

/// The reason why not all that waits was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The receiver takes no more now.
    Full,
    /// The receiver is broken.
    Broken,
}

/// Bytes moved without running dry from which on a lane is spliced.
const MUCH: u64 = 128 * 1024;

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

    /// Gives back an empty pipe while nothing may be read for a while.
    pub(crate) fn pause(&mut self, pipes: &mut Pipes) {
        if self.pipe.as_ref().is_some_and(|pipe| pipe.held == 0)
            && let Some(pipe) = self.pipe.take()
        {
            pipes.give_back(pipe);
        }
    }

    /// Gives back an empty pipe after a pump: a lane that ran dry does not move much any more.
    pub(crate) fn return_pipe(&mut self, pipes: &mut Pipes) {
        // A fast sender runs dry between two of its packets, too: only a lane that moved little ends its run.
        self.run /= 2;
        self.pause(pipes);
    }
}
