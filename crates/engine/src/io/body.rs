//! Bodies: the body of one message on its way, from one socket to another, by count: it stops where the body
//! does.
//!
//! One for both directions. Passed on as it came (spliced where much of it needs no look), or in another
//! form: without chunks for a client that knows none, or compressed. Back-pressure is the lane's: what the
//! receiver does not take waits, and nothing more is read. Must never know which side it reads from or what a
//! message means.

use std::io;

use headworks_core::buffer::Buffer;
use headworks_core::close::ConsultFault;
use headworks_core::consult::{Advice, Chain, ChainStep};
use headworks_core::http::exchange::{Passage, Stopped};
use headworks_core::wire::body::Body;
use headworks_core::wire::chunk_writer::{chunk, last_chunk};

use super::{Compressor, Lane, Pipes, READS, Socket, Stop, TURN};
use crate::outcome::{Read, Written};

/// The form in which a body is passed on.
#[derive(Debug, Default)]
pub(crate) enum BodyForm {
    /// The body as it came.
    #[default]
    Same,
    /// The body's content alone, without chunks.
    Bare,
    /// The body compressed, in chunks.
    Compressed(Box<Compressed>),
    /// The body as analyzers make it.
    Filtered(Box<Filtered>),
}

/// A compressor, and the bytes it has made before they are framed.
#[derive(Debug)]
pub(crate) struct Compressed {
    /// Compresses the body.
    pub(crate) compressor: Compressor,
    made: Vec<u8>,
    /// Whether input was not flushed yet.
    owes: bool,
}

impl Compressed {
    /// Makes one whose compressor has made nothing yet.
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

/// A body that passes analyzers.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// The parts that are held, and whose turn it is.
    pub(crate) chain: Chain,
    /// Framed in chunks; else it lasts until the connection ends.
    chunks: bool,
    made: Vec<u8>,
    /// The last chunk was written.
    closed: bool,
}

impl Filtered {
    /// Makes one of which nothing has come.
    pub(crate) fn new(chain: Chain, chunks: bool) -> Self {
        Self { chain, chunks, made: Vec::new(), closed: false }
    }

    /// Goes on until an analyzer is asked or more is needed; appends what goes on to `out`.
    pub(crate) fn go_on(&mut self, out: &mut Vec<u8>) {
        let step = self.chain.step(&mut self.made);
        if self.chunks {
            chunk(out, &self.made);
        } else {
            out.extend_from_slice(&self.made);
        }
        self.made.clear();
        if step == ChainStep::Over && !std::mem::replace(&mut self.closed, true) && self.chunks {
            last_chunk(out);
        }
    }

    /// Takes bytes of `body`, and goes on; returns how many belonged to it.
    pub(crate) fn feed(&mut self, body: &mut Body, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, ()> {
        let (n, done) = body.decode(bytes, &mut |part| self.chain.feed(part)).map_err(drop)?;
        if done {
            self.chain.end();
        }
        self.go_on(out);
        Ok(n)
    }

    /// Takes an answer, and goes on.
    pub(crate) fn advised(&mut self, advice: &Advice, out: &mut Vec<u8>) -> Result<(), ConsultFault> {
        self.chain.advised(advice, &mut self.made)?;
        self.go_on(out);
        Ok(())
    }

    /// Goes on without an answer.
    pub(crate) fn unadvised(&mut self, out: &mut Vec<u8>) {
        self.chain.unadvised(&mut self.made);
        self.go_on(out);
    }
}

/// One body on its way.
pub(crate) struct Transfer<'a> {
    /// The socket that sends.
    pub(crate) source: &'a mut Socket,
    /// The socket that receives.
    pub(crate) sink: &'a mut Socket,
    /// The bytes that wait in between.
    pub(crate) lane: &'a mut Lane,
    /// The part of the body that is left.
    pub(crate) body: &'a mut Body,
    /// The form it is passed on in.
    pub(crate) form: &'a mut BodyForm,
    /// Bytes read beyond its end.
    pub(crate) excess: &'a mut Buffer,
    /// Bytes of the body that were read.
    pub(crate) read: u64,
    /// Bytes that the receiver gets for them.
    pub(crate) passed: u64,
    /// Bytes of content in chunks at most.
    pub(crate) limit: u64,
    /// Whether the receiver's connection is closed after it.
    pub(crate) last: bool,
}

