//! The Huffman code of RFC 7541 appendix B, which is canonical: the lengths of the codes say all of it, since
//! codes of one length count up in the order of their symbols.
//!
//! Decoding looks at ten bits at once; longer codes, of bytes that are rare in fields, are found by the first
//! code of each length. Must never take the end-of-string code, nor padding that is not its beginning.

/// The bits of each byte's code, and of that which ends a string and is never sent.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, //
    28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, //
    10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, //
    15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, //
    6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, //
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, //
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, //
    23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, //
    26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, //
    28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const LONGEST: usize = 30;
const END: u16 = 256;

/// Bits looked at together.
const LOOK: u32 = 10;

/// The code of each symbol, in its low bits.
static CODES: [u32; 257] = codes();

/// The symbol that ten bits begin with, and above it the length of its code; 0 for longer codes.
static SHORT: [u16; 1 << LOOK] = short();

/// The codes of each length.
static LONG: [Run; LONGEST + 1] = runs();

/// Symbols in the order of their codes.
static SYMBOLS: [u16; 257] = symbols();

/// The codes of one length: they count up from `first`.
#[derive(Clone, Copy)]
struct Run {
    first: u32,
    /// One past the last code, with its bits at the top of 32; 64 bits wide, since that may be 2^32.
    limit: u64,
    /// The place of the first one's symbol in [`SYMBOLS`].
    place: u16,
}

/// Returns the most bytes that a coded string of `length` bytes stands for.
#[inline]
pub(super) fn most(length: usize) -> usize {
    length * 8 / 5
}

/// Appends what a coded string stands for; None: no code, or wrong padding.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    out.resize(start + most(coded.len()), 0);
    let written = decode_into(coded, &mut out[start..]);
    out.truncate(start + written.unwrap_or(0));
    written.map(|_| ())
}

/// Decodes into a place that has room for all of it; returns the bytes written.
#[inline]
fn decode_into(coded: &[u8], out: &mut [u8]) -> Option<usize> {
    // `bits` holds `held` bits of the string at its top; below them all bits are 0.
    let (mut bits, mut held, mut at, mut written) = (0_u64, 0_u32, 0, 0);
    loop {
        if held < LONGEST as u32 {
            (bits, held, at) = refill(coded, bits, held, at);
        }
        if held < LOOK {
            break;
        }
        let found = SHORT[(bits >> (64 - LOOK)) as usize];
        let (symbol, length) = if found == 0 { long(bits)? } else { (found & 0xff, u32::from(found >> 8)) };
        if length > held {
            break;
        }
        *out.get_mut(written)? = symbol as u8;
        (written, bits, held) = (written + 1, bits << length, held - length);
    }
    finish(bits, held, out, written)
}

/// Adds whole bytes of the string below the bits that are held.
#[inline]
fn refill(coded: &[u8], bits: u64, held: u32, at: usize) -> (u64, u32, usize) {
    if let Some(word) = coded.get(at..).and_then(<[u8]>::first_chunk) {
        let taken = (63 - held) / 8;
        let word = u64::from_be_bytes(*word) >> (64 - 8 * taken) << (64 - 8 * taken);
        return (bits | word >> held, held + 8 * taken, at + taken as usize);
    }
    let (mut bits, mut held, mut at) = (bits, held, at);
    while held <= 56
        && let Some(byte) = coded.get(at)
    {
        bits |= u64::from(*byte) << (56 - held);
        (held, at) = (held + 8, at + 1);
    }
    (bits, held, at)
}

/// Decodes what is left when fewer bits are held than are looked at: short codes, then padding.
#[inline]
fn finish(mut bits: u64, mut held: u32, out: &mut [u8], mut written: usize) -> Option<usize> {
    loop {
        // As if the string went on with the code that never comes.
        let padded = bits | u64::MAX.checked_shr(held).unwrap_or(0);
        let found = SHORT[(padded >> (64 - LOOK)) as usize];
        let length = u32::from(found >> 8);
        if found == 0 || length > held {
            // Less than a byte, and nothing but ones (section 5.2).
            return (held < 8 && padded == u64::MAX).then_some(written);
        }
        *out.get_mut(written)? = found as u8;
        (written, bits, held) = (written + 1, bits << length, held - length);
    }
}

/// Finds the code of more than ten bits that the top of `bits` begins with.
#[cold]
fn long(bits: u64) -> Option<(u16, u32)> {
    let top = (bits >> 32) as u32;
    let length = (LOOK as usize + 1..=LONGEST).find(|length| u64::from(top) < LONG[*length].limit)?;
    let run = LONG[length];
    let code = top >> (32 - length);
    let symbol = SYMBOLS[usize::from(run.place) + (code - run.first) as usize];
    (symbol != END).then_some((symbol, length as u32))
}

/// Returns the bytes that a string takes when it is coded.
#[inline]
pub(super) fn length(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|byte| usize::from(LENGTHS[usize::from(*byte)])).sum();
    bits.div_ceil(8)
}

