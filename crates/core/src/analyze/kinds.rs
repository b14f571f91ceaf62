//! Kinds: the protocols that one listener takes, and who reads on in those that are routed by a name.
//!
//! Must never know where a kind leads: that is the listener's.

use super::{Analyzer, FirstHost, Sni};
use crate::spoken::Spoken;
use crate::wire::first_host;
use crate::wire::kind::Mark;

/// The kinds that a listener tells apart; no two are told by the same bytes.
#[derive(Debug, Clone, Default)]
pub struct Kinds(pub Box<[Kind]>);

/// One kind.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The key that it is configured by.
    pub name: Box<str>,
    /// The bytes that tell it.
    pub mark: Mark,
    /// Whether it is routed by a name.
    pub is_named: bool,
}

/// The kind of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindFound {
    /// The one with this number.
    Of(u8),
    /// None of them.
    Other,
    /// The client says nothing: the server is to speak first.
    Silent,
}

impl Kinds {
    /// Returns the kind of the bytes held; None while they may still be of several, or of none.
    pub fn tell(&self, held: &[u8]) -> Option<KindFound> {
        let mut may_be = false;
        for (number, kind) in (0..).zip(&self.0) {
            match kind.mark.tells(held) {
                Some(true) => return Some(KindFound::Of(number)),
                Some(false) => {}
                None => may_be = true,
            }
        }
        (!may_be && !held.is_empty()).then_some(KindFound::Other)
    }

    /// Returns the number of the kind that is called so.
    pub fn named(&self, name: &str) -> Option<u8> {
        (0..).zip(&self.0).find(|(_, kind)| *kind.name == *name).map(|(number, _)| number)
    }

    /// Returns the kind with this number.
    pub fn get(&self, found: KindFound) -> Option<&Kind> {
        let KindFound::Of(number) = found else { return None };
        self.0.get(usize::from(number))
    }
}

impl Kind {
    /// Returns who reads the name.
    pub(super) fn reader(&self) -> Option<&'static dyn Analyzer> {
        match self.mark {
            Mark::Tls if self.is_named => Some(&Sni),
            Mark::Http if self.is_named => Some(&FirstHost),
            _ => None,
        }
    }

    /// Returns what the client speaks, where a refusal can be said in it.
    pub(super) fn spoken(&self, held: &[u8]) -> Option<Spoken> {
        match self.mark {
            Mark::Tls => Some(Spoken::Tls),
            Mark::Http if first_host::begins_http2(held) == Some(false) => Some(Spoken::Http1),
            Mark::Http => Some(Spoken::Http2),
            _ => None,
        }
    }
}
