//! HTTP/1.1: kept connections that ask again and again, or with `--fresh 1` a new connection for every request, which
//! ends with the connection. Every answer is checked (see `answer.rs`). With `--tls` all of it is encrypted; what is not
//! to be measured (the handshakes of kept connections, those that bring tickets) then happens before the window opens.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use super::answer::{Answers, Expected, Heard};
use super::drive::{Step, Work, drive};
use super::request::Asking;
use super::{Order, Sources, Tally, said, would_block};
use crate::sys::{self, Poll};
use crate::tls::Link;
use crate::wire::CHUNK;

/// One connection and what is under way on it.
pub(super) struct Visit {
    /// What it goes over.
    pub link: Link,
    watched: bool,
    stage: Stage,
    answers: Answers,
    /// The answer is whole and what is left is the end of the stream.
    ending: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing is under way.
    Idle,
    /// The socket has not taken the request yet: it is not connected.
    Unsent,
    /// The request is out.
    Sent,
}

/// All connections of a run.
pub(super) struct Client<'a> {
    order: &'a Order,
    asking: Asking,
    expected: Expected,
    sources: Sources,
    visits: Vec<Option<Visit>>,
    connects: u64,
    scratch: Vec<u8>,
}

/// Requests on `--connections` connections (or `--rate` a second on them) until the window is over.
pub(super) fn run(order: &Order, asking: Asking, sources: Sources, tally: &mut Tally) -> io::Result<()> {
    let mut client = Client::new(order, asking, sources);
    if let Err(kind) = client.prepare() {
        tally.failed(&kind);
        return Ok(());
    }
    if order.announce {
        println!("ready");
        io::stdout().flush()?;
        io::stdin().read_line(&mut String::new())?;
    }
    tally.restart(order);
    let before = client.handshakes();
    let done = drive(&mut client, order, tally);
    if order.most < u64::MAX {
        tally.took(tally.opens.elapsed());
    }
    let after = client.handshakes();
    tally.handshakes = (after.0 - before.0, after.1 - before.1);
    tally.connects = client.connects;
    done
}

impl<'a> Client<'a> {
    /// Without any connection yet.
    pub fn new(order: &'a Order, asking: Asking, sources: Sources) -> Self {
        Self {
            order,
            expected: Expected::of_path(&asking.path),
            asking,
            sources,
            visits: (0..order.connections).map(|_| None).collect(),
            connects: 0,
            scratch: vec![0; CHUNK],
        }
    }

    /// Opens a connection and has one answer on it, waiting for both. None: the connection has ended with its answer.
    pub fn visit(&mut self) -> Result<Option<Visit>, String> {
        let fails = |error: io::Error| said("visit", &error);
        let mut visit = self.open().map_err(fails)?;
        visit.link.socket().set_nonblocking(false).map_err(fails)?;
        visit.link.socket().set_read_timeout(Some(self.order.patience)).map_err(fails)?;
        self.send(&mut visit)?;
        let heard = self.receive(&mut visit)?;
        visit.link.socket().set_nonblocking(true).map_err(fails)?;
        match heard {
            Outcome::Goes(Step::Finished(_)) => Ok(Some(visit)),
            Outcome::Ends(Step::Finished(_)) => Ok(None),
            _ => Err("visit: no answer in time".to_owned()),
        }
    }

    /// Over TLS: makes the connections that will be kept, or as many that bring tickets. Long answers are left to the run.
    fn prepare(&mut self) -> Result<(), String> {
        let Some(tls) = &self.order.tls else { return Ok(()) };
        let long = self.expected.length() > CHUNK as u64;
        if long || (self.asking.fresh && !self.order.resumed) {
            return Ok(());
        }
        for slot in 0..self.order.connections {
            self.visits[slot] = self.visit()?;
        }
        if self.order.resumed {
            tls.resume_from_now();
        }
        Ok(())
    }

    fn handshakes(&self) -> (u64, u64) {
        self.order.tls.as_ref().map_or((0, 0), |tls| tls.done())
    }

    fn open(&mut self) -> io::Result<Visit> {
        let socket = sys::connect(self.order.target, self.sources.next())?;
        sys::set_nodelay(&socket)?;
        self.connects += 1;
        let link = Link::new(socket, self.order.tls.as_ref())?;
        Ok(Visit { link, watched: false, stage: Stage::Unsent, answers: Answers::default(), ending: false })
    }
}

impl Work for Client<'_> {
    fn begin(&mut self, slot: usize, poll: &Poll) -> io::Result<Step> {
        let fresh = self.visits[slot].is_none();
        if fresh {
            match self.open() {
                Ok(visit) => self.visits[slot] = Some(visit),
                Err(error) => return Ok(Step::Failed(said("connect", &error))),
            }
        }
        let step = match fresh && self.order.late {
            true => Step::Waiting,
            false => self.step(slot, Self::send),
        };
        if let Some(visit) = &mut self.visits[slot]
            && !visit.watched
        {
            visit.watched = true;
            let writing = if visit.stage == Stage::Unsent { sys::WRITE } else { 0 };
            poll.add(visit.link.socket().as_raw_fd(), sys::READ | writing, slot)?;
        }
        Ok(step)
    }

    fn advance(&mut self, slot: usize) -> Step {
        match self.visits[slot].as_ref().map(|visit| visit.stage) {
            Some(Stage::Unsent) => self.step(slot, Self::send),
            Some(_) => self.step(slot, Self::receive),
            None => Step::Waiting,
        }
    }
}

