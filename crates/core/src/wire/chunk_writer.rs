//! Writing the chunked transfer coding (RFC 9112 section 7.1). Reading it is the codec's.

/// Appends `bytes` as one chunk. Nothing for no bytes: a chunk of size 0 would be the last one.
#[inline]
pub fn chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    chunk_begin(out, bytes.len());
    out.extend_from_slice(bytes);
    chunk_end(out);
}

/// Appends what comes before the `length` bytes of a chunk, which must not be 0.
pub fn chunk_begin(out: &mut Vec<u8>, length: usize) {
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(length >> (4 * place)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what comes after the bytes of a chunk.
#[inline]
pub fn chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and the end of the body, without trailers.
#[inline]
pub fn last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_hexadecimal() {
        for length in [1, 9, 10, 15, 16, 255, 256, 4095, 65_536, 0x0012_3456, usize::MAX] {
            let mut out = Vec::new();
            chunk_begin(&mut out, length);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{length:x}\r\n"));
        }
    }

    #[test]
    fn a_body() {
        let mut out = Vec::new();
        for part in ["hello, ", "", "chunked world"] {
            chunk(&mut out, part.as_bytes());
        }
        last_chunk(&mut out);
        assert_eq!(out, b"7\r\nhello, \r\nd\r\nchunked world\r\n0\r\n\r\n");
    }
}
