//! DER (X.690): elements one after the other, and their bytes in hexadecimal.
//!
//! Whatever the bytes are, must never panic or read past them.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// Elements of DER (X.690), one after the other.
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

/// One element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Bytes of the element, with its tag and length.
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Returns the content of the next element, which must have this tag.
    pub(crate) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// Returns how many bytes tag and length take, and the length. The length of what is in a certificate
    /// fits three bytes: a handshake message is no longer.
    fn head(&self) -> Option<(usize, usize)> {
        let &first = self.rest.get(1)?;
        let long = usize::from(first & 0x7f);
        match first {
            0..=0x7f => Some((2, long)),
            0x81..=0x83 => {
                let bytes = self.rest.get(2..2 + long)?;
                Some((2 + long, bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))))
            }
            _ => None,
        }
    }

    /// Returns the next element.
    pub(crate) fn element(&mut self) -> Option<Element<'a>> {
        let (head, length) = self.head()?;
        let whole = self.rest.get(..head + length)?;
        self.rest = &self.rest[head + length..];
        Some(Element { tag: whole[0], content: &whole[head..], whole })
    }
}

/// Returns the hexadecimal form, lower-case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