/// What became of a visit after one thing was done with it.
enum Outcome {
    Goes(Step),
    /// The connection is over, as it should be; the next operation of the slot opens another.
    Ends(Step),
}

impl Client<'_> {
    fn step(&mut self, slot: usize, act: fn(&mut Self, &mut Visit) -> Result<Outcome, String>) -> Step {
        let Some(mut visit) = self.visits[slot].take() else { return Step::Waiting };
        match act(self, &mut visit) {
            Ok(Outcome::Goes(step)) => {
                self.visits[slot] = Some(visit);
                step
            }
            Ok(Outcome::Ends(step)) => step,
            Err(kind) => Step::Failed(kind),
        }
    }

    fn send(&mut self, visit: &mut Visit) -> Result<Outcome, String> {
        visit.stage = Stage::Unsent;
        let request = self.asking.next();
        match visit.link.write(request) {
            Ok(sent) if sent == request.len() => {
                visit.stage = Stage::Sent;
                Ok(Outcome::Goes(Step::Waiting))
            }
            Ok(_) => Err("send: short".to_owned()),
            Err(error) if would_block(&error) => Ok(Outcome::Goes(Step::Waiting)),
            Err(error) => Err(said("send", &error)),
        }
    }

    /// Reads until the answer is whole or nothing more is there; a fresh connection also until its end.
    fn receive(&mut self, visit: &mut Visit) -> Result<Outcome, String> {
        loop {
            let got = match visit.link.read(&mut self.scratch) {
                Ok(0) => return self.ended(visit),
                Ok(got) => got,
                Err(error) if would_block(&error) => return Ok(Outcome::Goes(Step::Waiting)),
                Err(error) => return Err(said("receive", &error)),
            };
            if visit.stage == Stage::Idle || visit.ending {
                return Err("answer: more than was asked for".to_owned());
            }
            match visit.answers.feed(&self.scratch[..got], &self.expected)? {
                Heard::More if got < self.scratch.len() && visit.link.short_read_empties() => {
                    return Ok(Outcome::Goes(Step::Waiting));
                }
                Heard::More => {}
                Heard::Whole { closes } if closes || self.asking.fresh => visit.ending = true,
                Heard::Whole { .. } => {
                    visit.stage = Stage::Idle;
                    return Ok(Outcome::Goes(self.finished()));
                }
            }
        }
    }

    /// The other end has closed: after its answer, or while nothing was asked, which every server may.
    fn ended(&mut self, visit: &mut Visit) -> Result<Outcome, String> {
        if visit.stage == Stage::Idle {
            return Ok(Outcome::Ends(Step::Waiting));
        }
        if visit.ending || visit.answers.ended(&self.expected)? {
            return Ok(Outcome::Ends(self.finished()));
        }
        Err("answer: none before the connection ended".to_owned())
    }

    fn finished(&self) -> Step {
        Step::Finished(self.expected.length() as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::args::Args;
    use crate::http_origin::HttpOrigin;

    fn origin() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        // It serves until the tests end.
        std::thread::spawn(move || HttpOrigin::new(listener).unwrap().serve());
        address
    }

    fn run_with(options: &str) -> Tally {
        let line = format!("--target {} --seconds 0.1 --connections 4 {options}", origin());
        let mut args = Args::parse(line.split_whitespace().map(str::to_owned)).unwrap();
        let mut order = Order::take(&mut args).unwrap();
        order.rate = args.take("rate").unwrap();
        let asking = Asking::take(&mut args).unwrap();
        let sources = Sources::take(&mut args).unwrap();
        let mut tally = Tally::new(&order);
        run(&order, asking, sources, &mut tally).unwrap();
        tally
    }

    #[test]
    fn kept_connections_are_used_again() {
        let tally = run_with("--request browser");
        assert!(tally.errors.is_empty(), "{:?}", tally.errors);
        assert!(tally.operations > 4 && tally.connects == 4);
        assert_eq!(tally.bytes, 200 * tally.operations);
    }

    #[test]
    fn fresh_connections_serve_one_request_each() {
        for options in ["--fresh 1", "--fresh 1 --late 1 --request browser"] {
            let tally = run_with(options);
            assert!(tally.errors.is_empty(), "{:?}", tally.errors);
            assert!(tally.operations_all >= 4 && tally.connects == tally.operations_all);
        }
    }

    #[test]
    fn long_bodies_are_checked_to_their_last_byte() {
        let tally = run_with("--path /bytes/3000000");
        assert!(tally.errors.is_empty(), "{:?}", tally.errors);
        assert!(tally.operations_all >= 4);
    }

    #[test]
    fn an_open_loop_does_what_was_asked_for() {
        for options in ["--rate 500", "--rate 500 --fresh 1"] {
            let tally = run_with(options);
            assert!(tally.errors.is_empty(), "{:?}", tally.errors);
            assert_eq!((tally.operations, tally.operations_all), (50, 50), "{options}");
        }
    }
}
