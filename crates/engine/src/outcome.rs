//! Outcomes: what a read gave and what a write took, of plain sockets and of TLS alike.
//!
//! Plain values: must know no other room.

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// Number of bytes read.
    Bytes(usize),
    /// There is nothing now.
    Nothing,
    /// The end.
    End,
    /// The other end reset the connection, or it broke.
    Broken,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Number of bytes written; fewer than given when the socket is full.
    Bytes(usize),
    /// The other end reset the connection, or it broke.
    Broken,
}
