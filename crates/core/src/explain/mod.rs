//! Explanations: which entry, backend and server a new connection would get, and why not the others.
//!
//! Follows the same path as a [`Session`](crate::session::Session) or an exchange, with every server taken as it stands in
//! the Plan, and says each step in words. What comes before TLS is in `secure`. Must never change anything a real choice depends on.

mod secure;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::balance::Seed;
use crate::close::CloseReason;
use crate::http::answers::Answer;
use crate::http::facts::ExchangeFacts;
use crate::listener::{Listener, Route};
use crate::message::Message;
use crate::message::{Field, Head, Span};
use crate::plan::{Plan, Routed};
use crate::pool::Backend;
use crate::table::Target;
use crate::wire::client_hello::ServerName;

/// What a client asks for.
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
    /// The client's address, which JSON does not give.
    #[serde(skip)]
    pub client: Option<IpAddr>,
}

/// What a new connection or request would get.
#[derive(Debug, Default, Serialize)]
pub struct Explanation {
    /// The listener.
    pub listener: String,
    /// What it speaks.
    pub protocol: String,
    /// The client's address, where one was given.
    pub client: Option<String>,
    /// The name that is looked up.
    pub name: Option<String>,
    /// The name in the ClientHello, where TLS may end here.
    pub sni: Option<String>,
    /// What becomes of the client's TLS, where it may end here: `terminated` or `passed_through`.
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
    /// What that leads to: `backend`, `redirect` or `respond`; None when the client is refused before.
    pub target: Option<&'static str>,
    /// The backend.
    pub backend: Option<String>,
    /// The server.
    pub server: Option<String>,
    /// The status that we answer ourselves: of an answer, or of a refusal where there are requests.
    pub status: Option<u16>,
    /// Where a redirect leads; what is not known of the request stays the variable that stands for it.
    pub location: Option<String>,
    /// Why the client is refused: the `end` of its access record.
    pub refusal: Option<String>,
    /// How it was decided, a sentence each.
    pub steps: Vec<String>,
    /// Every server of the backend, in file order.
    pub servers: Vec<ServerChoice>,
}

