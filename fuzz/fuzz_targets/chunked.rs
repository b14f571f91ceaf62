//! The chunked coding on arbitrary bytes: no panic, the same content whatever the pieces, and what was taken for content
//! is there when it is chunked again.

#![no_main]

use headworks_core::message::Framing;
use headworks_core::wire::body::Body;
use headworks_core::wire::http1::{Limits, Malformed};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 8192, fields: 64, line: 8192 };

type Passed = Result<(Vec<u8>, usize, bool), Malformed>;

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let whole = pass([bytes]);
    assert_eq!(pass(bytes.chunks(1 + usize::from(*size))), whole);
    assert_eq!(pass(bytes.chunks(1)), whole);
    let Ok((content, taken, done)) = whole else { return };
    assert!(taken <= bytes.len() && (done || taken == bytes.len()));
    if !done {
        return;
    }
    assert!(bytes[..taken].ends_with(b"\r\n"));
    let mut again = Vec::new();
    for piece in content.chunks(1 + usize::from(*size)) {
        again.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
        again.extend_from_slice(piece);
        again.extend_from_slice(b"\r\n");
    }
    again.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(pass([&again[..]]), Ok((content, again.len(), true)));
});

/// Content, bytes taken, and whether that was all.
fn pass<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Passed {
    let mut body = Body::new(Framing::Chunked, &LIMITS);
    let (mut content, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let unseen = body.unseen();
        let (length, done) = body.decode(piece, &mut |bytes| content.extend_from_slice(bytes))?;
        assert!(length as u64 >= unseen.min(piece.len() as u64));
        taken += length;
        if done {
            break;
        }
        assert_eq!(length, piece.len());
    }
    Ok((content, taken, body.is_done()))
}
