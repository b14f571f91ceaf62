//! Pipes for splice(2): a bounded pool. A flow borrows one while it moves much and gives it back when it is
//! empty.
//!
//! Where the pool is exhausted (or pipes cannot be made) the relay copies instead.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::sys;

/// Bytes a pipe is asked to hold; unprivileged processes get less once the system's share is used up.
pub(crate) const PIPE_SIZE: usize = 1024 * 1024;
/// Pipes in use at once, a worker: enough that some hundred stalled readers leave pipes for those who read.
const MOST: usize = 256;

/// A pipe and how much is in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes inside.
    pub(crate) held: usize,
}

impl Pipe {
    /// The end that bytes leave by.
    pub(crate) fn read_end(&self) -> RawFd {
        self.read.as_raw_fd()
    }

    /// The end that bytes enter by.
    pub(crate) fn write_end(&self) -> RawFd {
        self.write.as_raw_fd()
    }
}

/// The pool of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    idle: Vec<Pipe>,
    lent: usize,
}

impl Pipes {
    /// An empty pipe, or None when the relay must copy.
    pub(crate) fn lend(&mut self) -> Option<Pipe> {
        if self.lent >= MOST {
            return None;
        }
        let pipe = self.idle.pop().or_else(|| {
            let (read, write) = sys::pipe(PIPE_SIZE).ok()?;
            Some(Pipe { read, write, held: 0 })
        })?;
        self.lent += 1;
        Some(pipe)
    }

    /// Takes a pipe back; one that still holds bytes of a lost connection is closed.
    pub(crate) fn give_back(&mut self, pipe: Pipe) {
        self.lent -= 1;
        if pipe.held == 0 {
            self.idle.push(pipe);
        }
    }
}