/// One server that could have been chosen.
#[derive(Debug, Serialize)]
pub struct ServerChoice {
    /// Its address.
    pub address: String,
    /// Whether it was.
    pub chosen: bool,
    /// Why not.
    pub reason: Option<String>,
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
        let route = admit(listener, asked.client, &mut told).and_then(|()| {
            if let Some(target) = self.explain_handshake(listener, asked, &mut told)? {
                return Ok(target);
            }
            check_request(listener, &mut told)?;
            told.name = explain_name(listener, asked, &mut told)?;
            secure::check_host(listener, &mut told)?;
            self.explain_route(listener, &mut told)
        });
        match route {
            Ok(Target::Answer(index)) => explain_answer(&self.answers[index as usize], asked, &mut told),
            Ok(Target::Backend(index)) => {
                self.explain_server(&self.backends[index as usize], asked, &mut told);
            }
            Err(reason) => refuse(reason, &mut told),
        }
        Some(told)
    }

    fn explain_route(&self, listener: &Listener, told: &mut Explanation) -> Result<Target, CloseReason> {
        let (name, path) = (told.name.clone(), told.path.clone());
        let routed = match &path {
            Some(path) => self.route_request(listener, name.as_deref(), path.as_bytes()),
            None => self.route(listener, name.as_deref()),
        };
        let Route::Table(table) = listener.route else {
            told.steps.push(match listener.route {
                Route::Answer(_) => {
                    "the listener answers every request itself; no table is consulted".to_owned()
                }
                _ => "the listener names its backend; no table is consulted".to_owned(),
            });
            return routed.map(|routed| routed.target);
        };
        let table = &self.tables[table as usize];
        told.table = Some(table.name.to_string());
        // Without a name the fallback comes before the table.
        if name.is_some() || listener.fallback.is_none() {
            let steps = table.table.explain(name.as_deref(), path.as_deref().map(str::as_bytes));
            told.steps.extend(steps.into_iter().map(|step| format!("{}: {}", step.pattern, step.why)));
        }
        if let Ok(Routed { entry: Some(entry), target }) = routed {
            told.entry = table.entries.get(entry.entry as usize).map(|(pattern, _)| pattern.clone());
            return Ok(target);
        }
        let what = match (&name, &path) {
            (None, _) => "the client gives no name",
            (Some(_), None) => "nothing matches the name",
            (Some(_), Some(_)) => "nothing matches the name and path",
        };
        told.steps.push(match routed {
            Ok(_) => format!("{what}: the listener's fallback takes it"),
            Err(_) => format!("{what}, and the listener has no fallback"),
        });
        routed.map(|routed| routed.target)
    }

    fn explain_server(&self, backend: &Backend, asked: &Asked, told: &mut Explanation) {
        told.target = Some("backend");
        told.backend = Some(backend.name.to_string());
        if told.path.is_some() && backend.http.maintenance {
            return refuse(CloseReason::Maintenance, told);
        }
        let header = backend.http.hash_header.as_deref().and_then(|name| {
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
        let chosen = backend.foresee(&seed);
        told.server = chosen.as_ref().map(|server| server.name.to_string());
        if chosen.is_none() {
            refuse(CloseReason::NoServer, told);
        }
        let backups_rest = chosen.as_ref().is_some_and(|server| !server.backup);
        told.servers = backend
            .servers
            .list()
            .iter()
            .map(|server| {
                let reason = server.unusable(0).map(|why| why.as_str().to_owned()).unwrap_or_else(|| {
                    match server.backup && backups_rest {
                        true => "is a backup".to_owned(),
                        false => format!("{} chose another this time", backend.balance.name()),
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
    }
}

/// What is wrong with a request before anything is looked up.
fn check_request(listener: &Listener, told: &mut Explanation) -> Result<(), CloseReason> {
    if told.method.as_deref() == Some("CONNECT") && !listener.http.connect {
        told.steps.push("the listener passes no CONNECT on".to_owned());
        return Err(CloseReason::MethodNotAllowed);
    }
    let odd = |path: &&str| *path != "*" && (!path.starts_with('/') || path.bytes().any(|byte| byte <= b' '));
    if let Some(path) = told.path.as_deref().filter(odd) {
        let step = format!(
            "no client may ask for \"{}\": a path begins with / and has no spaces",
            path.escape_debug()
        );
        told.steps.push(step);
        return Err(CloseReason::BadRequest);
    }
    Ok(())
}

fn explain_answer(answer: &Answer, asked: &Asked, told: &mut Explanation) {
    told.target = Some(answer.kind());
    told.status = Some(answer.status());
    let Answer::Redirect(redirect) = answer else { return };
    let (mut bytes, mut head) = (Vec::new(), Head::default());
    for (name, value) in &asked.headers {
        let start = bytes.len();
        bytes.extend_from_slice(name.as_bytes());
        let name = Span::new(start, bytes.len());
        bytes.extend_from_slice(value.as_bytes());
        let value = Span::new(name.end as usize, bytes.len());
        head.fields.push(Field { name, value, ..Field::default() });
    }
    let facts = ExchangeFacts {
        client: asked.client.map(|client| SocketAddr::new(client, 0)),
        scheme: if told.tls.is_some() { "https" } else { "http" },
        host: asked.name.as_deref().or(asked.sni.as_deref()).unwrap_or_default().as_bytes(),
        name: told.name.as_deref().unwrap_or_default(),
        method: told.method.as_deref().unwrap_or_default().as_bytes(),
        target: told.path.as_deref().unwrap_or_default().as_bytes(),
        listener: &told.listener,
        status: answer.status(),
        ..ExchangeFacts::default()
    };
    let mut location = Vec::new();
    redirect.foresee(&mut location, &facts, Some(Message::new(&head, &bytes)));
    told.location = Some(String::from_utf8_lossy(&location).into_owned());
}

fn refuse(reason: CloseReason, told: &mut Explanation) {
    told.refusal = Some(reason.as_str().to_owned());
    told.status = reason.status().filter(|_| told.path.is_some());
}

fn admit(listener: &Listener, client: Option<IpAddr>, told: &mut Explanation) -> Result<(), CloseReason> {
    if client.is_none() || listener.admits(client) {
        return Ok(());
    }
    told.steps.push(match client.is_some_and(|address| listener.deny.contains(address)) {
        true => "the client's address is in deny".to_owned(),
        false => "the client's address is not in allow".to_owned(),
    });
    Err(CloseReason::Denied)
}

/// The name as it is looked up, read by the same rules as a client's.
fn explain_name(
    listener: &Listener,
    asked: &Asked,
    told: &mut Explanation,
) -> Result<Option<String>, CloseReason> {
    if listener.tls.is_some() && !listener.protocol.exchanges() {
        return Ok(told.sni.clone());
    }
    let Some(name) = asked.name.as_deref().or(asked.sni.as_deref()) else { return Ok(None) };
    if !listener.protocol.names() {
        told.steps.push(format!("{} clients give no name", listener.protocol.name()));
        return Ok(None);
    }
    if listener.protocol.exchanges() {
        return read_host(name, told).map(Some);
    }
    read_server_name(name, told)
}

/// The name of a ClientHello as it is looked up.
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

/// A Host as it is looked up: lower case, without port and trailing dot. An IP address is looked up as any name is.
fn read_host(host: &str, told: &mut Explanation) -> Result<String, CloseReason> {
    let port =
        host.rfind(':').filter(|colon| host[*colon..].bytes().skip(1).all(|byte| byte.is_ascii_digit()));
    let bare = &host[..port.unwrap_or(host.len())];
    let name = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%[]:".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_host) {
        told.steps.push(format!("no client may ask for \"{}\": it is no host", host.escape_debug()));
        return Err(CloseReason::BadRequest);
    }
    Ok(name)
}

/// The random number of an explanation: always the same, so that explaining twice says the same.
const EXAMPLE: u64 = 0x9e37_79b9_7f4a_7c15;
