//! The server behind the proxies. It does the least a server can: no timers, no logging, no allocation per message.
//!
//! A message is a TLS record (by its own length) or a request of `--request` bytes; a bulk header is one of 16.
//! `close` answers the first message and closes. `answer` answers every message. `source` sends as many pattern bytes
//! as the header asks for. `sink` compares as many as the header announces with the pattern and then answers. `hold`
//! reads and says nothing. `http` is another server, in `http_origin.rs`.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::str::FromStr;

use crate::args::Args;
use crate::http_origin;
use crate::listen;
use crate::sys::{self, Poll};
use crate::wire::{self, BULK_HEADER, CHUNK, Pattern};

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Close,
    Answer,
    Source,
    Sink,
    Hold,
}

impl FromStr for Mode {
    type Err = ();
    fn from_str(name: &str) -> Result<Self, ()> {
        Ok(match name {
            "close" => Self::Close,
            "answer" => Self::Answer,
            "source" => Self::Source,
            "sink" => Self::Sink,
            "hold" => Self::Hold,
            _ => return Err(()),
        })
    }
}

/// One accepted connection. `held` is part of a message, empty nearly always.
struct Client {
    stream: TcpStream,
    held: Vec<u8>,
    stage: Stage,
}

enum Stage {
    /// Messages come.
    Messages,
    /// Pattern bytes move; `position` of `total` have.
    Bulk { position: u64, total: u64 },
}

/// What becomes of a connection after an event.
#[derive(PartialEq)]
enum Next {
    Keep,
    Close,
}

struct Origin {
    mode: Mode,
    request: usize,
    listener: TcpListener,
    poll: Poll,
    clients: Vec<Option<Client>>, // by descriptor
    answer: [u8; wire::ANSWER],
    pattern: Pattern,
    scratch: Vec<u8>,
}

/// Serves until killed. The first line of stdout is the port.
pub fn serve(mut args: Args) -> Result<(), String> {
    let mode: String = args.need("mode")?;
    let address: SocketAddrV4 = args.take_or("listen", SocketAddrV4::new([127, 0, 0, 1].into(), 0))?;
    if mode == "http" {
        args.finish()?;
        return http_origin::serve(address).map_err(|error| format!("{address}: {error}"));
    }
    let mode: Mode = mode.parse().map_err(|()| format!("--mode: {mode} is no mode"))?;
    let usual = if matches!(mode, Mode::Source | Mode::Sink) { BULK_HEADER } else { 100 };
    let request = args.take_or("request", usual)?;
    args.finish()?;
    let mut origin = Origin::bind(mode, address, request).map_err(|error| format!("{address}: {error}"))?;
    origin.serve().map_err(|error| error.to_string())
}

