//! Frames of arbitrary bytes, in pieces that the first byte decides: no panic, the same frames in whatever pieces, and no
//! byte of a body lost or counted twice.

#![no_main]

use headworks_core::wire::http2::ErrorCode;
use headworks_core::wire::http2::frames::{Frame, FrameReader};
use libfuzzer_sys::fuzz_target;

/// What frames there are, the pieces of bodies put together.
fn read(bytes: &[u8], step: usize) -> (Vec<String>, Vec<u8>, u64, Option<ErrorCode>) {
    let (mut reader, mut frames, mut body, mut counted) = (FrameReader::default(), Vec::new(), Vec::new(), 0);
    for mut input in bytes.chunks(step) {
        loop {
            match reader.next(&mut input) {
                Ok(Some(Frame::Data(piece))) => {
                    body.extend_from_slice(piece.bytes);
                    counted += u64::from(piece.counted);
                    if piece.first {
                        frames.push(format!("body {} {}", piece.stream, piece.content));
                    }
                    if piece.end_stream {
                        frames.push("end".into());
                    }
                }
                Ok(Some(frame)) => frames.push(format!("{frame:?}")),
                Ok(None) => break,
                Err(code) => return (frames, body, counted, Some(code)),
            }
        }
        assert!(input.is_empty());
    }
    (frames, body, counted, None)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, usize::MAX);
    assert!(whole.1.len() as u64 <= whole.2);
    assert_eq!(read(bytes, usize::from(*first).max(1)), whole);
});
