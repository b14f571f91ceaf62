//! Listening sockets: bound here, inherited, or made by the binder process when we may not bind ourselves.
//!
//! Every worker has a socket of its own for an IP address (SO_REUSEPORT: the kernel spreads clients over
//! them); unix and inherited sockets are shared. Options that accepted sockets inherit (no delay, keep-alive)
//! are set here once. Must never accept.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headworks_core::address::Address;
use headworks_core::spec::{ListenerSpec, SocketSpec};
use serde::Serialize;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::hops::listens;
use crate::options;
use crate::sys;

/// The properties that make two listening sockets the same over a reload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BoundKey {
    address: Address,
    ipv6_only: bool,
    /// Options of the socket: with others it is another one.
    accept: SocketSpec,
    /// Listener and place in its `bind` of an address with port 0, which is a fresh port for each.
    fresh: Option<(String, usize)>,
}

impl BoundKey {
    /// Returns the key of the address at place `nth` of a listener's `bind`.
    pub(crate) fn new(listener: &str, nth: usize, address: &Address, spec: &ListenerSpec) -> Self {
        let fresh = address.ip().is_some_and(|ip| ip.port() == 0).then(|| (listener.to_owned(), nth));
        // Nothing but an IPv6 socket has to be bound again when this changes.
        let ipv6_only = spec.ipv6_only && address.ip().is_some_and(|ip| ip.is_ipv6());
        let accept = SocketSpec { original_destination: false, ..spec.accept.clone() };
        Self { address: address.clone(), ipv6_only, accept, fresh }
    }

    /// Whether a client could reach both: the same address, or one that stands for all with the same port,
    /// such as `0.0.0.0:80` and `[::]:80`.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.address.ip(), other.address.ip()) {
            (Some(one), Some(two)) if one.port() == two.port() => {
                one.ip() == two.ip() || one.ip().is_unspecified() || two.ip().is_unspecified()
            }
            _ => self.address == other.address,
        }
    }
}

