//! Messages of the domain name system (RFC 1035): queries as bytes, and answers as far as they answer a
//! query.
//!
//! Whoever can send datagrams can pretend to be a nameserver. So a query has a random id and its name in
//! random case (draft-vixie-dnsext-dns0x20), and an answer is believed only if both come back; what it says
//! of other names than the one that was asked for, or than those that this one is an alias of, is passed
//! over. Must never panic, whatever the bytes.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode};
use hickory_proto::rr::{DNSClass, Name, RData as Content, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::Unresolved;
use super::domain::Domain;

/// Size of datagrams that come through everywhere (RFC 9715).
const LARGEST_DATAGRAM: u16 = 1_232;
/// Octets of a header.
const HEADER: usize = 12;
/// Aliases that are followed from a name to its addresses.
pub(super) const MOST_ALIASES: usize = 8;
/// Records of an answer; one with more is no answer.
const MOST_RECORDS: u16 = 4_096;
/// Records that are kept of it.
const MOST_KEPT: usize = 1_024;
/// Records of the authority section that are looked at.
const MOST_AUTHORITIES: u16 = 32;
/// Values of TTL from here on are none (RFC 2181 section 8).
const NO_TTL: u32 = 1 << 31;

/// Labels and pointers of a name: one pointer for each label is more than anybody needs.
const LONGEST_WAY: usize = 256;

const NO_ERROR: u8 = 0;
const FORMAT_ERROR: u8 = 1;
const NO_SUCH_NAME: u8 = 3;
const NOT_IMPLEMENTED: u8 = 4;
const REFUSED: u8 = 5;

/// A type of records, as far as we ask for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts and ports of a service (RFC 2782).
    Srv,
}

impl QueryType {
    fn code(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Srv => RecordType::SRV,
        }
    }
}

/// A name and the type of its records: all that a nameserver can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// The name.
    pub name: Domain,
    /// The type.
    pub query_type: QueryType,
}

/// Knowledge of nameservers about a [`Query`], and for how many seconds it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAnswer {
    /// The records.
    pub found: Found,
    /// Seconds for which they hold.
    pub ttl: u32,
}

/// Records of a name, of the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Addresses, each once.
    Addresses(Box<[IpAddr]>),
    /// Hosts that offer the service.
    Services(Box<[Service]>),
    /// The name has no records of this type.
    NoRecords,
    /// There is no such name.
    NoSuchName,
}

impl Found {
    /// Returns how many records there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Addresses(addresses) => addresses.len(),
            Self::Services(services) => services.iter().map(|service| 1 + service.addresses.len()).sum(),
            Self::NoRecords | Self::NoSuchName => 0,
        }
    }
}

/// One host that offers a service (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Hosts of the lowest priority that answer are used, others wait.
    pub priority: u16,
    /// Share among hosts of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The name of the host.
    pub target: Domain,
    /// Addresses of the host, as far as the answer has them beside it.
    pub addresses: Vec<IpAddr>,
}

/// The worth of bytes that came from a nameserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerParsed {
    /// Not an answer to this query: perhaps of somebody who pretends to be the nameserver.
    Foreign,
    /// An answer in which the name has lost its case: true or not, a connection will tell.
    OtherCase,
    /// The answer has no room in a datagram.
    Truncated,
    /// The nameserver does not know EDNS.
    NoEdns,
    /// The nameserver does not answer; another one may.
    Failed(Unresolved),
    /// The name is an alias of another one, which is to be asked for.
    Alias {
        /// The other name.
        name: Domain,
        /// Aliases on the way to it.
        links: usize,
        /// Seconds for which they hold.
        ttl: u32,
    },
    /// The answer.
    Answer(NameAnswer),
}

/// A [`Query`] as it is sent.
#[derive(Debug, Clone)]
pub struct SentQuery {
    bytes: Vec<u8>,
    /// Offset at which the question section ends.
    end: usize,
    query_type: QueryType,
    edns: bool,
}

impl SentQuery {
    /// Writes a query with an id and a case of letters made of `random`. None: there is no such name.
    pub fn new(query: &Query, random: u128, edns: bool) -> Option<Self> {
        let (id, mut cases) = (random as u16, random >> 16);
        let mixed: Vec<u8> = query.name.as_str().bytes().map(|byte| mix(byte, &mut cases)).collect();
        let mut name = Name::from_labels(mixed.split(|byte| *byte == b'.')).ok()?;
        name.set_fqdn(true);
        let end = HEADER + query.name.as_str().len() + 2 + 4;
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(hickory_proto::op::Query::query(name, query.query_type.code()));
        if edns {
            let mut options = Edns::new();
            options.set_max_payload(LARGEST_DATAGRAM).set_version(0);
            message.set_edns(options);
        }
        let bytes = message.to_vec().ok()?;
        (bytes.len() >= end).then_some(Self { bytes, end, query_type: query.query_type, edns })
    }

