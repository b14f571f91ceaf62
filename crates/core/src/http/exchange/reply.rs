//! Reply: what the head of a response means, and the form in which it is passed on.
//!
//! Must never write a head: rewriting does.

use super::{
    Attempt, Ends, Exchange, ExchangeAction, ExchangeState, ExchangeWait, ResponseKind, Surroundings,
};
use crate::close::CloseReason;
use crate::http::coding::Coding;
use crate::http::facts::{ClientFacts, ExchangeFacts};
use crate::http::rewrite::{Reply, Variation};
use crate::message::{Framing, Head, Message, Persistence, Version};
use crate::time::Millis;

/// The form in which the body of a response is passed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// The body goes on as it came.
    #[default]
    Same,
    /// The content alone, without chunks: the client is too old to know them.
    Bare,
    /// The body is compressed, in chunks.
    Compressed(Coding),
    /// The body is what analyzers make of it: in chunks, or until the connection ends for a client that is
    /// too old to know them.
    Filtered,
}

impl Exchange {
    pub(super) fn answered_by_server(
        &mut self,
        message: Message<'_>,
        around: &Surroundings<'_>,
    ) -> ExchangeAction {
        let most = self.backend(around).map_or(0, |backend| backend.spec.interim_limit);
        match self.respond(message) {
            None => self.refuse(CloseReason::BadResponse, around),
            Some(ResponseKind::Hidden | ResponseKind::Interim) if self.interim > most => {
                self.refuse(CloseReason::BadResponse, around)
            }
            Some(kind @ (ResponseKind::Hidden | ResponseKind::Interim)) => {
                self.works_on(around.now);
                if kind == ResponseKind::Hidden { ExchangeAction::Skip } else { ExchangeAction::PassInterim }
            }
            Some(ResponseKind::Final | ResponseKind::Tunnel) => {
                let instead = self.judge_response(message, around);
                instead.unwrap_or_else(|| {
                    let filters = !around.plan.consultants.is_empty();
                    let filtered = filters && self.filter_response(around).is_some();
                    let compress = self.compressible(message, around).filter(|_| !filtered);
                    ExchangeAction::Reply { compress }
                })
            }
        }
    }

    /// Begins the wait for the response anew: an informational one shows that the server works.
    fn works_on(&mut self, now: Millis) {
        if self.state.wait() == Some(ExchangeWait::Response) {
            self.interim_since.get_or_insert(self.since);
            self.since = now;
        }
    }

    /// Goes on once the head of the response goes out. Too many bad responses in a row eject a server.
    pub(super) fn replied(&mut self, attempt: Attempt, around: &Surroundings<'_>) -> ExchangeAction {
        self.times.answered = Some(around.now);
        if let Some((backend, server)) = self.backend(around).zip(self.attempts.server()) {
            let after = backend.spec.ejection.responses;
            server.state.answered(self.status, around.now, after, backend.spec.ejection.duration);
        }
        let next = if self.tunnel {
            ExchangeState::Tunnel(Ends::default())
        } else {
            ExchangeState::Answering(attempt)
        };
        self.go_to(next, around.now);
        ExchangeAction::Wait
    }

    /// Returns the coding to compress this response with, if it suits and the client accepts one.
    pub(super) fn compressible(&mut self, message: Message<'_>, around: &Surroundings<'_>) -> Option<Coding> {
        let rules = around.listener.http.compression.as_ref();
        let suits = rules.is_some_and(|rules| rules.suits(message.head, message.bytes));
        self.variation = if suits { Variation::Varies } else { Variation::Never };
        self.offer.filter(|_| suits)
    }

    /// Decides the form of the body, now that it is known which compressor could be had. After it the
    /// client's connection is kept only if the client will see the end of the body.
    pub fn decide_form(&mut self, head: &Head, compressor: Option<Coding>, filtered: bool) -> Form {
        self.form = match compressor {
            _ if filtered => Form::Filtered,
            Some(coding) => Form::Compressed(coding),
            None if self.needs_bare_body() => Form::Bare,
            None => Form::Same,
        };
        if let Some(coding) = compressor {
            self.variation = Variation::Applied(coding.as_str());
        }
        let to_end = head.framing == Framing::ToEnd && compressor.is_none() && !filtered;
        let old = filtered && self.version == Version::Http10;
        if to_end || old || self.form == Form::Bare {
            self.client_persists = false;
        }
        self.form
    }

    /// Returns how a head is to be written for the client.
    pub fn reply(&self, head: &Head, around: &Surroundings<'_>) -> Reply {
        let affinity = self.backend(around).is_some_and(|backend| backend.http.rules.affinity.is_some());
        let needs_cookie = affinity && !self.attempts.is_bound();
        Reply {
            framing: match self.form {
                Form::Same => head.framing,
                Form::Bare => Framing::ToEnd,
                Form::Filtered if self.version == Version::Http10 => Framing::ToEnd,
                Form::Compressed(_) | Form::Filtered => Framing::Chunked,
            },
            persistence: match (self.client_persists, self.version) {
                (false, _) => Persistence::Close,
                (true, Version::Http10) => Persistence::KeepSaid,
                (true, Version::Http11 | Version::Http2) => Persistence::Keep,
            },
            variation: self.variation,
            altered: self.form == Form::Filtered,
            affinity: self.server().filter(|_| needs_cookie).map(|server| server.identity),
        }
    }

    /// Returns what is known of it, for rewriting.
    pub fn facts<'a>(&'a self, client: &ClientFacts<'a>, around: &Surroundings<'a>) -> ExchangeFacts<'a> {
        ExchangeFacts {
            client: client.address,
            local: client.local,
            scheme: if client.secure { "https" } else { "http" },
            tls: client.tls,
            early: client.early,
            host: self.said.host(),
            name: self.said.name().unwrap_or_default(),
            method: self.said.method(),
            target: self.said.target(),
            request_id: &self.said.id,
            listener: &around.listener.name,
            backend: self.backend(around).map_or("", |backend| &backend.name),
            server: self.server().map_or("", |server| &server.name),
            status: self.status,
        }
    }

    /// Whether the server's connection may serve for another exchange, as far as this one is concerned.
    /// `sent`: its socket has taken all of the request that came. What of it is not sent, a server that
    /// answered early would read from its next request.
    pub fn may_keep_server(&self, sent: bool, around: &Surroundings<'_>) -> bool {
        // A PROXY header speaks for one client only.
        let one_client = self.backend(around).is_none_or(|backend| backend.speaks_for_one());
        self.keeps_server() && sent && !self.is_deaf() && !one_client
    }

    fn is_deaf(&self) -> bool {
        let mut state = self.state;
        state.attempt().is_some_and(|attempt| attempt.deaf)
    }
}
