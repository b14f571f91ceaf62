//! Connecting: a socket to a server, from the options set before to what came of it.
//!
//! Owns whose fault a failure is. Must never choose the address or wait.

use std::io;
use std::net::SocketAddr;

use headworks_core::address::Address;
use headworks_core::close::Fault;
use headworks_core::pool::Backend;
use socket2::{Domain, SockAddr, Socket as System, Type};

use super::{Prompt, Socket, Watched};
use crate::hops::{self, Hop, may_lead_back};
use crate::tls::{Failure, Records, server_fault};

/// How a server is connected to for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial {
    /// We have something to send at once.
    pub(crate) speaks_first: bool,
    /// Times at most that a client may come back here from here.
    pub(crate) max_hops: u32,
}

impl Socket {
    /// Begins to connect to `address` as `backend` asks. `speaks_first`: we have something to send at once,
    /// so that the acknowledgement of the handshake can travel with it.
    pub(crate) fn connect(address: &Address, backend: &Backend, speaks_first: bool) -> Result<Self, Fault> {
        let target = match address {
            Address::Ip(ip) => SockAddr::from(*ip),
            Address::Unix(path) => SockAddr::unix(path).map_err(|_| Fault::Refused)?,
            Address::Descriptor(_) => return Err(Fault::Refused),
        };
        let kind = Type::STREAM.nonblocking().cloexec();
        let system = System::new(Domain::from(i32::from(target.family())), kind, None)
            .map_err(|error| fault_of(&error))?;
        if address.ip().is_some() {
            prepare(&system, backend).map_err(|error| fault_of(&error))?;
            if speaks_first {
                // One packet less; if the kernel will not, it is sent.
                let _ = system.set_tcp_quickack(false);
            }
        }
        match system.connect(&target) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(fault_of(&error)),
        }
        // `writable`: on a short path the connection stands already; trying tells.
        let prompt = if address.ip().is_some() { Prompt::Unused } else { Prompt::Set };
        Ok(Self {
            system,
            readable: false,
            writable: true,
            ending: false,
            broken: false,
            watched: Watched::Nothing,
            prompt,
            tls: None,
            hop: None,
        })
    }

    /// Begins to connect to a server on behalf of this client, unless that has come back here from here
    /// `max_hops` times.
    pub(crate) fn dial(&self, address: &Address, backend: &Backend, how: Dial) -> Result<Self, Fault> {
        if !may_lead_back(address) {
            return Self::connect(address, backend, how.speaks_first);
        }
        let made = self.hops();
        if made >= how.max_hops {
            return Err(Fault::Loop);
        }
        let mut socket = Self::connect(address, backend, how.speaks_first)?;
        let target = address.ip();
        socket.hop = target.and_then(|target| Hop::new(socket.local(), target, made + 1)).map(Box::new);
        Ok(socket)
    }

    /// Returns how often the client of this socket has come back here.
    pub(crate) fn hops(&self) -> u32 {
        let from = self.system.peer_addr().ok().and_then(|from| from.as_socket());
        hops::made(from.map(|from| SocketAddr::new(from.ip().to_canonical(), from.port())))
    }

    /// Whether who accepts this socket of ours has come back more than once: no other client may use it.
    pub(crate) fn is_deep(&self) -> bool {
        self.hop.as_ref().is_some_and(|hop| hop.number > 1)
    }

    /// Whether connecting has succeeded, once the socket is writable.
    pub(crate) fn connect_result(&self) -> Result<(), Fault> {
        match self.system.take_error() {
            Ok(None) => self.tls.as_deref().map_or(Ok(()), handshake_result),
            Ok(Some(error)) | Err(error) => Err(fault_of(&error)),
        }
    }
}

/// Sets the options that a socket needs before it connects.
fn prepare(system: &System, backend: &Backend) -> io::Result<()> {
    if backend.spec.keepalive {
        system.set_keepalive(true)?;
    }
    let Some(source) = backend.source else { return Ok(()) };
    if source.port() != 0 {
        system.set_reuse_address(true)?;
    }
    system.bind(&source.into())
}

/// Whether a handshake with a server has failed, and by whose fault.
fn handshake_result(tls: &Records) -> Result<(), Fault> {
    match (tls.failure(), tls.mute()) {
        (Some(Failure::Tls(error)), _) => Err(server_fault(error)),
        // The first write of all tells what came of connecting.
        (_, Some(code)) if tls.is_shaking() => Err(fault_of(&io::Error::from_raw_os_error(code))),
        (Some(Failure::Wire), _) => Err(Fault::Reset),
        (None, _) => Ok(()),
    }
}

/// Returns whose fault a failed connect is.
fn fault_of(error: &io::Error) -> Fault {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED | libc::ENOENT | libc::EACCES | libc::EPERM) => Fault::Refused,
        // A unix socket whose queue is full answers EAGAIN: it does not take us.
        Some(libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE | libc::EAGAIN) => Fault::Reset,
        Some(libc::ETIMEDOUT) => Fault::TimedOut,
        Some(
            libc::EMFILE
            | libc::ENFILE
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::EADDRNOTAVAIL
            | libc::EADDRINUSE,
        ) => Fault::Exhausted,
        _ => Fault::Unreachable,
    }
}
