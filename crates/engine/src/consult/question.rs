//! Question: one question put to Python about a held flow: values that outlive the flow, in one piece of
//! memory, read only as far as somebody asks.
//!
//! Must never hold anything of the flow or of the Plan: an answer may take for ever.

use std::net::SocketAddr;
use std::sync::OnceLock;

use headworks_core::http::facts::ExchangeFacts;
use headworks_core::message::{Field, Head, Message, Method, Span};
use headworks_core::program::{Hello, Plain, Subject, read};
use headworks_core::spec::{Hook, ProgramKind};
use headworks_core::tls::TlsFacts;
use headworks_core::wire::client_hello::{self, HelloParsed};
use headworks_core::wire::http1::{self, Limits, Parsed};

use crate::token::Kind;

/// The one who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The number among the questions of one analyzer.
    pub number: u64,
    pub(crate) worker: usize,
    pub(crate) kind: Kind,
    pub(crate) place: usize,
    pub(crate) generation: u32,
}

/// The matter of a question.
#[derive(Debug)]
pub(crate) struct Matter {
    /// The moment.
    pub(crate) hook: Hook,
    /// The connection's id.
    pub(crate) connection: u64,
    /// The exchange's id; 0 where there is none.
    pub(crate) exchange: u64,
    /// The client; None for a unix client.
    pub(crate) client: Option<SocketAddr>,
    /// The address that it connected to.
    pub(crate) local: Option<SocketAddr>,
    /// TLS with the client ends at us.
    pub(crate) secure: bool,
    /// Facts that the handshake agreed on.
    pub(crate) tls: Option<Box<TlsFacts>>,
    /// The request came as early data.
    pub(crate) early: bool,
    /// Status of the response.
    pub(crate) status: u16,
    /// The method, for the framing of the response.
    pub(crate) method: Method,
    /// Seconds since 1970.
    pub(crate) wall: u64,
    /// The texts.
    pub(crate) texts: Texts,
}

/// Texts of a question, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Nothing follows the part of the body.
    pub(crate) last: bool,
    /// Head of the request, from its first line to the empty one.
    pub(crate) request: Span,
    /// Head of the response.
    pub(crate) response: Span,
    /// Bytes that are held: first ones, a hello, or a part of a body.
    pub(crate) chunk: Span,
    /// The listener's name.
    pub(crate) listener: Span,
    /// The backend's name.
    pub(crate) backend: Span,
    /// The server's address.
    pub(crate) server: Span,
    /// The name asked for, as tables know it.
    pub(crate) name: Span,
    /// The request's id.
    pub(crate) id: Span,
}

/// One question.
#[derive(Debug)]
pub struct Question {
    /// The one who waits.
    pub ticket: Ticket,
    matter: Matter,
    heads: OnceLock<Heads>,
}

#[derive(Debug, Default)]
struct Heads {
    request: Head,
    response: Head,
    alpn: Vec<u8>,
    ja4: String,
    version: u16,
}

/// The codec has read them already, within the limits of their listener.
const LIMITS: Limits = Limits { head: usize::MAX, fields: usize::MAX, line: usize::MAX };

impl Texts {
    /// Keeps a text.
    pub(crate) fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        Span::new(start, self.bytes.len())
    }

    /// Keeps what `write` writes.
    pub(crate) fn keep_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.bytes.len();
        write(&mut self.bytes);
        Span::new(start, self.bytes.len())
    }

    fn of(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.of(span)).unwrap_or_default()
    }
}

impl Question {
    pub(super) fn new(ticket: Ticket, matter: Matter) -> Self {
        Self { ticket, matter, heads: OnceLock::new() }
    }

    /// Returns the moment.
    pub fn hook(&self) -> Hook {
        self.matter.hook
    }

    /// Returns the connection's id.
    pub fn connection(&self) -> u64 {
        self.matter.connection
    }

    /// Returns the exchange's id; 0 where there is none.
    pub fn exchange(&self) -> u64 {
        self.matter.exchange
    }

