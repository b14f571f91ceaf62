//! CRC32c (Castagnoli; RFC 3309), by table. Must never be used for anything but detecting accidents.

/// The state before the first byte.
pub(super) const START: u32 = !0;
const POLYNOMIAL: u32 = 0x82f6_3b78;
static TABLE: [u32; 256] = table();

/// Returns the state after `bytes`.
pub(super) fn update(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |state, &byte| TABLE[usize::from(state as u8 ^ byte)] ^ (state >> 8))
}

/// Returns the sum of all bytes up to `state`.
pub(super) const fn finish(state: u32) -> u32 {
    !state
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < table.len() {
        let mut state = at as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 0 { state >> 1 } else { (state >> 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[at] = state;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_rfc_3720_appendix_b_4() {
        let sum = |bytes: &[u8]| finish(update(START, bytes));
        assert_eq!(sum(b"123456789"), 0xe306_9283);
        assert_eq!(sum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(sum(&[0xff; 32]), 0x62a8_ab43);
    }
}