    /// Returns the bytes of a datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes for a connection, where their length stands before them (RFC 7766 section 8).
    pub fn framed(&self) -> Vec<u8> {
        let mut framed = Vec::with_capacity(2 + self.bytes.len());
        framed.extend_from_slice(&(self.bytes.len() as u16).to_be_bytes());
        framed.extend_from_slice(&self.bytes);
        framed
    }

    /// Judges a datagram from the nameserver that was asked.
    pub fn read_datagram(&self, bytes: &[u8]) -> AnswerParsed {
        self.read(bytes, false)
    }

    /// Judges a message from a connection to the nameserver. Nobody else can have written it, so that case
    /// does not matter.
    pub fn read_stream(&self, bytes: &[u8]) -> AnswerParsed {
        self.read(bytes, true)
    }

    fn read(&self, bytes: &[u8], connected: bool) -> AnswerParsed {
        let Some(header) = bytes.get(..HEADER) else { return AnswerParsed::Foreign };
        let is_response = header[2] & 0x80 != 0;
        let is_query = header[2] & 0x78 == 0;
        if header[..2] != self.bytes[..2] || !is_response || !is_query {
            return AnswerParsed::Foreign;
        }
        let code = header[3] & 0x0f;
        let questions = u16::from_be_bytes([header[4], header[5]]);
        match (questions, bytes.get(HEADER..self.end)) {
            // A nameserver that cannot read the query may send its header back and no more.
            (0, _) if code != NO_ERROR && code != NO_SUCH_NAME => return self.refusal(code),
            (1, Some(question)) if question == &self.bytes[HEADER..self.end] => {}
            (1, Some(question)) if question.eq_ignore_ascii_case(&self.bytes[HEADER..self.end]) => {
                if !connected {
                    return AnswerParsed::OtherCase;
                }
            }
            _ => return AnswerParsed::Foreign,
        }
        let truncated = header[2] & 0x02 != 0;
        if truncated && !connected {
            return AnswerParsed::Truncated;
        }
        if code != NO_ERROR && code != NO_SUCH_NAME {
            return self.refusal(code);
        }
        let mut answer = Reading { bytes, end: self.end, wanted: self.query_type.code() };
        match answer.read() {
            // Where there is room for all, records that are said to be missing may be all there are.
            Some(AnswerParsed::Answer(answer)) if truncated && answer.found.count() == 0 => {
                AnswerParsed::Failed(Unresolved::Malformed)
            }
            Some(parsed) => parsed,
            None => AnswerParsed::Failed(Unresolved::Malformed),
        }
    }

    fn refusal(&self, code: u8) -> AnswerParsed {
        match code {
            FORMAT_ERROR | NOT_IMPLEMENTED if self.edns => AnswerParsed::NoEdns,
            NOT_IMPLEMENTED | REFUSED => AnswerParsed::Failed(Unresolved::Refused),
            _ => AnswerParsed::Failed(Unresolved::ServerFailure),
        }
    }
}

/// Puts a letter in a case that a bit decides; the bits of long names are used again.
fn mix(byte: u8, cases: &mut u128) -> u8 {
    let upper = *cases & 1 == 1;
    *cases = cases.rotate_right(1);
    if upper { byte.to_ascii_uppercase() } else { byte }
}

/// A record of a name that we can ask for.
struct Known {
    owner: Domain,
    ttl: u32,
    content: Content,
}

impl Known {
    fn read(bytes: &[u8], decoder: &mut BinDecoder<'_>) -> Option<Option<Self>> {
        let Some(record) = read_record(bytes, decoder)? else { return Some(None) };
        // One without content says nothing, whatever its type.
        if record.dns_class != DNSClass::IN || matches!(record.data, Content::Update0(_)) {
            return Some(None);
        }
        let ttl = if record.ttl < NO_TTL { record.ttl } else { 0 };
        Some(domain(&record.name).map(|owner| Self { owner, ttl, content: record.data }))
    }

    fn address(&self) -> Option<IpAddr> {
        match &self.content {
            Content::A(address) => Some(address.0.into()),
            Content::AAAA(address) => Some(address.0.into()),
            _ => None,
        }
    }
}

fn domain(name: &Name) -> Option<Domain> {
    Domain::of_labels(name.iter())
}

