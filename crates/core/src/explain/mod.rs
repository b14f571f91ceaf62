//! Explanations: which entry, backend and server a new connection would get, and why not the others.
//!
//! Follows the same path as a [`Session`](crate::session::Session), or asks the rules that decide requests
//! ([`foresee`](crate::http::rules::foresee)), with every server taken as it stands in the Plan, and says
//! each step in words. What comes before the end of a handshake is in `secure`. Must never change anything a
//! real choice depends on.

mod connection;
mod head;
mod request;
mod secure;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use request::Request;

use crate::analyze::KindFound;
use crate::balance::Seed;
use crate::close::CloseReason;
use crate::consult::{Advice, Consultant, Foretold};
use crate::http::answers::Answer;
use crate::http::facts::ExchangeFacts;
use crate::http::rules::{Decision, Foreseen, PlanView as _};
use crate::listener::Listener;
use crate::message::Message;
use crate::plan::{ListenerView, Plan};
use crate::pool::{AskedFor, Backend};
use crate::spec::Hook;
use crate::table::Target;
use crate::wire::client_hello::{Offered, ServerName};
use crate::wire::first_host;
use crate::wire::kind::Mark;

/// The things that a client asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// The name: of a ClientHello, or the Host of a request, which is the other name when absent.
    pub name: Option<String>,
    /// The name in the ClientHello, where TLS ends here; the other name when absent.
    pub sni: Option<String>,
    /// Path and query of a request; `/` when absent.
    pub path: Option<String>,
    /// Method of a request; GET when absent.
    pub method: Option<String>,
    /// Fields of a request.
    pub headers: Vec<(String, String)>,
    /// The kind of its first bytes, where kinds are told apart: a key, `silent`, or anything else for none of
    /// them. Without it a client with `sni` speaks TLS, one with a host HTTP.
    pub kind: Option<String>,
    /// Protocols that the ClientHello offers, in its order.
    pub alpn: Vec<String>,
    /// The time of day, seconds since 1970.
    pub time: u64,
    /// The client's address, which JSON does not give.
    #[serde(skip)]
    pub client: Option<IpAddr>,
    /// The answers that analyzers have given so far, which JSON does not give; None where nobody is to be
    /// asked.
    #[serde(skip)]
    pub answers: Option<Vec<Advice>>,
}

impl Asked {
    /// Returns what the ClientHello offers.
    fn offered(&self) -> Offered {
        Offered::of(self.alpn.iter().map(String::as_str))
    }
}

/// The fate of a new connection or request.
#[derive(Debug, Default, Serialize)]
pub struct Explanation {
    /// The listener.
    pub listener: String,
    /// The protocol that it speaks.
    pub protocol: String,
    /// The client's address, where one was given.
    pub client: Option<String>,
    /// The name that is looked up.
    pub name: Option<String>,
    /// The kind of its first bytes, where kinds are told apart.
    pub kind: Option<String>,
    /// The name in the ClientHello, where TLS may end here.
    pub sni: Option<String>,
    /// The fate of the client's TLS, where it may end here: `terminated` or `passed_through`.
    pub tls: Option<&'static str>,
    /// The certificate that is presented: the file it was read from, or what made it.
    pub certificate: Option<String>,
    /// The method, where there are requests.
    pub method: Option<String>,
    /// The path and query, where there are requests.
    pub path: Option<String>,
    /// The table consulted.
    pub table: Option<String>,
    /// The pattern that matched.
    pub entry: Option<String>,
    /// The kind of target that it leads to: `backend`, `redirect` or `respond`; None when the client is
    /// refused before.
    pub target: Option<&'static str>,
    /// The backend.
    pub backend: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The status that we answer ourselves: of an answer, or of a refusal where there are requests.
    pub status: Option<u16>,
    /// The location that a redirect leads to; what is not known of the request stays the variable that stands
    /// for it.
    pub location: Option<String>,
    /// The reason why the client is refused: the `end` of its access record.
    pub refusal: Option<String>,
    /// The head that the server would get, where there are requests: a character for each byte.
    pub head: Option<String>,
    /// The analyzer whose answer is wanted before more can be told.
    pub wanted: Option<WantedAnswer>,
    /// The steps of the decision, a sentence each.
    pub steps: Vec<String>,
    /// Every server of the backend, in file order.
    pub servers: Vec<ServerChoice>,
}

