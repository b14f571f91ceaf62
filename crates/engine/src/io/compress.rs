//! Compressor: one response's body, compressed as it passes.
//!
//! Streaming: what was fed comes out after a flush at the latest, so that a slow answer is not held back.
//! Memory is bounded and the same for any length. Compressors that can begin anew are kept in a small pool a
//! worker. Output is the bare coding: framing it in chunks is the caller's. Must never decide what is
//! compressed.

use std::fmt;
use std::io;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use headworks_core::http::coding::Coding;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

/// Zstandard: level 3 with windows of 512 KiB; about 1.5 MiB in all. Decoders must take windows of 8 MiB (RFC
/// 9659).
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW_LOG: u32 = 19;
/// Brotli: from quality 5 on it is too slow for answers made on the fly. Windows of 256 KiB; about 1 MiB in
/// all.
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW_LOG: u32 = 18;
/// Gzip: the format's window of 32 KiB; about 300 KiB in all.
const GZIP_LEVEL: u32 = 5;
/// Room made for output before a step; a step that fills it is followed by another.
const ROOM: usize = 4096;
/// Idle compressors kept of each coding, a worker.
const KEPT: usize = 4;

/// Compresses one body. After an error it is of no use but to be dropped.
pub(crate) struct Compressor(Coder);

enum Coder {
    Zstd(Encoder<'static>),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Gzip(Gzip),
}

impl Compressor {
    /// Makes one that has been fed nothing. Fails when there is no memory for it.
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Zstd => {
                let mut encoder = Encoder::new(ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                Coder::Zstd(encoder)
            }
            Coding::Brotli => {
                let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
                state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, BROTLI_QUALITY);
                state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, BROTLI_WINDOW_LOG);
                Coder::Brotli(Box::new(state))
            }
            Coding::Gzip => Coder::Gzip(Gzip::new()),
        }))
    }

    /// Returns the coding that it makes.
    pub(crate) fn coding(&self) -> Coding {
        match &self.0 {
            Coder::Zstd(_) => Coding::Zstd,
            Coder::Brotli(_) => Coding::Brotli,
            Coder::Gzip(_) => Coding::Gzip,
        }
    }

    /// Takes bytes of the body; appends what is ready, which may be nothing.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Coder::Zstd(encoder) => {
                let mut input = InBuffer::around(bytes);
                while input.pos() < bytes.len() {
                    zstd_step(out, |to| encoder.run(&mut input, to))?;
                }
                Ok(())
            }
            Coder::Brotli(state) => {
                brotli_run(state, BrotliEncoderOperation::BROTLI_OPERATION_PROCESS, bytes, out)
            }
            Coder::Gzip(gzip) => gzip.run(bytes, FlushCompress::None, out),
        }
    }

    /// Appends all that was fed and has not come out yet. For when the input runs dry: each flush costs a few
    /// bytes.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Coder::Zstd(encoder) => {
                while zstd_step(out, |to| encoder.flush(to))? > 0 {}
                Ok(())
            }
            Coder::Brotli(state) => {
                brotli_run(state, BrotliEncoderOperation::BROTLI_OPERATION_FLUSH, b"", out)
            }
            Coder::Gzip(gzip) => gzip.run(b"", FlushCompress::Sync, out),
        }
    }

    /// Appends all that is left, and the end. Nothing may be fed after it.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match &mut self.0 {
            Coder::Zstd(encoder) => {
                while zstd_step(out, |to| encoder.finish(to, true))? > 0 {}
                Ok(())
            }
            Coder::Brotli(state) => {
                brotli_run(state, BrotliEncoderOperation::BROTLI_OPERATION_FINISH, b"", out)
            }
            Coder::Gzip(gzip) => gzip.finish(out),
        }
    }

    /// Forgets its body; false when it cannot begin another.
    fn begin_anew(&mut self) -> bool {
        match &mut self.0 {
            Coder::Zstd(encoder) => encoder.reinit().is_ok(),
            Coder::Brotli(_) => false,
            Coder::Gzip(gzip) => {
                gzip.begin_anew();
                true
            }
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compressor").field(&self.coding()).finish()
    }
}

/// A worker's idle compressors: to make one costs more than to compress a small body.
#[derive(Debug, Default)]
pub(crate) struct Compressors {
    idle: [Vec<Compressor>; Coding::ALL.len()],
}

impl Compressors {
    /// Returns a compressor that has been fed nothing.
    pub(crate) fn take(&mut self, coding: Coding) -> io::Result<Compressor> {
        self.idle[coding as usize].pop().map_or_else(|| Compressor::new(coding), Ok)
    }

    /// Takes one back, wherever in its body it was.
    pub(crate) fn give_back(&mut self, mut compressor: Compressor) {
        let idle = &mut self.idle[compressor.coding() as usize];
        if idle.len() < KEPT && compressor.begin_anew() {
            idle.push(compressor);
        }
    }
}

/// Makes room, and lets `step` write into it; what `step` says is left to come out.
fn zstd_step(
    out: &mut Vec<u8>,
    step: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
) -> io::Result<usize> {
    out.reserve(ROOM);
    let written = out.len();
    step(&mut OutBuffer::around_pos(out, written))
}

