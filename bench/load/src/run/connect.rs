//! New connections: connect, hello (or a plain request), answer, end of stream, close, and again.
//!
//! On loopback the connection is usually established when `connect` returns, so the hello is tried at once; `--late 1`
//! waits for the poll loop first, as a client does whose server is a round trip away.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::{Names, Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire;

/// One connection under way.
struct Attempt {
    stream: TcpStream,
    began: Instant,
    sent: bool,
    received: usize,
}

/// How far an attempt has come.
enum Step {
    Waiting,
    Finished,
    Failed(String),
}

struct Client<'a> {
    order: &'a Order,
    names: Option<Names>,
    sources: Sources,
    tally: &'a mut Tally,
    poll: Poll,
    attempts: Vec<Option<Attempt>>,
    request: Vec<u8>,
    answer: [u8; wire::ANSWER],
}

/// Keeps `--connections` attempts under way until the window is over, then waits for the last ones.
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
        tally,
        poll: Poll::new()?,
        attempts: (0..order.connections).map(|_| None).collect(),
        request: wire::request(order.request),
        answer: wire::answer(),
    };
    for slot in 0..order.connections {
        client.begin(slot)?;
    }
    client.turn_until_over()
}

impl Client<'_> {
    fn turn_until_over(&mut self) -> io::Result<()> {
        while self.attempts.iter().any(Option::is_some) {
            for index in 0..self.poll.wait(100)? {
                self.advance(self.poll.token(index))?;
            }
            if self.tally.out_of_patience(Instant::now(), self.order) {
                let stuck = self.attempts.iter().flatten().count();
                (0..stuck).for_each(|_| self.tally.failed("timeout"));
                return Ok(());
            }
        }
        Ok(())
    }

    fn begin(&mut self, slot: usize) -> io::Result<()> {
        let began = Instant::now();
        if self.tally.over(began) {
            return Ok(());
        }
        let stream = match sys::connect(self.order.target, self.sources.next()) {
            Ok(stream) => stream,
            Err(error) => {
                self.tally.failed_with("connect", &error);
                return Ok(());
            }
        };
        let mut attempt = Attempt { stream, began, sent: false, received: 0 };
        if !self.order.late
            && let Step::Failed(kind) = self.send(&mut attempt)
        {
            self.tally.failed(&kind);
            return Ok(());
        }
        let interest = if attempt.sent { sys::READ } else { sys::READ | sys::WRITE };
        self.poll.add(attempt.stream.as_raw_fd(), interest, slot)?;
        self.attempts[slot] = Some(attempt);
        Ok(())
    }

    /// A slot whose attempt failed stays empty: the run is invalid already.
    fn advance(&mut self, slot: usize) -> io::Result<()> {
        let Some(mut attempt) = self.attempts[slot].take() else { return Ok(()) };
        let step = if attempt.sent { self.receive(&mut attempt) } else { self.send(&mut attempt) };
        match step {
            Step::Waiting => self.attempts[slot] = Some(attempt),
            Step::Failed(kind) => self.tally.failed(&kind),
            Step::Finished => {
                self.tally.finished(attempt.began, Instant::now(), attempt.received);
                drop(attempt);
                self.begin(slot)?;
            }
        }
        Ok(())
    }

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
                Ok(0) if attempt.received == wire::ANSWER => return Step::Finished,
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