    /// Returns the bytes that are held.
    pub fn chunk(&self) -> &[u8] {
        self.matter.texts.of(self.matter.texts.chunk)
    }

    /// Whether nothing of the body follows.
    pub fn is_last(&self) -> bool {
        self.matter.texts.last
    }

    /// Returns the value of an attribute by the name that rules have for it; None: there is none of that
    /// name.
    pub fn attribute(&self, name: &str) -> Option<Plain<'_>> {
        let own = matches!(name, "status" | "server");
        let kind = match self.matter.hook {
            Hook::Accepted | Hook::FirstBytes | Hook::Hello => ProgramKind::Hello,
            _ if own => ProgramKind::Response,
            _ => ProgramKind::Request,
        };
        read(&self.subject(kind), kind, name)
    }

    /// Returns a field of a head, several joined with commas.
    pub fn field(&self, kind: ProgramKind, name: &str) -> Option<Vec<u8>> {
        let message = self.message(kind)?;
        let named = |field: &&Field| message.name(field).eq_ignore_ascii_case(name.as_bytes());
        let mut values = message.head.fields.iter().filter(named).map(|field| message.text(field.value));
        let mut joined = values.next()?.to_vec();
        for value in values {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(joined)
    }

    /// Returns all fields of a head: names and values.
    pub fn fields(&self, kind: ProgramKind) -> Vec<(&[u8], &[u8])> {
        let Some(message) = self.message(kind) else { return Vec::new() };
        let fields = message.head.fields.iter();
        fields.map(|field| (message.name(field), message.text(field.value))).collect()
    }

    fn heads(&self) -> &Heads {
        self.heads.get_or_init(|| {
            let (mut heads, texts) = (Heads::default(), &self.matter.texts);
            if self.matter.hook == Hook::Hello
                && let HelloParsed::Complete(hello) = client_hello::parse(self.chunk())
            {
                heads.alpn = hello.alpn.iter().collect::<Vec<_>>().join(&b',');
                heads.ja4 = client_hello::ja4(self.chunk());
                heads.version = hello.version;
            }
            // What cannot be read has no fields.
            if http1::request(texts.of(texts.request), &LIMITS, &mut heads.request) != Parsed::Complete {
                heads.request = Head::default();
            }
            let response = texts.of(texts.response);
            if !response.is_empty()
                && http1::response(response, &LIMITS, self.matter.method, &mut heads.response)
                    != Parsed::Complete
            {
                heads.response = Head::default();
            }
            heads
        })
    }

    fn message(&self, kind: ProgramKind) -> Option<Message<'_>> {
        let (heads, texts) = (self.heads(), &self.matter.texts);
        let (head, bytes) = match kind {
            ProgramKind::Request => (&heads.request, texts.of(texts.request)),
            ProgramKind::Response => (&heads.response, texts.of(texts.response)),
            ProgramKind::Hello => return None,
        };
        (head.length > 0).then(|| Message::new(head, bytes))
    }

    fn subject(&self, kind: ProgramKind) -> Subject<'_> {
        let (matter, texts, heads) = (&self.matter, &self.matter.texts, self.heads());
        let request = self.message(ProgramKind::Request);
        let facts = ExchangeFacts {
            client: matter.client,
            local: matter.local,
            scheme: if matter.secure { "https" } else { "http" },
            tls: matter.tls.as_deref(),
            early: matter.early,
            host: request.map_or(b"", |message| message.host()),
            name: texts.text(texts.name),
            method: request.map_or(b"", |message| message.text(message.head.method_span)),
            target: request.map_or(b"", |message| message.target()),
            request_id: texts.of(texts.id),
            listener: texts.text(texts.listener),
            backend: texts.text(texts.backend),
            server: texts.text(texts.server),
            status: matter.status,
        };
        let hello = Hello { version: heads.version, alpn: &heads.alpn, ja4: &heads.ja4 };
        Subject { facts, message: self.message(kind), hello, wall: matter.wall }
    }
}
