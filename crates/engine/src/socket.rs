//! Socket: one non-blocking stream socket, what is known of its readiness, and its registration with the poll.
//!
//! Registration is edge-triggered and changes at most once: readable first; writable too from the first time that
//! something did not fit. `readable` and `writable` are what the last event or call said, so that no call is made
//! that is known to fail. Must never decide what to do with bytes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use headworks_core::action::Fault;
use headworks_core::address::Address;
use headworks_core::backend::Backend;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockAddr, Socket as System, Type};

use crate::sys;

/// A stream socket of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    system: System,
    /// A read may give something.
    pub(crate) readable: bool,
    /// A write may take something.
    pub(crate) writable: bool,
    /// The other end has ended its sending: after what is queued, a read gives the end.
    pub(crate) ending: bool,
    /// It is in error: after what is queued, a read gives no end but the error.
    pub(crate) broken: bool,
    watched: Watched,
    prompt: Prompt,
}

/// Small writes go out at once (TCP_NODELAY). That matters from the second write on: a first one never waits, and many
/// connections have no second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// Nothing was written yet.
    Unused,
    /// The next write needs the option.
    Wanted,
    /// It is set, or does not apply.
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Nothing,
    Reads,
    Both,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The end.
    End,
    /// The other end reset the connection, or it broke.
    Broken,
}

/// What a write took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// So many bytes; fewer than given when the socket is full.
    Bytes(usize),
    /// The other end reset the connection, or it broke.
    Broken,
}

impl Socket {
    /// A socket that was just accepted: its first bytes are likely to be there.
    pub(crate) fn accepted(fd: OwnedFd) -> Self {
        Self {
            system: fd.into(),
            readable: true,
            writable: true,
            ending: false,
            broken: false,
            watched: Watched::Nothing,
            prompt: Prompt::Set,
        }
    }

    /// Begins to connect to `address` as `backend` asks. `speaks_first`: we have something to send at once, so that
    /// the acknowledgement of the handshake can travel with it.
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
        })
    }

    /// Takes note of what the poll says.
    pub(crate) fn became(&mut self, readiness: &mio::event::Event) {
        let broken = readiness.is_error();
        self.readable |= readiness.is_readable() || broken;
        self.ending |= readiness.is_read_closed() || broken;
        self.writable |= readiness.is_writable() || broken;
        self.broken |= broken;
    }

    /// Whether the other end has ended its sending, behind what is read already. Before the socket is watched nothing but
    /// a look at it tells.
    pub(crate) fn has_ended(&self) -> bool {
        self.ending
            || (self.watched == Watched::Nothing
                && !self.readable
                && self.system.peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok_and(|n| n == 0))
    }

    /// The descriptor.
    #[inline]
    pub(crate) fn fd(&self) -> RawFd {
        self.system.as_raw_fd()
    }

    /// Watches for readability; once is enough.
    pub(crate) fn watch_reads(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.watched == Watched::Nothing {
            registry.register(&mut SourceFd(&self.fd()), token, Interest::READABLE)?;
            self.watched = Watched::Reads;
        }
        Ok(())
    }

    /// Watches for writability too; once is enough.
    pub(crate) fn watch_both(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self.watched {
            Watched::Nothing => registry.register(&mut SourceFd(&self.fd()), token, both)?,
            Watched::Reads => registry.reregister(&mut SourceFd(&self.fd()), token, both)?,
            Watched::Both => return Ok(()),
        }
        self.watched = Watched::Both;
        Ok(())
    }

    /// Reads what is there. After a short read nothing is left, unless the end is.
    #[inline]
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Read {
        match sys::receive(self.fd(), into) {
            Ok(0) => {
                self.readable = false;
                Read::End
            }
            Ok(n) => {
                self.readable = n == into.len() || self.ending;
                Read::Bytes(n)
            }
            Err(error) => self.read_failed(&error),
        }
    }

    /// Writes what fits. `more`: further bytes or the end follow at once, so that a short packet may wait for them.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8], more: bool) -> Written {
        self.be_prompt();
        match sys::send(self.fd(), bytes, more) {
            Ok(n) => {
                self.writable = n == bytes.len();
                Written::Bytes(n)
            }
            Err(error) => self.write_failed(&error),
        }
    }

    /// Moves what is there into a pipe.
    pub(crate) fn read_into_pipe(&mut self, pipe: RawFd, length: usize) -> Read {
        match sys::splice(self.fd(), pipe, length) {
            Ok(0) => {
                self.readable = false;
                Read::End
            }
            // A short move may mean a full pipe as well as an empty socket: only EAGAIN tells.
            Ok(n) => Read::Bytes(n),
            Err(error) => self.read_failed(&error),
        }
    }

    /// Moves what fits out of a pipe.
    pub(crate) fn write_from_pipe(&mut self, pipe: RawFd, length: usize) -> Written {
        self.be_prompt();
        match sys::splice(pipe, self.fd(), length) {
            // A short move is no proof of a full socket: the next call gives EAGAIN if it is.
            Ok(n) => Written::Bytes(n),
            Err(error) => self.write_failed(&error),
        }
    }

    #[inline]
    fn be_prompt(&mut self) {
        match self.prompt {
            Prompt::Set => {}
            Prompt::Unused => self.prompt = Prompt::Wanted,
            Prompt::Wanted => {
                // A socket that is gone says so when it is written to.
                let _ = self.system.set_tcp_nodelay(true);
                self.prompt = Prompt::Set;
            }
        }
    }

    /// Ends our sending; what was sent is still delivered.
    pub(crate) fn finish(&self) {
        // Fails only when the connection is gone already.
        let _ = self.system.shutdown(std::net::Shutdown::Write);
    }

    /// Bytes written that the other end has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        sys::unacknowledged(self.fd())
    }

    /// Makes closing a reset, unless bytes are still on their way: those are delivered and then ended.
    pub(crate) fn abort(&self) {
        if self.unacknowledged() == 0 {
            let _ = self.system.set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Whether connecting has succeeded, once the socket is writable.
    pub(crate) fn connect_result(&self) -> Result<(), Fault> {
        match self.system.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(fault_of(&error)),
        }
    }

    /// Our own address.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        let address = self.system.local_addr().ok()?.as_socket()?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    fn read_failed(&mut self, error: &io::Error) -> Read {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.readable = false;
                Read::Nothing
            }
            io::ErrorKind::Interrupted => Read::Nothing,
            _ => Read::Broken,
        }
    }

    fn write_failed(&mut self, error: &io::Error) -> Written {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                self.writable = false;
                Written::Bytes(0)
            }
            io::ErrorKind::Interrupted => Written::Bytes(0),
            _ => Written::Broken,
        }
    }
}

/// Socket options before connecting.
fn prepare(system: &System, backend: &Backend) -> io::Result<()> {
    if backend.keepalive {
        system.set_keepalive(true)?;
    }
    let Some(source) = backend.source else { return Ok(()) };
    if source.port() != 0 {
        system.set_reuse_address(true)?;
    }
    system.bind(&source.into())
}

/// Whose fault a failed connect is.
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
