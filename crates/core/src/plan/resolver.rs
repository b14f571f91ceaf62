//! Compiling `[resolver]`: whom to ask for names, and for which addresses.

use std::net::{IpAddr, SocketAddr};

use super::Compiler;
use crate::names::{CacheLimits, Families};
use crate::path;
use crate::spec::ResolverSpec;

/// How names of servers are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Settings as they were written; plain values are read from here.
    pub spec: ResolverSpec,
    /// The nameservers; empty: those of the system.
    pub nameservers: Vec<SocketAddr>,
    /// The families of addresses that are wanted.
    pub families: Families,
    /// Limits of what is kept.
    pub cache: CacheLimits,
}

/// The port of nameservers (RFC 1035, section 4.2).
const PORT: u16 = 53;
const FAMILIES: [(&str, Families); 5] = [
    ("both", Families::Both),
    ("ipv4", Families::Ipv4Only),
    ("ipv6", Families::Ipv6Only),
    ("ipv4_first", Families::Ipv4First),
    ("ipv6_first", Families::Ipv6First),
];

impl Compiler<'_> {
    pub(super) fn resolver(&mut self) -> Resolver {
        let spec = &self.spec.resolver;
        let mut nameservers = Vec::with_capacity(spec.nameservers.len());
        for (index, text) in spec.nameservers.iter().enumerate() {
            let bare = || text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT));
            match text.parse().or_else(|_| bare()) {
                Ok(address) => nameservers.push(address),
                Err(_) => {
                    let reason = format!("\"{text}\" is not an IP address, with or without a port");
                    self.error(path!["resolver", "nameservers", index], reason);
                }
            }
        }
        let families =
            FAMILIES.iter().find(|(name, _)| *name == spec.families).map(|(_, families)| *families);
        let families = families.unwrap_or_else(|| {
            let known: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
            let reason =
                format!("unknown choice of families \"{}\"; known are {}", spec.families, known.join(", "));
            self.error(path!["resolver", "families"], reason);
            Families::Both
        });
        if spec.min_ttl > spec.max_ttl {
            self.error(path!["resolver", "min_ttl"], "it is more than max_ttl");
        }
        let cache = CacheLimits {
            shortest: spec.min_ttl,
            longest: spec.max_ttl,
            stale: spec.stale,
            ..CacheLimits::default()
        };
        Resolver { spec: spec.clone(), nameservers, families, cache }
    }
}
