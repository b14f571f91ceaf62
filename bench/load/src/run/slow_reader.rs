//! Slow readers: each of `--connections` asks for `--bytes` (with `--path` by HTTP) and reads them at `--read-rate`
//! bytes a second, so that whoever is in between must hold the server back. Prints `held N` when all of them have their
//! first bytes, and goes on until stdin ends, or for `--seconds`. Bytes are checked; `bytes` of the report received.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::answer::{Answers, Expected};
use super::request::Asking;
use super::{Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire::{self, Pattern};

/// Between two reads of a connection.
const BETWEEN: Duration = Duration::from_millis(20);
const STDIN: i32 = 0;

/// What is asked for and how fast it is read.
pub(super) struct Asked {
    read_rate: u64,
    bytes: u64,
    /// By HTTP.
    asking: Option<(Asking, Expected)>,
    pattern: Pattern,
}

struct Reader {
    stream: TcpStream,
    sent: bool,
    received: u64,
    answers: Answers,
}

impl Asked {
    /// By HTTP when there is something to ask for, otherwise of an origin in mode `source`.
    pub fn new(order: &Order, read_rate: u64, asking: Option<Asking>) -> Self {
        let asking = asking.map(|asking| {
            let expected = Expected::of_path(&asking.path);
            (asking, expected)
        });
        let bytes = asking.as_ref().map_or(order.bytes, |(_, expected)| expected.length());
        Self { read_rate, bytes, asking, pattern: Pattern::new() }
    }

    fn request(&mut self) -> Vec<u8> {
        match &mut self.asking {
            Some((asking, _)) => asking.next().to_vec(),
            None => wire::bulk_header(self.bytes).to_vec(),
        }
    }

    /// Checks what has come; an error is in words for the report.
    fn check(&self, reader: &mut Reader, bytes: &[u8]) -> Result<(), String> {
        match &self.asking {
            Some((_, expected)) => reader.answers.feed(bytes, expected).map(|_| ()),
            None if self.pattern.matches(reader.received, bytes) => Ok(()),
            None => Err("slow-reader: wrong bytes".to_owned()),
        }
    }
}

/// Asks, reads slowly, and reports.
pub(super) fn run(
    order: &Order,
    mut asked: Asked,
    mut sources: Sources,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut readers = Vec::with_capacity(order.connections);
    for _ in 0..order.connections {
        let stream = sys::connect(order.target, sources.next())?;
        let answers = Answers::default();
        readers.push(Some(Reader { stream, sent: false, received: 0, answers }));
    }
    let mut poll = Poll::new()?;
    let stdin_ends = !order.timed && poll.add(STDIN, sys::READ, 0).is_ok();
    let mut announced = false;
    let mut scratch = vec![0; wire::CHUNK];
    let began = Instant::now();
    loop {
        let allowed = (began.elapsed().as_secs_f64() * asked.read_rate as f64) as u64 + 1;
        for slot in &mut readers {
            if let Some(kind) = advance(slot, &mut asked, allowed, &mut scratch) {
                tally.failed(&kind);
            }
        }
        let slow = readers.iter().flatten().all(|reader| reader.received > 0);
        if slow && !announced {
            announced = true;
            println!("held {}", readers.iter().flatten().count());
            io::stdout().flush()?;
        }
        if !announced && began.elapsed() > order.patience {
            tally.failed("timeout");
            break;
        }
        let over = if stdin_ends { false } else { began.elapsed().as_secs_f64() >= order.seconds };
        if over || (poll.wait_exactly(BETWEEN)? > 0 && io::stdin().read(&mut [0; 64])? == 0) {
            break;
        }
    }
    tally.took(began.elapsed());
    for reader in readers.iter().flatten() {
        tally.operations += 1;
        tally.operations_all += 1;
        tally.bytes += reader.received;
    }
    Ok(())
}

/// Sends the request, then reads as much as is allowed by now; what went wrong, if something did.
fn advance(slot: &mut Option<Reader>, asked: &mut Asked, allowed: u64, scratch: &mut [u8]) -> Option<String> {
    let reader = slot.as_mut()?;
    let stepped = if reader.sent { receive(reader, asked, allowed, scratch) } else { send(reader, asked) };
    let kind = stepped.err()?;
    *slot = None;
    Some(kind)
}

fn send(reader: &mut Reader, asked: &mut Asked) -> Result<(), String> {
    let request = asked.request();
    match reader.stream.write(&request) {
        Ok(sent) if sent == request.len() => reader.sent = true,
        Ok(_) => return Err("send: short".to_owned()),
        Err(error) if would_block(&error) => {}
        Err(error) => return Err(format!("send: {:?}", error.kind())),
    }
    Ok(())
}

fn receive(reader: &mut Reader, asked: &Asked, allowed: u64, scratch: &mut [u8]) -> Result<(), String> {
    let room = allowed.saturating_sub(reader.received).min(scratch.len() as u64) as usize;
    if room == 0 {
        return Ok(());
    }
    match reader.stream.read(&mut scratch[..room]) {
        Ok(0) => Err("slow-reader: the stream ended".to_owned()),
        Ok(got) => {
            asked.check(reader, &scratch[..got])?;
            reader.received += got as u64;
            Ok(())
        }
        Err(error) if would_block(&error) => Ok(()),
        Err(error) => Err(format!("receive: {:?}", error.kind())),
    }
}
