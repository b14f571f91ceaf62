//! Block: sixteen bytes looked at together, by SSE2 where there is x86-64, which always has it.
//!
//! Every question is answered by a set of positions: bit `n` stands for byte `n`. The two ways to answer
//! stand side by side and give the same sets ([`Portable`] is what a property test holds the other to). Must
//! never know where in a head the bytes are.

/// Bytes in a block.
pub(crate) const SIZE: usize = 16;

/// Sixteen bytes, as this machine looks at them best.
#[cfg(target_arch = "x86_64")]
pub(crate) type Block = sse2::Block;
/// Sixteen bytes, as this machine looks at them best.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) type Block = Portable;

/// Finds the first byte at or after `from` that `of` marks; the length of `bytes` if there is none.
#[inline]
pub(crate) fn find(bytes: &[u8], from: usize, of: fn(Block) -> u32) -> usize {
    let mut at = from;
    while let Some(block) = block_at(bytes, at) {
        let found = of(Block::new(block));
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += SIZE;
    }
    find_in_last(bytes, at, of)
}

/// Returns the block that begins at `at`, where there is a whole one.
#[inline]
pub(crate) fn block_at(bytes: &[u8], at: usize) -> Option<&[u8; SIZE]> {
    bytes.get(at..)?.first_chunk()
}

/// Looks at the last bytes, which are no whole block, as the end of one.
#[inline(never)]
pub(crate) fn find_in_last(bytes: &[u8], from: usize, of: fn(Block) -> u32) -> usize {
    let Last { block, shift } = last(bytes, from);
    bytes.len().min(from + (of(block) >> shift).trailing_zeros() as usize)
}

/// The bytes at the end that fill no block of their own.
pub(crate) struct Last {
    /// A block that has them.
    pub(crate) block: Block,
    /// Its bytes before them: marks are shifted right by as many. Where there are too few bytes for any block,
    /// zeros follow them; a caller ends at the length.
    pub(crate) shift: u32,
}

/// Returns the bytes from `from` on, fewer than a block.
#[inline]
pub(crate) fn last(bytes: &[u8], from: usize) -> Last {
    let rest = bytes.len().saturating_sub(from);
    debug_assert!(rest < SIZE, "a whole block is left");
    if let Some(block) = bytes.last_chunk() {
        return Last { block: Block::new(block), shift: (SIZE - rest) as u32 };
    }
    let mut filled = [0; SIZE];
    filled[..rest].copy_from_slice(&bytes[bytes.len() - rest..]);
    Last { block: Block::new(&filled), shift: 0 }
}

#[cfg(target_arch = "x86_64")]
#[allow(
    unsafe_code,
    reason = "vector instructions: every x86-64 has those of SSE2, which are all that is used"
)]
mod sse2 {
    use core::arch::x86_64::{
        __m128i, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_min_epu8,
        _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_sub_epi8,
    };

    /// Sixteen bytes in a register.
    #[derive(Clone, Copy)]
    pub(crate) struct Block(__m128i);

    impl Block {
        /// Takes sixteen bytes.
        #[inline]
        pub(crate) fn new(bytes: &[u8; super::SIZE]) -> Self {
            // SAFETY: SSE2 is there, and all sixteen bytes may be read, at any alignment.
            Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        }

        /// Marks the bytes that end a text: controls but HTAB.
        #[inline]
        pub(crate) fn ends_of_text(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe {
                let low = self.at_most(0x1f);
                marks(_mm_or_si128(_mm_andnot_si128(self.is(b'\t'), low), self.is(0x7f)))
            }
        }

        /// Marks the bytes that end a request target: all but visible ASCII, and `#`.
        #[inline]
        pub(crate) fn ends_of_target(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe {
                let high = _mm_cmpeq_epi8(_mm_max_epu8(self.0, all(0x7f)), self.0);
                marks(_mm_or_si128(_mm_or_si128(self.at_most(0x20), high), self.is(b'#')))
            }
        }

        /// Marks the colons.
        #[inline]
        pub(crate) fn colons(self) -> u32 {
            marks(self.is(b':'))
        }

