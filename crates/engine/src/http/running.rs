//! Running: one exchange under way: its state machine, what the engine must remember of the request, and the bytes in
//! between. Kept and used again for the next exchange, so that none of it is allocated per request.
//!
//! ```text
//!   text   [GET][shop.example.com:8080][/cart?item=1][text/html][value of a field]
//! ```
//!
//! Passive: must never decide or touch a socket.

use headworks_core::action::{Choice, Side};
use headworks_core::close::{CloseReason, Fault};
use headworks_core::http::coding::Coding;
use headworks_core::http::exchange::Exchange;
use headworks_core::http::facts::ExchangeFacts;
use headworks_core::http::limits::RequestPermit;
use headworks_core::http::rewrite;
use headworks_core::listener::Listener;
use headworks_core::message::Message;
use headworks_core::message::{Head, Known, Span};
use headworks_core::plan::Plan;
use headworks_core::pool::{Backend, Place, Server, Tried};
use headworks_core::time::Millis;
use headworks_core::wire::http1::Limits;

use super::client::Client;
use super::transfer::Shape;
use crate::connection::Lane;

/// One exchange under way.
#[derive(Debug, Default)]
pub(crate) struct Running {
    /// Its state machine.
    pub(crate) exchange: Exchange,
    /// What the client said.
    pub(crate) asked: Asked,
    /// The request as the server gets it: its head, and the body that came with it.
    pub(crate) request: Vec<u8>,
    /// How much of that the server's socket has taken.
    pub(crate) sent: usize,
    /// Parts of the body that are not in `request` have been passed on.
    pub(crate) gone: bool,
    /// The server chosen.
    pub(crate) choice: Option<Choice>,
    /// Its place there.
    pub(crate) place: Option<Place>,
    /// Servers that could not be connected to, or left the request unanswered.
    pub(crate) tried: Tried,
    /// What the last of them ends it for, should there be no other.
    pub(crate) failure: Option<CloseReason>,
    /// Why the last connect that failed did.
    pub(crate) fault: Option<Fault>,
    /// Its place among the sockets to servers.
    pub(crate) server: Option<usize>,
    /// What waits in each direction, by the side that sends.
    pub(crate) lanes: [Lane; 2],
    /// The form of the response's body.
    pub(crate) shape: Shape,
    /// What the head of the response says of compression.
    pub(crate) coding: rewrite::Coding,
    /// The coding that the client accepts, should the response suit it.
    pub(crate) offer: Option<Coding>,
    /// Times.
    pub(crate) times: Times,
    /// Bytes on their way to the client when the exchange last seemed idle.
    pub(crate) in_flight: usize,
    /// Bytes of requests and responses, heads included.
    pub(crate) bytes: [u64; 2],
    /// The server took no more of it when it was last offered some. Of what a TLS side has taken and cannot send, the lanes
    /// know nothing.
    pub(crate) full: bool,
    /// Bytes of the request's body.
    pub(crate) body: u64,
    /// When the first of them came that did not come with the head.
    pub(crate) body_begun: Option<Millis>,
    /// Why it ended, once that is known.
    pub(crate) reason: Option<CloseReason>,
    /// The server that the client's affinity cookie names.
    pub(crate) cookie: Option<u64>,
    /// The client has no affinity cookie, or one of another server.
    pub(crate) needs_cookie: bool,
    /// Its place among the client's requests.
    pub(crate) permit: Option<RequestPermit>,
    /// It is this one's turn to look for a place at a server.
    pub(crate) turn: bool,
    /// Our sending to the server has ended.
    pub(crate) finished: bool,
    /// The server takes no more of the request: what it still says is its answer.
    pub(crate) unheard: bool,
    /// No kept socket is tried any more.
    pub(crate) fresh: bool,
    /// The client ended with its request: it has finished sending and waits for the answer.
    pub(crate) ended_asking: bool,
    /// Seconds after which a client that asks too often may ask again.
    pub(crate) retry_after: Option<u64>,
}

