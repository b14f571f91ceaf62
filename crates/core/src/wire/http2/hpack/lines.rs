//! Lines: a dynamic table (RFC 7541 section 2.3.2) as lines of text in a ring.
//!
//! ```text
//!   ring   ....[age: 3\r\n][via: 2 a\r\n][host: ..\r\n]......
//!               oldest                   newest
//! ```
//!
//! A line never goes over the end, where it would have to be put together.
//!
//! An entry counts 32 bytes beyond name and value and takes 4, so that a ring of twice the table's size has
//! room for every line, wherever the last one ended. No memory is taken before the first entry.

use std::collections::VecDeque;

use super::{OVERHEAD, Pseudo, TABLE_SIZE};
use crate::message::Known;

const RING: usize = 2 * TABLE_SIZE;

/// A dynamic table.
#[derive(Debug)]
pub(super) struct Lines {
    ring: Vec<u8>,
    /// Newest first.
    entries: VecDeque<LineEntry>,
    /// The end of the newest line.
    end: usize,
    size: usize,
    limit: usize,
}

/// An entry: a line of the ring, and what is known of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineEntry {
    pub start: u16,
    pub length: u16,
    /// Bytes of the name.
    pub name: u16,
    pub known: Known,
    pub pseudo: Pseudo,
    /// Name and value may stand in a message; the name may.
    pub sound: bool,
    pub name_sound: bool,
    /// Marks that the whole entry, and its name, are found by.
    pub mark: u32,
    pub name_mark: u32,
}

impl LineEntry {
    #[inline]
    fn size(self) -> usize {
        usize::from(self.length) - 4 + OVERHEAD
    }
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { ring: Vec::new(), entries: VecDeque::new(), end: 0, size: 0, limit: TABLE_SIZE }
    }

    /// Returns the entry with this place, the newest being 0, and its line.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<(&LineEntry, &[u8])> {
        let entry = self.entries.get(place)?;
        let start = usize::from(entry.start);
        Some((entry, &self.ring[start..start + usize::from(entry.length)]))
    }

    #[inline]
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Sets the size that the entries may have together.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(TABLE_SIZE);
        self.evict(0);
    }

    /// Adds a line, `name: value` and CRLF; the oldest go for it. One that is larger than the table empties
    /// it.
    pub(super) fn insert(&mut self, line: &[u8], entry: LineEntry) {
        let size = line.len() - 4 + OVERHEAD;
        self.evict(size);
        if size > self.limit {
            return;
        }
        if self.ring.is_empty() {
            self.ring.resize(RING, 0);
        }
        let start = if self.end + line.len() > RING { 0 } else { self.end };
        self.end = start + line.len();
        self.ring[start..self.end].copy_from_slice(line);
        self.size += size;
        self.entries.push_front(LineEntry { start: start as u16, length: line.len() as u16, ..entry });
    }

    /// Removes the oldest until there is room for `size` more, or nothing is left.
    fn evict(&mut self, size: usize) {
        while self.size + size > self.limit
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }

    /// Finds the newest entry with this mark for which `is` holds; returns its place.
    #[inline]
    pub(super) fn find(&self, mark: u32, is: impl Fn(&LineEntry, &[u8]) -> bool) -> Option<usize> {
        self.position(|entry| entry.mark == mark, is)
    }

    /// Finds the newest entry whose name has this mark, as [`find`](Self::find) does.
    #[inline]
    pub(super) fn find_name(&self, mark: u32, is: impl Fn(&LineEntry, &[u8]) -> bool) -> Option<usize> {
        self.position(|entry| entry.name_mark == mark, is)
    }

    #[inline]
    fn position(
        &self,
        marked: impl Fn(&LineEntry) -> bool,
        is: impl Fn(&LineEntry, &[u8]) -> bool,
    ) -> Option<usize> {
        let line = |entry: &LineEntry| {
            let start = usize::from(entry.start);
            &self.ring[start..start + usize::from(entry.length)]
        };
        self.entries.iter().position(|entry| marked(entry) && is(entry, line(entry)))
    }

    /// Gives back the memory of an empty table.
    pub(super) fn relax(&mut self) {
        if self.entries.is_empty() {
            (self.ring, self.entries, self.end) = (Vec::new(), VecDeque::new(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The table holds the newest lines that fit, whole, after any insertions.
        #[test]
        fn a_ring_is_a_list(lengths in prop::collection::vec((1_usize..4_200, 0_usize..4_097), 1..200)) {
            let (mut lines, mut list) = (Lines::new(), VecDeque::<Vec<u8>>::new());
            for (number, (length, limit)) in lengths.into_iter().enumerate() {
                let mut line = vec![b'a' + (number % 26) as u8; length + 4];
                line[0] = number as u8;
                if number % 7 == 6 {
                    lines.set_limit(limit);
                }
                lines.insert(&line, LineEntry::default());
                list.push_front(line);
                let mut size = 0;
                let fits = |line: &&Vec<u8>| {
                    size += line.len() + 28;
                    size <= lines.limit()
                };
                list.truncate(list.iter().take_while(fits).count());
                for (place, line) in list.iter().enumerate() {
                    prop_assert_eq!(lines.get(place).map(|(_, line)| line), Some(&line[..]));
                }
                prop_assert!(lines.get(list.len()).is_none());
            }
        }
    }
}