impl Origin {
    fn bind(mode: Mode, address: SocketAddrV4, request: usize) -> io::Result<Self> {
        let listener = listen::open(address)?;
        let poll = Poll::new()?;
        poll.add(listener.as_raw_fd(), sys::READ, listener.as_raw_fd() as usize)?;
        Ok(Self {
            mode,
            request,
            listener,
            poll,
            clients: Vec::new(),
            answer: wire::answer(),
            pattern: Pattern::new(),
            scratch: vec![0; CHUNK],
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        let listening = self.listener.as_raw_fd() as usize;
        loop {
            for index in 0..self.poll.wait(-1)? {
                match self.poll.token(index) {
                    token if token == listening => self.accept_all()?,
                    token => self.advance(token),
                }
            }
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        while let Some(stream) = listen::next(&self.listener)? {
            self.admit(stream)?;
        }
        Ok(())
    }

    /// The first bytes are usually there already, so they are tried before the connection is watched.
    fn admit(&mut self, stream: TcpStream) -> io::Result<()> {
        if self.mode != Mode::Close {
            sys::set_nodelay(&stream)?;
        }
        let fd = stream.as_raw_fd() as usize;
        let mut client = Client { stream, held: Vec::new(), stage: Stage::Messages };
        if self.pump(&mut client) == Next::Close {
            return Ok(());
        }
        let interest = if self.mode == Mode::Source { sys::READ | sys::WRITE } else { sys::READ };
        self.poll.add(fd as i32, interest, fd)?;
        if self.clients.len() <= fd {
            self.clients.resize_with(fd + 1, || None);
        }
        self.clients[fd] = Some(client);
        Ok(())
    }

    fn advance(&mut self, fd: usize) {
        let Some(mut client) = self.clients[fd].take() else { return };
        if self.pump(&mut client) == Next::Keep {
            self.clients[fd] = Some(client);
        }
    }

    /// Does what can be done without waiting; a failed connection is simply over, the generator counts it.
    fn pump(&mut self, client: &mut Client) -> Next {
        loop {
            let moved = match (&client.stage, self.mode) {
                (Stage::Bulk { .. }, Mode::Source) => self.send_bulk(client),
                _ => self.receive(client),
            };
            match moved {
                Ok(true) => {}
                Ok(false) => return Next::Close,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Keep,
                Err(_) => return Next::Close,
            }
        }
    }

    /// One read, behind what is held already, and what follows from it; false when the connection is over.
    fn receive(&mut self, client: &mut Client) -> io::Result<bool> {
        let held = client.held.len();
        self.scratch[..held].copy_from_slice(&client.held);
        let length = client.stream.read(&mut self.scratch[held..])?;
        client.held.clear();
        if length == 0 {
            return Ok(false);
        }
        if self.mode == Mode::Hold {
            return Ok(true);
        }
        let open = match client.stage {
            Stage::Bulk { .. } => self.swallow(client, 0, length)?,
            Stage::Messages => self.take_messages(client, held + length)?,
        };
        // A short read emptied the socket: trying again would only cost a call. Bulk goes on until EAGAIN.
        let bulk = matches!(client.stage, Stage::Bulk { .. });
        if open && !bulk && self.mode != Mode::Close {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(open)
        }
    }

    /// Acts on the messages in the first `length` scratch bytes and keeps what is left of them.
    fn take_messages(&mut self, client: &mut Client, length: usize) -> io::Result<bool> {
        let mut at = 0;
        while at < length {
            let end = wire::message_length(&self.scratch[at..length], self.request).map(|size| at + size);
            let Some(end) = end.filter(|end| *end <= length) else {
                client.held.extend_from_slice(&self.scratch[at..length]);
                break;
            };
            let hello = wire::is_hello(&self.scratch[at..]);
            if !hello && matches!(self.mode, Mode::Source | Mode::Sink) {
                return self.start_bulk(client, at, length);
            }
            client.stream.write_all(&self.answer)?;
            if self.mode == Mode::Close {
                return Ok(false);
            }
            at = end;
        }
        Ok(true)
    }

    fn start_bulk(&mut self, client: &mut Client, at: usize, length: usize) -> io::Result<bool> {
        let mut header = [0; BULK_HEADER];
        header.copy_from_slice(&self.scratch[at..at + BULK_HEADER]);
        client.stage = Stage::Bulk { position: 0, total: wire::bulk_total(&header) };
        if self.mode == Mode::Source { Ok(true) } else { self.swallow(client, at + BULK_HEADER, length) }
    }

    /// Compares scratch bytes with the pattern; answers after the last one, closes at once if one is wrong.
    fn swallow(&mut self, client: &mut Client, from: usize, to: usize) -> io::Result<bool> {
        let Stage::Bulk { position, total } = &mut client.stage else { return Ok(false) };
        if !self.pattern.matches(*position, &self.scratch[from..to]) {
            return Ok(false);
        }
        *position += (to - from) as u64;
        if *position < *total {
            return Ok(true);
        }
        client.stream.write_all(&self.answer)?;
        client.stage = Stage::Messages;
        Ok(true)
    }

    fn send_bulk(&mut self, client: &mut Client) -> io::Result<bool> {
        let Stage::Bulk { position, total } = &mut client.stage else { return Ok(false) };
        let sent = client.stream.write(self.pattern.at(*position, *total - *position))?;
        *position += sent as u64;
        Ok(*position < *total)
    }
}