/// When things happened, engine clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// The head of the request was complete.
    pub(crate) begun: Millis,
    /// The decision where it goes.
    pub(crate) decided: Option<Millis>,
    /// A server's socket was ready for it.
    pub(crate) connected: Option<Millis>,
    /// The head of the final response had come.
    pub(crate) answered: Option<Millis>,
}

/// What the client said, copied from its head.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    text: Vec<u8>,
    name: String,
    method: Span,
    host: Span,
    target: Span,
    accept: Span,
    key: Span,
    /// The request's id.
    pub(crate) id: Vec<u8>,
}

impl Asked {
    /// Copies what will be needed from a head. `key`: the value of the field that servers are chosen by.
    pub(crate) fn fill(&mut self, head: &Head, bytes: &[u8]) {
        self.text.clear();
        self.name.clear();
        self.id.clear();
        self.key = Span::default();
        let message = Message::new(head, bytes);
        self.method = self.keep(head.method_span.of(bytes));
        self.host = self.keep(message.host());
        self.target = self.keep(message.target());
        self.accept = self.keep(value(head, bytes, Known::Accept));
        write_name(&mut self.name, message.host());
    }

    /// Remembers the value of the field that servers are chosen by.
    pub(crate) fn fill_key(&mut self, value: &[u8]) {
        self.key = self.keep(value);
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span::new(start, self.text.len())
    }

    /// The method.
    pub(crate) fn method(&self) -> &[u8] {
        self.method.of(&self.text)
    }

    /// The host as sent, with its port.
    pub(crate) fn host(&self) -> &[u8] {
        self.host.of(&self.text)
    }

    /// The host without its port, in lower case and without a trailing dot; None when there is none.
    pub(crate) fn name(&self) -> Option<&str> {
        (!self.name.is_empty()).then_some(&self.name)
    }

    /// Path and query; `*` for the whole server.
    pub(crate) fn target(&self) -> &[u8] {
        self.target.of(&self.text)
    }

    /// The Accept field.
    pub(crate) fn accept(&self) -> &[u8] {
        self.accept.of(&self.text)
    }

    /// The value of the field that servers are chosen by.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        (!self.key.is_empty()).then(|| self.key.of(&self.text))
    }
}

fn value<'b>(head: &Head, bytes: &'b [u8], known: Known) -> &'b [u8] {
    head.field(known).map_or(b"", |field| field.value.of(bytes))
}

