//! Every call of libc the standard library does not offer: epoll, non-blocking connect from a chosen source, accept4,
//! descriptor limits, timer slack, CPU time and memchr. The only file with `unsafe`. It decides nothing.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Readable, or the other end has closed.
pub const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
/// Writable.
pub const WRITE: u32 = libc::EPOLLOUT as u32;

/// An edge-triggered epoll instance with its event buffer.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// A poll that reports at most 1,024 events a turn.
    pub fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers; a non-negative result is a descriptor nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024] })
    }

    /// Watches `fd` edge-triggered; closing the descriptor ends the watch.
    pub fn add(&self, fd: RawFd, interest: u32, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest | libc::EPOLLET as u32, u64: token as u64 };
        // SAFETY: `event` lives through the call and both descriptors are open.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        Ok(())
    }

    /// Changes what a watched `fd` is watched for, as [`Poll::add`] does.
    pub fn change(&self, fd: RawFd, interest: u32, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest | libc::EPOLLET as u32, u64: token as u64 };
        // SAFETY: `event` lives through the call and both descriptors are open.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_MOD, fd, &mut event) })?;
        Ok(())
    }

    /// Waits at most `millis` and gives the number of events, to be read with [`Poll::token`].
    pub fn wait(&mut self, millis: i32) -> io::Result<usize> {
        let room = self.events.len() as i32;
        // SAFETY: the buffer holds `room` events and outlives the call.
        let got = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, millis) };
        match checked(got) {
            Ok(count) => Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Waits at most `longest`, to the nanosecond, and gives the number of events as [`Poll::wait`] does.
    pub fn wait_exactly(&mut self, longest: Duration) -> io::Result<usize> {
        let room = self.events.len() as libc::c_int;
        let time = libc::timespec {
            tv_sec: longest.as_secs() as libc::time_t,
            tv_nsec: longest.subsec_nanos().into(),
        };
        let no_mask: *const libc::sigset_t = std::ptr::null();
        // SAFETY: the buffer holds `room` events; it and `time` outlive the call; the mask may be null.
        let got = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                room,
                &raw const time,
                no_mask,
                mem::size_of::<libc::c_ulong>(),
            )
        };
        match checked(got as libc::c_int) {
            Ok(count) => Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            // Before Linux 5.11 there is none: milliseconds, rounded up, must do.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                self.wait(longest.as_micros().div_ceil(1_000) as i32)
            }
            Err(error) => Err(error),
        }
    }

    /// The token of event number `index` of the last wait.
    pub fn token(&self, index: usize) -> usize {
        self.events[index].u64 as usize
    }

    /// Whether event number `index` of the last wait says that the other end sends no more.
    pub fn ended(&self, index: usize) -> bool {
        let ends = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
        self.events[index].events & ends != 0
    }
}

/// Starts a non-blocking connection to `target` from `source` (any free port of it).
///
/// With `IP_BIND_ADDRESS_NO_PORT` the kernel picks the port when it knows the whole four-tuple, so every source
/// address brings a full range of ports.
pub fn connect(target: SocketAddrV4, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes no pointers; a non-negative result is a descriptor nobody else owns.
    let stream = unsafe { TcpStream::from_raw_fd(checked(libc::socket(libc::AF_INET, kind, 0))?) };
    if let Some(source) = source {
        set(&stream, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)?;
        call_with_address(libc::bind, &stream, SocketAddrV4::new(source, 0))?;
    }
    match call_with_address(libc::connect, &stream, target) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(stream),
    }
}

/// Sends small writes at once, whatever is still unacknowledged.
pub fn set_nodelay(stream: &TcpStream) -> io::Result<()> {
    set(stream, libc::IPPROTO_TCP, libc::TCP_NODELAY)
}

/// Accepts one connection, already non-blocking.
pub fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let none = std::ptr::null_mut();
    // SAFETY: accept4 may be given null for an address nobody wants; the result is a descriptor nobody else owns.
    unsafe {
        let fd = checked(libc::accept4(listener.as_raw_fd(), none, std::ptr::null_mut(), flags))?;
        Ok(TcpStream::from_raw_fd(fd))
    }
}

/// Makes the accept queue as long as the machine allows; the standard library's is short.
pub fn lengthen_backlog(listener: &TcpListener) -> io::Result<()> {
    // SAFETY: listen takes no pointers; calling it again only changes the length of the queue.
    checked(unsafe { libc::listen(listener.as_raw_fd(), 65_535) })?;
    Ok(())
}

/// Lets nobody in who is not on this machine, whatever address the listener has.
pub fn stay_on_loopback(listener: &TcpListener) -> io::Result<()> {
    let device = b"lo\0";
    let length = device.len() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
    // SAFETY: `device` has `length` bytes and outlives the call.
    checked(unsafe {
        libc::setsockopt(listener.as_raw_fd(), level, option, device.as_ptr().cast(), length)
    })?;
    Ok(())
}

/// Raises the soft limit of open descriptors to the hard one.
pub fn raise_descriptor_limit() -> io::Result<()> {
    // SAFETY: rlimit is plain integers, valid when zeroed, and lives through both calls.
    unsafe {
        let mut limit: libc::rlimit = mem::zeroed();
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &limit))?;
    }
    Ok(())
}

/// Makes waits end when they should: by default the kernel may be 50 microseconds late, to save wake-ups.
pub fn wake_on_time() -> io::Result<()> {
    // SAFETY: this prctl takes one number and no pointers.
    checked(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) })?;
    Ok(())
}

/// Where `byte` is first in `bytes`.
pub fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    // SAFETY: memchr reads at most `len` bytes of the slice and gives a pointer into it or null.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), byte.into(), bytes.len()) };
    (!found.is_null()).then(|| found.addr() - bytes.as_ptr().addr())
}

/// CPU seconds (user and kernel) this process has used.
pub fn cpu_seconds() -> f64 {
    // SAFETY: rusage is plain integers, valid when zeroed, and lives through the call.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

type AddressCall = unsafe extern "C" fn(RawFd, *const libc::sockaddr, libc::socklen_t) -> libc::c_int;

fn call_with_address(call: AddressCall, stream: &TcpStream, address: SocketAddrV4) -> io::Result<()> {
    // SAFETY: sockaddr_in is plain integers, valid when zeroed.
    let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
    raw.sin_family = libc::AF_INET as libc::sa_family_t;
    raw.sin_port = address.port().to_be();
    raw.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
    let length = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: `raw` is a sockaddr_in of exactly `length` bytes and outlives the call.
    checked(unsafe { call(stream.as_raw_fd(), (&raw const raw).cast(), length) })?;
    Ok(())
}

fn set(stream: &TcpStream, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` is an int of exactly `length` bytes and outlives the call.
    checked(unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, (&raw const on).cast(), length) })?;
    Ok(())
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