/// One bound address.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The sockets, one for each worker.
    pub(crate) sockets: Vec<Arc<OwnedFd>>,
    /// The address as bound, with its real port.
    pub(crate) address: String,
    /// A unix socket's file, removed with it.
    file: Option<PathBuf>,
    /// Both families were asked for, and this machine has no IPv6.
    pub(crate) lacks_ipv6: bool,
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(path) = &self.file {
            // It may have been removed already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// An address that could not be bound.
#[derive(Debug, Clone, Serialize)]
pub struct BindError {
    /// Name of the listener that the address belongs to.
    pub listener: String,
    /// The address as configured.
    pub address: String,
    /// The reason in words.
    pub reason: String,
}

/// Binds addresses.
#[derive(Debug)]
pub(crate) struct Binder {
    /// A privileged process that binds for us.
    privileged: Option<UnixStream>,
    workers: usize,
}

impl Binder {
    /// Binds for `workers` workers, asking `privileged` where we are not permitted to.
    pub(crate) fn new(privileged: Option<OwnedFd>, workers: usize) -> Self {
        Self { privileged: privileged.map(UnixStream::from), workers }
    }

    /// Binds `address`. `ours`: we listen there already, so that others need not be looked for.
    pub(crate) fn bind(&self, address: &Address, spec: &ListenerSpec, ours: bool) -> io::Result<Bound> {
        match address {
            Address::Ip(ip) => self.bind_ip(*ip, spec, ours),
            Address::Unix(path) => self.bind_unix(path, spec),
            Address::Descriptor(fd) => self.inherit(*fd, spec),
        }
    }

    /// Binds an IP address; where it stands for all of both families and there is no IPv6, those of IPv4.
    fn bind_ip(&self, ip: SocketAddr, spec: &ListenerSpec, ours: bool) -> io::Result<Bound> {
        match self.bind_family(ip, spec, ours) {
            Err(error) => {
                let rest = without_ipv6(ip, spec, &error).ok_or(error)?;
                let mut bound = self.bind_family(rest, spec, ours)?;
                bound.lacks_ipv6 = true;
                Ok(bound)
            }
            bound => bound,
        }
    }

    fn bind_family(&self, ip: SocketAddr, spec: &ListenerSpec, ours: bool) -> io::Result<Bound> {
        if !ours && ip.port() != 0 {
            refuse_if_taken(ip, spec)?;
        }
        let first = self.listen_ip(ip, spec)?;
        // With port 0 the others join the port that the first was given.
        let local = first.local_addr()?.as_socket().unwrap_or(ip);
        listens(local);
        let mut sockets = vec![Arc::new(OwnedFd::from(first))];
        for _ in 1..self.workers {
            sockets.push(Arc::new(self.listen_ip(local, spec)?.into()));
        }
        Ok(Bound { sockets, address: local.to_string(), file: None, lacks_ipv6: false })
    }

    fn listen_ip(&self, ip: SocketAddr, spec: &ListenerSpec) -> io::Result<Socket> {
        let socket = match bind_here(ip, spec, true) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.ask_privileged(&ip.to_string(), spec).unwrap_or(Err(error))?
            }
            Err(error) => return Err(error),
        };
        prepare(&socket, spec)?;
        Ok(socket)
    }

    fn bind_unix(&self, path: &Path, spec: &ListenerSpec) -> io::Result<Bound> {
        remove_stale(path)?;
        let socket = match bind_unix_here(path, spec) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.ask_privileged(&format!("unix:{}", path.display()), spec).unwrap_or(Err(error))?
            }
            Err(error) => return Err(error),
        };
        let address = format!("unix:{}", path.display());
        Ok(self.share(socket.into(), address, Some(path.to_owned())))
    }

    fn inherit(&self, fd: i32, spec: &ListenerSpec) -> io::Result<Bound> {
        let socket = Socket::from(sys::duplicate(fd)?);
        if !socket.is_listener()? {
            return Err(io::Error::other("the inherited descriptor is not a listening socket"));
        }
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        match local.as_socket() {
            Some(ip) => options::set_privileged(&socket, &spec.accept, ip.is_ipv6())?,
            None if spec.accept.is_plain() => {}
            None => return Err(io::Error::other("accept is for TCP, and the descriptor is a unix socket")),
        }
        prepare(&socket, spec)?;
        let address = match (local.as_socket(), local.as_pathname()) {
            (Some(ip), _) => {
                listens(ip);
                ip.to_string()
            }
            (_, Some(path)) => format!("unix:{}", path.display()),
            _ => format!("fd:{fd}"),
        };
        Ok(self.share(socket.into(), address, None))
    }

    /// Makes one socket that all workers share.
    fn share(&self, socket: OwnedFd, address: String, file: Option<PathBuf>) -> Bound {
        let socket = Arc::new(socket);
        Bound { sockets: vec![socket; self.workers], address, file, lacks_ipv6: false }
    }

    /// Asks the privileged process; None when there is none.
    fn ask_privileged(&self, address: &str, spec: &ListenerSpec) -> Option<io::Result<Socket>> {
        let mut privileged = self.privileged.as_ref()?;
        let request = BindRequest {
            address,
            ipv6_only: spec.ipv6_only,
            backlog: spec.backlog,
            unix_mode: spec.unix_mode,
            transparent: spec.accept.transparent,
            interface: spec.accept.interface.as_deref(),
            mark: spec.accept.mark,
        };
        if let Err(error) = request.write(&mut privileged) {
            return Some(Err(error));
        }
        let mut answer = [0; 512];
        Some(match sys::receive_descriptor(privileged.as_fd(), &mut answer) {
            Ok((_, Some(socket))) => Ok(socket.into()),
            Ok((0, None)) => Err(io::Error::other("the binder process has ended")),
            Ok((n, None)) => Err(io::Error::other(String::from_utf8_lossy(&answer[1..n]).trim_end())),
            Err(error) => Err(error),
        })
    }
}

/// The request to the binder process: one line of JSON.
#[derive(Serialize)]
struct BindRequest<'a> {
    address: &'a str,
    ipv6_only: bool,
    backlog: u32,
    unix_mode: u32,
    transparent: bool,
    interface: Option<&'a str>,
    mark: Option<u32>,
}

impl BindRequest<'_> {
    fn write(&self, mut to: impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        to.write_all(&line)
    }
}

/// Applies what can change while a socket listens.
pub(crate) fn adjust(bound: &Bound, spec: &ListenerSpec) {
    for socket in &bound.sockets {
        let socket = socket2::SockRef::from(&**socket);
        // These were accepted when the socket was made; a value the kernel refuses now leaves the old one.
        let _ = socket.set_keepalive(spec.keepalive);
        let _ = socket.listen(backlog(spec));
    }
}

/// Fails when another process has the port. Binds without SO_REUSEPORT, which would let us share it
/// unnoticed.
fn refuse_if_taken(ip: SocketAddr, spec: &ListenerSpec) -> io::Result<()> {
    match bind_here(ip, spec, false) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // Anything else shows when it is bound for good.
        Err(_) => Ok(()),
    }
}

fn bind_here(ip: SocketAddr, spec: &ListenerSpec, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(ip), Type::STREAM.nonblocking().cloexec(), None)?;
    options::set_privileged(&socket, &spec.accept, ip.is_ipv6())?;
    options::set(&socket, &spec.accept)?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if ip.is_ipv6() {
        socket.set_only_v6(spec.ipv6_only)?;
    }
    socket.bind(&ip.into())?;
    socket.listen(backlog(spec))?;
    Ok(socket)
}