/// Writes a host without its port, in lower case and without a trailing dot. Codecs let nothing but ASCII through.
fn write_name(name: &mut String, host: &[u8]) {
    let end = match host.first() {
        Some(b'[') => host.iter().position(|byte| *byte == b']').map_or(host.len(), |at| at + 1),
        _ => host.iter().position(|byte| *byte == b':').unwrap_or(host.len()),
    };
    let host = host[..end].strip_suffix(b".").unwrap_or(&host[..end]);
    name.extend(host.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
}

/// Capacity that a spare exchange keeps for its texts.
const MODEST: usize = 8 * 1024;

impl Running {
    /// Makes it ready for another exchange, with modest memory only. Its pipes must have been given back.
    pub(crate) fn clear(&mut self) {
        let Asked { mut text, mut name, mut id, .. } = std::mem::take(&mut self.asked);
        let mut request = std::mem::take(&mut self.request);
        name.clear();
        for text in [&mut text, &mut id, &mut request] {
            text.clear();
            text.shrink_to(MODEST);
        }
        // No range may outlive the text it is of: what is no request asks for nothing, and is recorded all the same.
        let asked = Asked { text, name, id, ..Asked::default() };
        *self = Self { asked, request, ..Self::default() };
    }

    /// Begins with the head of a request.
    pub(crate) fn begin(&mut self, message: Message<'_>, limits: &Limits, now: Millis) {
        self.exchange = Exchange::new(message, limits);
        self.asked.fill(message.head, message.bytes);
        self.times.begun = now;
    }

    /// Begins with what is no request: it can only be refused, and its connection ends with it.
    pub(crate) fn begin_malformed(&mut self, now: Millis) {
        self.exchange.close_client();
        self.times.begun = now;
    }

    /// Remembers the server chosen in the backend that was chosen before.
    pub(crate) fn set_server(&mut self, server: u16) {
        if let Some(choice) = &mut self.choice {
            choice.server = server;
        }
    }

    /// The backend chosen.
    pub(crate) fn backend<'p>(&self, plan: &'p Plan) -> Option<&'p Backend> {
        self.choice.map(|choice| &plan.backends[choice.backend as usize])
    }

    /// The backend and server chosen.
    pub(crate) fn chosen<'p>(&self, plan: &'p Plan) -> Option<(&'p Backend, &'p Server)> {
        let backend = self.backend(plan)?;
        Some((backend, backend.servers.get(usize::from(self.choice?.server))?))
    }

    /// What is known of it, for rewriting.
    pub(crate) fn facts<'a>(
        &'a self,
        client: &'a Client,
        owner: &'a Listener,
        plan: &'a Plan,
    ) -> ExchangeFacts<'a> {
        let tls = client.socket.tls();
        ExchangeFacts {
            client: client.address,
            local: client.local,
            scheme: if tls.is_some() { "https" } else { "http" },
            tls: client.socket.tls_facts(),
            early: tls.is_some_and(|tls| tls.is_early() && tls.is_shaking()),
            host: self.asked.host(),
            name: self.asked.name().unwrap_or_default(),
            method: self.asked.method(),
            target: self.asked.target(),
            request_id: &self.asked.id,
            listener: &owner.name,
            backend: self.backend(plan).map_or("", |backend| &backend.name),
            server: self.chosen(plan).map_or("", |(_, server)| &server.name),
            status: self.exchange.status(),
        }
    }

    /// Whether the server's socket has taken all of the request that came. What of it is not sent, a server that answered
    /// early would read from its next request.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.request.len() && self.lanes[Side::Client as usize].waiting() == 0
    }

    /// Whether the client got some of a response and not all.
    pub(crate) fn is_cut_short(&self) -> bool {
        let undelivered = self.lanes[Side::Server as usize].waiting() > 0;
        self.exchange.is_answered() && (undelivered || !self.exchange.response.is_done())
    }

    /// Other servers tried. A request that got none has failed at every server tried, the first one included.
    pub(crate) fn retries(&self) -> u64 {
        (self.tried.len() as u64).saturating_sub(u64::from(self.reason == Some(CloseReason::NoServer)))
    }

    /// Milliseconds until the decision, and from there until a server's socket was ready.
    pub(crate) fn waits(&self) -> (Option<Millis>, Option<Millis>) {
        let Times { begun, decided, connected, .. } = self.times;
        (decided.map(|at| at - begun), connected.zip(decided).map(|(connected, decided)| connected - decided))
    }
}

#[cfg(test)]
mod tests {
    use headworks_core::wire::http1;

    use super::*;

    #[test]
    fn what_is_cleared_has_asked_for_nothing() {
        let (mut head, mut running) = (Head::default(), Running::default());
        let limits = http1::Limits { head: 1_000, fields: 10, line: 100 };
        let bytes = b"GET /path HTTP/1.1\r\nHost: a.example\r\nAccept: text/html\r\n\r\n";
        assert_eq!(http1::request(bytes, &limits, &mut head), http1::Parsed::Complete);
        running.begin(Message::new(&head, bytes), &limits, 1);
        assert_eq!((running.asked.host(), running.asked.target()), (&b"a.example"[..], &b"/path"[..]));
        running.asked.fill_key(b"key");
        running.clear();
        let Asked { text, name, id, .. } = &running.asked;
        assert!(text.is_empty() && name.is_empty() && id.is_empty());
        let asked = &running.asked;
        for text in [asked.method(), asked.host(), asked.target(), asked.accept()] {
            assert_eq!(text, b"");
        }
        assert_eq!((asked.name(), asked.key()), (None, None));
    }

    #[test]
    fn names() {
        for (host, expected) in [
            ("Shop.Example.COM:8080", "shop.example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            let mut name = String::new();
            write_name(&mut name, host.as_bytes());
            assert_eq!(name, expected);
        }
    }
}
