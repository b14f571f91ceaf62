//! Explanations: which entry, backend and server a new connection would get, and why not the others.
//!
//! Follows the same path as a [`Session`](crate::session::Session), with every server taken as it stands in the Plan,
//! and says each step in words. Must never change anything a real choice depends on.

use std::net::IpAddr;

use serde::Serialize;

use crate::action::CloseReason;
use crate::backend::Backend;
use crate::balance::Seed;
use crate::listener::{Listener, Route};
use crate::plan::{Plan, Routed};
use crate::table::Target;
use crate::wire::client_hello::ServerName;

/// What a new connection would get.
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
    /// The table consulted.
    pub table: Option<String>,
    /// The pattern that matched.
    pub entry: Option<String>,
    /// The backend.
    pub backend: Option<String>,
    /// The server.
    pub server: Option<String>,
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
    /// Explains what a client with this name and address would get; None when there is no such listener.
    pub fn explain(&self, listener: &str, sni: Option<&str>, client: Option<IpAddr>) -> Option<Explanation> {
        let (_, listener) = self.listener(listener)?;
        let mut told = Explanation {
            listener: listener.name.to_string(),
            protocol: listener.protocol.name().to_owned(),
            client: client.map(|address| address.to_string()),
            ..Explanation::default()
        };
        let route = admit(listener, client, &mut told).and_then(|()| {
            told.name = explain_name(listener, sni, &mut told)?;
            self.explain_route(listener, &mut told)
        });
        match route {
            Ok(Target::Answer(_)) => {}
            Ok(Target::Backend(index)) => {
                self.explain_server(&self.backends[index as usize], client, &mut told);
            }
            Err(reason) => told.refusal = Some(reason.as_str().to_owned()),
        }
        Some(told)
    }

    fn explain_route(&self, listener: &Listener, told: &mut Explanation) -> Result<Target, CloseReason> {
        let Route::Table(table) = listener.route else {
            told.steps.push("the listener names its backend; no table is consulted".to_owned());
            return self.route(listener, None).map(|routed| routed.target);
        };
        let table = &self.tables[table as usize];
        told.table = Some(table.name.to_string());
        let name = told.name.clone();
        let routed = self.route(listener, name.as_deref());
        // Without a name the fallback comes before the table.
        if name.is_some() || listener.fallback.is_none() {
            let steps = table.table.explain(name.as_deref(), None);
            told.steps.extend(steps.into_iter().map(|step| format!("{}: {}", step.pattern, step.why)));
        }
        if let Ok(Routed { entry: Some(entry), target }) = routed {
            told.entry = table.entries.get(entry.entry as usize).map(|(pattern, _)| pattern.clone());
            return Ok(target);
        }
        let what = if name.is_some() { "nothing matches the name" } else { "the client gives no name" };
        told.steps.push(match routed {
            Ok(_) => format!("{what}: the listener's fallback takes it"),
            Err(_) => format!("{what}, and the listener has no fallback"),
        });
        routed.map(|routed| routed.target)
    }

    fn explain_server(&self, backend: &Backend, client: Option<IpAddr>, told: &mut Explanation) {
        told.backend = Some(backend.name.to_string());
        let seed = Seed { client, host: told.name.as_deref(), random: EXAMPLE, now: 0 };
        let chosen = backend.foresee(&seed);
        told.server = chosen.map(|index| backend.servers[index].name.to_string());
        if chosen.is_none() {
            told.refusal = Some(CloseReason::NoServer.as_str().to_owned());
        }
        let backups_rest = chosen.is_some_and(|index| !backend.servers[index].backup);
        told.servers = (0..backend.servers.len())
            .map(|index| {
                let server = &backend.servers[index];
                let reason =
                    backend.why_not(index, 0).map(|why| why.as_str().to_owned()).unwrap_or_else(|| {
                        match server.backup && backups_rest {
                            true => "is a backup".to_owned(),
                            false => format!("{} chose another this time", backend.balance.name()),
                        }
                    });
                let is_chosen = chosen == Some(index);
                ServerChoice {
                    address: server.name.to_string(),
                    chosen: is_chosen,
                    reason: (!is_chosen).then_some(reason),
                }
            })
            .collect();
    }
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
    sni: Option<&str>,
    told: &mut Explanation,
) -> Result<Option<String>, CloseReason> {
    let Some(name) = sni else { return Ok(None) };
    if !listener.protocol.names() {
        told.steps.push(format!("{} clients give no name", listener.protocol.name()));
        return Ok(None);
    }
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