impl Transfer<'_> {
    /// Moves bytes until something stops it.
    pub(crate) fn run(&mut self, scratch: &mut [u8], out: &mut Vec<u8>, pipes: &mut Pipes) -> Passage {
        let waiting = self.lane.waiting();
        let mut stopped = self.pump(scratch, out, pipes);
        if !matches!(stopped, Stopped::Full | Stopped::Unfinished) {
            self.lane.return_pipe(pipes);
        }
        if stopped == Stopped::Cut && self.source.broken {
            stopped = self.broken();
        }
        Passage { read: self.read, moved: self.lane.waiting() != waiting, stopped }
    }

    /// Says how the sender's connection broke.
    fn broken(&self) -> Stopped {
        Stopped::SourceBroken { truncated: self.source.was_truncated() }
    }

    fn pump(&mut self, scratch: &mut [u8], out: &mut Vec<u8>, pipes: &mut Pipes) -> Stopped {
        for reads in 0.. {
            match self.lane.deliver(self.sink) {
                Some(Stop::Full) => return Stopped::Full,
                Some(Stop::Broken) => return Stopped::SinkBroken,
                None if self.form.is_over(self.body) => return Stopped::Done,
                None if self.form.is_held() => return Stopped::Held,
                None if self.lane.ended => return Stopped::Cut,
                None if !self.source.readable && self.pause(out) => continue,
                None if !self.source.readable => return Stopped::Dry,
                None if self.read >= TURN as u64 || reads >= READS => return Stopped::Unfinished,
                None => {}
            }
            let unseen = self.body.unseen();
            let plain = matches!(self.form, BodyForm::Same)
                && self.excess.is_empty()
                && self.source.is_plain()
                && self.sink.is_plain();
            let read = if plain && unseen >= WORTH_A_PIPE && self.lane.spliced(pipes) {
                self.splice(unseen)
            } else {
                match self.copy(scratch, out) {
                    Ok(read) => read,
                    Err(why) => return why,
                }
            };
            match read {
                Read::Bytes(_) | Read::Nothing => {}
                // The error was told elsewhere: no such end makes a body complete.
                Read::End if self.source.broken || self.source.was_truncated() => return self.broken(),
                Read::End => self.end(out),
                Read::Broken => return self.broken(),
            }
        }
        Stopped::Unfinished
    }

    fn splice(&mut self, unseen: u64) -> Read {
        let Some(pipe) = self.lane.pipe.as_mut() else { return Read::Nothing };
        let most = usize::try_from(unseen).unwrap_or(usize::MAX).min(pipe.size);
        let read = self.source.read_into_pipe(pipe.write_end(), most);
        if let Read::Bytes(n) = read {
            pipe.held += n;
            self.count(n);
            self.passed += n as u64;
            self.body.skip(n as u64);
        }
        read
    }

    fn copy(&mut self, scratch: &mut [u8], out: &mut Vec<u8>) -> Result<Read, Stopped> {
        // Of a body whose length is known, nothing beyond its end is read.
        let most = match *self.body {
            Body::Length(left) => usize::try_from(left).unwrap_or(scratch.len()).min(scratch.len()),
            _ => scratch.len(),
        };
        debug_assert!(most > 0, "a read of no bytes looks like the end");
        let read = self.source.read(&mut scratch[..most]);
        let passed = match read {
            Read::Bytes(n) => self.pass(&scratch[..n], out),
            _ => Ok(()),
        };
        passed.map(|()| read)
    }

    /// Passes on what was read, in the right form; keeps what is beyond the body.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Stopped> {
        if matches!(self.form, BodyForm::Same) {
            let (n, _) = self.body.advance(bytes).map_err(|_| Stopped::Malformed)?;
            self.count(n);
            if self.body.announced() > self.limit {
                return Err(Stopped::TooLarge);
            }
            self.excess.push(&bytes[n..]);
            return self.write(&bytes[..n]);
        }
        out.clear();
        let n = self.form.convert(self.body, bytes, out).map_err(|()| Stopped::Malformed)?;
        self.count(n);
        if self.body.announced() > self.limit {
            return Err(Stopped::TooLarge);
        }
        self.excess.push(&bytes[n..]);
        self.write(out)
    }

    fn count(&mut self, n: usize) {
        self.read += n as u64;
        self.lane.run += n as u64;
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.passed += bytes.len() as u64;
        let closing = self.last && self.body.is_done();
        match self.sink.writable.then(|| self.sink.write(bytes, closing)) {
            None => self.lane.buffer.push(bytes),
            Some(Written::Bytes(n)) => self.lane.buffer.push(&bytes[n..]),
            Some(Written::Broken) => return Err(Stopped::SinkBroken),
        }
        Ok(())
    }

    /// Passes on what a compressor holds back while the sender pauses, so that a streamed answer arrives as
    /// it is sent. Returns whether there was anything.
    fn pause(&mut self, out: &mut Vec<u8>) -> bool {
        let BodyForm::Compressed(coded) = self.form else { return false };
        if !std::mem::take(&mut coded.owes) {
            return false;
        }
        out.clear();
        // One that fails here fails again at the end, where it is told.
        let _ = coded.chunk(out, Compressor::flush);
        self.passed += out.len() as u64;
        self.lane.buffer.push(out);
        !out.is_empty()
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.lane.ended = true;
        if matches!(self.body, Body::ToEnd) {
            out.clear();
            if self.form.finish(out).is_ok() {
                *self.body = Body::None;
                self.passed += out.len() as u64;
                self.lane.buffer.push(out);
            }
        }
    }
}

impl BodyForm {
    /// Appends `bytes` of `body` to `out` in this form; how many belonged to the body.
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
            Self::Filtered(filtered) => filtered.feed(body, bytes, out),
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

    /// Whether all of a body has been given out in this form.
    #[inline]
    pub(crate) fn is_over(&self, body: &Body) -> bool {
        match self {
            Self::Filtered(filtered) => filtered.chain.is_over(),
            _ => body.is_done(),
        }
    }

    /// Whether it is held until an analyzer has answered.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        matches!(self, Self::Filtered(filtered) if filtered.chain.is_asking())
    }

    /// Appends what ends the body.
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Self::Filtered(filtered) = self {
            filtered.chain.end();
            filtered.go_on(out);
        }
        if let Self::Compressed(coded) = self {
            coded.chunk(out, Compressor::finish)?;
            last_chunk(out);
        }
        Ok(())
    }
}

/// Bytes that need no look, below which a pipe is not worth its two calls.
const WORTH_A_PIPE: u64 = 64 * 1024;

impl Lane {
    /// Writes what waits at the end of a message; says how far that went.
    pub(crate) fn deliver_all(&mut self, sink: &mut Socket) -> Stopped {
        match self.deliver(sink) {
            None => Stopped::Done,
            Some(Stop::Full) => Stopped::Full,
            Some(Stop::Broken) => Stopped::SinkBroken,
        }
    }
}
