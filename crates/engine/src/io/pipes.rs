//! Pipes for splice(2): a bounded pool. A flow borrows one while it moves much and gives it back when it is
//! empty.
//!
//! Where the pool is exhausted (or pipes cannot be made) the relay copies instead.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use headworks_core::spec::ResourcesSpec;

use crate::sys;

/// A pipe and how much is in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    /// Bytes it was asked to hold.
    pub(crate) size: usize,
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
#[derive(Debug)]
pub(crate) struct Pipes {
    spec: ResourcesSpec,
    idle: Vec<Pipe>,
    lent: usize,
}

impl Pipes {
    /// Makes an empty pool.
    pub(crate) fn new(spec: ResourcesSpec) -> Self {
        Self { spec, idle: Vec::new(), lent: 0 }
    }

    /// Lends pipes as `spec` has it from now on; those that are lent stay as they are.
    pub(crate) fn apply(&mut self, spec: ResourcesSpec) {
        self.spec = spec;
        self.idle.retain(|pipe| pipe.size == spec.pipe_size as usize);
        self.idle.truncate((spec.max_pipes as usize).saturating_sub(self.lent));
    }

    /// An empty pipe, or None when the relay must copy.
    pub(crate) fn lend(&mut self) -> Option<Pipe> {
        if self.lent >= self.spec.max_pipes as usize {
            return None;
        }
        let pipe = self.idle.pop().or_else(|| {
            let size = self.spec.pipe_size as usize;
            let (read, write) = sys::pipe(size).ok()?;
            Some(Pipe { read, write, size, held: 0 })
        })?;
        self.lent += 1;
        Some(pipe)
    }

    /// Takes a pipe back. One that still holds bytes of a lost connection is closed, and so is one that would
    /// not be lent any more.
    pub(crate) fn give_back(&mut self, pipe: Pipe) {
        self.lent -= 1;
        let total = self.idle.len() + self.lent;
        let wanted = pipe.size == self.spec.pipe_size as usize && total < self.spec.max_pipes as usize;
        if wanted && pipe.held == 0 {
            self.idle.push(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const SPEC: ResourcesSpec = ResourcesSpec {
        reserved_descriptors: 0,
        accept_pause: 1,
        max_pipes: 2,
        pipe_size: 8192,
        max_hops: 8,
    };

    #[test]
    fn as_many_are_lent_as_there_may_be() {
        let mut pipes = Pipes::new(SPEC);
        let (one, _two) = (pipes.lend().unwrap(), pipes.lend().unwrap());
        assert!(pipes.lend().is_none());
        let same = one.write_end();
        pipes.give_back(one);
        assert_eq!(pipes.lend().unwrap().write_end(), same);
        pipes.apply(ResourcesSpec { max_pipes: 3, ..SPEC });
        assert!(pipes.lend().is_some());
        assert!(pipes.lend().is_none());
    }

    #[test]
    fn those_that_are_too_many_are_closed() {
        let mut pipes = Pipes::new(SPEC);
        let (one, two) = (pipes.lend().unwrap(), pipes.lend().unwrap());
        pipes.give_back(one);
        pipes.apply(ResourcesSpec { max_pipes: 1, ..SPEC });
        assert!(pipes.idle.is_empty());
        assert!(pipes.lend().is_none());
        pipes.give_back(two);
        assert_eq!(pipes.idle.len(), 1);
        pipes.apply(ResourcesSpec { max_pipes: 0, ..SPEC });
        assert!(pipes.idle.is_empty());
        assert!(pipes.lend().is_none());
    }

    #[test]
    fn one_of_another_size_is_not_lent_again() {
        let mut pipes = Pipes::new(SPEC);
        let (one, two) = (pipes.lend().unwrap(), pipes.lend().unwrap());
        pipes.give_back(one);
        pipes.apply(ResourcesSpec { pipe_size: 16384, ..SPEC });
        pipes.give_back(two);
        assert!(pipes.idle.is_empty());
        assert_eq!(pipes.lend().unwrap().size, 16384);
    }

    #[test]
    fn one_that_holds_bytes_is_not_lent_again() {
        let mut pipes = Pipes::new(SPEC);
        let mut pipe = pipes.lend().unwrap();
        pipe.held = 1;
        pipes.give_back(pipe);
        assert!(pipes.idle.is_empty());
    }
}
