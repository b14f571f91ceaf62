//! Address: where a listener is bound or a server is found, parsed from what the user wrote.
//!
//! Must never resolve a host name: an address is literal.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// A literal address.
///
/// | written | means |
/// |---|---|
/// | `127.0.0.1:80`, `[::1]:80` | that IP address and port; port 0 lets the kernel choose |
/// | `:80` | every address, both families |
/// | `unix:/run/x.sock` | a unix stream socket |
/// | `fd:3` | an inherited listening descriptor (listeners only) |
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// IPv4 or IPv6.
    Ip(SocketAddr),
    /// Unix stream socket.
    Unix(PathBuf),
    /// Descriptor inherited from the parent process or systemd.
    Descriptor(i32),
}

impl Address {
    /// Parses `text`; the error says what is wrong in words that can follow `bind: `.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::parse_unix(path);
        }
        if let Some(number) = text.strip_prefix("fd:") {
            return match number.parse::<i32>() {
                Ok(fd) if fd >= 3 => Ok(Self::Descriptor(fd)),
                _ => Err(format!("\"{text}\" does not name a descriptor of 3 or more")),
            };
        }
        if let Some(port) = text.strip_prefix(':').filter(|port| !port.contains(':')) {
            let port = parse_port(port, text)?;
            return Ok(Self::Ip(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)));
        }
        text.parse().map(Self::Ip).map_err(|_| explain(text))
    }

    /// Returns the IP address and port, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            _ => None,
        }
    }

    fn parse_unix(path: &str) -> Result<Self, String> {
        // sockaddr_un holds 108 bytes with the closing NUL.
        match path.len() {
            0 => Err("\"unix:\" lacks a path".into()),
            1..=107 => Ok(Self::Unix(PathBuf::from(path))),
            n => Err(format!("the unix path has {n} bytes; at most 107 are possible")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Descriptor(fd) => write!(f, "fd:{fd}"),
        }
    }
}

fn parse_port(port: &str, text: &str) -> Result<u16, String> {
    port.parse().map_err(|_| format!("\"{text}\" has no port between 0 and 65535"))
}

/// Says what is wrong with something that is no `IP:PORT`.
fn explain(text: &str) -> String {
    let Some((host, port)) = text.rsplit_once(':') else {
        return match text.parse::<IpAddr>() {
            Ok(_) => format!("\"{text}\" lacks a port"),
            Err(_) => format!(
                "\"{text}\" is not an address such as 127.0.0.1:8080, [::1]:80, :8080 or unix:/run/x.sock"
            ),
        };
    };
    if text.parse::<Ipv6Addr>().is_ok() {
        return format!("an IPv6 address needs brackets and a port: [{text}]:80");
    }
    if parse_port(port, text).is_err() {
        return format!("\"{text}\" has no port between 0 and 65535");
    }
    if host == "*" {
        return format!("write \":{port}\" for every address");
    }
    format!("\"{host}\" is not an IP address (host names are not resolved; write the address)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:0", "[::1]:0"),
            (":8080", "[::]:8080"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("fd:3", "fd:3"),
        ] {
            assert_eq!(Address::parse(text).map(|a| a.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("127.0.0.1", "lacks a port"),
            ("127.0.0.1:99999", "no port"),
            ("::1:80", "brackets"),
            ("localhost:80", "host names are not resolved"),
            ("*:80", "write \":80\""),
            ("fd:1", "3 or more"),
            ("unix:", "lacks a path"),
            ("nonsense", "is not an address"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
