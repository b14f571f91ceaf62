//! Buffer: bytes that must wait, in order. Empty buffers own no memory, so that an idle connection costs
//! none.
//!
//! ```text
//!   storage:  [ . . . taken . . . | pending . . . . . | free ]
//!                                 ^start               ^end (storage.len())
//! ```
//!
//! Must never grow past what its owner reads in one turn: back-pressure is the owner's duty.

/// Bytes waiting to be looked at or passed on.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// Returns what waits, oldest first.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        &self.storage[self.start..]
    }

    /// Returns how many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.storage.len() - self.start
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.storage.len() + bytes.len() > self.storage.capacity() {
            self.storage.drain(..self.start);
            self.start = 0;
        }
        self.storage.extend_from_slice(bytes);
    }

    /// Takes `n` bytes from the front (all there are, if fewer); the memory goes with the last one.
    pub fn take(&mut self, n: usize) {
        self.start += n.min(self.len());
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything and gives the memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_gives_memory_back() {
        let mut buffer = Buffer::default();
        buffer.push(b"abc");
        buffer.take(1);
        buffer.push(b"def");
        assert_eq!(buffer.pending(), b"bcdef");
        buffer.take(99);
        assert!(buffer.is_empty());
        assert_eq!(buffer.storage.capacity(), 0);
    }
}