        /// Marks the dots.
        #[inline]
        pub(crate) fn dots(self) -> u32 {
            marks(self.is(b'.'))
        }

        /// Marks the slashes.
        #[inline]
        pub(crate) fn slashes(self) -> u32 {
            marks(self.is(b'/'))
        }

        /// Marks the percent signs.
        #[inline]
        pub(crate) fn percents(self) -> u32 {
            marks(self.is(b'%'))
        }

        /// Marks the bytes that end a path: `?` and `#`.
        #[inline]
        pub(crate) fn ends_of_path(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe { marks(_mm_or_si128(self.is(b'?'), self.is(b'#'))) }
        }

        /// Marks the tildes.
        #[inline]
        pub(crate) fn tildes(self) -> u32 {
            marks(self.is(b'~'))
        }

        /// Marks the bytes that are no ASCII.
        #[inline]
        pub(crate) fn high(self) -> u32 {
            marks(self.0)
        }

        /// Marks the controls.
        #[inline]
        pub(crate) fn controls(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe { marks(_mm_or_si128(self.at_most(0x1f), self.is(0x7f))) }
        }

        /// Marks the bytes that no name of a host has: all but ASCII letters, digits, `-`, `_`, `~` and `.`.
        #[inline]
        pub(crate) fn ends_of_host(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe {
                let letters_and_digits = _mm_or_si128(self.letters(), self.range(b'0', 9));
                let dots_and_hyphens = self.range(b'-', 1);
                let others = _mm_or_si128(self.is(b'_'), self.is(b'~'));
                marks(_mm_or_si128(_mm_or_si128(letters_and_digits, dots_and_hyphens), others)) ^ 0xffff
            }
        }

        /// Marks the bytes that few names have: all but ASCII letters and hyphens.
        #[inline]
        pub(crate) fn rare_in_names(self) -> u32 {
            // SAFETY: SSE2 is there.
            unsafe { marks(_mm_or_si128(self.letters(), self.is(b'-'))) ^ 0xffff }
        }

        #[inline]
        fn letters(self) -> __m128i {
            // SAFETY: SSE2 is there.
            unsafe { Self(_mm_or_si128(self.0, all(0x20))).range(b'a', 25) }
        }

        /// Marks `first` and the `more` bytes that follow it.
        #[inline]
        fn range(self, first: u8, more: u8) -> __m128i {
            // SAFETY: SSE2 is there.
            unsafe {
                let from_first = _mm_sub_epi8(self.0, all(first));
                _mm_cmpeq_epi8(_mm_min_epu8(from_first, all(more)), from_first)
            }
        }

        #[inline]
        fn is(self, byte: u8) -> __m128i {
            // SAFETY: SSE2 is there.
            unsafe { _mm_cmpeq_epi8(self.0, all(byte)) }
        }

        #[inline]
        fn at_most(self, byte: u8) -> __m128i {
            // SAFETY: SSE2 is there.
            unsafe { _mm_cmpeq_epi8(_mm_min_epu8(self.0, all(byte)), self.0) }
        }
    }

    #[inline]
    fn all(byte: u8) -> __m128i {
        // SAFETY: SSE2 is there.
        unsafe { _mm_set1_epi8(byte as i8) }
    }

    #[inline]
    fn marks(lanes: __m128i) -> u32 {
        // SAFETY: SSE2 is there.
        unsafe { _mm_movemask_epi8(lanes) as u32 }
    }
}

/// Sixteen bytes, looked at one by one.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[derive(Clone, Copy)]
pub(crate) struct Portable([u8; SIZE]);

#[cfg(any(test, not(target_arch = "x86_64")))]
impl Portable {
    /// Takes sixteen bytes.
    #[inline]
    pub(crate) fn new(bytes: &[u8; SIZE]) -> Self {
        Self(*bytes)
    }

    /// Marks the bytes that end a text: controls but HTAB.
    #[inline]
    pub(crate) fn ends_of_text(self) -> u32 {
        self.marks(|byte| byte.is_ascii_control() && byte != b'\t')
    }

