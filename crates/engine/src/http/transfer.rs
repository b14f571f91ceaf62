//! Transfer: the body of one message, from one socket to another, by count: it stops where the body does.
//!
//! One for both directions. Passed on as it came (spliced where much of it needs no look), or in another shape: without
//! chunks for a client that knows none, or compressed. Back-pressure is the lane's: what the receiver does not take waits,
//! and nothing more is read. Must never know which side it reads from or what a message means.

use std::io;

use headworks_core::buffer::Buffer;
use headworks_core::wire::body::Body;

use headworks_core::wire::chunk_writer::{chunk, last_chunk};

use super::compress::Compressor;
use super::desk::Desk;
use crate::connection::Lane;
use crate::pipes::{PIPE_SIZE, Pipes};
use crate::relay::{READS, Stop, TURN};
use crate::socket::{Read, Socket, Written};

/// Why a transfer stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The sender has nothing more now.
    Dry,
    /// The receiver takes no more now.
    Full,
    /// It had its turn; more may be there.
    Unfinished,
    /// The whole body is delivered.
    Done,
    /// The sender ended before its body did.
    Cut,
    /// The sender's framing is malformed.
    Malformed,
    /// The body is larger than it may be: what went beyond was not passed on.
    TooLarge,
    /// The sender is broken.
    SourceBroken,
    /// The receiver is broken.
    SinkBroken,
}

/// The form in which a body is passed on.
#[derive(Debug, Default)]
pub(crate) enum Shape {
    /// As it came.
    #[default]
    Same,
    /// Its data alone, without chunks.
    Bare,
    /// Compressed, in chunks.
    Compressed(Box<Coded>),
}

/// A compressor, and what it has made before that is framed.
#[derive(Debug)]
pub(crate) struct Coded {
    /// It.
    pub(crate) compressor: Compressor,
    made: Vec<u8>,
    /// It was given something that it has not been made to give back.
    owes: bool,
}

impl Coded {
    /// With nothing made.
    pub(crate) fn new(compressor: Compressor) -> Self {
        Self { compressor, made: Vec::new(), owes: false }
    }

    /// Appends what `make` makes, as a chunk.
    fn chunk(
        &mut self,
        out: &mut Vec<u8>,
        make: impl FnOnce(&mut Compressor, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.made.clear();
        make(&mut self.compressor, &mut self.made)?;
        chunk(out, &self.made);
        Ok(())
    }
}

/// One body on its way.
pub(crate) struct Transfer<'a> {
    /// Who sends.
    pub(crate) source: &'a mut Socket,
    /// Who receives.
    pub(crate) sink: &'a mut Socket,
    /// What waits in between.
    pub(crate) lane: &'a mut Lane,
    /// What is left of the body.
    pub(crate) body: &'a mut Body,
    /// The form it is passed on in.
    pub(crate) shape: &'a mut Shape,
    /// Bytes read beyond its end.
    pub(crate) excess: &'a mut Buffer,
    /// Bytes of the body that were read.
    pub(crate) read: u64,
    /// Bytes that the receiver gets for them.
    pub(crate) passed: u64,
    /// Content in chunks at most.
    pub(crate) limit: u64,
    /// The receiver's connection is closed after it.
    pub(crate) last: bool,
}

