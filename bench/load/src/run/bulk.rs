//! Bulk: `--connections` streams share `--bytes`; every byte is compared with the pattern by whoever receives it.
//! Down ends with the origin's end of stream, up with its answer after the last byte. One stream is one operation.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::{Names, Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire::{self, CHUNK, Pattern};

/// Which way the bytes go, seen from the client.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    Down,
    Up,
}

/// What a stream does next.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Hello,
    HelloAnswer,
    Header,
    Moving,
    Receipt,
}

struct Stream {
    socket: TcpStream,
    stage: Stage,
    position: u64,
    received: usize,
}

struct Client<'a> {
    direction: Direction,
    share: u64,
    tally: &'a mut Tally,
    pattern: Pattern,
    scratch: Vec<u8>,
    hello: Option<Vec<u8>>,
}

/// Moves all bytes once and ends; the window does not matter.
pub(super) fn run(
    order: &Order,
    mut names: Option<Names>,
    mut sources: Sources,
    tally: &mut Tally,
    direction: Direction,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    let stage = if names.is_some() { Stage::Hello } else { Stage::Header };
    for slot in 0..order.connections {
        let socket = sys::connect(order.target, sources.next())?;
        poll.add(socket.as_raw_fd(), sys::READ | sys::WRITE, slot)?;
        streams.push(Some(Stream { socket, stage, position: 0, received: 0 }));
    }
    let share = order.bytes / order.connections as u64;
    let hello = names.as_mut().map(|names| names.next_hello().to_vec());
    let mut client =
        Client { direction, share, tally, pattern: Pattern::new(), scratch: vec![0; CHUNK], hello };
    client.turn_until_done(&mut poll, &mut streams, order)
}

impl Client<'_> {
    fn turn_until_done(
        &mut self,
        poll: &mut Poll,
        streams: &mut [Option<Stream>],
        order: &Order,
    ) -> io::Result<()> {
        let began = Instant::now();
        let mut moved_last = began;
        while streams.iter().any(Option::is_some) {
            let ready = poll.wait(100)?;
            let now = Instant::now();
            if ready > 0 {
                moved_last = now;
            } else if now - moved_last > order.patience {
                self.tally.failed("timeout");
                break;
            }
            for index in 0..ready {
                self.advance(&mut streams[poll.token(index)], began);
            }
        }
        self.tally.took(began.elapsed());
        Ok(())
    }

    fn advance(&mut self, slot: &mut Option<Stream>, began: Instant) {
        let Some(stream) = slot else { return };
        let error = loop {
            match self.step(stream) {
                Ok(true) => {}
                Ok(false) => {
                    self.tally.operations += 1;
                    self.tally.operations_all += 1;
                    self.tally.bytes += self.share;
                    self.tally.latency.record(began.elapsed().as_nanos() as u64);
                    break None;
                }
                Err(error) if would_block(&error) => return,
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = error {
            self.tally.failed_with("bulk", &error);
        }
        *slot = None;
    }

    /// One call on the socket; false when the stream has ended well.
    fn step(&mut self, stream: &mut Stream) -> io::Result<bool> {
        match (stream.stage, self.direction) {
            (Stage::Hello, _) => {
                let hello = self.hello.as_deref().unwrap_or_default();
                write_whole(&mut stream.socket, hello)?;
                stream.stage = Stage::HelloAnswer;
            }
            (Stage::HelloAnswer, _) => {
                if read_answer(stream)? {
                    stream.stage = Stage::Header;
                    stream.received = 0;
                }
            }
            (Stage::Header, _) => {
                write_whole(&mut stream.socket, &wire::bulk_header(self.share))?;
                stream.stage = Stage::Moving;
            }
            (Stage::Moving, Direction::Down) => return self.receive(stream),
            (Stage::Moving, Direction::Up) => {
                let piece = self.pattern.at(stream.position, self.share - stream.position);
                stream.position += stream.socket.write(piece)? as u64;
                if stream.position == self.share {
                    stream.stage = Stage::Receipt;
                }
            }
            (Stage::Receipt, _) => return read_answer(stream).map(|whole| !whole),
        }
        Ok(true)
    }

    fn receive(&mut self, stream: &mut Stream) -> io::Result<bool> {
        let got = stream.socket.read(&mut self.scratch)?;
        if got == 0 {
            let whole = stream.position == self.share;
            return if whole { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        if !self.pattern.matches(stream.position, &self.scratch[..got]) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.position += got as u64;
        Ok(true)
    }
}

/// Reads a part of an answer; true when it is whole.
fn read_answer(stream: &mut Stream) -> io::Result<bool> {
    let mut buffer = [0; wire::ANSWER];
    let got = stream.socket.read(&mut buffer[stream.received..])?;
    if got == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let end = stream.received + got;
    if wire::answer()[stream.received..end] != buffer[stream.received..end] {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.received = end;
    Ok(end == wire::ANSWER)
}

/// Writes a short message to a socket whose buffer is empty.
fn write_whole(socket: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    match socket.write(message)? {
        sent if sent == message.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}