fn bind_unix_here(path: &Path, spec: &ListenerSpec) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(spec.unix_mode))?;
    socket.listen(backlog(spec))?;
    Ok(socket)
}

/// Removes a socket file that nobody listens on: it is left over from a crash.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => match probe(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            // Somebody listens, even if we may not connect or the queue is full; or it is of another type.
            _ => Err(io::Error::from(io::ErrorKind::AddrInUse)),
        },
        Ok(_) => Err(io::Error::other("the path exists and is not a socket")),
        Err(_) => Ok(()),
    }
}

/// Connects without waiting.
fn probe(path: &Path) -> io::Result<()> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?.connect(&SockAddr::unix(path)?)
}

/// Sets the options that accepted sockets inherit.
fn prepare(socket: &Socket, spec: &ListenerSpec) -> io::Result<()> {
    if socket.domain()? != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(spec.keepalive)?;
        options::set(socket, &spec.accept)?;
        options::set_listening(socket, &spec.accept)?;
        // The acknowledgement of a client's first bytes can travel with the first answer: one packet less.
        let _ = socket.set_tcp_quickack(false);
    }
    Ok(())
}

fn backlog(spec: &ListenerSpec) -> i32 {
    i32::try_from(spec.backlog).unwrap_or(i32::MAX)
}

/// Returns why binding failed, in words.
pub(crate) fn explain(error: &io::Error) -> String {
    // An option that is refused says so itself.
    if error.get_ref().is_some() {
        return error.to_string();
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => "the address is already in use".into(),
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address".into(),
        io::ErrorKind::PermissionDenied => {
            "permission denied (ports below 1024 need root or CAP_NET_BIND_SERVICE)".into()
        }
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            "this machine has no IPv6 (containers often lack it); give an IPv4 address such as 0.0.0.0:PORT"
                .into()
        }
        _ => error.to_string(),
    }
}

/// Returns what is left of all addresses of both families where binding them found no IPv6; None: the address
/// was asked for by itself, or it is something else.
fn without_ipv6(ip: SocketAddr, spec: &ListenerSpec, error: &io::Error) -> Option<SocketAddr> {
    let missing = error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    let both = ip.is_ipv6() && ip.ip().is_unspecified() && !spec.ipv6_only;
    (missing && both).then(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, ip.port())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headworks_core::spec::{HeadersSpec, HttpSpec, TimeoutsSpec};

    use super::*;

    fn spec(ipv6_only: bool) -> ListenerSpec {
        ListenerSpec {
            bind: Vec::new(),
            protocol: "tcp".into(),
            first_bytes: None,
            table: None,
            backend: None,
            redirect: None,
            respond: None,
            fallback: None,
            allow: Vec::new(),
            deny: Vec::new(),
            max_connections: None,
            max_connections_per_client: None,
            connection_rate: None,
            bandwidth: None,
            accept_proxy_from: Vec::new(),
            ipv6_only,
            backlog: 1,
            keepalive: false,
            accept: SocketSpec::default(),
            unix_mode: 0,
            first_bytes_limit: 1,
            tls: None,
            rules: Vec::new(),
            analyzers: Vec::new(),
            timeouts: TimeoutsSpec {
                first_bytes: 1,
                idle: 1,
                half_close: 1,
                keep_alive: 1,
                body: 1,
                tunnel: 1,
                linger: 1,
            },
            http: HttpSpec {
                head_limit: 1,
                rewrite_reserve: 1,
                fields_limit: 1,
                line_limit: 1,
                body_limit: None,
                min_body_rate: 0,
                connect: false,
                forwarded: Vec::new(),
                trusted: Vec::new(),
                via: None,
                request_id: None,
                requests_per_connection: 0,
                abort_on_close: false,
                max_requests_per_client: None,
            },
            request_headers: HeadersSpec::default(),
            response_headers: HeadersSpec::default(),
            rate_limit: None,
            compression: None,
            error_pages: BTreeMap::new(),
        }
    }

    #[test]
    fn a_machine_without_ipv6_has_the_rest_of_all_addresses() {
        let missing = || io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        let rest = |ip: &str, only, error| without_ipv6(ip.parse().unwrap(), &spec(only), &error);
        assert_eq!(rest("[::]:80", false, missing()), Some("0.0.0.0:80".parse().unwrap()));
        for (ip, only) in [("[::]:80", true), ("[::1]:80", false), ("0.0.0.0:80", false)] {
            assert_eq!(rest(ip, only, missing()), None, "{ip} was asked for by itself");
        }
        let taken = io::Error::from_raw_os_error(libc::EADDRINUSE);
        assert_eq!(rest("[::]:80", false, taken), None);
        assert!(explain(&missing()).contains("no IPv6"));
    }
}