/// Appends a string, coded.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u64, 0_u32);
    for byte in text {
        let length = u32::from(LENGTHS[usize::from(*byte)]);
        bits = bits << length | u64::from(CODES[usize::from(*byte)]);
        held += length;
        if held >= 32 {
            held -= 32;
            out.extend_from_slice(&((bits >> held) as u32).to_be_bytes());
        }
    }
    let padding = (8 - held % 8) % 8;
    let bits = (bits << padding | ((1 << padding) - 1)) << (64 - held - padding).min(63);
    let bytes = ((held + padding) / 8) as usize;
    out.extend_from_slice(&bits.to_be_bytes()[..bytes]);
}

const fn symbols() -> [u16; 257] {
    let mut symbols = [0; 257];
    let (mut length, mut place) = (0, 0);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                symbols[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
}

const fn runs() -> [Run; LONGEST + 1] {
    let mut runs = [Run { first: 0, limit: 0, place: 0 }; LONGEST + 1];
    let (mut length, mut code, mut place) = (1, 0_u32, 0);
    while length <= LONGEST {
        code <<= 1;
        let first = code;
        let mut symbol = 0;
        let mut count = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                count += 1;
            }
            symbol += 1;
        }
        code += count;
        runs[length] = Run { first, limit: (code as u64) << (32 - length), place };
        place += count as u16;
        length += 1;
    }
    runs
}

const fn codes() -> [u32; 257] {
    let (runs, mut codes, mut symbol) = (runs(), [0; 257], 0);
    let mut next = [0; LONGEST + 1];
    while symbol < 257 {
        let length = LENGTHS[symbol] as usize;
        codes[symbol] = runs[length].first + next[length];
        next[length] += 1;
        symbol += 1;
    }
    codes
}

const fn short() -> [u16; 1 << LOOK] {
    let (codes, mut short, mut symbol) = (codes(), [0; 1 << LOOK], 0);
    while symbol < 256 {
        let length = LENGTHS[symbol] as u32;
        if length <= LOOK {
            let first = (codes[symbol] << (LOOK - length)) as usize;
            let mut place = 0;
            while place < 1 << (LOOK - length) {
                short[first + place] = symbol as u16 | (length as u16) << 8;
                place += 1;
            }
        }
        symbol += 1;
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The code once more, a bit at a time.
    fn slowly(coded: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut code, mut length) = (Vec::new(), 0_u32, 0_u8);
        for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| u32::from(byte >> bit & 1))) {
            (code, length) = (code << 1 | bit, length + 1);
            match (0..257).find(|symbol| LENGTHS[*symbol] == length && CODES[*symbol] == code) {
                Some(256) => return None,
                Some(symbol) => {
                    out.push(symbol as u8);
                    (code, length) = (0, 0);
                }
                None if length == 30 => return None,
                None => {}
            }
        }
        (length < 8 && code == (1 << length) - 1).then_some(out)
    }

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let result = decode(coded, &mut out).map(|()| out.split_off(6));
        assert!(result.is_some() || out == b"before");
        result
    }

    #[test]
    fn codes_of_the_standard() {
        for (symbol, code) in [
            (b'0', 0x0),
            (b'a', 0x3),
            (b' ', 0x14),
            (b':', 0x5c),
            (b'&', 0xf8),
            (b'!', 0x3f8),
            (b'\\', 0x7fff0),
            (0, 0x1ff8),
            (10, 0x3fff_fffc),
            (255, 0x3ff_ffee),
        ] {
            assert_eq!(CODES[usize::from(symbol)], code, "{symbol}");
        }
        assert_eq!(CODES[256], 0x3fff_ffff);
        // No code is missing: together they fill all of the space.
        let filled: u64 = LENGTHS.iter().map(|length| 1 << (32 - length)).sum();
        assert_eq!(filled, 1 << 32);
    }

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255 {
            for text in [&[byte][..], &[byte; 9], &[b'a', byte, b'0']] {
                let mut coded = Vec::new();
                encode(text, &mut coded);
                assert_eq!(coded.len(), length(text));
                assert_eq!(decoded(&coded).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        // `0` and padding; a zero in it; eight bits of it; the code that ends a string.
        for (coded, text) in [
            (&[0x07][..], Some(&b"0"[..])),
            (&[0x06], None),
            (&[0x07, 0xff], None),
            (&[0xff], None),
            (&[0xff, 0xff, 0xff, 0xff], None),
            (&[], Some(b"")),
        ] {
            assert_eq!(decoded(coded).as_deref(), text, "{coded:x?}");
        }
    }

    proptest! {
        #[test]
        fn texts_come_back(text: Vec<u8>, plain in "[ -~]{0,80}") {
            for text in [&text[..], plain.as_bytes()] {
                let mut coded = Vec::new();
                encode(text, &mut coded);
                prop_assert_eq!(coded.len(), length(text));
                let again = decoded(&coded);
                prop_assert_eq!(again.as_deref(), Some(text));
            }
        }

        #[test]
        fn any_bytes_are_read_as_they_are_slowly(mut coded: Vec<u8>, ones in 0_usize..5) {
            coded.extend(std::iter::repeat_n(0xff, ones));
            prop_assert_eq!(decoded(&coded), slowly(&coded));
        }
    }
}
