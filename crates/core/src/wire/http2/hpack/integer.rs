//! Integers (RFC 7541 section 5.1): in the low bits of a byte, and in bytes of seven bits after it.

/// Bytes after the first, at most: nothing here counts beyond 2^28.
const MOST: usize = 4;

/// Reads the integer whose first byte was read as `first`, of which `bits` are its own.
#[inline]
pub(super) fn read(first: u8, bits: u32, bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mask = (1 << bits) - 1;
    let value = usize::from(first) & mask;
    if value < mask { Some(value) } else { read_rest(value, bytes, at) }
}

fn read_rest(mut value: usize, bytes: &[u8], at: &mut usize) -> Option<usize> {
    for (place, byte) in bytes.get(*at..)?.iter().take(MOST).enumerate() {
        value += usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *at += place + 1;
            return Some(value);
        }
    }
    None
}

/// Appends an integer in `bits` of a byte whose other bits are `first`.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, first: u8, bits: u32, mut value: usize) {
    let mask = (1 << bits) - 1;
    if value < mask {
        out.push(first | value as u8);
        return;
    }
    out.push(first | mask as u8);
    value -= mask;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_standard() {
        for (value, bits, bytes) in
            [(10, 5, &[0x0a][..]), (1337, 5, &[0x1f, 0x9a, 0x0a]), (42, 8, &[0x2a]), (31, 5, &[0x1f, 0])]
        {
            let mut out = Vec::new();
            write(&mut out, 0, bits, value);
            assert_eq!(out, bytes);
            let mut at = 1;
            assert_eq!((read(bytes[0], bits, bytes, &mut at), at), (Some(value), bytes.len()));
        }
    }

    #[test]
    fn what_has_no_end_or_no_measure_is_refused() {
        for bytes in [&[0xff][..], &[0xff, 0x80], &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]] {
            assert_eq!(read(0xff, 7, bytes, &mut 1), None);
        }
    }
}
