//! A nameserver's pen: answers octet by octet, lies and nonsense included.

use headworks_core::names::{Domain, Query, QueryType, SentQuery};

/// A type of records.
pub(crate) const A: u16 = 1;
/// Another one.
pub(crate) const NS: u16 = 2;
/// Another one.
pub(crate) const CNAME: u16 = 5;
/// Another one.
pub(crate) const SOA: u16 = 6;
/// Another one.
pub(crate) const AAAA: u16 = 28;
/// Another one.
pub(crate) const SRV: u16 = 33;

/// Bits of the header: a response, recursion available.
pub(crate) const RESPONSE: u16 = 0x8180;
/// The bit of an answer without room.
pub(crate) const TRUNCATED: u16 = 0x0200;

/// Returns a query.
pub(crate) fn query(name: &str, query_type: QueryType) -> Query {
    Query { name: Domain::new(name).unwrap(), query_type }
}

/// Returns a query as it is sent, with letters in mixed case.
pub(crate) fn sent(name: &str, query_type: QueryType) -> SentQuery {
    SentQuery::new(&query(name, query_type), 0x5555_a5a5_1234, true).unwrap()
}

/// Writes a name without compression.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

/// Writes a record.
pub(crate) fn record(owner: &str, kind: u16, ttl: u32, content: &[u8]) -> Vec<u8> {
    let mut out = name(owner);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&(content.len() as u16).to_be_bytes());
    out.extend_from_slice(content);
    out
}

/// Writes the content of a SRV record.
pub(crate) fn service(priority: u16, weight: u16, port: u16, target: &str) -> Vec<u8> {
    let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
    [numbers, name(target)].concat()
}

/// Writes the content of a SOA record.
pub(crate) fn start(minimum: u32) -> Vec<u8> {
    let numbers = [1, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
    [name("ns.example"), name("admin.example"), numbers].concat()
}

/// An answer: the sections of records, and the bits of the header.
#[derive(Default, Clone)]
pub(crate) struct Answer {
    /// Bits beside those of every response.
    pub(crate) bits: u16,
    /// The records.
    pub(crate) answers: Vec<Vec<u8>>,
    /// The authority section.
    pub(crate) authorities: Vec<Vec<u8>>,
    /// The additional section.
    pub(crate) additionals: Vec<Vec<u8>>,
}

impl Answer {
    /// Writes it as an answer to the bytes of a query.
    pub(crate) fn to(&self, asked: &[u8]) -> Vec<u8> {
        let mut out = asked[..2].to_vec();
        out.extend_from_slice(&(RESPONSE | self.bits).to_be_bytes());
        let counts = [1, self.answers.len(), self.authorities.len(), self.additionals.len()];
        counts.iter().for_each(|count| out.extend_from_slice(&(*count as u16).to_be_bytes()));
        out.extend_from_slice(question(asked));
        [&self.answers, &self.authorities, &self.additionals]
            .into_iter()
            .flatten()
            .for_each(|record| out.extend_from_slice(record));
        out
    }
}

/// Returns an answer with these records.
pub(crate) fn answer(answers: &[Vec<u8>]) -> Answer {
    Answer { answers: answers.to_vec(), ..Answer::default() }
}

/// Returns the question section of a query.
pub(crate) fn question(asked: &[u8]) -> &[u8] {
    let length = asked[12..].iter().position(|byte| *byte == 0).unwrap();
    &asked[12..12 + length + 5]
}
