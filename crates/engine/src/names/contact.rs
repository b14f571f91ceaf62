//! A contact: one query on its way to one nameserver, by a datagram or over a connection, each from a
//! socket of its own whose port the kernel chose by chance. Must never wait, and never take what the
//! nameserver has not sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use headworks_core::names::{SentQuery, StreamAnswer};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

/// One query on its way.
#[derive(Debug)]
pub(super) enum Contact {
    /// In a datagram. The socket is connected: what others send does not come through.
    Datagram(UdpSocket),
    /// Over a connection.
    Stream {
        /// The connection.
        stream: TcpStream,
        /// The bytes of the query that are still to be sent.
        unsent: Vec<u8>,
        /// The answer as far as it has come.
        answer: StreamAnswer,
    },
}

/// Result of going on with a contact.
#[derive(Debug)]
pub(super) enum Contacted {
    /// Nothing yet.
    Nothing,
    /// A datagram: so many bytes of the buffer.
    Datagram(usize),
    /// A message.
    Message(Vec<u8>),
    /// An end without an answer.
    Broken,
}

impl Contact {
    /// Sends a query in a datagram.
    pub(super) fn send(
        nameserver: SocketAddr,
        query: &SentQuery,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let any: SocketAddr = match nameserver {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(nameserver)?;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        socket.send(query.bytes())?;
        Ok(Self::Datagram(socket))
    }

    /// Begins to connect.
    pub(super) fn connect(
        nameserver: SocketAddr,
        query: &SentQuery,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(nameserver), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&nameserver.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, both)?;
        Ok(Self::Stream { stream: socket.into(), unsent: query.framed(), answer: StreamAnswer::default() })
    }

    /// Goes on as far as the socket lets it.
    pub(super) fn proceed(&mut self, buffer: &mut [u8]) -> Contacted {
        let going = match self {
            Self::Datagram(socket) => receive(socket, buffer),
            Self::Stream { stream, unsent, answer } => converse(stream, unsent, answer, buffer),
        };
        match going {
            Ok(contacted) => contacted,
            // A connection under way is not connected; that it failed is told by an error of its own.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                Contacted::Nothing
            }
            Err(_) => Contacted::Broken,
        }
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Contacted> {
    loop {
        match socket.recv(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            received => return received.map(Contacted::Datagram),
        }
    }
}

fn converse(
    stream: &mut TcpStream,
    unsent: &mut Vec<u8>,
    answer: &mut StreamAnswer,
    buffer: &mut [u8],
) -> io::Result<Contacted> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    while !unsent.is_empty() {
        match stream.write(unsent) {
            Ok(written) => _ = unsent.drain(..written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    loop {
        match stream.read(buffer) {
            Ok(0) => return Ok(Contacted::Broken),
            Ok(read) => {
                if let Some(message) = answer.push(&buffer[..read]) {
                    return Ok(Contacted::Message(message.to_vec()));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
