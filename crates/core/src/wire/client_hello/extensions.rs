//! The extensions of a hello (RFC 8446 section 4.2): every frame is checked, four are read, none is trusted
//! twice.
//!
//! Unknown and GREASE (RFC 8701) extensions are stepped over. Must never take time that grows with the square
//! of the number of extensions, which a client chooses.

use smallvec::SmallVec;

use super::fields::Fields;
use super::{Defect, ServerName, host};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const HOST_NAME: u8 = 0;

/// The extensions whose content is read, a bit each.
const READ: u64 = 1 << SERVER_NAME | 1 << ALPN | 1 << SUPPORTED_VERSIONS;

/// Protocols offered by ALPN, in the client's order.
///
/// Kept as they came, each behind its length: what clients offer is so short that no memory is asked for, and
/// a long list takes no more than its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offered(SmallVec<[u8; 24]>);

impl Offered {
    /// Makes what a client offers that names these; what is no name of a protocol is left out.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut offered = Self::default();
        for name in names {
            if let Ok(length @ 1..) = u8::try_from(name.len()) {
                offered.0.push(length);
                offered.0.extend_from_slice(name.as_bytes());
            }
        }
        offered
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the protocols.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut fields = Fields::new(&self.0);
        std::iter::from_fn(move || fields.vector8())
    }
}

/// Content of the extensions.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) name: ServerName,
    pub(super) alpn: Offered,
    /// The highest version in supported_versions, if there is one that is known.
    pub(super) version: Option<u16>,
    pub(super) encrypted: bool,
}

impl Extensions {
    /// Reads the whole block of extensions, without its length.
    pub(super) fn read(block: &[u8]) -> Result<Self, Defect> {
        let mut found = Self::default();
        let mut seen = Seen::default();
        let mut fields = Fields::new(block);
        while !fields.is_empty() {
            let (kind, content) = fields.numbered().ok_or(Defect::Extension)?;
            if kind < 64 {
                let bit = 1 << kind;
                if seen.low & bit != 0 {
                    return Err(Defect::DuplicateExtension);
                }
                seen.low |= bit;
                if bit & READ != 0 {
                    found.take(kind, content)?;
                }
            } else {
                seen.add(kind, block)?;
                found.encrypted |= kind == ENCRYPTED_CLIENT_HELLO;
            }
        }
        Ok(found)
    }

    /// Reads one of the few; apart from the loop over all, which stays in registers.
    #[inline(never)]
    fn take(&mut self, kind: u16, content: &[u8]) -> Result<(), Defect> {
        match kind {
            SERVER_NAME => self.name = read_server_name(content)?,
            ALPN => self.alpn = read_alpn(content)?,
            _ => self.version = read_versions(content)?,
        }
        Ok(())
    }
}

/// Reads by RFC 6066 section 3: a list that is not empty, with at most one name of each type. Types to come
/// are framed as host names are.
fn read_server_name(content: &[u8]) -> Result<ServerName, Defect> {
    let list = Fields::new(content).last(Fields::vector16).ok_or(Defect::ServerNameList)?;
    if list.is_empty() {
        return Err(Defect::ServerNameList);
    }
    let mut names = Fields::new(list);
    let mut found = ServerName::Absent;
    let mut seen = [0_u64; 4];
    while !names.is_empty() {
        let kind = names.u8().ok_or(Defect::ServerNameList)?;
        let name = names.vector16().ok_or(Defect::ServerNameList)?;
        if !insert(&mut seen, u16::from(kind)) {
            return Err(Defect::DuplicateName);
        }
        if kind == HOST_NAME {
            found = host::read(name)?;
        }
    }
    Ok(found)
}

/// Reads by RFC 7301 section 3.1: neither the list nor a protocol may be empty.
fn read_alpn(content: &[u8]) -> Result<Offered, Defect> {
    let list = Fields::new(content).last(Fields::vector16).ok_or(Defect::Alpn)?;
    if list.is_empty() {
        return Err(Defect::Alpn);
    }
    let mut fields = Fields::new(list);
    while !fields.is_empty() {
        if fields.vector8().ok_or(Defect::Alpn)?.is_empty() {
            return Err(Defect::Alpn);
        }
    }
    Ok(Offered(SmallVec::from_slice(list)))
}

/// Reads by RFC 8446 section 4.2.1. Only SSL 3.0 and TLS count: GREASE values, drafts and DTLS have another
/// major number.
fn read_versions(content: &[u8]) -> Result<Option<u16>, Defect> {
    let list = Fields::new(content).last(Fields::vector8).ok_or(Defect::SupportedVersions)?;
    if list.is_empty() || list.len() % 2 != 0 {
        return Err(Defect::SupportedVersions);
    }
    let versions = list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    Ok(versions.filter(|version| version >> 8 == 3).max())
}

/// The extension types met so far: a bit each for those below 64 (nearly all), a short list for the others,
/// and one pass with a bit for every type there is when a hello has more others than any client sends.
#[derive(Default)]
struct Seen {
    low: u64,
    others: [u16; 16],
    count: usize,
}

impl Seen {
    /// Adds a type that is not below 64.
    fn add(&mut self, kind: u16, block: &[u8]) -> Result<(), Defect> {
        let fresh = if self.count < self.others.len() {
            let fresh = !self.others[..self.count].contains(&kind);
            self.others[self.count] = kind;
            self.count += 1;
            fresh
        } else if self.count == self.others.len() {
            self.count += 1;
            all_differ(block)
        } else {
            true
        };
        if fresh { Ok(()) } else { Err(Defect::DuplicateExtension) }
    }
}

/// Whether no type occurs twice in the whole block; bad framing is left to the caller's own pass.
#[cold]
fn all_differ(block: &[u8]) -> bool {
    let mut seen = [0_u64; 1024];
    let mut fields = Fields::new(block);
    while let Some((kind, _)) = fields.numbered() {
        if !insert(&mut seen, kind) {
            return false;
        }
    }
    true
}

/// Sets bit `at`; returns whether it was clear.
fn insert(bits: &mut [u64], at: u16) -> bool {
    let word = &mut bits[usize::from(at / 64)];
    let bit = 1 << (at % 64);
    let fresh = *word & bit == 0;
    *word |= bit;
    fresh
}
