//! HpackDecoder: the fields of header blocks, one after the other, as lines of text.

use super::lines::{LineEntry, Lines};
use super::statics::STATIC;
use super::{Pseudo, TABLE_SIZE, huffman, integer};
use crate::message::{Known, Span};
use crate::wire::http1::{is_framing_in_disguise, is_text_run, is_token_byte};

/// Decodes the header blocks of one direction of a connection: all of them, and in their order.
#[derive(Debug)]
pub struct HpackDecoder {
    lines: Lines,
}

/// A block that cannot be decoded, nor can any after it (RFC 7541: a decoding error).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HpackError {
    /// The block ends within a field.
    Short,
    /// An integer without an end, or beyond all measure.
    Integer,
    /// An index that stands for nothing.
    Index,
    /// A string that is not in the Huffman code, or is padded wrongly.
    Huffman,
    /// A change of the table's size after a field, a third one, or one above the limit.
    TableSize,
}

/// A field, written as a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockField {
    /// The name.
    pub name: Span,
    /// The value; CRLF follows.
    pub value: Span,
    /// The known name that it is.
    pub known: Known,
    /// The pseudo-field that it is.
    pub pseudo: Pseudo,
    /// The name is a token in lower case that nobody takes for another one, or that of a pseudo-field; the
    /// value has no control byte and no blank at its ends (RFC 9113 section 8.2.1).
    pub sound: bool,
    /// The sender wants it in no table, on no hop (RFC 7541 section 6.2.3).
    pub never_indexed: bool,
}

/// The fields of one block, which are read one by one and all.
#[derive(Debug)]
pub struct BlockReader<'a> {
    lines: &'a mut Lines,
    block: &'a [u8],
    at: usize,
    begun: bool,
    updates: u8,
}

impl Default for HpackDecoder {
    fn default() -> Self {
        Self { lines: Lines::new() }
    }
}

impl HpackDecoder {
    /// Begins a block, which is whole.
    #[inline]
    pub fn block<'a>(&'a mut self, block: &'a [u8]) -> BlockReader<'a> {
        BlockReader { lines: &mut self.lines, block, at: 0, begun: false, updates: 0 }
    }

    /// Gives back memory that is not in use.
    pub fn relax(&mut self) {
        self.lines.relax();
    }
}

/// The name of a field that is being read.
#[derive(Clone, Copy)]
struct Named {
    known: Known,
    pseudo: Pseudo,
    sound: bool,
}