/// Reads the next record of a message, of a type that matters here; the others are stepped over.
///
/// Names are walked before they are read: rows of pointers would cost time that grows with the square of the
/// message.
fn read_record(bytes: &[u8], decoder: &mut BinDecoder<'_>) -> Option<Option<Record>> {
    let owner_end = name_end(bytes, decoder.index())?;
    let content = owner_end + 10;
    let [kind_high, kind_low, .., high, low] = bytes.get(owner_end..content)? else { return None };
    match RecordType::from(u16::from_be_bytes([*kind_high, *kind_low])) {
        RecordType::A | RecordType::AAAA => {}
        RecordType::CNAME | RecordType::NS => _ = name_end(bytes, content)?,
        RecordType::SRV => _ = name_end(bytes, content + 6)?,
        RecordType::SOA => _ = name_end(bytes, name_end(bytes, content)?)?,
        _ => {
            let end = content + usize::from(u16::from_be_bytes([*high, *low]));
            decoder.read_slice(end - decoder.index()).ok()?;
            return Some(None);
        }
    }
    Record::read(decoder).ok().map(Some)
}

/// Returns where a name ends in the message. None: it leads too far.
fn name_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut end = None;
    for _ in 0..LONGEST_WAY {
        let first = *bytes.get(at)?;
        match first >> 6 {
            0 if first == 0 => return Some(end.unwrap_or(at + 1)),
            0 => at += 1 + usize::from(first),
            3 => {
                end.get_or_insert(at + 2);
                at = usize::from(u16::from_be_bytes([first & 0x3f, *bytes.get(at + 1)?]));
            }
            _ => return None,
        }
    }
    None
}

/// One answer that belongs to the query, while it is read. None means everywhere: the bytes are no message.
struct Reading<'a> {
    bytes: &'a [u8],
    /// Offset at which the question ends.
    end: usize,
    wanted: RecordType,
}

impl Reading<'_> {
    fn read(&mut self) -> Option<AnswerParsed> {
        let count = |at: usize| u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        let (answers, authorities, additionals) = (count(6), count(8), count(10));
        if answers > MOST_RECORDS {
            return None;
        }
        let mut decoder = BinDecoder::new(self.bytes);
        decoder.read_slice(HEADER).ok()?;
        let asked = hickory_proto::op::Query::read(&mut decoder).ok()?;
        if decoder.index() != self.end {
            return None;
        }
        let mut records = Vec::with_capacity(usize::from(answers).min(64));
        for _ in 0..answers {
            records.extend(Known::read(self.bytes, &mut decoder)?);
        }
        let chain = match Chain::follow(domain(&asked.name)?, &records, self.wanted) {
            Ok(chain) => chain,
            Err(failure) => return Some(AnswerParsed::Failed(failure)),
        };
        let found: Vec<&Known> = records
            .iter()
            .filter(|record| record.owner == chain.name && record.content.record_type() == self.wanted)
            .take(MOST_KEPT)
            .collect();
        if found.is_empty() {
            return self.read_absence(chain, &mut decoder, authorities);
        }
        let ttl = found.iter().map(|record| record.ttl).min().unwrap_or(0).min(chain.ttl);
        if self.wanted != RecordType::SRV {
            let mut addresses = Vec::with_capacity(found.len());
            found
                .iter()
                .filter_map(|record| record.address())
                .for_each(|address| push_new(&mut addresses, address));
            return Some(AnswerParsed::Answer(NameAnswer { found: Found::Addresses(addresses.into()), ttl }));
        }
        let services = found.iter().filter_map(|record| read_service(&record.content)).collect();
        for _ in 0..authorities {
            read_record(self.bytes, &mut decoder)?;
        }
        let beside = Beside { bytes: self.bytes, decoder, count: additionals };
        Some(AnswerParsed::Answer(beside.read(services, ttl)))
    }

    /// Reads why an answer has no records: there are none, or they are asked for by another name.
    fn read_absence(
        &self,
        chain: Chain,
        decoder: &mut BinDecoder<'_>,
        authorities: u16,
    ) -> Option<AnswerParsed> {
        let mut negative = None;
        let mut delegated = false;
        for _ in 0..authorities.min(MOST_AUTHORITIES) {
            let Some(record) = read_record(self.bytes, decoder)? else { continue };
            match &record.data {
                // RFC 2308 section 5.
                Content::SOA(start) => negative = Some(record.ttl.min(start.minimum)),
                Content::NS(_) => delegated = true,
                _ => {}
            }
        }
        let ttl = negative.filter(|ttl| *ttl < NO_TTL).unwrap_or(0).min(chain.ttl);
        let [_, _, flags, codes, ..] = self.bytes else { return None };
        let (is_authoritative, recurses) = (flags & 0x04 != 0, codes & 0x80 != 0);
        Some(if codes & 0x0f == NO_SUCH_NAME {
            AnswerParsed::Answer(NameAnswer { found: Found::NoSuchName, ttl })
        } else if negative.is_none() && chain.links > 0 {
            AnswerParsed::Alias { name: chain.name, links: chain.links, ttl: chain.ttl }
        } else if negative.is_none() && delegated && !is_authoritative && !recurses {
            // Somebody else is to be asked, says a nameserver that will not do so itself.
            AnswerParsed::Failed(Unresolved::Refused)
        } else {
            AnswerParsed::Answer(NameAnswer { found: Found::NoRecords, ttl })
        })
    }
}

