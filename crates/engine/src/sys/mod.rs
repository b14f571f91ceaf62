//! The system calls that no safe library offers in one call. The only room with `unsafe`.
//!
//! Every function is a thin, safe wrapper: arguments checked by types, `errno` as [`io::Error`]. Must never
//! decide anything or keep state.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Turns -1 into `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Turns -1 into `errno`.
fn check_size(result: isize) -> io::Result<usize> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as usize) }
}

/// Accepts one connection, non-blocking and close-on-exec; the address is None for a unix client.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: `storage` is valid for `length` bytes, and both outlive the call.
    let fd = check(unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            storage.as_mut_ptr().cast(),
            &raw mut length,
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        )
    })?;
    // SAFETY: the kernel returned a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all-zero bytes are a valid sockaddr_storage, and the kernel wrote a valid one over them.
    let storage = unsafe { storage.assume_init() };
    Ok((fd, to_address(&storage)))
}

/// Returns the IP address in a `sockaddr_storage`. IPv4-mapped IPv6 addresses (clients of a dual-stack
/// listener) become IPv4.
fn to_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that a sockaddr_in is stored, which is smaller than the storage.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::new(ip.into(), u16::from_be(address.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let address = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            Some(match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddr::new(ip.into(), port),
                None => SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

/// Receives what is there, at most `into.len()` bytes; 0 is the sender's end.
#[inline]
pub(crate) fn receive(socket: RawFd, into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the slice is valid for writes of its length.
    check_size(unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), 0) })
}

/// Sends as much as fits; never raises SIGPIPE. `more` announces that further bytes follow at once.
#[inline]
pub(crate) fn send(socket: RawFd, bytes: &[u8], more: bool) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the slice is valid for reads of its length.
    check_size(unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Ends our sending; what was sent is still delivered.
pub(crate) fn end_sending(socket: RawFd) {
    // SAFETY: plain shutdown; it fails only when the connection is gone already.
    unsafe { libc::shutdown(socket, libc::SHUT_WR) };
}

/// Makes a pipe, non-blocking and close-on-exec, of about `size` bytes where that is permitted: (read end,
/// write end).
pub(crate) fn pipe(size: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
    // SAFETY: the kernel returned two new descriptors that nobody else owns.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // SAFETY: plain fcntl on a descriptor we own. Failure leaves the default size, which works.
    unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, size as libc::c_int) };
    Ok((read, write))
}

/// Moves at most `length` bytes between a pipe and a socket without copying them; 0 is the end of the source.
#[inline]
pub(crate) fn splice(from: RawFd, to: RawFd, length: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    let none = std::ptr::null_mut();
    // SAFETY: no offsets are given; the kernel checks the descriptors.
    check_size(unsafe { libc::splice(from, none, to, none, length, flags) })
}

/// Returns the number of bytes sent on `socket` that the receiver has not acknowledged; 0 when that cannot be
/// said.
pub(crate) fn unacknowledged(socket: RawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (SIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { bytes.max(0) as usize } else { 0 }
}

/// Sets an option of a TCP socket.
pub(crate) fn set_tcp_option(socket: RawFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, name, value)
}

/// Has the kernel choose a port when the socket connects, not when it is bound: then it may be one that is
/// in use towards others.
pub(crate) fn choose_port_late(socket: RawFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

fn set_option(socket: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is one int, which outlives the call.
    check(unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), length) })?;
    Ok(())
}

/// Adds a listening socket to an epoll set, level-triggered, waking one of the sets that share it.
pub(crate) fn watch_listener(epoll: RawFd, listener: BorrowedFd<'_>, token: u64) -> io::Result<()> {
    let events = (libc::EPOLLIN | libc::EPOLLEXCLUSIVE) as u32;
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: `event` is valid for the call.
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, listener.as_raw_fd(), &raw mut event) })?;
    Ok(())
}

/// Takes a socket out of an epoll set.
pub(crate) fn unwatch(epoll: RawFd, socket: BorrowedFd<'_>) -> io::Result<()> {
    let none = std::ptr::null_mut();
    // SAFETY: EPOLL_CTL_DEL ignores the event.
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, socket.as_raw_fd(), none) })?;
    Ok(())
}

/// Returns the soft limit on open descriptors.
pub(crate) fn descriptor_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: `limit` is valid for the call; on failure it keeps what is set above.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// Returns the ticks of a second in which the system tells times of processors.
pub(crate) fn clock_ticks() -> usize {
    // SAFETY: plain sysconf. It fails for no name that exists.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1)
}

/// Returns the bytes of a page of memory.
pub(crate) fn page_size() -> usize {
    // SAFETY: plain sysconf. It fails for no name that exists.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Receives bytes and at most one descriptor sent along with them (SCM_RIGHTS).
pub(crate) fn receive_descriptor(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    // Room for one descriptor's control message, aligned as cmsghdr demands.
    let mut control = [0_u64; 4];
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: an all-zero msghdr is valid; the pointers set below outlive the call.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: `message` describes memory that is valid for the call.
    let received =
        check_size(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
    // SAFETY: the kernel filled in the control message and its length.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message).as_ref() };
    let descriptor = header
        .filter(|header| header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS)
        // SAFETY: SCM_RIGHTS carries at least one int, a new descriptor that nobody else owns.
        .map(|header| unsafe {
            OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned())
        });
    Ok((received, descriptor))
}

/// Makes a second descriptor for one that is not ours, so that closing ours leaves the original open.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain fcntl; the kernel checks `fd`.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Makes a descriptor that does nothing but keep its number free for later.
pub(crate) fn spare_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: plain eventfd.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: the kernel returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a descriptor that is readable from a ring until it is quieted.
pub(crate) fn bell() -> io::Result<OwnedFd> {
    // SAFETY: plain eventfd.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a bell readable.
pub(crate) fn ring(bell: &OwnedFd) {
    // Fails only where it has been rung more often than it counts: it is readable then.
    let _ = write(bell.as_raw_fd(), &1_u64.to_ne_bytes());
}

/// Makes a bell unreadable.
pub(crate) fn quiet(bell: &OwnedFd) {
    let mut count = [0; 8];
    // SAFETY: the array is valid for writes of its length. It fails where nobody has rung.
    let _ = unsafe { libc::read(bell.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Writes to standard error (or any descriptor) without owning it.
pub(crate) fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the slice is valid for reads of its length.
    check_size(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) })
}
