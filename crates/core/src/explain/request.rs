//! A request that has not come: written as a client would, read as the proxy would, foreseen by the rules.
//!
//! Must never know a rule or their order: `http/rules` does.

use std::net::{IpAddr, SocketAddr};

use super::{Asked, Explanation, secure};
use crate::close::CloseReason;
use crate::consult::Foretold;
use crate::host::{without_port, write_name};
use crate::http::rules::{self, Case, Decision, Foreseen, Prospect, Unknown};
use crate::listener::Listener;
use crate::message::{Framing, Head, Message, Method};
use crate::plan::{ListenerView, Plan};
use crate::program::{End, Findings};
use crate::table::Target;
use crate::wire::body::Body;
use crate::wire::http1::{self, Parsed};

/// A request as a client would send it.
#[derive(Debug, Default)]
pub(super) struct Request {
    head: Head,
    bytes: Vec<u8>,
    /// The client's address, where it is known.
    pub(super) client: Option<IpAddr>,
    /// The findings of rules and analyzers that people wrote.
    pub(super) findings: Findings,
    /// Identity of the server that one of them names.
    pub(super) server: Option<u64>,
    /// The answers of analyzers that are not taken yet.
    pub(super) foretold: Foretold,
}

impl Request {
    /// Returns the head; None where there is none, or none that could be read.
    pub(super) fn message(&self) -> Option<Message<'_>> {
        (self.head.length > 0).then(|| Message::new(&self.head, &self.bytes))
    }

    /// Writes it and reads it again.
    fn read(
        &mut self,
        listener: &Listener,
        asked: &Asked,
        told: &mut Explanation,
    ) -> Result<(), CloseReason> {
        self.client = asked.client;
        let request = written(listener, asked);
        self.bytes = request.ok_or_else(|| odd("a request has no line breaks within its lines", told))?;
        match http1::request(&self.bytes, &listener.http.limits, &mut self.head) {
            Parsed::Complete if self.head.length == self.bytes.len() => Ok(()),
            Parsed::Invalid(malformed) => {
                self.head.clear();
                odd(malformed.as_str(), told);
                Err(malformed.reason())
            }
            Parsed::Complete | Parsed::Partial => {
                self.head.clear();
                Err(odd("it is not one request", told))
            }
        }
    }
}

impl Plan {
    /// Returns where a request goes that asks for this, or why it goes nowhere.
    pub(super) fn explain_request(
        &self,
        listener: &Listener,
        asked: &Asked,
        request: &mut Request,
        told: &mut Explanation,
    ) -> Decision {
        let foretold = std::mem::take(&mut request.foretold);
        if let Err(reason) = request.read(listener, asked, told) {
            return Decision::Refuse(reason);
        }
        let Some(message) = request.message() else { return Decision::Refuse(CloseReason::BadRequest) };
        let mut name = String::new();
        write_name(&mut name, message.host());
        told.name = (!name.is_empty()).then_some(name);
        told.path = Some(String::from_utf8_lossy(message.target()).into_owned());
        let mut foreseen = Foreseen { foretold, ..Foreseen::default() };
        let opened = listener.tls.as_ref().map(|tls| secure::opened(tls, told.sni.as_deref()));
        let denied = asked.client.is_some() && !listener.admits(asked.client);
        let case = Case {
            plan: &ListenerView { plan: self, listener },
            spec: &listener.spec.http,
            rules: &listener.rules,
            http: &listener.http,
            termination: listener.tls.as_deref(),
            programs: &listener.programs,
            analyzers: &listener.consultants,
            listener: &listener.name,
            client: asked.client.map(|client| SocketAddr::new(client, 0)),
            turned_away: denied.then_some(CloseReason::Denied),
            message,
            tls: opened.as_ref(),
            early: false,
            begun: &Body::new(message.head.framing, &listener.http.limits),
            host: message.host(),
            name: told.name.as_deref(),
            target: message.target(),
            request_id: b"",
            now: 0,
            wall: asked.time,
        };
        let decided = rules::foresee(&Prospect { case, unknown: unknown(asked, message) }, &mut foreseen);
        if let Some(Target::Backend(index)) = foreseen.target {
            told.target = Some("backend");
            told.backend = Some(self.backends[index as usize].name.to_string());
        }
        let findings = foreseen.granted.findings.take().unwrap_or_default();
        if let Some(End::Redirect { to, .. }) = findings.said.end {
            let location = findings.text(to);
            told.location = Some(String::from_utf8_lossy(location).into_owned());
        }
        (request.findings, request.server) = (*findings, foreseen.granted.server);
        told.take(foreseen);
        decided
    }
}

fn unknown(asked: &Asked, message: Message<'_>) -> Unknown {
    let bodiless = message.head.method == Method::Connect;
    let body = message.head.framing == Framing::None && !bodiless || message.head.framing == Framing::Chunked;
    Unknown { client: asked.client.is_none(), early: true, body }
}

fn odd(what: &str, told: &mut Explanation) -> CloseReason {
    told.steps.push(format!("no client may ask for this: {what}"));
    CloseReason::BadRequest
}

/// Returns the bytes of the request; None if what is asked for would break a line. Without a host it is of
/// HTTP/1.0.
fn written(listener: &Listener, asked: &Asked) -> Option<Vec<u8>> {
    let is_host = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("host");
    let own = asked.headers.iter().find(is_host).map(|(_, value)| value.as_str());
    let host = asked.name.as_deref().or(own).or(asked.sni.as_deref());
    let method = asked.method.as_deref().unwrap_or("GET");
    let target = match (method, asked.path.as_deref()) {
        ("CONNECT", _) => authority(host.unwrap_or_default(), listener.tls.is_some()),
        (_, path) => path.unwrap_or("/").to_owned(),
    };
    let version = if host.is_some() { "1.1" } else { "1.0" };
    let mut lines = vec![format!("{method} {target} HTTP/{version}")];
    lines.extend(host.map(|host| format!("Host: {host}")));
    let others = asked.headers.iter().filter(|header| !is_host(header));
    lines.extend(others.map(|(name, value)| format!("{name}: {value}")));
    let breaks = lines.iter().any(|line| line.contains(['\r', '\n']));
    (!breaks).then(|| (lines.join("\r\n") + "\r\n\r\n").into_bytes())
}

/// Returns the target of CONNECT: a host and a port.
fn authority(host: &str, secure: bool) -> String {
    let has_port = without_port(host.as_bytes()).len() < host.len();
    match (has_port, secure) {
        (true, _) => host.to_owned(),
        (false, true) => format!("{host}:443"),
        (false, false) => format!("{host}:80"),
    }
}