/// The way from the name that was asked for to the one that has records, as far as an answer goes.
struct Chain {
    name: Domain,
    links: usize,
    ttl: u32,
}

impl Chain {
    fn follow(name: Domain, records: &[Known], wanted: RecordType) -> Result<Self, Unresolved> {
        let mut chain = Self { name, links: 0, ttl: u32::MAX };
        loop {
            let mut of_name = records.iter().filter(|record| record.owner == chain.name);
            if of_name.clone().any(|record| record.content.record_type() == wanted) {
                return Ok(chain);
            }
            let alias = of_name.find_map(|record| match &record.content {
                Content::CNAME(alias) => Some((domain(&alias.0), record.ttl)),
                _ => None,
            });
            let Some((name, ttl)) = alias else { return Ok(chain) };
            chain.links += 1;
            if chain.links > MOST_ALIASES {
                return Err(Unresolved::Loop);
            }
            chain.name = name.ok_or(Unresolved::Malformed)?;
            chain.ttl = chain.ttl.min(ttl);
        }
    }
}

/// Reads a host of a service. None: it is no host, by which the service says that it is not there.
fn read_service(content: &Content) -> Option<Service> {
    let Content::SRV(service) = content else { return None };
    Some(Service {
        priority: service.priority,
        weight: service.weight,
        port: service.port,
        target: domain(&service.target)?,
        addresses: Vec::new(),
    })
}

/// The additional section, in which hosts of a service may have their addresses.
struct Beside<'a> {
    bytes: &'a [u8],
    decoder: BinDecoder<'a>,
    count: u16,
}

impl Beside<'_> {
    /// Gives the hosts their addresses; the first record that cannot be read ends that.
    fn read(mut self, mut services: Vec<Service>, mut ttl: u32) -> NameAnswer {
        let mut kept = 0;
        for _ in 0..self.count.min(MOST_RECORDS) {
            let Some(record) = Known::read(self.bytes, &mut self.decoder) else { break };
            let Some((record, address)) =
                record.and_then(|record| record.address().map(|found| (record, found)))
            else {
                continue;
            };
            for service in services.iter_mut().filter(|service| service.target == record.owner) {
                if kept < MOST_KEPT {
                    push_new(&mut service.addresses, address);
                    ttl = ttl.min(record.ttl);
                    kept += 1;
                }
            }
        }
        let found = if services.is_empty() { Found::NoRecords } else { Found::Services(services.into()) };
        NameAnswer { found, ttl }
    }
}

fn push_new(addresses: &mut Vec<IpAddr>, address: IpAddr) {
    if !addresses.contains(&address) {
        addresses.push(address);
    }
}

/// A message that comes over a connection, in pieces (RFC 7766 section 8).
#[derive(Debug, Clone, Default)]
pub struct StreamAnswer(Vec<u8>);

impl StreamAnswer {
    /// Takes a piece; returns the message as soon as it is whole. What comes after it is left aside.
    pub fn push(&mut self, piece: &[u8]) -> Option<&[u8]> {
        let room = self.missing().min(piece.len());
        let (first, rest) = piece.split_at(room);
        self.0.extend_from_slice(first);
        // Only now may the length be known.
        let room = self.missing().min(rest.len());
        self.0.extend_from_slice(&rest[..room]);
        if self.missing() == 0 { self.0.get(2..) } else { None }
    }

    /// Returns how many bytes are still to come, as far as that is known.
    fn missing(&self) -> usize {
        match self.0.as_slice() {
            [high, low, message @ ..] => usize::from(u16::from_be_bytes([*high, *low])) - message.len(),
            begun => 2 - begun.len(),
        }
    }
}
