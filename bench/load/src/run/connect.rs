//! New connections: connect, hello (or a plain request), answer, end of stream, close, and again.
//!
//! On loopback the connection is usually established when `connect` returns, so the hello is tried at once; `--late 1`
//! waits for the poll loop first, as a client does whose server is a round trip away.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use super::drive::{Step, Work, drive};
use super::{Names, Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire;

/// One connection under way.
struct Attempt {
    stream: TcpStream,
    sent: bool,
    received: usize,
}

struct Client<'a> {
    order: &'a Order,
    names: Option<Names>,
    sources: Sources,
    attempts: Vec<Option<Attempt>>,
    request: Vec<u8>,
    answer: [u8; wire::ANSWER],
}

/// Keeps `--connections` attempts under way (or begins `--rate` a second) until the window is over.
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
        attempts: (0..order.connections).map(|_| None).collect(),
        request: wire::request(order.request),
        answer: wire::answer(),
    };
    drive(&mut client, order, tally)
}

impl Work for Client<'_> {
    fn begin(&mut self, slot: usize, poll: &Poll) -> io::Result<Step> {
        let stream = match sys::connect(self.order.target, self.sources.next()) {
            Ok(stream) => stream,
            Err(error) => return Ok(Step::Failed(format!("connect: {:?}", error.kind()))),
        };
        let mut attempt = Attempt { stream, sent: false, received: 0 };
        if !self.order.late
            && let Step::Failed(kind) = self.send(&mut attempt)
        {
            return Ok(Step::Failed(kind));
        }
        let interest = if attempt.sent { sys::READ } else { sys::READ | sys::WRITE };
        poll.add(attempt.stream.as_raw_fd(), interest, slot)?;
        self.attempts[slot] = Some(attempt);
        Ok(Step::Waiting)
    }

    fn advance(&mut self, slot: usize) -> Step {
        let Some(mut attempt) = self.attempts[slot].take() else { return Step::Waiting };
        let step = if attempt.sent { self.receive(&mut attempt) } else { self.send(&mut attempt) };
        if matches!(step, Step::Waiting) {
            self.attempts[slot] = Some(attempt);
        }
        step
    }
}

impl Client<'_> {
    fn send(&mut self, attempt: &mut Attempt) -> Step {
        let message = self.names.as_mut().map_or(self.request.as_slice(), Names::next_hello);
        match attempt.stream.write(message) {
            Ok(sent) if sent == message.len() => {
                attempt.sent = true;
                Step::Waiting
            }
            Ok(_) => Step::Failed("send: short".to_owned()),
            Err(error) if would_block(&error) => Step::Waiting,
            Err(error) => Step::Failed(format!("send: {:?}", error.kind())),
        }
    }

    fn receive(&mut self, attempt: &mut Attempt) -> Step {
        let mut buffer = [0; 4096];
        loop {
            match attempt.stream.read(&mut buffer) {
                Ok(0) if attempt.received == wire::ANSWER => return Step::Finished(wire::ANSWER),
                Ok(0) => return Step::Failed("receive: short answer".to_owned()),
                Ok(got) => {
                    let end = attempt.received + got;
                    if self.answer.get(attempt.received..end) != Some(&buffer[..got]) {
                        return Step::Failed("receive: wrong answer".to_owned());
                    }
                    attempt.received = end;
                }
                Err(error) if would_block(&error) => return Step::Waiting,
                Err(error) => return Step::Failed(format!("receive: {:?}", error.kind())),
            }
        }
    }
}
