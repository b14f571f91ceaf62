//! Socket: one non-blocking stream socket, what is known of its readiness, and its registration with the
//! poll.
//!
//! Registration is edge-triggered and changes at most once: readable first; writable too from the first time
//! that something did not fit. `readable` and `writable` are what the last event or call said, so that no
//! call is made that is known to fail. Must never decide what to do with bytes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use headworks_core::address::Address;
use headworks_core::close::Fault;
use headworks_core::pool::Backend;
use headworks_core::tls::TlsFacts;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockAddr, Socket as System, Type};

use crate::outcome::{Read, Written};
use crate::sys;
use crate::tls::{Connector, Failure, Records, server_fault};

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
    /// Whether the socket is in error: after what is queued, a read gives no end but the error.
    pub(crate) broken: bool,
    watched: Watched,
    prompt: Prompt,
    /// The TLS side: what is read and written is plaintext then.
    tls: Option<Box<Records>>,
}

/// Small writes go out at once (TCP_NODELAY). That matters from the second write on: a first one never waits,
/// and many connections have no second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    /// Nothing was written yet.
    Unused,
    /// The next write needs the option.
    Wanted,
    /// The option is set, or does not apply.
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Nothing,
    /// For somebody else, by another token.
    Elsewhere,
    Reads,
    Both,
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
            tls: None,
        }
    }

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
        })
    }

    /// Puts TLS between the wire and everybody else. What is read and written from now on is plaintext; until
    /// its handshake is complete nothing is written.
    pub(crate) fn secure(&mut self, stream: Records) {
        // A handshake is many small messages.
        if self.prompt != Prompt::Set {
            let _ = self.system.set_tcp_nodelay(true);
            self.prompt = Prompt::Set;
        }
        self.tls = Some(Box::new(stream));
    }

    /// Puts TLS between a fresh socket to the server at `address` and everybody else. `preface` goes out
    /// before it, in the clear.
    pub(crate) fn secure_to(
        &mut self,
        connector: &Connector,
        address: &Address,
        preface: &[u8],
    ) -> Result<(), Fault> {
        let machine = connector.begin(address).map_err(|_| Fault::Handshake)?;
        self.secure(Records::to_server(machine, preface));
        Ok(())
    }

    /// Returns the TLS side.
    pub(crate) fn tls(&self) -> Option<&Records> {
        self.tls.as_deref()
    }

    /// Returns the terms that the handshake agreed on.
    #[inline]
    pub(crate) fn tls_facts(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()?.facts.as_deref()
    }

    /// Returns the TLS side.
    pub(crate) fn tls_mut(&mut self) -> Option<&mut Records> {
        self.tls.as_deref_mut()
    }

    /// Takes its handshake as far as it goes without waiting.
    pub(crate) fn shake(&mut self) {
        let (fd, ending) = (self.fd(), self.ending);
        if let Some(tls) = &mut self.tls {
            tls.shake(fd, ending);
        }
        self.follow_tls();
    }

    /// Whether bytes can move through it unseen.
    pub(crate) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Takes over the readiness of the TLS side.
    fn follow_tls(&mut self) {
        if let Some(tls) = &self.tls {
            self.readable = tls.is_readable();
            self.writable = tls.is_writable();
            self.broken |= tls.failure().is_some();
        }
    }

    /// Takes note of what the poll says.
    pub(crate) fn became(&mut self, readiness: &mio::event::Event) {
        let broken = readiness.is_error();
        self.ending |= readiness.is_read_closed() || broken;
        self.broken |= broken;
        let (readable, writable) = (readiness.is_readable() || broken, readiness.is_writable() || broken);
        let (fd, ending) = (self.fd(), self.ending);
        match &mut self.tls {
            None => {
                self.readable |= readable;
                self.writable |= writable;
            }
            Some(tls) => {
                tls.became(fd, readable, writable, ending);
                self.follow_tls();
            }
        }
    }

    /// Whether the other end has ended its sending, behind what is read already. Before the socket is watched
    /// nothing but a look at it tells.
    pub(crate) fn has_ended(&self) -> bool {
        self.ending
            || self.tls.as_ref().is_some_and(|tls| tls.has_ended())
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
        match self.watched {
            // What is owed to the wire goes out whoever writes next, or nobody: TLS must be woken for writes,
            // too.
            Watched::Nothing | Watched::Elsewhere if self.tls.is_some() => self.watch_both(registry, token),
            Watched::Nothing => {
                registry.register(&mut SourceFd(&self.fd()), token, Interest::READABLE)?;
                self.watched = Watched::Reads;
                Ok(())
            }
            Watched::Elsewhere => {
                registry.reregister(&mut SourceFd(&self.fd()), token, Interest::READABLE)?;
                self.watched = Watched::Reads;
                Ok(())
            }
            Watched::Reads if self.owes() => self.watch_both(registry, token),
            Watched::Reads | Watched::Both => Ok(()),
        }
    }

    /// Hands the socket to somebody else, who watches it by another token.
    pub(crate) fn hand_on(&mut self) {
        if self.watched != Watched::Nothing {
            self.watched = Watched::Elsewhere;
        }
    }

    /// Watches for writability too; once is enough.
    pub(crate) fn watch_both(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self.watched {
            Watched::Nothing => registry.register(&mut SourceFd(&self.fd()), token, both)?,
            Watched::Reads | Watched::Elsewhere => {
                registry.reregister(&mut SourceFd(&self.fd()), token, both)?;
            }
            Watched::Both => return Ok(()),
        }
        self.watched = Watched::Both;
        Ok(())
    }

    /// Reads what is there. After a short read nothing is left, unless the end is.
    #[inline]
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Read {
        if self.tls.is_some() {
            return self.read_secured(into);
        }
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

    /// Writes what fits. `more`: further bytes or the end follow at once, so that a short packet may wait for
    /// them.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8], more: bool) -> Written {
        if self.tls.is_some() {
            return self.write_secured(bytes, more);
        }
        self.be_prompt();
        match sys::send(self.fd(), bytes, more) {
            Ok(n) => {
                self.writable = n == bytes.len();
                Written::Bytes(n)
            }
            Err(error) => self.write_failed(&error),
        }
    }

    fn read_secured(&mut self, into: &mut [u8]) -> Read {
        let (fd, ending) = (self.fd(), self.ending);
        let read = self.tls.as_mut().map_or(Read::Broken, |tls| tls.read(fd, ending, into));
        self.follow_tls();
        read
    }

    fn write_secured(&mut self, bytes: &[u8], more: bool) -> Written {
        let fd = self.fd();
        let written = self.tls.as_mut().map_or(Written::Broken, |tls| tls.write(fd, bytes, more));
        self.follow_tls();
        written
    }

    /// Reads the wire and forgets it, ciphertext or not.
    pub(crate) fn discard(&mut self, scratch: &mut [u8]) -> Read {
        match sys::receive(self.fd(), scratch) {
            Ok(0) => Read::End,
            Ok(n) => Read::Bytes(n),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Read::Nothing,
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted) => Read::Bytes(0),
            Err(_) => Read::Broken,
        }
    }

    /// Whether bytes that it took are not on the wire yet.
    #[inline]
    pub(crate) fn owes(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.owes())
    }

    /// Whether it ended without saying so: what came may not be all there was.
    pub(crate) fn was_truncated(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.was_truncated())
    }

    /// Moves what is there into a pipe; of plain sockets only.
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
    pub(crate) fn end_sending(&mut self) {
        let fd = self.fd();
        match &mut self.tls {
            Some(tls) => tls.end_sending(fd),
            None => sys::end_sending(fd),
        }
    }

    /// Announces a close in good order where that must be said; returns whether nothing is left to be sent.
    pub(crate) fn close(&mut self) -> bool {
        let fd = self.fd();
        self.tls.as_mut().is_none_or(|tls| tls.close(fd))
    }

    /// Bytes written that the other end has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        sys::unacknowledged(self.fd()) + self.tls.as_ref().map_or(0, |tls| tls.owed())
    }

    /// Makes closing a reset, unless bytes are still on their way: those are delivered and then ended.
    pub(crate) fn abort(&mut self) {
        if self.unacknowledged() == 0 {
            self.reset();
        }
    }

    /// Makes closing a reset, whatever is still on its way.
    pub(crate) fn reset(&mut self) {
        // No word that would make it look like an end.
        self.tls = None;
        // Fails only when the connection is gone already.
        let _ = self.system.set_linger(Some(std::time::Duration::ZERO));
    }

    /// Whether connecting has succeeded, once the socket is writable.
    pub(crate) fn connect_result(&self) -> Result<(), Fault> {
        match self.system.take_error() {
            Ok(None) => self.tls.as_deref().map_or(Ok(()), handshake_result),
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

impl Drop for Socket {
    /// A TLS side that stands says its end, so that nobody takes a close for a truncation.
    fn drop(&mut self) {
        // What the wire does not take now is lost: whoever cares has called it before.
        self.close();
    }
}

/// Socket options before connecting.
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
