//! Options of TCP sockets: what `[listeners.NAME.accept]` and `[backends.NAME.connect]` ask for, set on a
//! socket.
//!
//! Owns the order and the words for what the kernel refuses. Must never bind, listen or connect.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use headworks_core::spec::SocketSpec;
use headworks_core::time::Millis;
use socket2::{Socket, TcpKeepalive};

use crate::sys;

/// Sets what has to be set before a socket is bound or connected, and what nobody but the privileged may set.
pub(crate) fn set_privileged(socket: &Socket, spec: &SocketSpec, is_ipv6: bool) -> io::Result<()> {
    if spec.transparent {
        be_transparent(socket, is_ipv6).map_err(|error| refused("transparent", &error, NET_ADMIN))?;
    }
    if let Some(interface) = &spec.interface {
        let bound = socket.bind_device(Some(interface.as_bytes()));
        bound.map_err(|error| refused(&format!("interface \"{interface}\""), &error, "CAP_NET_RAW"))?;
    }
    if let Some(mark) = spec.mark {
        socket.set_mark(mark).map_err(|error| refused("mark", &error, NET_ADMIN))?;
    }
    Ok(())
}

/// Lets a socket be bound to addresses that are not of this machine.
pub(crate) fn be_transparent(socket: &Socket, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 { socket.set_ip_transparent_v6(true) } else { socket.set_ip_transparent_v4(true) }
}

/// Sets what every TCP socket may have; what is accepted from a listening socket inherits it.
pub(crate) fn set(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    let asked = |key: &'static str| move |error: io::Error| refused(key, &error, NET_ADMIN);
    if let Some(bytes) = spec.receive_buffer {
        socket.set_recv_buffer_size(bytes as usize).map_err(asked("receive_buffer"))?;
    }
    if let Some(bytes) = spec.send_buffer {
        socket.set_send_buffer_size(bytes as usize).map_err(asked("send_buffer"))?;
    }
    if let Some(bytes) = spec.max_segment {
        socket.set_tcp_mss(bytes).map_err(asked("max_segment"))?;
    }
    if let Some(name) = &spec.congestion {
        let set = socket.set_tcp_congestion(name.as_bytes());
        set.map_err(|error| refused(&format!("congestion \"{name}\""), &error, NET_ADMIN))?;
    }
    if let Some(time) = spec.user_timeout {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(time))).map_err(asked("user_timeout"))?;
    }
    if let Some(keepalive) = keepalive(spec) {
        // Sets SO_KEEPALIVE, too, which is said elsewhere.
        let wanted = socket.keepalive()?;
        socket.set_tcp_keepalive(&keepalive).map_err(asked("keepalive"))?;
        socket.set_keepalive(wanted)?;
    }
    Ok(())
}

/// Sets what a listening socket alone has.
pub(crate) fn set_listening(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    let set = |name, value| sys::set_tcp_option(socket.as_raw_fd(), name, value);
    if spec.fast_open_queue > 0 {
        let queue = i32::try_from(spec.fast_open_queue).unwrap_or(i32::MAX);
        set(libc::TCP_FASTOPEN, queue).map_err(|error| refused("fast_open_queue", &error, NET_ADMIN))?;
    }
    if let Some(time) = spec.defer_accept {
        let seconds = i32::try_from(time.div_ceil(1000)).unwrap_or(i32::MAX);
        set(libc::TCP_DEFER_ACCEPT, seconds).map_err(|error| refused("defer_accept", &error, NET_ADMIN))?;
    }
    Ok(())
}

/// Sets what a socket that connects alone has.
pub(crate) fn set_connecting(socket: &Socket, spec: &SocketSpec) -> io::Result<()> {
    if spec.fast_open {
        sys::set_tcp_option(socket.as_raw_fd(), libc::TCP_FASTOPEN_CONNECT, 1)
            .map_err(|error| refused("fast_open", &error, NET_ADMIN))?;
    }
    Ok(())
}