/// The analyzer whose answer is wanted.
#[derive(Debug, Serialize)]
pub struct WantedAnswer {
    /// Name of the analyzer.
    pub analyzer: String,
    /// The moment.
    pub hook: &'static str,
}

impl WantedAnswer {
    fn of(who: &Consultant, hook: Hook) -> Self {
        Self { analyzer: who.name.to_string(), hook: hook.as_str() }
    }
}

/// One server that could have been chosen.
#[derive(Debug, Serialize)]
pub struct ServerChoice {
    /// The address.
    pub address: String,
    /// Whether it was.
    pub chosen: bool,
    /// The reason why it could not be.
    pub reason: Option<String>,
}

impl Explanation {
    /// Takes over what was foreseen.
    fn take(&mut self, foreseen: Foreseen) {
        self.steps.extend(foreseen.steps);
        self.table = foreseen.table.or(self.table.take());
        self.entry = foreseen.entry.or(self.entry.take());
    }
}

impl Plan {
    /// Explains what a client that asks for this would get; None when there is no such listener.
    pub fn explain(&self, listener: &str, asked: &Asked) -> Option<Explanation> {
        let (_, listener) = self.listener(listener)?;
        let requests = listener.protocol.exchanges();
        let mut told = Explanation {
            listener: listener.name.to_string(),
            protocol: listener.protocol.name().to_owned(),
            client: asked.client.map(|address| address.to_string()),
            method: requests.then(|| asked.method.clone().unwrap_or_else(|| "GET".to_owned())),
            path: requests.then(|| asked.path.clone().unwrap_or_else(|| "/".to_owned())),
            ..Explanation::default()
        };
        if !requests && (asked.path.is_some() || asked.method.is_some() || !asked.headers.is_empty()) {
            told.steps.push(format!("a {} listener sees no request: only the name matters", told.protocol));
        }
        let mut request = Request::default();
        let route = self.explain_target(listener, asked, &mut request, &mut told);
        match route {
            Decision::Go(Target::Answer(index)) => {
                explain_answer(&self.answers[index as usize], asked, &request, &mut told);
            }
            Decision::Go(Target::Backend(index)) => {
                let backend = &self.backends[index as usize];
                self.explain_server(backend, asked, request.server, &mut told);
                told.head = head::rewritten(listener, backend, &request, &told);
            }
            Decision::Say(status) => {
                told.target = Some(if told.location.is_some() { "redirect" } else { "respond" });
                told.status = Some(status);
            }
            Decision::Refuse(reason) => refuse(reason, &mut told),
            Decision::Consult(index) => {
                let who = &self.consultants[usize::from(index)];
                told.wanted.get_or_insert_with(|| WantedAnswer::of(who, Hook::Request));
            }
        }
        Some(told)
    }

    /// Returns where the client goes, or why it goes nowhere.
    fn explain_target(
        &self,
        listener: &Listener,
        asked: &Asked,
        request: &mut Request,
        told: &mut Explanation,
    ) -> Decision {
        request.foretold = Foretold::new(asked.answers.clone());
        match self.explain_connection(listener, asked, request, told) {
            Err(reason) => Decision::Refuse(reason),
            Ok(Some(decision)) => decision,
            Ok(None) => self.explain_request(listener, asked, request, told),
        }
    }

