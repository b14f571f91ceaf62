//! HpackEncoder: fields as header blocks.
//!
//! What repeats from message to message stands in the dynamic table; values that change with each message
//! do not, and what must stay secret never does.

use super::lines::{LineEntry, Lines};
use super::{OVERHEAD, Pseudo, TABLE_SIZE, huffman, integer, statics};
use crate::message::Known;

/// Encodes the header blocks of one direction of a connection.
#[derive(Debug)]
pub struct HpackEncoder {
    lines: Lines,
    /// Whether strings are sent in the Huffman code where that makes them shorter.
    huffman: bool,
    /// The least size since the last block, if the size has changed: it is to be told.
    least: Option<usize>,
    limit: usize,
}

/// The representation of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexing {
    /// In the table, from now on: it will come again.
    Kept,
    /// Not in the table: the next one will have another value.
    Passing,
    /// In no table on no hop: to guess it byte by byte must not show in sizes (RFC 7541 section 7.1.3).
    Never,
}

impl Indexing {
    /// Returns what a field deserves by its name, in lower case.
    #[inline]
    pub fn of(name: &[u8], known: Known) -> Self {
        match known {
            Known::Cookie | Known::SetCookie => Self::Never,
            Known::ContentLength | Known::ContentRange | Known::Date | Known::Etag => Self::Passing,
            Known::Other => match name {
                b"authorization" | b"proxy-authorization" => Self::Never,
                b":path" | b"age" | b"location" | b"last-modified" | b"expires" | b"x-request-id" => {
                    Self::Passing
                }
                b"if-modified-since" | b"if-none-match" | b"range" | b"grpc-timeout" => Self::Passing,
                _ => Self::Kept,
            },
            _ => Self::Kept,
        }
    }
}

impl HpackEncoder {
    /// Makes an encoder. `huffman`: strings are made shorter, for some work.
    pub fn new(huffman: bool) -> Self {
        Self { lines: Lines::new(), huffman, least: None, limit: TABLE_SIZE }
    }

    /// Takes note of the size of table that the decoder allows.
    pub fn set_limit(&mut self, size: usize) {
        let size = size.min(TABLE_SIZE);
        if size != self.limit || self.least.is_some() {
            self.least = Some(self.least.map_or(size.min(self.limit), |least| least.min(size)));
            self.limit = size;
        }
    }

    /// Begins a block: tells changes of the table's size.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(least) = self.least.take() {
            self.tell_size(least, out);
        }
    }

    #[cold]
    fn tell_size(&mut self, least: usize, out: &mut Vec<u8>) {
        let lowered = least < self.lines.limit().min(self.limit);
        for size in [Some(least).filter(|_| lowered), Some(self.limit)].into_iter().flatten() {
            integer::write(out, 0x20, 5, size);
            self.lines.set_limit(size);
        }
    }

    /// Appends a field. The name is in lower case.
    pub fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8], indexing: Indexing) {
        let index = statics::find(name);
        if indexing != Indexing::Never
            && index != 0
            && let Some(whole) = statics::with_value(index, value)
        {
            return integer::write(out, 0x80, 7, whole);
        }
        let kept = indexing == Indexing::Kept && name.len() + value.len() + OVERHEAD <= self.limit / 4;
        let name_mark = mark(0, name);
        let whole_mark = if kept { mark(name_mark, value) } else { 0 };
        if kept && let Some(place) = self.find(whole_mark, name, value) {
            return integer::write(out, 0x80, 7, statics::STATIC.len() + 1 + place);
        }
        let index = if index == 0 { self.find_name(name_mark, name) } else { index };
        let (first, bits) = match indexing {
            _ if kept => (0x40, 6),
            Indexing::Never => (0x10, 4),
            _ => (0x00, 4),
        };
        integer::write(out, first, bits, index);
        if index == 0 {
            self.string(out, name);
        }
        self.string(out, value);
        if kept {
            self.insert(name, value, (whole_mark, name_mark));
        }
    }

    fn find(&self, mark: u32, name: &[u8], value: &[u8]) -> Option<usize> {
        self.lines.find(mark, |entry, line| {
            let (its, rest) = line.split_at(usize::from(entry.name));
            its == name && &rest[2..rest.len() - 2] == value
        })
    }

    /// Returns the index of an entry with this name; 0: there is none.
    fn find_name(&self, mark: u32, name: &[u8]) -> usize {
        let place = self.lines.find_name(mark, |entry, line| &line[..usize::from(entry.name)] == name);
        place.map_or(0, |place| statics::STATIC.len() + 1 + place)
    }

    fn insert(&mut self, name: &[u8], value: &[u8], (mark, name_mark): (u32, u32)) {
        // A kept field is short.
        let mut line = [0; TABLE_SIZE / 4];
        let length = name.len() + value.len() + 4;
        for (at, part) in [(0, name), (name.len(), b": "), (name.len() + 2, value), (length - 2, b"\r\n")] {
            line[at..at + part.len()].copy_from_slice(part);
        }
        let entry = LineEntry { name: name.len() as u16, mark, name_mark, ..LineEntry::default() };
        self.lines.insert(&line[..length], entry);
    }

    fn string(&self, out: &mut Vec<u8>, text: &[u8]) {
        if self.huffman {
            let length = huffman::length(text);
            if length < text.len() {
                integer::write(out, 0x80, 7, length);
                return huffman::encode(text, out);
            }
        }
        integer::write(out, 0x00, 7, text.len());
        out.extend_from_slice(text);
    }

    /// Appends a pseudo-field.
    #[inline]
    pub fn pseudo(&mut self, out: &mut Vec<u8>, pseudo: Pseudo, value: &[u8]) {
        let (name, indexing): (&[u8], _) = match pseudo {
            Pseudo::Authority => (b":authority", Indexing::Kept),
            Pseudo::Method => (b":method", Indexing::Kept),
            Pseudo::Path => (b":path", Indexing::Passing),
            Pseudo::Protocol => (b":protocol", Indexing::Kept),
            Pseudo::Scheme => (b":scheme", Indexing::Kept),
            Pseudo::Status => (b":status", Indexing::Kept),
            Pseudo::None | Pseudo::Unknown => return,
        };
        self.field(out, name, value, indexing);
    }

    /// Gives back memory that is not in use.
    pub fn relax(&mut self) {
        self.lines.relax();
    }
}

/// Returns a number that texts are found by: eight bytes at a time, and good enough for at most 128 entries
/// that are compared in the end.
#[inline]
fn mark(seed: u32, text: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = u64::from(seed) ^ (text.len() as u64) << 32;
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        let word = word.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        mixed = (mixed ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }
    let rest = words.remainder().iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    ((mixed ^ rest).wrapping_mul(FACTOR) >> 32) as u32
}
