//! The terms of an exchange: how far both messages have come, what may be sent again, and whether the two
//! connections may be used for another exchange.
//!
//! ```text
//!   request   begun ------- body ------- sent
//!   response           interim* -- head ------- body ------- answered
//! ```
//!
//! Must never know which version of HTTP a side speaks beyond what its head says.

use super::Exchange;
use crate::http::rewrite::{may_switch_to, protocols};
use crate::message::{Framing, Message, Method, Version};
use crate::wire::body::Body;
use crate::wire::http1::Limits;

/// The kind of a response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// The response is informational: it is passed on, and another one follows.
    Interim,
    /// The response is informational, and the client is too old to be sent it: another one follows.
    Hidden,
    /// The one answer.
    Final,
    /// The one answer, after which both sides speak another protocol.
    Tunnel,
}

/// The progress that a request had made when its connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// No byte of the request was taken.
    Nothing,
    /// Some of the request was taken, and all of it is still at hand.
    Repeatable,
    /// Some of the request was taken, and not all is at hand any more.
    Gone,
}

impl Exchange {
    /// Takes what the head of a request says of both messages and of the client's connection.
    pub(super) fn take_terms(&mut self, message: Message<'_>, limits: &Limits) {
        let head = message.head;
        let offered = |protocol: &&[u8]| head.upgrade && may_switch_to(protocol);
        self.method = head.method;
        self.version = head.version;
        self.request = Body::new(head.framing, limits);
        self.limits = *limits;
        self.offered.extend(protocols(message).filter(offered).map(Box::from));
        (self.client_persists, self.server_persists) = (head.persistent, true);
    }

    /// Returns the request's method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the version the client speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the status of the final response; 0 before its head has come.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the head of the final response has come (or an answer of our own took its place).
    pub fn is_answered(&self) -> bool {
        self.status != 0
    }

    /// Whether both sides speak another protocol now.
    pub fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// Whether all of the request has come.
    pub fn is_asked(&self) -> bool {
        self.request.is_done()
    }

    /// Takes in a response head. None: it may not be passed on (a switch that nobody offered).
    pub fn respond(&mut self, message: Message<'_>) -> Option<ResponseKind> {
        let head = message.head;
        let tunnel = head.status == 101 || (self.method == Method::Connect && head.status / 100 == 2);
        if head.status == 101 && !self.offers(message) {
            return None;
        }
        if head.status / 100 == 1 && !tunnel {
            self.interim = self.interim.saturating_add(1);
            let old = self.version == Version::Http10;
            return Some(if old { ResponseKind::Hidden } else { ResponseKind::Interim });
        }
        self.status = head.status;
        self.server_persists = head.persistent && head.framing != Framing::ToEnd && !tunnel;
        self.response = Body::new(head.framing, &self.limits);
        if tunnel {
            self.tunnel = true;
            self.request = Body::ToEnd;
            self.response = Body::ToEnd;
        }
        // A client that is still sending when its answer comes is told that this is the last one: what it
        // sends may be more than anybody wants to read.
        self.client_persists &= self.is_asked() && !tunnel;
        Some(if tunnel { ResponseKind::Tunnel } else { ResponseKind::Final })
    }

    /// Whether a server switches to protocols that were offered to it, and to nothing else (RFC 9110 section
    /// 15.2.2).
    fn offers(&self, message: Message<'_>) -> bool {
        let offered = |protocol: &[u8]| self.offered.iter().any(|other| other.eq_ignore_ascii_case(protocol));
        let mut switched = protocols(message).peekable();
        switched.peek().is_some() && switched.all(offered)
    }

    /// Notes that an answer of our own takes the place of a response.
    pub fn answered(&mut self, status: u16) {
        self.status = status;
        // After CONNECT the client may take a 2xx for the beginning of a tunnel: what it says then is no
        // request.
        self.client_persists &= self.is_asked() && self.method != Method::Connect;
        self.server_persists = false;
        self.response = Body::None;
    }

    /// Takes the response back: it is not passed on after all, and nothing of it was.
    pub fn withdraw(&mut self) {
        (self.status, self.response, self.server_persists) = (0, Body::None, false);
        if std::mem::take(&mut self.tunnel) {
            self.request = Body::None;
        }
    }

    /// Takes note that no more of the request's body is read: its connection cannot serve for another.
    pub fn end_request(&mut self) {
        self.request = Body::None;
        self.client_persists = false;
    }

    /// Takes note that no more of the response's body is read: its connection cannot serve for another.
    pub fn end_response(&mut self) {
        self.response = Body::None;
        self.server_persists = false;
    }

    /// Ends the client's connection with this exchange.
    pub fn close_client(&mut self) {
        self.client_persists = false;
    }

    /// Ends the server's connection with this exchange.
    pub fn close_server(&mut self) {
        self.server_persists = false;
    }

    /// Whether the client's connection serves for another exchange.
    pub fn keeps_client(&self) -> bool {
        self.client_persists
    }

    /// Whether the server's connection serves for another exchange: all was asked and answered, and it
    /// agrees.
    pub fn keeps_server(&self) -> bool {
        self.server_persists && self.is_asked() && self.is_answered() && self.response.is_done()
    }

    /// Whether the request may be sent again after its connection failed before a response.
    ///
    /// If some of it was sent the server may have acted on it: then only what may be done twice is sent twice
    /// (RFC 9110 section 9.2.2).
    pub fn may_repeat(&self, sent: Sent) -> bool {
        let unanswered = !self.is_answered() && self.interim == 0;
        unanswered
            && match sent {
                Sent::Nothing => true,
                Sent::Repeatable => self.method.is_idempotent(),
                Sent::Gone => false,
            }
    }

    /// Whether the body must lose its chunks: the client is too old to know them.
    pub fn needs_bare_body(&self) -> bool {
        self.version == Version::Http10 && matches!(self.response, Body::Chunked(_))
    }
}