/// Runs the encoder without room for its output: the encoder keeps it, and it is taken from there.
fn brotli_run(
    state: &mut BrotliEncoderStateStruct<StandardAlloc>,
    operation: BrotliEncoderOperation,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let (mut left, mut taken) = (bytes.len(), 0);
    loop {
        let fine = state.compress_stream(
            operation,
            &mut left,
            bytes,
            &mut taken,
            &mut 0,
            &mut [],
            &mut 0,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !fine {
            return Err(io::Error::other("the brotli encoder failed"));
        }
        while state.has_more_output() {
            // Asked for 0 bytes it gives all it has, says how many, and returns all of its memory from there
            // on.
            let mut length = 0;
            let memory = state.take_output(&mut length);
            out.extend_from_slice(&memory[..length]);
        }
        let finishing = matches!(operation, BrotliEncoderOperation::BROTLI_OPERATION_FINISH);
        if left == 0 && (!finishing || state.is_finished()) {
            return Ok(());
        }
    }
}

/// Deflate in the gzip format (RFC 1952).
struct Gzip {
    deflate: Compress,
    crc: Crc,
    begun: bool,
}

/// Deflate, no name, no time, no extra flags, system unknown.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

impl Gzip {
    fn new() -> Self {
        let deflate = Compress::new(Compression::new(GZIP_LEVEL), false);
        Self { deflate, crc: Crc::new(), begun: false }
    }

    fn begin_anew(&mut self) {
        self.deflate.reset();
        self.crc.reset();
        self.begun = false;
    }

    fn run(&mut self, bytes: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(&GZIP_HEADER);
        }
        self.crc.update(bytes);
        let before = self.deflate.total_in();
        loop {
            out.reserve(ROOM);
            let taken = (self.deflate.total_in() - before) as usize;
            let status = self.deflate.compress_vec(&bytes[taken..], out, flush)?;
            let all_taken = (self.deflate.total_in() - before) as usize == bytes.len();
            // Room left over: there is no more to come.
            if status == Status::StreamEnd || (all_taken && out.len() < out.capacity()) {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.run(b"", FlushCompress::Finish, out)?;
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    /// Returns what a client makes of the body.
    fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        match coding {
            Coding::Zstd => zstd::stream::copy_decode(coded, &mut body).unwrap(),
            Coding::Brotli => brotli::BrotliDecompress(&mut { coded }, &mut body).unwrap(),
            Coding::Gzip => {
                let mut decoder = flate2::read::MultiGzDecoder::new(coded);
                decoder.read_to_end(&mut body).unwrap();
            }
        }
        body
    }

    /// Returns what a client has of the body while the rest is still to come.
    fn decoded_so_far(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        let mut reader: Box<dyn Read> = match coding {
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
            Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
        };
        let mut piece = [0; 512];
        while let Ok(n @ 1..) = reader.read(&mut piece) {
            body.extend_from_slice(&piece[..n]);
        }
        body
    }

    fn text(length: usize) -> Vec<u8> {
        b"All that is fed comes out again, 0123456789 times. ".iter().copied().cycle().take(length).collect()
    }

    /// Makes bytes that cannot be made smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect()
    }

    #[test]
    fn a_client_gets_the_body_back() {
        for coding in Coding::ALL {
            for body in [text(0), text(1), text(100_000), noise(100_000), text(3_000_000)] {
                let (mut compressor, mut coded) = (Compressor::new(coding).unwrap(), Vec::new());
                compressor.feed(&body, &mut coded).unwrap();
                compressor.finish(&mut coded).unwrap();
                assert!(decoded(coding, &coded) == body, "{coding:?}");
            }
        }
    }

    #[test]
    fn text_gets_smaller() {
        for coding in Coding::ALL {
            let (mut compressor, mut coded) = (Compressor::new(coding).unwrap(), Vec::new());
            compressor.feed(&text(100_000), &mut coded).unwrap();
            compressor.finish(&mut coded).unwrap();
            assert!(coded.len() < 2_000, "{coding:?}: {}", coded.len());
        }
    }

    #[test]
    fn a_flush_holds_nothing_back() {
        for coding in Coding::ALL {
            for mut room in [Vec::new(), Vec::with_capacity(10 << 20)] {
                let mut compressor = Compressor::new(coding).unwrap();
                let mut body = Vec::new();
                for part in [text(10), noise(5_000), text(70_000), noise(1)] {
                    body.extend_from_slice(&part);
                    compressor.feed(&part, &mut room).unwrap();
                    compressor.flush(&mut room).unwrap();
                    assert!(decoded_so_far(coding, &room) == body, "{coding:?}");
                }
                compressor.flush(&mut room).unwrap();
                compressor.finish(&mut room).unwrap();
                assert!(decoded(coding, &room) == body, "{coding:?}");
            }
        }
    }

    #[test]
    fn what_was_given_back_begins_anew() {
        let mut compressors = Compressors::default();
        for coding in Coding::ALL {
            let mut left = compressors.take(coding).unwrap();
            left.feed(&text(50_000), &mut Vec::new()).unwrap();
            compressors.give_back(left);
            let (mut compressor, mut coded) = (compressors.take(coding).unwrap(), Vec::new());
            compressor.feed(b"another", &mut coded).unwrap();
            compressor.finish(&mut coded).unwrap();
            assert_eq!(decoded(coding, &coded), b"another", "{coding:?}");
        }
        for _ in 0..2 * KEPT {
            compressors.give_back(Compressor::new(Coding::Gzip).unwrap());
        }
        assert_eq!(compressors.idle[Coding::Gzip as usize].len(), KEPT);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_it_is_fed(
            coding in prop::sample::select(&Coding::ALL[..]),
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3000), any::<bool>()), 0..20),
        ) {
            let (mut compressor, mut coded, mut body) = (Compressor::new(coding).unwrap(), Vec::new(), Vec::new());
            for (part, flush) in parts {
                compressor.feed(&part, &mut coded).unwrap();
                if flush {
                    compressor.flush(&mut coded).unwrap();
                }
                body.extend_from_slice(&part);
            }
            compressor.finish(&mut coded).unwrap();
            prop_assert!(decoded(coding, &coded) == body);
        }
    }
}
