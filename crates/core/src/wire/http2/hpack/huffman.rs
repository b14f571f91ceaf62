//! The code of HPACK's strings (RFC 7541 section 5.2 and appendix B). It is canonical: the lengths of the
//! codes say the codes.
//!
//! Must never accept what was not padded as it must be, or the code for the end of a text.

/// Bits of the code of each byte; the last one is the end of the text.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Bits of the longest code.
const LONGEST: usize = 30;

/// The code for the end of the text, which no text has.
const END: u16 = 256;

/// For every length: the first code that has it, the number of such codes, and the place of the first in
/// [`Canon::symbols`].
struct Canon {
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    place: [u16; LONGEST + 1],
    /// Symbols by length of their code, then in order.
    symbols: [u16; 257],
}

static CANON: Canon = Canon::new();

impl Canon {
    const fn new() -> Self {
        let mut canon = Self {
            first: [0; LONGEST + 1],
            count: [0; LONGEST + 1],
            place: [0; LONGEST + 1],
            symbols: [0; 257],
        };
        let (mut code, mut place, mut length) = (0, 0, 1);
        while length <= LONGEST {
            code <<= 1;
            canon.first[length] = code;
            canon.place[length] = place;
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == length {
                    canon.symbols[place as usize] = symbol as u16;
                    place += 1;
                    code += 1;
                }
                symbol += 1;
            }
            canon.count[length] = code - canon.first[length];
            length += 1;
        }
        canon
    }
}

/// Decodes a text; None when it is none.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    // The shortest codes have five bits.
    let mut text = Vec::with_capacity(coded.len() * 8 / 5);
    let (mut code, mut length) = (0_u32, 0);
    for byte in coded {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            length += 1;
            let offset = code.wrapping_sub(CANON.first[length]);
            if offset < CANON.count[length] {
                let symbol = CANON.symbols[CANON.place[length] as usize + offset as usize];
                text.push(u8::try_from(symbol).ok().filter(|_| symbol != END)?);
                (code, length) = (0, 0);
            } else if length == LONGEST {
                return None;
            }
        }
    }
    // What is left is the beginning of the code for the end: ones, and less than a byte of them.
    (length < 8 && code == (1 << length) - 1).then_some(text)
}

#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let (mut coded, mut bits, mut held) = (Vec::new(), 0_u64, 0);
    for byte in text {
        let length = usize::from(LENGTHS[usize::from(*byte)]);
        let among = &CANON.symbols[CANON.place[length] as usize..];
        let at = among.iter().position(|symbol| *symbol == u16::from(*byte)).unwrap();
        bits = bits << length | u64::from(CANON.first[length] + at as u32);
        held += length;
        while held >= 8 {
            held -= 8;
            coded.push((bits >> held) as u8);
        }
    }
    if held > 0 {
        coded.push((bits << (8 - held)) as u8 | (0xff >> held));
    }
    coded
}
