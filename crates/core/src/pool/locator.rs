//! Locator: where a server is found, as it is written: at an address, or wherever a name leads.
//!
//! Must never resolve anything: it says what is sought.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::Address;
use crate::names::{Domain, Endpoint, Families, Sought, SoughtKind};

/// The place where a server is found.
///
/// | written | means |
/// |---|---|
/// | `10.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock` | that address |
/// | `app.internal:80` | each address of the name |
/// | `srv:_http._tcp.app.internal` | each address and port of the service (RFC 2782) |
/// | `*:443` | the name that the client asks for |
/// | `original` | the address that the client connected to before it was redirected here |
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Locator {
    /// An address.
    Address(Address),
    /// A host, and a port there.
    Host(Box<str>, u16),
    /// A service.
    Service(Box<str>),
    /// The host that the client asks for, and a port there.
    Asked(u16),
    /// The address that the client connected to.
    Original,
}

impl Locator {
    /// Parses `text`; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("srv:") {
            let is_service = name.starts_with('_') && Domain::new(name).is_some();
            let reason = || format!("\"{name}\" is no name of a service such as _http._tcp.app.internal");
            return if is_service { Ok(Self::Service(name.into())) } else { Err(reason()) };
        }
        if text == "original" {
            return Ok(Self::Original);
        }
        match Address::parse(text) {
            Ok(Address::Descriptor(_)) => Err("a descriptor can be listened on, not connected to".into()),
            Ok(Address::Ip(ip)) if ip.port() == 0 => Err("port 0 cannot be connected to".into()),
            Ok(Address::Ip(ip)) if ip.ip().is_unspecified() => {
                Err(format!("{ip} is no address to connect to"))
            }
            Ok(address) => Ok(Self::Address(address)),
            Err(reason) => Self::named(text).unwrap_or(Err(reason)),
        }
    }

    /// Parses what is no address but has a port behind a colon. None: it has none.
    fn named(text: &str) -> Option<Result<Self, String>> {
        if !text.contains(':') && Domain::new(text).is_some() {
            return Some(Err(format!("\"{text}\" lacks a port")));
        }
        let (name, port) = text.rsplit_once(':').filter(|(name, _)| !name.contains([':', '/', '[', ']']))?;
        let port: u16 = port.parse().ok()?;
        Some(match name {
            _ if port == 0 => Err("port 0 cannot be connected to".into()),
            "" => Err(format!("\"{text}\" lacks a host")),
            "*" => Ok(Self::Asked(port)),
            _ if Domain::new(name).is_some() => Ok(Self::Host(name.into(), port)),
            _ => Err(format!("\"{name}\" is neither an IP address nor a name")),
        })
    }

    /// Returns what is sought to find it; None where that is known, or known to clients alone.
    pub fn sought(&self, families: Families) -> Option<Sought> {
        match self {
            Self::Address(_) | Self::Asked(_) | Self::Original => None,
            Self::Host(name, _) => Some(Sought { name: name.clone(), kind: SoughtKind::Addresses(families) }),
            Self::Service(name) => Some(Sought { name: name.clone(), kind: SoughtKind::Service(families) }),
        }
    }

    /// Returns the address at which an endpoint of it is reached; None where nothing can be.
    pub fn reached(&self, endpoint: &Endpoint) -> Option<Address> {
        let port = match self {
            Self::Host(_, port) => Some(*port),
            _ => endpoint.port,
        };
        let port = port.filter(|port| *port != 0)?;
        let is_host = !endpoint.address.is_unspecified() && !endpoint.address.is_multicast();
        let broadcast = endpoint.address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
        (is_host && !broadcast).then(|| Address::Ip(SocketAddr::new(endpoint.address, port)))
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host(name, port) => write!(f, "{name}:{port}"),
            Self::Service(name) => write!(f, "srv:{name}"),
            Self::Asked(port) => write!(f, "*:{port}"),
            Self::Original => f.write_str("original"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_is_written_again() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "unix:/run/x.sock",
            "app.internal:8000",
            "App-1.internal.:1",
            "localhost:80",
            "a_b:80",
            "srv:_http._tcp.app.internal",
            "*:443",
            "original",
            "original:80",
        ] {
            assert_eq!(Locator::parse(text).map(|found| found.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "fd:3",
            ":80",
            "0.0.0.0:80",
            "127.0.0.1:0",
            "127.1:80",
            "1.2.3.4.5:80",
            "256.1.1.1:80",
            "0x7f.1:80",
            "app.internal",
            "app.internal:0",
            "app.internal:65536",
            "app..internal:80",
            "app internal:80",
            "*.internal:80",
            "*",
            "srv:app.internal",
            "srv:",
            "http://app:80",
            "",
        ] {
            assert!(Locator::parse(text).is_err(), "{text}");
        }
    }
}