impl BlockReader<'_> {
    /// Appends the next field to `out`; None: there is none. After an error nothing is appended.
    #[inline]
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<BlockField>, HpackError> {
        loop {
            let Some(first) = self.block.get(self.at).copied() else { return Ok(None) };
            self.at += 1;
            if first & 0x80 != 0 {
                self.begun = true;
                let index = self.integer(first, 7)?;
                return self.indexed(index, out).map(Some);
            }
            if first & 0xe0 != 0x20 {
                self.begun = true;
                return self.literal(first, out).map(Some);
            }
            self.resize(first)?;
        }
    }

    #[inline]
    fn integer(&mut self, first: u8, bits: u32) -> Result<usize, HpackError> {
        integer::read(first, bits, self.block, &mut self.at).ok_or(HpackError::Integer)
    }

    #[inline]
    fn indexed(&self, index: usize, out: &mut Vec<u8>) -> Result<BlockField, HpackError> {
        let start = out.len();
        let (name, known, pseudo, sound) = if let Some(entry) = STATIC.get(index.wrapping_sub(1)) {
            out.extend_from_slice(entry.line);
            (entry.name, entry.known, entry.pseudo, true)
        } else {
            let (entry, line) = self.dynamic(index)?;
            out.extend_from_slice(line);
            (usize::from(entry.name), entry.known, entry.pseudo, entry.sound)
        };
        Ok(BlockField {
            name: Span::new(start, start + name),
            value: Span::new(start + name + 2, out.len() - 2),
            known,
            pseudo,
            sound,
            never_indexed: false,
        })
    }

    #[inline]
    fn dynamic(&self, index: usize) -> Result<(&LineEntry, &[u8]), HpackError> {
        let place = index.checked_sub(STATIC.len() + 1).ok_or(HpackError::Index)?;
        self.lines.get(place).ok_or(HpackError::Index)
    }

    /// Reads a literal (sections 6.2.1 to 6.2.3).
    fn literal(&mut self, first: u8, out: &mut Vec<u8>) -> Result<BlockField, HpackError> {
        let start = out.len();
        let field = self.literal_from(start, first, out);
        if field.is_err() {
            out.truncate(start);
        }
        field
    }

    fn literal_from(&mut self, start: usize, first: u8, out: &mut Vec<u8>) -> Result<BlockField, HpackError> {
        let inserted = first & 0x40 != 0;
        let index = self.integer(first, if inserted { 6 } else { 4 })?;
        let Named { known, pseudo, sound: name_sound } = self.name(index, out)?;
        let name = Span::new(start, out.len());
        out.extend_from_slice(b": ");
        let value_start = out.len();
        self.string(out)?;
        let value = Span::new(value_start, out.len());
        let sound = name_sound && is_text_run(value.of(out));
        out.extend_from_slice(b"\r\n");
        if inserted {
            let entry = LineEntry {
                name: name.len() as u16,
                known,
                pseudo,
                sound,
                name_sound,
                ..LineEntry::default()
            };
            self.lines.insert(&out[start..], entry);
        }
        let never_indexed = !inserted && first & 0x10 != 0;
        Ok(BlockField { name, value, known, pseudo, sound, never_indexed })
    }

    /// Appends the name of a literal: that of an entry, or one of its own.
    #[inline]
    fn name(&mut self, index: usize, out: &mut Vec<u8>) -> Result<Named, HpackError> {
        if index == 0 {
            let start = out.len();
            self.string(out)?;
            return Ok(Named::judge(&out[start..]));
        }
        if let Some(entry) = STATIC.get(index - 1) {
            out.extend_from_slice(entry.name());
            return Ok(Named { known: entry.known, pseudo: entry.pseudo, sound: true });
        }
        let (entry, line) = self.dynamic(index)?;
        out.extend_from_slice(&line[..usize::from(entry.name)]);
        Ok(Named { known: entry.known, pseudo: entry.pseudo, sound: entry.name_sound })
    }

    /// Appends a string (section 5.2).
    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), HpackError> {
        let first = *self.block.get(self.at).ok_or(HpackError::Short)?;
        self.at += 1;
        let length = self.integer(first, 7)?;
        let text = self.block[self.at..].get(..length).ok_or(HpackError::Short)?;
        self.at += length;
        if first & 0x80 != 0 {
            return huffman::decode(text, out).ok_or(HpackError::Huffman);
        }
        out.extend_from_slice(text);
        Ok(())
    }

    /// Changes the size of the table: at the beginning of a block, to the least that it was in between and to
    /// the last (section 4.2).
    #[cold]
    fn resize(&mut self, first: u8) -> Result<(), HpackError> {
        let size = self.integer(first, 5)?;
        self.updates += 1;
        if self.begun || self.updates > 2 || size > TABLE_SIZE {
            return Err(HpackError::TableSize);
        }
        self.lines.set_limit(size);
        Ok(())
    }
}

impl Named {
    fn judge(name: &[u8]) -> Self {
        let pseudo = Pseudo::of(name);
        let plain = |byte: &u8| is_token_byte(*byte) && !byte.is_ascii_uppercase();
        let sound = match pseudo {
            Pseudo::None => !name.is_empty() && name.iter().all(plain) && !is_framing_in_disguise(name),
            _ => true,
        };
        Self { known: Known::of(name), pseudo, sound }
    }
}
