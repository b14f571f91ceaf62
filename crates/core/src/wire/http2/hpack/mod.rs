//! HPACK (RFC 7541): field blocks, read field by field.
//!
//! A decoder is bounded by its table and by the blocks that it is given: a field is a pair of ranges, and
//! nothing is copied but what the peer adds to the table. Must never judge a field: whether names are in
//! lower case, and which may be there, is for who asks.

mod huffman;
mod table;

use std::borrow::Cow;

use table::DynamicTable;

/// Bytes of a dynamic table, as long as nobody has agreed on others (RFC 9113 section 6.5.2).
pub const TABLE: usize = 4096;

/// A field block that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadBlock;

/// The decoder of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    most: usize,
}

impl Decoder {
    /// Makes one whose table has `most` bytes at most.
    pub fn new(most: usize) -> Self {
        Self { table: DynamicTable::new(most), most }
    }

    /// Reads a whole block and shows each field, name first, until one is refused.
    pub fn read(
        &mut self,
        block: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> Result<(), BadBlock>,
    ) -> Result<(), BadBlock> {
        let mut rest = block;
        let mut begun = false;
        while let Some(&first) = rest.first() {
            if first & 0xe0 == 0x20 {
                // Only in front of all fields (RFC 7541 section 4.2).
                let size = integer(&mut rest, 5)?;
                if begun || size > self.most {
                    return Err(BadBlock);
                }
                self.table.resize(size);
                continue;
            }
            begun = true;
            self.field(first, &mut rest, &mut take)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        take: &mut impl FnMut(&[u8], &[u8]) -> Result<(), BadBlock>,
    ) -> Result<(), BadBlock> {
        if first & 0x80 != 0 {
            let index = integer(rest, 7)?;
            let (name, value) = self.table.get(index).ok_or(BadBlock)?;
            return take(name, value);
        }
        let is_kept = first & 0x40 != 0;
        // Those that are not kept differ in whether anybody may keep them.
        let index = integer(rest, if is_kept { 6 } else { 4 })?;
        let name = match index {
            0 => string(rest)?,
            _ => Cow::Borrowed(self.table.get(index).ok_or(BadBlock)?.0),
        };
        let value = string(rest)?;
        take(&name, &value)?;
        if is_kept {
            let name = name.into_owned();
            self.table.add(&name, &value);
        }
        Ok(())
    }
}

/// Reads an integer whose first byte has `bits` bits of it (RFC 7541 section 5.1). None that is longer than
/// four bytes more is of use to anybody.
fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, BadBlock> {
    let full = (1_usize << bits) - 1;
    let mut value = usize::from(next(rest)?) & full;
    if value < full {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = next(rest)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(BadBlock)
}

/// Reads a string (RFC 7541 section 5.2).
fn string<'a>(rest: &mut &'a [u8]) -> Result<Cow<'a, [u8]>, BadBlock> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (text, after) = rest.split_at_checked(length).ok_or(BadBlock)?;
    *rest = after;
    if is_coded { huffman::decode(text).map(Cow::Owned).ok_or(BadBlock) } else { Ok(Cow::Borrowed(text)) }
}

fn next(rest: &mut &[u8]) -> Result<u8, BadBlock> {
    let (&first, after) = rest.split_first().ok_or(BadBlock)?;
    *rest = after;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the fields of a block, `name: value`.
    fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, BadBlock> {
        let mut found = Vec::new();
        decoder.read(block, |name, value| {
            found.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
            Ok(())
        })?;
        Ok(found)
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|one| one.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
    }

    /// The requests of RFC 7541, appendices C.3 and C.4: in plain text and in the code.
    #[test]
    fn requests_of_the_standard() {
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let coded = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for blocks in [plain, coded] {
            let mut decoder = Decoder::new(TABLE);
            let read = blocks.map(|block| fields(&mut decoder, &bytes(block)).unwrap());
            let begin = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
            assert_eq!(read[0], begin);
            assert_eq!(read[1][..4], begin);
            assert_eq!(read[1][4], "cache-control: no-cache");
            assert_eq!(
                read[2][1..4],
                [":scheme: https", ":path: /index.html", ":authority: www.example.com"]
            );
            assert_eq!(read[2][4], "custom-key: custom-value");
        }
    }

    #[test]
    fn a_table_never_grows_beyond_its_bytes() {
        let mut decoder = Decoder::new(100);
        // Each entry has 32 bytes besides its text: a third one drives the first out.
        let add = |name: u8| [0x40, 1, name, 1, b'v'];
        for name in *b"abc" {
            fields(&mut decoder, &add(name)).unwrap();
        }
        assert_eq!(fields(&mut decoder, &[0xbe, 0xbf]).unwrap(), ["c: v", "b: v"]);
        assert_eq!(fields(&mut decoder, &[0xc0]), Err(BadBlock));
        // To size 0 and back: nothing is left.
        assert_eq!(fields(&mut decoder, &[0x20, 0x3f, 0x45, 0xbe]), Err(BadBlock));
        // An entry that is larger than the table empties it.
        fields(&mut decoder, &add(b'd')).unwrap();
        let large = [&[0x40, 1, b'e', 90][..], &[b'v'; 90]].concat();
        assert_eq!(fields(&mut decoder, &large).unwrap().len(), 1);
        assert_eq!(fields(&mut decoder, &[0xbe]), Err(BadBlock));
    }

    #[test]
    fn blocks_that_are_none() {
        for block in [
            &[0x80][..],                                 // index 0
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // an endless number
            &[0xbe],                                     // an entry that is not there
            &[0x40, 5, b'a'],                            // a name beyond the end
            &[0x40, 1, b'a'],                            // no value
            &[0x82, 0x20],                               // a new size behind a field
            &[0x3f, 0xff, 0x7f],                         // a table that nobody has agreed on
            &[0x00, 0x81, 0x00, 0x00],                   // padding of zeros
            &[0x00, 0x81, 0xff, 0x00],                   // padding of a whole byte
            &[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00], // the end of text, coded
        ] {
            assert_eq!(fields(&mut Decoder::new(TABLE), block), Err(BadBlock), "{block:02x?}");
        }
    }

    /// Every code alone, behind another and padded, decodes to its byte.
    #[test]
    fn every_byte_has_its_code() {
        for byte in 0..=255_u8 {
            for text in [vec![byte], vec![b'a', byte, b'0', byte]] {
                assert_eq!(huffman::decode(&huffman::encode(&text)), Some(text));
            }
        }
    }
}
