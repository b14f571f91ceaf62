//! What generator and origin agree on: sizes and contents of requests and answers, and the pattern of bulk bytes.
//! Both ends compare what arrives with what was agreed, so a lost, doubled or swapped byte is an error of the run.

/// Bytes of every answer.
pub const ANSWER: usize = 200;
/// Bytes of a bulk header: total to move, then zeros.
pub const BULK_HEADER: usize = 16;
/// Largest piece of bulk written or read at once.
pub const CHUNK: usize = 256 * 1024;
/// First byte of a TLS handshake record: its own length follows, whatever the request size is.
const HANDSHAKE: u8 = 0x16;
/// The pattern's period is prime, so that a skipped or repeated buffer of any usual size shows.
const PERIOD: usize = 65_521;

/// The bytes every origin answers with.
pub fn answer() -> [u8; ANSWER] {
    std::array::from_fn(|index| b'a' + (index % 26) as u8)
}

/// A request of `length` bytes; never mistaken for a hello.
pub fn request(length: usize) -> Vec<u8> {
    (0..length).map(|index| b'A' + (index % 26) as u8).collect()
}

/// Length of the message that starts with `head`: a TLS record by its own length, anything else `otherwise`.
/// `None`: not enough bytes to know.
pub fn message_length(head: &[u8], otherwise: usize) -> Option<usize> {
    match head {
        [] => None,
        [HANDSHAKE, _, _, high, low, ..] => Some(5 + usize::from(u16::from_be_bytes([*high, *low]))),
        [HANDSHAKE, ..] => None,
        _ => Some(otherwise),
    }
}

/// Whether a message that starts with `head` is a TLS record.
pub fn is_hello(head: &[u8]) -> bool {
    head.first() == Some(&HANDSHAKE)
}

/// The header that asks a bulk origin to move `total` bytes.
pub fn bulk_header(total: u64) -> [u8; BULK_HEADER] {
    let mut header = [0; BULK_HEADER];
    header[..8].copy_from_slice(&total.to_be_bytes());
    header
}

/// The total a bulk header asks for.
pub fn bulk_total(header: &[u8; BULK_HEADER]) -> u64 {
    header[..8].iter().fold(0, |total, byte| total << 8 | u64::from(*byte))
}

/// The bytes of a bulk transfer, at any position.
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// One period and a chunk more, so that every position has a whole chunk in one piece.
    pub fn new() -> Self {
        let byte = |index: usize| {
            let mixed = ((index % PERIOD) as u32).wrapping_mul(0x9e37_79b1);
            (mixed >> 24) as u8
        };
        Self((0..PERIOD + CHUNK).map(byte).collect())
    }

    /// At most a chunk of the pattern from `position` on, and at most `most` bytes.
    pub fn at(&self, position: u64, most: u64) -> &[u8] {
        let start = (position % PERIOD as u64) as usize;
        let length = most.min(CHUNK as u64) as usize;
        &self.0[start..start + length]
    }

    /// Whether `piece` is what belongs at `position`.
    pub fn matches(&self, position: u64, piece: &[u8]) -> bool {
        self.at(position, piece.len() as u64) == piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_record_or_a_request() {
        assert_eq!(message_length(&[], 100), None);
        assert_eq!(message_length(&[0x16, 3, 1, 2], 100), None);
        assert_eq!(message_length(&[0x16, 3, 1, 2, 0], 100), Some(517));
        assert_eq!(message_length(b"A", 100), Some(100));
    }

    #[test]
    fn a_bulk_header_says_its_total_and_is_no_hello() {
        let header = bulk_header(1 << 30);
        assert_eq!(bulk_total(&header), 1 << 30);
        assert_eq!(message_length(&header, BULK_HEADER), Some(BULK_HEADER));
    }

    #[test]
    fn the_pattern_shows_a_skipped_buffer() {
        let pattern = Pattern::new();
        for position in [0, 1, 65_520, 65_521, 1 << 33] {
            let piece = pattern.at(position, u64::MAX).to_vec();
            assert_eq!(piece.len(), CHUNK);
            assert!(pattern.matches(position, &piece));
            for skipped in [1, 4096, 16_384, 65_536, 1 << 20] {
                assert!(!pattern.matches(position + skipped, &piece));
            }
        }
    }
}
