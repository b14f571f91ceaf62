//! An inquiry: one query on its way from nameserver to nameserver until it is answered.
//!
//! Events in, actions out. Each time it is sent, a query has another id and another case of letters.
//! Datagrams come first; whatever a datagram cannot settle is settled by a connection to the same
//! nameserver: an answer without room, one that lost the case of letters, a flood of answers that are none.
//! Must come to an end after a number of steps that nameservers cannot raise.

use std::net::SocketAddr;

use super::Unresolved;
use super::message::{AnswerParsed, MOST_ALIASES, NameAnswer, Query, SentQuery};

/// Datagrams that answer something else, after which somebody seems to guess.
const MOST_FOREIGN: u32 = 32;

/// An event of the query that was sent last.
#[derive(Debug, Clone, Copy)]
pub enum InquiryEvent<'a> {
    /// A datagram came from the nameserver.
    Datagram(&'a [u8]),
    /// A message came over the connection to the nameserver.
    Stream(&'a [u8]),
    /// Nothing came in time.
    TimedOut,
    /// The nameserver cannot be reached, or has ended the connection.
    Unreachable,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InquiryAction {
    /// Send the query in a datagram, from a new socket.
    Send,
    /// Ask by a connection.
    Connect,
    /// Go on waiting, no longer than before.
    Wait,
    /// The inquiry is over.
    Finish(Result<NameAnswer, Unresolved>),
}

/// One query, asked until it is answered.
#[derive(Debug)]
pub struct Inquiry {
    query: Query,
    nameservers: Vec<SocketAddr>,
    /// Place of the nameserver that is asked.
    at: usize,
    /// Times that a nameserver may still be asked.
    attempts: usize,
    edns: bool,
    sent: Option<SentQuery>,
    /// Whether it was sent over a connection.
    connected: bool,
    foreign: u32,
    /// Aliases followed so far, and the seconds for which they hold.
    links: usize,
    ttl: u32,
}

impl Inquiry {
    /// Begins an inquiry that asks each nameserver `attempts` times, in their order.
    pub fn new(query: Query, nameservers: Vec<SocketAddr>, attempts: usize) -> Self {
        let attempts = attempts.max(1) * nameservers.len();
        Self {
            query,
            nameservers,
            at: 0,
            attempts,
            edns: true,
            sent: None,
            connected: false,
            foreign: 0,
            links: 0,
            ttl: u32::MAX,
        }
    }

    /// Returns the first action.
    pub fn begin(&mut self, random: u128) -> InquiryAction {
        if self.attempts == 0 {
            return InquiryAction::Finish(Err(Unresolved::Unreachable));
        }
        self.attempts -= 1;
        self.write(random, InquiryAction::Send)
    }

    /// Returns the nameserver that is asked. None: there are none.
    pub fn nameserver(&self) -> Option<SocketAddr> {
        self.nameservers.get(self.at).copied()
    }

    /// Returns the query as it is to be sent. None: nothing is to be sent.
    pub fn sent(&self) -> Option<&SentQuery> {
        self.sent.as_ref()
    }

    /// Says what to do after `event`; `random` is used when something is sent again.
    pub fn handle(&mut self, event: InquiryEvent<'_>, random: u128) -> InquiryAction {
        let Some(sent) = &self.sent else { return InquiryAction::Wait };
        match event {
            // What comes the other way was not asked for.
            InquiryEvent::Datagram(_) if self.connected => InquiryAction::Wait,
            InquiryEvent::Stream(_) if !self.connected => InquiryAction::Wait,
            InquiryEvent::Datagram(bytes) => match sent.read_datagram(bytes) {
                AnswerParsed::Foreign => self.count_foreign(random),
                AnswerParsed::OtherCase | AnswerParsed::Truncated => {
                    self.write(random, InquiryAction::Connect)
                }
                parsed => self.take(parsed, random),
            },
            InquiryEvent::Stream(bytes) => match sent.read_stream(bytes) {
                AnswerParsed::Foreign => self.go_on(Unresolved::Malformed, random),
                parsed => self.take(parsed, random),
            },
            InquiryEvent::TimedOut => self.go_on(Unresolved::Timeout, random),
            InquiryEvent::Unreachable => self.go_on(Unresolved::Unreachable, random),
        }
    }

    fn count_foreign(&mut self, random: u128) -> InquiryAction {
        self.foreign += 1;
        if self.foreign < MOST_FOREIGN {
            return InquiryAction::Wait;
        }
        self.foreign = 0;
        self.write(random, InquiryAction::Connect)
    }

    fn take(&mut self, parsed: AnswerParsed, random: u128) -> InquiryAction {
        match parsed {
            AnswerParsed::Answer(NameAnswer { found, ttl }) => {
                self.finish(Ok(NameAnswer { found, ttl: ttl.min(self.ttl) }))
            }
            AnswerParsed::Alias { name, links, ttl } => {
                self.links += links;
                self.ttl = self.ttl.min(ttl);
                if self.links > MOST_ALIASES {
                    return self.finish(Err(Unresolved::Loop));
                }
                self.query.name = name;
                self.write(random, InquiryAction::Send)
            }
            AnswerParsed::NoEdns => {
                self.edns = false;
                self.write(random, InquiryAction::Send)
            }
            // Another nameserver would read the same records.
            AnswerParsed::Failed(Unresolved::Loop) => self.finish(Err(Unresolved::Loop)),
            AnswerParsed::Failed(failure) => self.go_on(failure, random),
            AnswerParsed::Foreign | AnswerParsed::OtherCase | AnswerParsed::Truncated => {
                self.go_on(Unresolved::Malformed, random)
            }
        }
    }

    /// Asks the next nameserver, after the last one the first again, as long as there are attempts.
    fn go_on(&mut self, failure: Unresolved, random: u128) -> InquiryAction {
        if self.attempts == 0 {
            return self.finish(Err(failure));
        }
        self.attempts -= 1;
        self.at = (self.at + 1) % self.nameservers.len().max(1);
        self.foreign = 0;
        self.write(random, InquiryAction::Send)
    }

    fn write(&mut self, random: u128, action: InquiryAction) -> InquiryAction {
        self.sent = SentQuery::new(&self.query, random, self.edns);
        self.connected = action == InquiryAction::Connect;
        if self.sent.is_some() { action } else { InquiryAction::Finish(Err(Unresolved::BadName)) }
    }

    fn finish(&mut self, outcome: Result<NameAnswer, Unresolved>) -> InquiryAction {
        self.sent = None;
        InquiryAction::Finish(outcome)
    }
}
