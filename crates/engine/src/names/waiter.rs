//! Waiter: a record of a worker that waits for a name, and the box that it is told by. Must never know whose.

use std::fmt::Debug;

use headworks_core::names::{Resolution, Unresolved};

use crate::token::Kind;

/// A record of a worker that waits for a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    /// The kind of the record.
    pub(crate) kind: Kind,
    /// The place of the record.
    pub(crate) place: usize,
    /// The generation of the place.
    pub(crate) generation: u32,
}

/// A worker's box for names that were found.
pub(crate) trait FoundBox: Debug + Send + Sync {
    /// Puts what was found for a waiter in.
    fn put_found(&self, waiter: Waiter, found: Result<Resolution, Unresolved>);
}
