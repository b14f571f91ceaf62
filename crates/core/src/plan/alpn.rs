//! ALPN (RFC 7301): entries that lead elsewhere for each protocol that a client offers.
//!
//! Must never look at anything but what is offered: names are the table's.

use std::collections::BTreeMap;

use super::Compiler;
use crate::path;
use crate::problem::Item;
use crate::table::BackendIndex;
use crate::wire::client_hello::Offered;

/// Stands for every protocol that is not named, and for clients that offer none.
const REST: &str = "*";

/// Protocols that one entry may name; a client may offer thousands, each of which is looked for.
const MOST: usize = 64;

/// The ways of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlpnWays {
    known: Box<[(Box<[u8]>, BackendIndex)]>,
    rest: Option<BackendIndex>,
}

impl AlpnWays {
    /// Returns the way of a client: that of the first protocol it offers which is known, else that of the
    /// rest.
    pub fn choose(&self, offered: &Offered) -> Option<BackendIndex> {
        offered.iter().find_map(|protocol| self.of(protocol)).or(self.rest)
    }

    /// Says in words how a client finds its way.
    pub fn explain(&self, offered: &Offered) -> String {
        let names = || offered.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ");
        let offers = if offered.is_empty() { "nothing".to_owned() } else { names() };
        let found = match (offered.iter().find(|protocol| self.of(protocol).is_some()), self.rest) {
            (Some(protocol), _) => {
                format!("{} is the first that is known", String::from_utf8_lossy(protocol))
            }
            (None, Some(_)) => "\"*\" takes the rest".to_owned(),
            (None, None) => "none is known, and there is no \"*\"".to_owned(),
        };
        format!("by ALPN the client offers {offers}: {found}")
    }

    fn of(&self, protocol: &[u8]) -> Option<BackendIndex> {
        self.known.iter().find(|(known, _)| **known == *protocol).map(|(_, backend)| *backend)
    }

    /// Returns a backend that stands for all of them.
    pub(super) fn any(&self) -> BackendIndex {
        self.known.first().map(|(_, backend)| *backend).or(self.rest).unwrap_or_default()
    }
}

impl Compiler<'_> {
    /// Returns the ways of an entry at `path`; None when that is wrong, which has been reported then.
    pub(super) fn alpn_ways(
        &mut self,
        path: &[Item],
        written: &BTreeMap<String, String>,
        numbers: &BTreeMap<&str, BackendIndex>,
    ) -> Option<AlpnWays> {
        let below = |keys: &[Item]| [path, &path!["alpn"], keys].concat();
        if written.is_empty() || written.len() > MOST {
            let reason = format!("between one and {MOST} protocols are needed, \"*\" among them");
            self.error(below(&[]), reason);
        }
        let (mut known, mut rest) = (Vec::with_capacity(written.len()), None);
        for (protocol, backend) in written {
            let Some(number) = numbers.get(backend.as_str()).copied() else {
                self.unknown_backend(below(&path![protocol]), backend);
                continue;
            };
            if protocol == REST {
                rest = Some(number);
            } else if (1..=255).contains(&protocol.len()) {
                known.push((protocol.as_bytes().into(), number));
            } else {
                let reason = "a protocol has 1 to 255 bytes (RFC 7301, section 3.1)";
                self.error(below(&path![protocol]), reason);
            }
        }
        (known.len() + usize::from(rest.is_some()) == written.len() && !written.is_empty())
            .then(|| AlpnWays { known: known.into(), rest })
    }
}
