//! Names: which certificates are for a name.
//!
//! Owns the index by name: exact, then a wildcard of exactly one label (RFC 9525, section 6.3). A lookup
//! costs the same for 10 and for 10,000 certificates and allocates nothing. Must never know what a client can
//! verify: the choice among the candidates is made by the engine, which has read the client's offer.

use std::net::Ipv4Addr;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Certificate;

/// Certificates by name.
///
/// Worked example: of the certificates 0 for `a.example` and 1 for `*.example` and `a.example`, the name
/// `a.example` has the exact candidates 0 and 1 and the wildcard candidate 1, `b.example` has only the
/// wildcard candidate 1, and `example` and `a.b.example` have none.
#[derive(Debug, Default)]
pub struct Names {
    exact: Index,
    /// Certificates keyed by the text after `*.`.
    wildcards: Index,
    /// The first certificate and those for the very same names.
    first: Indices,
}

/// Foldhash in its "quality" form, seeded at random: a client that chooses the names cannot choose the
/// collisions.
type Index = HashMap<Box<str>, Indices, foldhash::quality::RandomState>;
type Indices = SmallVec<[u32; 4]>;

/// Indices of certificates in two groups, the better one first; each in the configured order.
pub type Candidates<'a> = [&'a [u32]; 2];

impl Names {
    /// Returns the index of `certificates`, whose names are in lower case.
    pub fn new(certificates: &[Certificate]) -> Self {
        let mut names = Self::default();
        for (index, certificate) in certificates.iter().enumerate() {
            for name in certificate.names.iter() {
                names.add(name, index as u32);
            }
        }
        if let Some(first) = certificates.first() {
            let same = |one: &Certificate| sorted(one) == sorted(first);
            let twins = certificates.iter().enumerate().skip(1).filter(|(_, one)| same(one));
            names.first = std::iter::once(0).chain(twins.map(|(index, _)| index as u32)).collect();
        }
        names
    }

    /// Returns the certificates for `name` (lower case): those that say it, then those with a wildcard for
    /// it.
    pub fn candidates(&self, name: &str) -> Candidates<'_> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let wildcard = wildcard_of(name).and_then(|rest| self.wildcards.get(rest));
        [self.exact.get(name), wildcard].map(|found| found.map_or(&[][..], SmallVec::as_slice))
    }

    /// Returns the certificates for a client that asks for `name` or for none; all groups are empty if it is
    /// to be refused, which `strict` asks for where no certificate is for what it wants.
    pub fn for_client(&self, name: Option<&str>, strict: bool) -> Candidates<'_> {
        let named = name.map_or([&[][..]; 2], |name| self.candidates(name));
        let found = named.iter().any(|group| !group.is_empty());
        if found || strict { named } else { self.otherwise() }
    }

    /// Returns what clients get that ask for no name, or for one that no certificate is for: the first
    /// certificate, or another for the same names that they can verify.
    pub fn otherwise(&self) -> Candidates<'_> {
        [&self.first, &[]]
    }

    /// Whether `certificate` is for `name`.
    pub fn covers(&self, certificate: u32, name: &str) -> bool {
        self.candidates(name).iter().any(|group| group.contains(&certificate))
    }

    fn add(&mut self, name: &str, index: u32) {
        let name = name.strip_suffix('.').unwrap_or(name);
        let (list, key) = match name.strip_prefix("*.") {
            Some(rest) => (&mut self.wildcards, rest),
            None => (&mut self.exact, name),
        };
        // A star anywhere else stands for nothing (RFC 9525, section 6.3).
        if key.is_empty() || key.contains('*') {
            return;
        }
        let indices = list.entry(key.into()).or_default();
        if indices.last() != Some(&index) {
            indices.push(index);
        }
    }
}

/// Returns what follows `*.` in the only wildcard that could be for `name`; an address has none.
fn wildcard_of(name: &str) -> Option<&str> {
    let (label, rest) = name.split_once('.')?;
    let address = name.ends_with(|last: char| last.is_ascii_digit()) && name.parse::<Ipv4Addr>().is_ok();
    (!label.is_empty() && !address).then_some(rest)
}

fn sorted(certificate: &Certificate) -> SmallVec<[&str; 8]> {
    let mut names: SmallVec<[&str; 8]> = certificate.names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names
}