impl Transfer<'_> {
    /// Moves bytes until something stops it.
    pub(crate) fn run(&mut self, desk: &mut Desk, pipes: &mut Pipes) -> Moved {
        let why = self.pump(desk, pipes);
        if !matches!(why, Moved::Full | Moved::Unfinished) {
            self.lane.settle(pipes);
        }
        why
    }

    fn pump(&mut self, desk: &mut Desk, pipes: &mut Pipes) -> Moved {
        for reads in 0.. {
            match self.lane.deliver(self.sink) {
                Some(Stop::Full) => return Moved::Full,
                Some(Stop::Broken) => return Moved::SinkBroken,
                None if self.body.is_done() => return Moved::Done,
                None if self.lane.ended => return Moved::Cut,
                None if !self.source.readable && self.pause(desk) => continue,
                None if !self.source.readable => return Moved::Dry,
                None if self.read >= TURN as u64 || reads >= READS => return Moved::Unfinished,
                None => {}
            }
            let unseen = self.body.unseen();
            let plain = matches!(self.shape, Shape::Same)
                && self.excess.is_empty()
                && self.source.is_plain()
                && self.sink.is_plain();
            let read = match plain && unseen >= WORTH_A_PIPE && self.lane.spliced(pipes) {
                true => self.splice(unseen),
                false => match self.copy(desk) {
                    Ok(read) => read,
                    Err(why) => return why,
                },
            };
            match read {
                Read::Bytes(_) | Read::Nothing => {}
                // The error was told elsewhere: no such end makes a body complete.
                Read::End if self.source.broken || self.source.was_truncated() => return Moved::SourceBroken,
                Read::End => self.end(desk),
                Read::Broken => return Moved::SourceBroken,
            }
        }
        Moved::Unfinished
    }

    fn splice(&mut self, unseen: u64) -> Read {
        let Some(pipe) = self.lane.pipe.as_mut() else { return Read::Nothing };
        let most = usize::try_from(unseen).unwrap_or(PIPE_SIZE).min(PIPE_SIZE);
        let read = self.source.read_into_pipe(pipe.write_end(), most);
        if let Read::Bytes(n) = read {
            pipe.held += n;
            self.count(n);
            self.passed += n as u64;
            self.body.skip(n as u64);
        }
        read
    }

    fn copy(&mut self, desk: &mut Desk) -> Result<Read, Moved> {
        let mut scratch = std::mem::take(&mut desk.scratch);
        // Of a body whose length is known, nothing beyond its end is read.
        let most = match *self.body {
            Body::Length(left) => usize::try_from(left).unwrap_or(scratch.len()).min(scratch.len()),
            _ => scratch.len(),
        };
        debug_assert!(most > 0, "a read of no bytes looks like the end");
        let read = self.source.read(&mut scratch[..most]);
        let passed = match read {
            Read::Bytes(n) => self.pass(&scratch[..n], &mut desk.out),
            _ => Ok(()),
        };
        desk.scratch = scratch;
        passed.map(|()| read)
    }

    /// Passes on what was read, in the right shape; keeps what is beyond the body.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Moved> {
        if matches!(self.shape, Shape::Same) {
            let (n, _) = self.body.advance(bytes).map_err(|_| Moved::Malformed)?;
            self.count(n);
            if self.body.announced() > self.limit {
                return Err(Moved::TooLarge);
            }
            self.excess.push(&bytes[n..]);
            return self.write(&bytes[..n]);
        }
        out.clear();
        let n = self.shape.convert(self.body, bytes, out).map_err(|()| Moved::Malformed)?;
        self.count(n);
        self.excess.push(&bytes[n..]);
        self.write(out)
    }

    fn count(&mut self, n: usize) {
        self.read += n as u64;
        self.lane.run += n as u64;
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Moved> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.passed += bytes.len() as u64;
        let closing = self.last && self.body.is_done();
        match self.sink.writable.then(|| self.sink.write(bytes, closing)) {
            None => self.lane.buffer.push(bytes),
            Some(Written::Bytes(n)) => self.lane.buffer.push(&bytes[n..]),
            Some(Written::Broken) => return Err(Moved::SinkBroken),
        }
        Ok(())
    }

    /// The sender pauses: what a compressor holds back is passed on, so that a streamed answer arrives as it is sent.
    /// Whether there was anything.
    fn pause(&mut self, desk: &mut Desk) -> bool {
        let Shape::Compressed(coded) = self.shape else { return false };
        if !std::mem::take(&mut coded.owes) {
            return false;
        }
        desk.out.clear();
        // One that fails here fails again at the end, where it is told.
        let _ = coded.chunk(&mut desk.out, Compressor::flush);
        self.passed += desk.out.len() as u64;
        self.lane.buffer.push(&desk.out);
        !desk.out.is_empty()
    }

    fn end(&mut self, desk: &mut Desk) {
        self.lane.ended = true;
        if matches!(self.body, Body::ToEnd) {
            desk.out.clear();
            if self.shape.finish(&mut desk.out).is_ok() {
                *self.body = Body::None;
                self.passed += desk.out.len() as u64;
                self.lane.buffer.push(&desk.out);
            }
        }
    }
}

impl Shape {
    /// Appends `bytes` of `body` to `out` in this shape; how many belonged to the body.
    pub(crate) fn convert(&mut self, body: &mut Body, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, ()> {
        match self {
            Self::Same => {
                let (n, _) = body.advance(bytes).map_err(drop)?;
                out.extend_from_slice(&bytes[..n]);
                Ok(n)
            }
            Self::Bare => {
                let (n, _) = body.decode(bytes, &mut |part| out.extend_from_slice(part)).map_err(drop)?;
                Ok(n)
            }
            Self::Compressed(coded) => {
                let (mut n, mut done) = (0, false);
                let fed = coded.chunk(out, |compressor, made| {
                    let mut fed = Ok(());
                    let advanced = body.decode(bytes, &mut |part| {
                        if fed.is_ok() {
                            fed = compressor.feed(part, made);
                        }
                    });
                    (n, done) = advanced.map_err(|_| io::ErrorKind::InvalidData)?;
                    fed
                });
                fed.map_err(drop)?;
                coded.owes |= n > 0;
                if done {
                    self.finish(out).map_err(drop)?;
                }
                Ok(n)
            }
        }
    }

    /// Appends what ends the body.
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Self::Compressed(coded) = self {
            coded.chunk(out, Compressor::finish)?;
            last_chunk(out);
        }
        Ok(())
    }
}

/// Bytes that need no look, below which a pipe is not worth its two calls.
const WORTH_A_PIPE: u64 = 64 * 1024;
