//! Windows: flow control (RFC 9113 section 5.2), in either direction, of a stream or of the connection.
//!
//! ```text
//!   we may send      SendWindow     SETTINGS can take from it, so that it may be negative
//!   they may send    ReceiveWindow  what has left us is credited, half a window at a time
//! ```
//!
//! Must never let a window grow beyond 2^31-1, nor credit a byte twice.

/// The largest window.
pub const LARGEST_WINDOW: i64 = 0x7fff_ffff;

/// Bytes of a window before anybody says otherwise (section 6.9.2).
pub const FIRST_WINDOW: u32 = 65_535;

/// A window that would be larger than any may be, or less than nothing: FLOW_CONTROL_ERROR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

/// Bytes that we may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendWindow(i64);

impl SendWindow {
    /// Makes a window of `size` bytes.
    pub fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// Returns the bytes that may be sent now.
    #[inline]
    pub fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Takes note of bytes sent, at most [`room`](Self::room).
    #[inline]
    pub fn send(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.room(), "sent more than may be");
        self.0 -= bytes as i64;
    }

    /// Moves the window: by a WINDOW_UPDATE, or by a change of its first size, which may leave less than
    /// nothing.
    #[inline]
    pub fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        self.0 += by;
        if self.0 > LARGEST_WINDOW { Err(Overflow) } else { Ok(()) }
    }
}

/// Bytes that the other end may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveWindow {
    /// Bytes that may come.
    left: i64,
    /// Bytes that came, were passed on, and are not credited yet.
    due: u32,
    size: u32,
}

impl ReceiveWindow {
    /// Makes a window of `size` bytes.
    pub fn new(size: u32) -> Self {
        Self { left: i64::from(size), due: 0, size }
    }

    /// Whether as many bytes may come.
    #[inline]
    pub fn fits(&self, bytes: u32) -> bool {
        self.left >= i64::from(bytes)
    }

    /// Takes note of bytes that came.
    #[inline]
    pub fn receive(&mut self, bytes: u32) -> Result<(), Overflow> {
        self.left -= i64::from(bytes);
        if self.left < 0 { Err(Overflow) } else { Ok(()) }
    }

    /// Takes note of bytes that were passed on; returns the credit to send: nothing before it is worth a
    /// frame.
    #[inline]
    pub fn pass(&mut self, bytes: u32) -> Option<u32> {
        self.due += bytes;
        if self.due < self.size.div_ceil(2).max(1) {
            return None;
        }
        let credit = std::mem::take(&mut self.due);
        self.left += i64::from(credit);
        Some(credit)
    }

    /// Whether everything that came was passed on: a larger window would let more come.
    pub fn is_drained(&self) -> bool {
        self.left + i64::from(self.due) == i64::from(self.size)
    }

    /// Returns the size.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Moves the window to another first size, which the other end knows of from now on: that may leave less
    /// than nothing, which it will not send.
    pub fn rebase(&mut self, from: u32, to: u32) {
        self.left += i64::from(to) - i64::from(from);
        self.size = self.size - from + to;
    }

    /// Makes the window larger; returns the credit to send.
    pub fn grow(&mut self, size: u32) -> u32 {
        let credit = size.saturating_sub(self.size);
        self.size += credit;
        self.left += i64::from(credit);
        credit
    }

    #[cfg(test)]
    fn left(&self) -> i64 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_may_be_negative_and_never_too_large() {
        let mut window = SendWindow::new(FIRST_WINDOW);
        window.send(65_535);
        assert_eq!(window.shift(-65_535), Ok(()));
        assert_eq!(window.room(), 0);
        assert_eq!(window.shift(65_535), Ok(()));
        assert_eq!(window.room(), 0);
        assert_eq!(window.shift(1), Ok(()));
        assert_eq!(window.room(), 1);
        assert_eq!(window.shift(LARGEST_WINDOW - 1), Ok(()));
        assert_eq!(window.shift(1), Err(Overflow));
    }

    #[test]
    fn credit_comes_by_halves() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.receive(100), Ok(()));
        assert_eq!(window.pass(49), None);
        assert_eq!(window.pass(1), Some(50));
        assert_eq!(window.receive(51), Err(Overflow));
    }

    proptest! {
        /// Credit is what was passed on: no byte is lost, and none is given twice.
        #[test]
        fn credit_is_kept(
            size in 1_u32..1_000,
            steps in prop::collection::vec((0_u32..500, 0_u32..500), 0..60),
        ) {
            let mut window = ReceiveWindow::new(size);
            let (mut may, mut held) = (i64::from(size), 0_u32);
            for (come, pass) in steps {
                let come = come.min(u32::try_from(may).unwrap_or(0));
                prop_assert_eq!(window.receive(come), Ok(()));
                (may, held) = (may - i64::from(come), held + come);
                let pass = pass.min(held);
                held -= pass;
                may += i64::from(window.pass(pass).unwrap_or(0));
                if window.is_drained() && window.size() < 2_000 {
                    prop_assert_eq!(held, 0);
                    may += i64::from(window.grow(window.size() * 2));
                }
                prop_assert_eq!(window.left(), may);
                prop_assert!(may + i64::from(held) <= i64::from(window.size()));
                // Half of it is there whenever nothing is held.
                prop_assert!(held > 0 || may * 2 >= i64::from(window.size()) - 1);
            }
        }
    }
}
