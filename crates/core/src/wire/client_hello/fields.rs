//! Fields: a cursor over the presentation language of TLS (RFC 8446 section 3). Must never read past its end:
//! a field that does not fit is None, and what to call that is the reader's business.

/// The bytes that are left to read.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Option<u16> {
        let (&bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(bytes))
    }

    /// Reads `opaque x<0..2^8-1>`.
    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// Reads `opaque x<0..2^16-1>`.
    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Reads a number and `opaque x<0..2^16-1>`, as extensions are.
    #[inline]
    pub(super) fn numbered(&mut self) -> Option<(u16, &'a [u8])> {
        let (&header, rest) = self.0.split_first_chunk()?;
        let header = u32::from_be_bytes(header);
        let (vector, rest) = rest.split_at_checked((header & 0xffff) as usize)?;
        self.0 = rest;
        Some(((header >> 16) as u16, vector))
    }

    /// Reads a vector that is all there is: nothing may follow it.
    pub(super) fn last(mut self, read: fn(&mut Self) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
        let vector = read(&mut self)?;
        self.is_empty().then_some(vector)
    }
}
