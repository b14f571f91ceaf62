//! Idle connections: opens `--connections`, a few at a time; each sends a hello (or a request) and waits for its answer,
//! so that it is known to be routed. Then prints `held N` and keeps all of them until stdin ends.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use super::{Names, Order, Sources, Tally, would_block};
use crate::sys::{self, Poll};
use crate::wire;

/// Connections under way at once while opening: fewer than any accept queue.
const AT_ONCE: usize = 64;

struct Idle {
    stream: TcpStream,
    began: Instant,
    sent: bool,
    received: usize,
}

/// Opens, holds, and finally checks that none was closed meanwhile.
pub(super) fn run(
    order: &Order,
    mut names: Option<Names>,
    mut sources: Sources,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let request = wire::request(order.request);
    let began = Instant::now();
    let mut all: Vec<Option<Idle>> = Vec::with_capacity(order.connections);
    let mut settled = 0;
    while settled < order.connections {
        while all.len() < order.connections && all.len() - settled < AT_ONCE {
            let stream = sys::connect(order.target, sources.next())?;
            poll.add(stream.as_raw_fd(), sys::READ | sys::WRITE, all.len())?;
            all.push(Some(Idle { stream, began: Instant::now(), sent: false, received: 0 }));
        }
        let ready = poll.wait(order.patience.as_millis() as i32)?;
        if ready == 0 {
            tally.failed("timeout");
            return Ok(());
        }
        for index in 0..ready {
            let message = names.as_mut().map_or(request.as_slice(), Names::next_hello);
            settled += usize::from(advance(&mut all[poll.token(index)], message, tally));
        }
    }
    tally.took(began.elapsed());
    hold(&mut all, tally)
}

/// Sends or receives; true when this connection has just got its whole answer, or failed.
fn advance(slot: &mut Option<Idle>, message: &[u8], tally: &mut Tally) -> bool {
    let Some(idle) = slot else { return false };
    if idle.received == wire::ANSWER {
        return false;
    }
    let stepped = if idle.sent { receive(idle) } else { send(idle, message) };
    match stepped {
        Ok(false) => false,
        Ok(true) => {
            tally.operations += 1;
            tally.operations_all += 1;
            tally.latency.record(idle.began.elapsed().as_nanos() as u64);
            true
        }
        Err(error) if would_block(&error) => false,
        Err(error) => {
            tally.failed_with("idle", &error);
            *slot = None;
            true
        }
    }
}

fn send(idle: &mut Idle, message: &[u8]) -> io::Result<bool> {
    let sent = idle.stream.write(message)?;
    idle.sent = true;
    if sent == message.len() { Ok(false) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn receive(idle: &mut Idle) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    let got = idle.stream.read(&mut buffer)?;
    let end = idle.received + got;
    if got == 0 || wire::answer().get(idle.received..end) != Some(&buffer[..got]) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    idle.received = end;
    Ok(end == wire::ANSWER)
}

/// Keeps everything open until whoever asked closes our stdin.
fn hold(all: &mut [Option<Idle>], tally: &mut Tally) -> io::Result<()> {
    println!("held {}", all.iter().flatten().count());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    for idle in all.iter_mut().flatten() {
        match idle.stream.read(&mut [0; 16]) {
            Err(error) if would_block(&error) => {}
            _ => tally.failed("idle: did not stay open"),
        }
    }
    Ok(())
}
