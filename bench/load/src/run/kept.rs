//! Kept connections: each sends a small request, waits for the answer, and sends the next. With `--hello` or
//! `--names` the first message is a ClientHello, so that a proxy that routes by name has one.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::{Names, Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire;

struct Kept {
    stream: TcpStream,
    began: Instant,
    /// Whether a message is out and not answered yet.
    waiting: bool,
    received: usize,
}

struct Client<'a> {
    tally: &'a mut Tally,
    kept: Vec<Option<Kept>>,
    request: Vec<u8>,
    answer: [u8; wire::ANSWER],
}

/// Ping-pong on `--connections` connections until the window is over, then waits for the last answers.
pub(super) fn run(
    order: &Order,
    mut names: Option<Names>,
    sources: Sources,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let kept = open_all(order, sources, &poll)?;
    let mut client = Client { tally, kept, request: wire::request(order.request), answer: wire::answer() };
    while client.kept.iter().any(Option::is_some) {
        for index in 0..poll.wait(100)? {
            client.advance(poll.token(index), names.as_mut());
        }
        if client.tally.out_of_patience(Instant::now(), order) {
            let stuck = client.kept.iter().flatten().count();
            (0..stuck).for_each(|_| client.tally.failed("timeout"));
            return Ok(());
        }
    }
    Ok(())
}

fn open_all(order: &Order, mut sources: Sources, poll: &Poll) -> io::Result<Vec<Option<Kept>>> {
    let mut all = Vec::with_capacity(order.connections);
    for slot in 0..order.connections {
        let stream = sys::connect(order.target, sources.next())?;
        sys::set_nodelay(&stream)?;
        poll.add(stream.as_raw_fd(), sys::READ | sys::WRITE, slot)?;
        all.push(Some(Kept { stream, began: Instant::now(), waiting: false, received: 0 }));
    }
    Ok(all)
}

impl Client<'_> {
    /// The first event says that the connection is there: the first message goes out. All later ones bring answers.
    fn advance(&mut self, slot: usize, names: Option<&mut Names>) {
        let Some(mut kept) = self.kept[slot].take() else { return };
        let stepped = if kept.waiting {
            self.receive(&mut kept)
        } else {
            match names {
                Some(names) => send(&mut kept, names.next_hello()),
                None => send(&mut kept, &self.request),
            }
        };
        match stepped {
            Ok(true) => self.kept[slot] = Some(kept),
            Ok(false) => {}
            Err(error) => self.tally.failed_with("kept", &error),
        }
    }

    /// Reads; after a whole answer sends the next request. False when the window is over and nothing is out.
    fn receive(&mut self, kept: &mut Kept) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let got = match kept.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => got,
            Err(error) if would_block(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        let end = kept.received + got;
        if self.answer.get(kept.received..end) != Some(&buffer[..got]) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        kept.received = end;
        if end < wire::ANSWER {
            return Ok(true);
        }
        let now = Instant::now();
        self.tally.finished(kept.began, now, wire::ANSWER);
        if self.tally.over(now) {
            return Ok(false);
        }
        kept.began = now;
        kept.received = 0;
        send(kept, &self.request)
    }
}

fn send(kept: &mut Kept, message: &[u8]) -> io::Result<bool> {
    match kept.stream.write(message) {
        Ok(sent) if sent == message.len() => {
            kept.waiting = true;
            Ok(true)
        }
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        // Not connected yet: the next event tries again.
        Err(error) if would_block(&error) && !kept.waiting => Ok(true),
        Err(error) => Err(error),
    }
}
