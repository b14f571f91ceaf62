//! The HTTP/1.1 server behind the proxies: `load origin --mode http`. One epoll loop, no timers, no logging, and one
//! write for all that is asked at once.
//!
//! `/bytes/N` answers with N bytes of the pattern, every other path with the 200 bytes of all origins. Bodies of requests are read before
//! they are answered. Pipelined and split requests, HTTP/1.0, HEAD, `Connection: close` and `Expect: 100-continue`
//! are understood; what is malformed is answered with 400 and a close.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use crate::conversation::{Conversation, Reply, Turn};
use crate::listen;
use crate::sys::{self, Poll};
use crate::wire::{self, CHUNK, Pattern};

/// Pattern bytes that are copied behind a head, so that both leave in one write; longer bodies follow piece by piece.
const TOGETHER: u64 = 64 * 1024;

/// One accepted connection. What it owns is empty nearly always.
struct Client {
    stream: TcpStream,
    conversation: Conversation,
    /// Of a request that has come in part, or came while an answer was under way.
    held: Vec<u8>,
    /// Of an answer the socket did not take at once.
    unsent: Vec<u8>,
    /// Pattern bytes that follow `unsent`: position and end.
    bulk: (u64, u64),
    closing: bool,
    watched_for_writing: bool,
}

/// A failed connection and one that is over are the same: the generator counts failures.
enum Over {
    Closed,
    Failed(io::Error),
}

impl From<io::Error> for Over {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// The server.
pub struct HttpOrigin {
    listener: TcpListener,
    poll: Poll,
    clients: Vec<Option<Client>>, // by descriptor
    pattern: Pattern,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

/// Serves until killed. The first line of stdout is the port.
pub fn serve(address: SocketAddrV4) -> io::Result<()> {
    HttpOrigin::new(listen::open(address)?)?.serve()
}

impl HttpOrigin {
    /// A server of everybody who connects to `listener`, which does not block.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.add(listener.as_raw_fd(), sys::READ, listener.as_raw_fd() as usize)?;
        Ok(Self {
            listener,
            poll,
            clients: Vec::new(),
            pattern: Pattern::new(),
            scratch: vec![0; CHUNK],
            out: Vec::with_capacity(2 * CHUNK),
        })
    }

    /// Serves for ever.
    pub fn serve(&mut self) -> io::Result<()> {
        let listening = self.listener.as_raw_fd() as usize;
        loop {
            for index in 0..self.poll.wait(-1)? {
                match self.poll.token(index) {
                    token if token == listening => self.accept_all()?,
                    token => self.advance(token, self.poll.ended(index)),
                }
            }
        }
    }

    /// The first request is usually there already, so it is tried before the connection is watched.
    fn accept_all(&mut self) -> io::Result<()> {
        while let Some(stream) = listen::next(&self.listener)? {
            sys::set_nodelay(&stream)?;
            let fd = stream.as_raw_fd() as usize;
            let mut client = Client::new(stream);
            if self.pump(&mut client, false).is_err() {
                continue;
            }
            let writing = if client.watched_for_writing { sys::WRITE } else { 0 };
            self.poll.add(fd as i32, sys::READ | writing, fd)?;
            if self.clients.len() <= fd {
                self.clients.resize_with(fd + 1, || None);
            }
            self.clients[fd] = Some(client);
        }
        Ok(())
    }

    fn advance(&mut self, fd: usize, ended: bool) {
        let Some(mut client) = self.clients[fd].take() else { return };
        let watched = client.watched_for_writing;
        if self.pump(&mut client, ended).is_err() {
            return;
        }
        let changed = client.watched_for_writing && !watched;
        if changed && self.poll.change(fd as i32, sys::READ | sys::WRITE, fd).is_err() {
            return;
        }
        self.clients[fd] = Some(client);
    }

    /// Does all that can be done without waiting. An end that came together with the last bytes is not reported again.
    fn pump(&mut self, client: &mut Client, ended: bool) -> Result<(), Over> {
        loop {
            match self.send(client) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    client.watched_for_writing = true;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            if client.closing {
                return Err(Over::Closed);
            }
            // A short read emptied the socket; requests may still be held behind an answer that was long.
            let emptied = match self.receive(client) {
                Ok(emptied) => emptied,
                Err(Over::Failed(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(over) => return Err(over),
            };
            let idle = client.unsent.is_empty() && client.bulk.0 == client.bulk.1 && !client.closing;
            if emptied && idle && !ended {
                return Ok(());
            }
        }
    }

    /// Sends what is still to be sent.
    fn send(&self, client: &mut Client) -> io::Result<()> {
        while !client.unsent.is_empty() {
            let sent = client.stream.write(&client.unsent)?;
            client.unsent.drain(..sent);
        }
        let (position, end) = &mut client.bulk;
        while position < end {
            *position += client.stream.write(self.pattern.at(*position, *end - *position))? as u64;
        }
        Ok(())
    }

    /// Answers what is held, or reads once and answers that; true when the socket is known to be empty.
    fn receive(&mut self, client: &mut Client) -> Result<bool, Over> {
        let mut length = client.held.len();
        self.scratch[..length].copy_from_slice(&client.held);
        let mut emptied = false;
        if !std::mem::take(&mut client.conversation.more_is_held) {
            let got = client.stream.read(&mut self.scratch[length..])?;
            if got == 0 {
                return Err(Over::Closed);
            }
            length += got;
            emptied = length < self.scratch.len();
        }
        client.held.clear();
        self.out.clear();
        let mut at = 0;
        while at < length && client.bulk.0 == client.bulk.1 && !client.closing {
            let (used, turn) = client.conversation.next(&self.scratch[at..length]);
            at += used;
            let Some(turn) = turn else { break };
            self.answer(client, &turn);
        }
        client.conversation.more_is_held = at < length && client.bulk.0 < client.bulk.1;
        client.held.extend_from_slice(&self.scratch[at..length]);
        self.write_out(client)?;
        Ok(emptied)
    }

    /// Puts an answer behind the others; a long body is left to [`HttpOrigin::send`].
    fn answer(&mut self, client: &mut Client, turn: &Turn) {
        turn.write_head(&mut self.out);
        client.closing = turn.closes;
        match turn.reply {
            _ if turn.headless => {}
            Reply::Answer => self.out.extend_from_slice(&wire::answer()),
            Reply::Bytes(total) => {
                let first = total.min(TOGETHER);
                self.out.extend_from_slice(self.pattern.at(0, first));
                client.bulk = (first, total);
            }
            Reply::Continue | Reply::Refused => {}
        }
    }

    fn write_out(&mut self, client: &mut Client) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = match client.stream.write(&self.out) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        client.unsent.extend_from_slice(&self.out[sent..]);
        Ok(())
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            conversation: Conversation::default(),
            held: Vec::new(),
            unsent: Vec::new(),
            bulk: (0, 0),
            closing: false,
            watched_for_writing: false,
        }
    }
}
