//! Kept connections: each sends a small request, waits for the answer, and sends the next. With `--hello` or
//! `--names` the first message is a ClientHello, so that a proxy that routes by name has one.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use super::drive::{Step, Work, drive};
use super::{Names, Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire;

struct Kept {
    stream: TcpStream,
    greeted: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing is under way.
    Idle,
    /// The socket has not taken the message yet: it is not connected.
    Unsent,
    /// The message is out; so much of the answer has come.
    Sent(usize),
}

struct Client<'a> {
    order: &'a Order,
    names: Option<Names>,
    sources: Sources,
    kept: Vec<Option<Kept>>,
    request: Vec<u8>,
    answer: [u8; wire::ANSWER],
}

/// Ping-pong on `--connections` connections (or `--rate` messages a second on them) until the window is over.
pub(super) fn run(
    order: &Order,
    names: Option<Names>,
    sources: Sources,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut client = Client {
        order,
        names,
        sources,
        kept: (0..order.connections).map(|_| None).collect(),
        request: wire::request(order.request),
        answer: wire::answer(),
    };
    drive(&mut client, order, tally)
}

impl Work for Client<'_> {
    fn begin(&mut self, slot: usize, poll: &Poll) -> io::Result<Step> {
        if self.kept[slot].is_none() {
            let stream = sys::connect(self.order.target, self.sources.next())?;
            sys::set_nodelay(&stream)?;
            poll.add(stream.as_raw_fd(), sys::READ | sys::WRITE, slot)?;
            self.kept[slot] = Some(Kept { stream, greeted: self.names.is_none(), stage: Stage::Unsent });
        }
        Ok(self.step(slot, Self::send))
    }

    fn advance(&mut self, slot: usize) -> Step {
        match self.kept[slot].as_ref().map(|kept| kept.stage) {
            Some(Stage::Unsent) => self.step(slot, Self::send),
            Some(_) => self.step(slot, Self::receive),
            None => Step::Waiting,
        }
    }
}

impl Client<'_> {
    /// Does one thing with a slot; a connection that fails is closed.
    fn step(&mut self, slot: usize, act: fn(&mut Self, &mut Kept) -> io::Result<Step>) -> Step {
        let Some(mut kept) = self.kept[slot].take() else { return Step::Waiting };
        match act(self, &mut kept) {
            Ok(step) => {
                self.kept[slot] = Some(kept);
                step
            }
            Err(error) => Step::Failed(format!("kept: {:?}", error.kind())),
        }
    }

    fn send(&mut self, kept: &mut Kept) -> io::Result<Step> {
        kept.stage = Stage::Unsent;
        let message = match &mut self.names {
            Some(names) if !kept.greeted => names.next_hello(),
            _ => &self.request,
        };
        match kept.stream.write(message) {
            Ok(sent) if sent == message.len() => {
                kept.stage = Stage::Sent(0);
                kept.greeted = true;
                Ok(Step::Waiting)
            }
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if would_block(&error) => Ok(Step::Waiting),
            Err(error) => Err(error),
        }
    }

    fn receive(&mut self, kept: &mut Kept) -> io::Result<Step> {
        let mut buffer = [0; 4096];
        let got = match kept.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => got,
            Err(error) if would_block(&error) => return Ok(Step::Waiting),
            Err(error) => return Err(error),
        };
        let Stage::Sent(received) = kept.stage else { return Err(io::ErrorKind::InvalidData.into()) };
        let end = received + got;
        if self.answer.get(received..end) != Some(&buffer[..got]) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if end < wire::ANSWER {
            kept.stage = Stage::Sent(end);
            return Ok(Step::Waiting);
        }
        kept.stage = Stage::Idle;
        Ok(Step::Finished(wire::ANSWER))
    }
}