const NET_ADMIN: &str = "CAP_NET_ADMIN";

fn keepalive(spec: &SocketSpec) -> Option<TcpKeepalive> {
    let seconds = |time: Millis| Duration::from_secs(time.div_ceil(1000));
    let mut keepalive = TcpKeepalive::new();
    if let Some(time) = spec.keepalive_idle {
        keepalive = keepalive.with_time(seconds(time));
    }
    if let Some(time) = spec.keepalive_interval {
        keepalive = keepalive.with_interval(seconds(time));
    }
    if let Some(probes) = spec.keepalive_probes {
        keepalive = keepalive.with_retries(probes);
    }
    let any = spec.keepalive_idle.or(spec.keepalive_interval).is_some() || spec.keepalive_probes.is_some();
    any.then_some(keepalive)
}

/// Says which key the kernel refuses, and why.
fn refused(key: &str, error: &io::Error, capability: &str) -> io::Error {
    let reason = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!("{key} needs {capability}"),
        Some(libc::ENODEV) => format!("{key}: there is no such interface"),
        Some(libc::ENOENT) => format!("{key}: this kernel does not have it"),
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => format!("{key}: this kernel cannot do it"),
        Some(libc::EINVAL) => format!("{key}: this kernel does not take the value"),
        _ => format!("{key}: {error}"),
    };
    io::Error::new(error.kind(), reason)
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    fn socket(domain: Domain) -> Socket {
        Socket::new(domain, Type::STREAM, None).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_what_the_socket_has() {
        let socket = socket(Domain::IPV4);
        let spec = SocketSpec {
            user_timeout: Some(7_500),
            receive_buffer: Some(65_536),
            send_buffer: Some(32_768),
            max_segment: Some(1_000),
            keepalive_idle: Some(61_000),
            keepalive_interval: Some(7_001),
            keepalive_probes: Some(3),
            fast_open: true,
            ..SocketSpec::default()
        };
        set(&socket, &spec).unwrap();
        set_connecting(&socket, &spec).unwrap();
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(7_500)));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(61));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(8), "whole seconds");
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert!(!socket.keepalive().unwrap(), "that is another key's");
        assert!(socket.recv_buffer_size().unwrap() >= 65_536 && socket.send_buffer_size().unwrap() >= 32_768);
    }

    #[test]
    fn what_the_kernel_refuses_is_said_with_its_key() {
        let socket = socket(Domain::IPV4);
        let wrong = SocketSpec { congestion: Some("no-such-thing".into()), ..SocketSpec::default() };
        let error = set(&socket, &wrong).unwrap_err().to_string();
        assert!(error.starts_with("congestion \"no-such-thing\": "), "{error}");
        let wrong = SocketSpec { interface: Some("no-such-if0".into()), ..SocketSpec::default() };
        let error = set_privileged(&socket, &wrong, false).unwrap_err().to_string();
        assert_eq!(error, "interface \"no-such-if0\": there is no such interface");
        let denied = refused("mark", &io::Error::from_raw_os_error(libc::EPERM), NET_ADMIN);
        assert_eq!(
            (denied.to_string().as_str(), denied.kind()),
            ("mark needs CAP_NET_ADMIN", io::ErrorKind::PermissionDenied)
        );
    }

    #[test]
    fn what_nobody_asked_for_is_not_touched() {
        let (touched, fresh) = (socket(Domain::IPV6), socket(Domain::IPV6));
        let plain = SocketSpec::default();
        set_privileged(&touched, &plain, true).unwrap();
        set(&touched, &plain).unwrap();
        set_listening(&touched, &plain).unwrap();
        set_connecting(&touched, &plain).unwrap();
        assert_eq!(touched.recv_buffer_size().unwrap(), fresh.recv_buffer_size().unwrap());
        assert_eq!(touched.tcp_congestion().unwrap(), fresh.tcp_congestion().unwrap());
    }
}