    /// Whether a client is admitted, where its address is known.
    fn explain_admission(
        &self,
        listener: &Listener,
        client: Option<IpAddr>,
        told: &mut Explanation,
    ) -> Result<(), CloseReason> {
        let mut foreseen = Foreseen::default();
        ListenerView { plan: self, listener }.tell_access(client, &mut foreseen);
        told.take(foreseen);
        if client.is_none() || listener.admits(client) { Ok(()) } else { Err(CloseReason::Denied) }
    }

    /// Says which server the client names.
    fn explain_asked(&self, asked_for: &AskedFor, told: &mut Explanation) {
        if asked_for.is_original() {
            told.server = Some(asked_for.locator().to_string());
            let step = "the server is the address that the client connected to: one that is not allowed is \
                refused (403)";
            told.steps.push(step.to_owned());
            return;
        }
        match asked_for.sought(told.name.as_deref(), self.resolver.families) {
            Ok(sought) => {
                let locator = asked_for.locator().to_string();
                let name = sought.name.trim_end_matches('.');
                told.server = Some(locator.replacen('*', name, 1));
                let step = "the client names the server: addresses that are not allowed are refused";
                told.steps.push(step.to_owned());
            }
            Err(reason) => refuse(reason, told),
        }
    }

    /// `named`: identity of the server that a rule or an analyzer has named.
    fn explain_server(&self, backend: &Backend, asked: &Asked, named: Option<u64>, told: &mut Explanation) {
        told.target = Some("backend");
        told.backend = Some(backend.name.to_string());
        if let Some(asked_for) = &backend.asked_for {
            return self.explain_asked(asked_for, told);
        }
        let header = backend.spec.hash_header.as_deref().and_then(|name| {
            asked.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        });
        let seed = Seed {
            client: asked.client,
            host: told.name.as_deref(),
            path: told.path.as_deref().map(str::as_bytes),
            header: header.filter(|_| told.path.is_some()).map(String::as_bytes),
            random: EXAMPLE,
            now: 0,
        };
        let list = backend.servers.list();
        let bound = |identity| list.iter().find(|server| server.identity == identity);
        let bound = named.and_then(bound).filter(|server| server.unusable(0).is_none()).cloned();
        let is_bound = bound.is_some();
        let chosen = bound.or_else(|| backend.foresee(&seed));
        let names = backend.roll.names();
        let first = || names.first().map(|name| name.locator.to_string());
        told.server = chosen.as_ref().map(|server| server.name.to_string()).or_else(first);
        if told.server.is_none() {
            refuse(CloseReason::NoServer, told);
        }
        let backups_rest = chosen.as_ref().is_some_and(|server| !server.backup);
        told.servers = list
            .iter()
            .map(|server| {
                let reason = server.unusable(0).map(|why| why.as_str().to_owned()).unwrap_or_else(|| {
                    if is_bound {
                        "another was named".to_owned()
                    } else if server.backup && backups_rest {
                        "is a backup".to_owned()
                    } else {
                        format!("{} chose another this time", backend.balance.name())
                    }
                });
                let is_chosen = chosen.as_ref().is_some_and(|chosen| chosen.identity == server.identity);
                ServerChoice {
                    address: server.name.to_string(),
                    chosen: is_chosen,
                    reason: (!is_chosen).then_some(reason),
                }
            })
            .collect();
        told.servers.extend(names.iter().map(|name| ServerChoice {
            address: name.locator.to_string(),
            chosen: told.server.as_deref() == Some(&*name.locator.to_string()),
            reason: Some("is resolved while the proxy runs".to_owned()),
        }));
    }
}

