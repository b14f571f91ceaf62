//! The extensions of a hello (RFC 8446 section 4.2): every frame is checked, four are read, none is trusted
//! twice.
//!
//! Unknown and GREASE (RFC 8701) extensions are stepped over. Must never take time that grows with the square
//! of the number of extensions, which a client chooses.

use super::fields::Fields;
use super::{Defect, ServerName, host};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const HOST_NAME: u8 = 0;

/// Number of offered protocols that are kept: a list may name 32,767 of one byte each, which would cost far
/// more memory than its bytes. The rest is checked and dropped. Clients offer two or three.
pub const ALPN_KEPT: usize = 64;

/// Content of the extensions.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) name: ServerName,
    pub(super) alpn: Vec<Box<[u8]>>,
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
            let kind = fields.u16().ok_or(Defect::Extension)?;
            let content = fields.vector16().ok_or(Defect::Extension)?;
            seen.add(kind, block)?;
            match kind {
                SERVER_NAME => found.name = read_server_name(content)?,
                ALPN => found.alpn = read_alpn(content)?,
                SUPPORTED_VERSIONS => found.version = read_versions(content)?,
                ENCRYPTED_CLIENT_HELLO => found.encrypted = true,
                _ => {}
            }
        }
        Ok(found)
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
fn read_alpn(content: &[u8]) -> Result<Vec<Box<[u8]>>, Defect> {
    let list = Fields::new(content).last(Fields::vector16).ok_or(Defect::Alpn)?;
    if list.is_empty() {
        return Err(Defect::Alpn);
    }
    let mut offered = Vec::new();
    let mut fields = Fields::new(list);
    while !fields.is_empty() {
        let protocol = fields.vector8().ok_or(Defect::Alpn)?;
        if protocol.is_empty() {
            return Err(Defect::Alpn);
        }
        if offered.len() < ALPN_KEPT {
            offered.push(Box::from(protocol));
        }
    }
    Ok(offered)
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
    low: [u64; 1],
    others: [u16; 16],
    count: usize,
}

impl Seen {
    fn add(&mut self, kind: u16, block: &[u8]) -> Result<(), Defect> {
        let fresh = if kind < 64 {
            insert(&mut self.low, kind)
        } else if self.count < self.others.len() {
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
    while let (Some(kind), Some(_)) = (fields.u16(), fields.vector16()) {
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
