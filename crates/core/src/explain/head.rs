//! The head that a server would get for a request that has not come, written by what rewrites real ones.
//!
//! Facts that only a connection has are the same in every explanation: the client's port is 0, our own end of
//! the connection is not known, and the request's id is made of zeros. Must never write a head otherwise than
//! [`Rewrite`] does.

use std::net::SocketAddr;

use super::request::Request;
use super::{Explanation, secure};
use crate::http::facts::ExchangeFacts;
use crate::http::request_id::RequestId;
use crate::http::rewrite::Rewrite;
use crate::listener::Listener;
use crate::pool::Backend;
use crate::program::Findings;
use crate::spec::ProgramKind;

/// Returns the head that the server would get; None where no request was read, or when the head would be too
/// large.
pub(super) fn rewritten(
    listener: &Listener,
    backend: &Backend,
    request: &Request,
    told: &Explanation,
) -> Option<String> {
    let message = request.message()?;
    let rules = &listener.http.rules;
    let wants_id = rules.wants_request_id() || backend.http.rules.wants_request_id();
    let id = RequestId::made([0, 0]);
    let tls = listener.tls.as_ref().map(|tls| secure::opened(tls, told.sni.as_deref()));
    let facts = ExchangeFacts {
        client: request.client.map(|client| SocketAddr::new(client, 0)),
        scheme: if tls.is_some() { "https" } else { "http" },
        tls: tls.as_ref(),
        host: message.host(),
        name: told.name.as_deref().unwrap_or_default(),
        method: message.text(message.head.method_span),
        target: message.target(),
        request_id: if wants_id { id.as_bytes() } else { b"" },
        listener: &listener.name,
        backend: &backend.name,
        server: told.server.as_deref().unwrap_or_default(),
        ..ExchangeFacts::default()
    };
    let edits = |findings: &&Findings| findings.said.of == ProgramKind::Request && findings.rewrites();
    let findings = Some(&request.findings).filter(edits);
    let (listener, reframed) = (rules, false);
    let rewrite = Rewrite { listener, backend: &backend.http.rules, facts: &facts, findings, reframed };
    let mut head = Vec::new();
    rewrite.request(&mut head, message).ok()?;
    Some(head.iter().map(|&byte| char::from(byte)).collect())
}
