//! Connecting: a socket to a server, from the options set before to what came of it.
//!
//! Owns whose fault a failure is. Must never choose the address or wait.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use headworks_core::address::Address;
use headworks_core::close::Fault;
use headworks_core::pool::{AskedFor, Backend, Source};
use socket2::{Domain, SockAddr, Socket as System, Type};

use super::{Prompt, Socket, Watched};
use crate::hops::{self, Leap, may_lead_back};
use crate::options;
use crate::sys;
use crate::tls::{Failure, Records, server_fault};

/// How a server is connected to for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial {
    /// We have something to send at once.
    pub(crate) speaks_first: bool,
    /// Times at most that a client may come back here from here.
    pub(crate) max_hops: u32,
    /// The client, whose address servers may have to see.
    pub(crate) client: Option<SocketAddr>,
}

impl Socket {
    /// Begins to connect to `address` as `backend` asks. `speaks_first`: we have something to send at once,
    /// so that the acknowledgement of the handshake can travel with it.
    pub(crate) fn connect(address: &Address, backend: &Backend, speaks_first: bool) -> Result<Self, Fault> {
        let source = match backend.source {
            Some(Source::Address(source)) => Some(source),
            // Ours, where we speak for no client: such are checks.
            Some(Source::Client) | None => None,
        };
        Self::connect_from(source, address, backend, speaks_first)
    }

    fn connect_from(
        source: Option<SocketAddr>,
        address: &Address,
        backend: &Backend,
        speaks_first: bool,
    ) -> Result<Self, Fault> {
        let target = match address {
            Address::Ip(ip) => SockAddr::from(*ip),
            Address::Unix(path) => SockAddr::unix(path).map_err(|_| Fault::Refused)?,
            Address::Descriptor(_) => return Err(Fault::Refused),
        };
        let kind = Type::STREAM.nonblocking().cloexec();
        let system = System::new(Domain::from(i32::from(target.family())), kind, None)
            .map_err(|error| fault_of(&error))?;
        if address.ip().is_some() {
            prepare(&system, backend, source, speaks_first)?;
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
        // What redirects clients here may redirect our own connections, too, wherever they go.
        let redirected = backend.asked_for.as_ref().is_some_and(AskedFor::is_original);
        if !may_lead_back(address) && !redirected {
            return Self::connect_for(address, backend, how);
        }
        let made = self.hops();
        if made >= how.max_hops {
            return Err(Fault::Loop);
        }
        let leap = Leap::begin();
        let mut socket = Self::connect_for(address, backend, how)?;
        let (local, target) = (socket.local(), address.ip());
        socket.hop = if redirected {
            local.map(|local| leap.anywhere(local, made + 1))
        } else {
            target.and_then(|target| leap.to(local, target, made + 1))
        }
        .map(Box::new);
        Ok(socket)
    }

    /// Begins to connect to a server on behalf of a client, from its address where the backend says so.
    fn connect_for(address: &Address, backend: &Backend, how: Dial) -> Result<Self, Fault> {
        if backend.source != Some(Source::Client) {
            return Self::connect(address, backend, how.speaks_first);
        }
        // With the client's port the connection could be told from the client's own by nobody.
        let source = how.client.map(|client| SocketAddr::new(client.ip(), 0));
        let target = address.ip().map(|ip| ip.ip().to_canonical());
        match (source, target) {
            (Some(source), Some(target)) if source.is_ipv4() == target.is_ipv4() => {
                Self::connect_from(Some(source), address, backend, how.speaks_first)
            }
            _ => Err(Fault::Source),
        }
    }

    /// Fails where sockets to servers of a backend cannot have what it asks for; tries it on one that goes
    /// nowhere.
    pub(crate) fn can_connect(backend: &Backend) -> io::Result<()> {
        let (connect, from_client) = (&backend.spec.connect, backend.source == Some(Source::Client));
        if connect.is_plain() && !from_client {
            return Ok(());
        }
        let system = System::new(Domain::IPV4, Type::STREAM.cloexec(), None)?;
        let said = |error: io::Error| io::Error::new(error.kind(), format!("connect.{error}"));
        options::set_privileged(&system, connect, false).map_err(said)?;
        options::set(&system, connect).map_err(said)?;
        options::set_connecting(&system, connect).map_err(said)?;
        if from_client {
            options::be_transparent(&system, false)
                .map_err(|error| io::Error::new(error.kind(), "source = \"client\" needs CAP_NET_ADMIN"))?;
        }
        Ok(())
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
fn prepare(
    system: &System,
    backend: &Backend,
    source: Option<SocketAddr>,
    speaks_first: bool,
) -> Result<(), Fault> {
    let fault = |error: io::Error| fault_of(&error);
    if backend.spec.keepalive {
        system.set_keepalive(true).map_err(fault)?;
    }
    if !backend.spec.connect.is_plain() {
        set_options(system, backend, speaks_first).map_err(fault)?;
    }
    let Some(source) = source else { return Ok(()) };
    if backend.source == Some(Source::Client) {
        return be_client(system, source).map_err(|error| match fault_of(&error) {
            Fault::Exhausted if error.kind() != io::ErrorKind::AddrNotAvailable => Fault::Exhausted,
            _ => Fault::Source,
        });
    }
    if source.port() != 0 {
        system.set_reuse_address(true).map_err(fault)?;
    }
    system.bind(&source.into()).map_err(fault)
}

#[cold]
fn set_options(system: &System, backend: &Backend, speaks_first: bool) -> io::Result<()> {
    let connect = &backend.spec.connect;
    options::set_privileged(system, connect, system.domain()? == Domain::IPV6)?;
    options::set(system, connect)?;
    // Nothing is sent before our first bytes then: a server that speaks first would wait for ever.
    if speaks_first { options::set_connecting(system, connect) } else { Ok(()) }
}

/// Binds a socket to a client's address, which is none of ours.
fn be_client(system: &System, source: SocketAddr) -> io::Result<()> {
    options::be_transparent(system, source.is_ipv6())?;
    sys::choose_port_late(system.as_raw_fd())?;
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