fn explain_answer(answer: &Answer, asked: &Asked, request: &Request, told: &mut Explanation) {
    told.target = Some(answer.kind());
    told.status = Some(answer.status());
    let redirect = match answer {
        Answer::Redirect(redirect) => redirect,
        Answer::Respond(respond) => return told.steps.extend(respond.filtering()),
    };
    let facts = ExchangeFacts {
        client: asked.client.map(|client| SocketAddr::new(client, 0)),
        scheme: if told.tls.is_some() { "https" } else { "http" },
        host: request.message().map(Message::host).unwrap_or_default(),
        name: told.name.as_deref().unwrap_or_default(),
        method: told.method.as_deref().unwrap_or_default().as_bytes(),
        target: told.path.as_deref().unwrap_or_default().as_bytes(),
        listener: &told.listener,
        status: answer.status(),
        ..ExchangeFacts::default()
    };
    let mut location = Vec::new();
    redirect.foresee(&mut location, &facts, request.message());
    told.location = Some(String::from_utf8_lossy(&location).into_owned());
}

fn refuse(reason: CloseReason, told: &mut Explanation) {
    told.refusal = Some(reason.as_str().to_owned());
    told.status = reason.status().filter(|_| told.path.is_some());
}

/// Returns the name as it is looked up, read by the same rules as a client's.
fn explain_name(
    listener: &Listener,
    kind: Option<KindFound>,
    asked: &Asked,
    told: &mut Explanation,
) -> Result<Option<String>, CloseReason> {
    if listener.tls.is_some() && !listener.protocol.exchanges() {
        return Ok(told.sni.clone());
    }
    let told_kind = kind.and_then(|kind| listener.kinds.get(kind));
    let speaks_tls = match told_kind {
        Some(kind) => kind.mark == Mark::Tls,
        None => listener.protocol.passes_tls(),
    };
    let given = match (&asked.name, &asked.sni) {
        (_, Some(name)) if speaks_tls => Some(name),
        (name, sni) => name.as_ref().or(sni.as_ref()),
    };
    let Some(name) = given.map(String::as_str) else { return Ok(None) };
    if !listener.protocol.names() && !told_kind.is_some_and(|kind| kind.is_named) {
        told.steps.push(format!("{} clients give no name", listener.protocol.name()));
        return Ok(None);
    }
    if speaks_tls { read_server_name(name, told) } else { Ok(read_host(name, told)) }
}

/// Returns the kind of a client, where kinds are told apart.
fn explain_kind(listener: &Listener, asked: &Asked, told: &mut Explanation) -> Option<KindFound> {
    if !listener.protocol.kinds() {
        return None;
    }
    let of_names = match (&asked.sni, &asked.name) {
        (Some(_), _) => Some("tls"),
        (None, Some(_)) => Some("http"),
        (None, None) => None,
    };
    let name = asked.kind.as_deref().or(of_names).unwrap_or_default();
    let found = match listener.kinds.named(name) {
        Some(number) => KindFound::Of(number),
        None if name == SILENT && listener.kind_ways.silent.is_some() => KindFound::Silent,
        None => KindFound::Other,
    };
    told.kind = (found != KindFound::Other).then(|| name.to_owned());
    Some(found)
}

/// The key of clients that say nothing.
const SILENT: &str = "silent";

/// Returns the name of a Host field as it is looked up.
fn read_host(host: &str, told: &mut Explanation) -> Option<String> {
    let name = first_host::name_of(host.as_bytes());
    if name.is_none() {
        told.steps.push(format!("\"{}\" is no name: such a client gives none", host.escape_debug()));
    }
    name.map(String::from)
}

/// Returns the name of a ClientHello as it is looked up.
fn read_server_name(name: &str, told: &mut Explanation) -> Result<Option<String>, CloseReason> {
    match ServerName::read(name) {
        Ok(ServerName::Host(name)) => Ok(Some(name.into())),
        Ok(ServerName::Literal | ServerName::Absent) => {
            told.steps.push("an IP address is no name (RFC 6066, section 3)".to_owned());
            Ok(None)
        }
        Err(defect) => {
            told.steps.push(format!("no client may ask for \"{}\": {defect}", name.escape_debug()));
            Err(CloseReason::BadRequest)
        }
    }
}

/// The random number of an explanation: always the same, so that explaining twice says the same.
const EXAMPLE: u64 = 0x9e37_79b9_7f4a_7c15;
