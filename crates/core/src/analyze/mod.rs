//! Flow analyzers: each looks at the held bytes of one flow and answers with a Verdict.
//!
//! An analyzer is one file and one line in [`REGISTRY`]; which ones a flow gets, and within which bounds, is
//! said by its listener's [`Attached`]. Must never keep state of its own: what it learns goes into [`Facts`],
//! and it is called again with all held bytes when they grew.

mod attached;
mod first_host;
mod first_kind;
mod kinds;
mod proxy_header;
mod sni;

use std::fmt::Debug;
use std::net::SocketAddr;

pub use attached::Attached;
pub use first_host::FirstHost;
pub use first_kind::FirstKind;
pub use kinds::{Kind, KindFound, Kinds};
pub use proxy_header::{HeaderRule, NoProxyHeader, ProxyHeader};
pub use sni::Sni;

use crate::close::CloseReason;
use crate::spec::Hook;
pub use crate::spec::OnFailure;
use crate::spoken::Spoken;
use crate::wire::client_hello::Offered;

/// Every analyzer, for the laws they all keep (any split of the input gives the same verdict; no panic on any
/// bytes).
pub static REGISTRY: &[&dyn Analyzer] = &[&ProxyHeader, &NoProxyHeader, &Sni, &FirstHost, &FirstKind];

/// Looks at held bytes.
pub trait Analyzer: Debug + Sync {
    /// Returns the analyzer's name in logs and documentation.
    fn name(&self) -> &'static str;

    /// Judges the bytes held so far, oldest first, without those that earlier analyzers consumed.
    fn inspect(&self, held: &[u8], facts: &mut Facts) -> Verdict;

    /// Judges the same at a listener that tells these kinds apart.
    fn inspect_among(&self, _kinds: &Kinds, held: &[u8], facts: &mut Facts) -> Verdict {
        self.inspect(held, facts)
    }
}

/// An analyzer's answer. All but `Wait` end its turn: it is not called again on this flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The analyzer cannot say before `need` bytes are held.
    Wait {
        /// Total held bytes at which to ask again, more than are held now.
        need: usize,
    },
    /// The analyzer has nothing against the flow; the first `consumed` bytes were for us alone.
    Pass {
        /// Bytes not to be passed on.
        consumed: usize,
    },
    /// The analyzer has nothing to look for in this flow, which goes on without it.
    Bypass,
    /// Refuse the connection.
    Reject(CloseReason),
}

/// Facts that analyzers have learned about a connection.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The client: as accepted, or from a PROXY header. None for a unix client.
    pub client: Option<SocketAddr>,
    /// The address the client connected to: as accepted, or from a PROXY header.
    pub local: Option<SocketAddr>,
    /// The name the client asked for, lower case, no trailing dot.
    pub name: Option<Box<str>>,
    /// The kind of its first bytes, at a listener that tells kinds apart.
    pub kind: Option<KindFound>,
    /// The protocols that its ClientHello offers.
    pub alpn: Offered,
    /// The language of its first bytes, where that is not what its listener speaks by itself: what it is
    /// refused in.
    pub spoken: Option<Spoken>,
    /// Held bytes that an analyzer has looked at without a verdict.
    pub seen: u32,
}

impl Facts {
    /// Whether there is anything that a question of this hook could be about: first bytes of a client that
    /// says something, a hello of one that speaks TLS. `kinds`: its listener tells kinds apart.
    pub fn may_be_asked(&self, hook: Hook, kinds: bool) -> bool {
        match (hook, self.spoken) {
            (Hook::FirstBytes, _) => self.kind != Some(KindFound::Silent),
            (Hook::Hello, Some(spoken)) => spoken == Spoken::Tls,
            (Hook::Hello, None) => !kinds,
            _ => true,
        }
    }
}
