//! The floor: the least that passing bytes through one process can be. It looks at nothing, chooses nothing, has no
//! timers, no limits and no back-pressure, and so is no proxy; what it costs is nearly all the kernel's work, which
//! every proxy that reads and writes sockets pays too.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use crate::args::Args;
use crate::listen;
use crate::sys::{self, Poll};

/// One end of a pair, by descriptor.
struct End {
    stream: TcpStream,
    other: usize,
    ended: bool,
}

struct Relay {
    target: SocketAddrV4,
    listener: TcpListener,
    poll: Poll,
    ends: Vec<Option<End>>,
    scratch: Vec<u8>,
}

/// Relays until killed. The first line of stdout is the port.
pub fn serve(mut args: Args) -> Result<(), String> {
    let target: SocketAddrV4 = args.need("target")?;
    let address: SocketAddrV4 = args.take_or("listen", SocketAddrV4::new([127, 0, 0, 1].into(), 0))?;
    args.finish()?;
    let mut relay = Relay::bind(target, address).map_err(|error| format!("{address}: {error}"))?;
    relay.serve().map_err(|error| error.to_string())
}

impl Relay {
    fn bind(target: SocketAddrV4, address: SocketAddrV4) -> io::Result<Self> {
        let listener = listen::open(address)?;
        let poll = Poll::new()?;
        poll.add(listener.as_raw_fd(), sys::READ, listener.as_raw_fd() as usize)?;
        Ok(Self { target, listener, poll, ends: Vec::new(), scratch: vec![0; 64 * 1024] })
    }

    fn serve(&mut self) -> io::Result<()> {
        let listening = self.listener.as_raw_fd() as usize;
        loop {
            for index in 0..self.poll.wait(-1)? {
                match self.poll.token(index) {
                    token if token == listening => self.accept_all()?,
                    token => self.pass_on(token),
                }
            }
        }
    }

    fn accept_all(&mut self) -> io::Result<()> {
        while let Some(stream) = listen::next(&self.listener)? {
            self.pair(stream)?;
        }
        Ok(())
    }

    /// Opens the other end. On loopback it is connected at once, and the client's first bytes are usually there.
    fn pair(&mut self, client: TcpStream) -> io::Result<()> {
        let server = sys::connect(self.target, None)?;
        for stream in [&client, &server] {
            sys::set_nodelay(stream)?;
        }
        let (one, two) = (client.as_raw_fd() as usize, server.as_raw_fd() as usize);
        if self.ends.len() <= one.max(two) {
            self.ends.resize_with(one.max(two) + 1, || None);
        }
        self.ends[one] = Some(End { stream: client, other: two, ended: false });
        self.ends[two] = Some(End { stream: server, other: one, ended: false });
        self.pass_on(one);
        for fd in [one, two] {
            if self.ends[fd].is_some() {
                self.poll.add(fd as i32, sys::READ, fd)?;
            }
        }
        Ok(())
    }

    /// Passes on what is there, and an end; anything unexpected ends both.
    fn pass_on(&mut self, fd: usize) {
        loop {
            let Some(end) = self.ends[fd].as_mut() else { return };
            let other = end.other;
            match end.stream.read(&mut self.scratch) {
                Ok(0) => return self.end(fd, other),
                Ok(count) => {
                    let Some(to) = self.ends[other].as_mut() else { return };
                    if to.stream.write_all(&self.scratch[..count]).is_err() {
                        return self.drop_pair(fd, other);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.drop_pair(fd, other),
            }
        }
    }

    fn end(&mut self, fd: usize, other: usize) {
        if let Some(end) = self.ends[fd].as_mut() {
            end.ended = true;
        }
        match self.ends[other].as_ref() {
            Some(end) if !end.ended => _ = end.stream.shutdown(Shutdown::Write),
            _ => self.drop_pair(fd, other),
        }
    }

    fn drop_pair(&mut self, fd: usize, other: usize) {
        self.ends[fd] = None;
        self.ends[other] = None;
    }
}