    /// Marks the bytes that end a request target: all but visible ASCII, and `#`.
    #[inline]
    pub(crate) fn ends_of_target(self) -> u32 {
        self.marks(|byte| !byte.is_ascii_graphic() || byte == b'#')
    }

    /// Marks the colons.
    #[inline]
    pub(crate) fn colons(self) -> u32 {
        self.marks(|byte| byte == b':')
    }

    /// Marks the dots.
    #[inline]
    pub(crate) fn dots(self) -> u32 {
        self.marks(|byte| byte == b'.')
    }

    /// Marks the slashes.
    #[inline]
    pub(crate) fn slashes(self) -> u32 {
        self.marks(|byte| byte == b'/')
    }

    /// Marks the percent signs.
    #[inline]
    pub(crate) fn percents(self) -> u32 {
        self.marks(|byte| byte == b'%')
    }

    /// Marks the bytes that end a path: `?` and `#`.
    #[inline]
    pub(crate) fn ends_of_path(self) -> u32 {
        self.marks(|byte| matches!(byte, b'?' | b'#'))
    }

    /// Marks the tildes.
    #[inline]
    pub(crate) fn tildes(self) -> u32 {
        self.marks(|byte| byte == b'~')
    }

    /// Marks the bytes that are no ASCII.
    #[inline]
    pub(crate) fn high(self) -> u32 {
        self.marks(|byte| !byte.is_ascii())
    }

    /// Marks the controls.
    #[inline]
    pub(crate) fn controls(self) -> u32 {
        self.marks(|byte| byte.is_ascii_control())
    }

    /// Marks the bytes that no name of a host has: all but ASCII letters, digits, `-`, `_`, `~` and `.`.
    #[inline]
    pub(crate) fn ends_of_host(self) -> u32 {
        self.marks(|byte| !byte.is_ascii_alphanumeric() && !b"-_~.".contains(&byte))
    }

    /// Marks the bytes that nearly no name has: all but ASCII letters and hyphens.
    #[inline]
    pub(crate) fn rare_in_names(self) -> u32 {
        self.marks(|byte| !byte.is_ascii_alphabetic() && byte != b'-')
    }

    #[inline]
    fn marks(self, of: impl Fn(u8) -> bool) -> u32 {
        let mark = |(at, byte): (usize, &u8)| u32::from(of(*byte)) << at;
        self.0.iter().enumerate().map(mark).fold(0, |marks, mark| marks | mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8; SIZE]) {
        let (fast, plain) = (Block::new(bytes), Portable::new(bytes));
        assert_eq!(fast.ends_of_text(), plain.ends_of_text(), "{bytes:?}");
        assert_eq!(fast.ends_of_target(), plain.ends_of_target(), "{bytes:?}");
        assert_eq!(fast.colons(), plain.colons(), "{bytes:?}");
        assert_eq!(fast.rare_in_names(), plain.rare_in_names(), "{bytes:?}");
        assert_eq!(fast.dots(), plain.dots(), "{bytes:?}");
        assert_eq!(fast.slashes(), plain.slashes(), "{bytes:?}");
        assert_eq!(fast.percents(), plain.percents(), "{bytes:?}");
        assert_eq!(fast.ends_of_path(), plain.ends_of_path(), "{bytes:?}");
        assert_eq!(fast.tildes(), plain.tildes(), "{bytes:?}");
        assert_eq!(fast.high(), plain.high(), "{bytes:?}");
        assert_eq!(fast.controls(), plain.controls(), "{bytes:?}");
        assert_eq!(fast.ends_of_host(), plain.ends_of_host(), "{bytes:?}");
    }

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..SIZE {
                let mut bytes = [b'a'; SIZE];
                bytes[place] = byte;
                check(&bytes);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(bytes: [u8; SIZE]) {
            check(&bytes);
        }

        #[test]
        fn the_first_is_found(bytes in proptest::collection::vec(0x1d_u8..0x24, 0..70), from in 0_usize..80) {
            let plain = (from..bytes.len()).find(|at| bytes[*at].is_ascii_control());
            let found = find(&bytes, from, Block::ends_of_text);
            assert_eq!(found, plain.unwrap_or(bytes.len()));
        }
    }
}
