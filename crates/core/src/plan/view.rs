//! View: what rules may ask of a Plan and one of its listeners, and how the answers are put in words.
//!
//! Must never decide anything that [`Plan`] does not.

use std::net::IpAddr;

use super::{AlpnWays, NamedTable, Plan, Routed, Unrouted};
use crate::close::CloseReason;
use crate::consult::{Consultant, ConsultantIndex, Consultants};
use crate::http::rules::{Foreseen, PlanView};
use crate::listener::{Listener, Route, Way};
use crate::program::Programs;
use crate::table::{BackendIndex, Match, Target};
use crate::wire::client_hello::Offered;

/// A Plan as a request at one of its listeners sees it.
#[derive(Debug, Clone, Copy)]
pub struct ListenerView<'a> {
    /// The Plan.
    pub plan: &'a Plan,
    /// The listener.
    pub listener: &'a Listener,
}

impl PlanView for ListenerView<'_> {
    #[inline]
    fn route(&self, name: Option<&str>, target: &[u8]) -> Result<Target, CloseReason> {
        self.plan.route_request(self.listener, name, target).map(|routed| routed.target)
    }

    #[inline]
    fn is_maintained(&self, backend: BackendIndex) -> bool {
        self.plan.backends[backend as usize].spec.maintenance
    }

    fn backend_named(&self, name: &[u8]) -> Option<BackendIndex> {
        self.plan.backend_named(name)
    }

    fn server_named(&self, backend: BackendIndex, name: &[u8]) -> Option<u64> {
        self.plan.server_named(backend, name)
    }

    fn programs(&self, backend: BackendIndex) -> &Programs {
        &self.plan.backends[backend as usize].http.programs
    }

    fn entry_analyzers(&self, name: Option<&str>, target: &[u8]) -> Option<&Consultants> {
        let entry = self.plan.route_request(self.listener, name, target).ok()?.entry?;
        self.plan.entry_analyzers(self.listener.route, entry)
    }

    fn backend_analyzers(&self, backend: BackendIndex) -> &Consultants {
        &self.plan.backends[backend as usize].consultants
    }

    fn analyzer_named(&self, name: &[u8]) -> Option<ConsultantIndex> {
        self.plan.consultant_named(name)
    }

    fn analyzer(&self, index: ConsultantIndex) -> &Consultant {
        &self.plan.consultants[usize::from(index)]
    }

    fn backend_name(&self, backend: BackendIndex) -> &str {
        &self.plan.backends[backend as usize].name
    }

    fn tell_access(&self, client: Option<IpAddr>, foreseen: &mut Foreseen) {
        let Listener { allow, deny, spec, .. } = self.listener;
        match client {
            None if !allow.is_empty() || !deny.is_empty() => {
                foreseen.say("it would be refused (403) from an address that allow and deny do not admit");
            }
            Some(client) if deny.contains(client) => foreseen.say("the client's address is in deny"),
            Some(_) if !self.listener.admits(client) => {
                foreseen.say("the client's address is not in allow");
            }
            _ => {}
        }
        if let Some(most) = spec.max_connections_per_client {
            foreseen.say(format!("it would be refused (503) if the client had {most} connections already"));
        }
    }

    fn tell_route(&self, name: Option<&str>, target: &[u8], foreseen: &mut Foreseen) {
        self.tell(self.listener.way(None), name, Looked::Request(target), foreseen);
    }
}

impl ListenerView<'_> {
    /// Says which entries are consulted for a connection on this way that gave this name and offers this by
    /// ALPN, and which is taken.
    pub fn tell_way(&self, way: Way, name: Option<&str>, offered: &Offered, foreseen: &mut Foreseen) {
        self.tell(way, name, Looked::Connection(offered), foreseen);
    }

    fn tell(&self, way: Way, name: Option<&str>, sought: Looked<'_>, foreseen: &mut Foreseen) {
        let path = match sought {
            Looked::Request(path) => Some(path),
            Looked::Connection(_) => None,
        };
        let Self { plan, listener } = *self;
        let table = match way.route {
            Route::Table(table) => &plan.tables[table as usize],
            Route::Kinds => {
                return foreseen.say("it is none of the listener's kinds: the fallback is for those");
            }
            Route::Answer(_) => {
                return foreseen.say("the listener answers every request itself; no table is consulted");
            }
            Route::Backend(_) if listener.protocol.kinds() => {
                return foreseen.say("its kind has one backend; no table is consulted");
            }
            Route::Backend(_) => {
                return foreseen.say("the listener names its backend; no table is consulted");
            }
        };
        foreseen.table = Some(table.name.to_string());
        // Without a name the fallback comes before the table.
        if name.is_some() || way.fallback.is_none() {
            let steps = table.table.explain(name, path);
            foreseen.steps.extend(steps.into_iter().map(|step| format!("{}: {}", step.pattern, step.why)));
        }
        let routed = match sought {
            Looked::Request(path) => plan.route_request(listener, name, path).map_err(Unrouted::Because),
            Looked::Connection(offered) => plan.route(way, name, offered),
        };
        if let (Looked::Connection(offered), Some((entry, ways))) = (sought, by_alpn(table, way, name)) {
            foreseen.entry = table.entries.get(entry.entry as usize).map(|(pattern, _)| pattern.clone());
            foreseen.say(ways.explain(offered));
        }
        let what = match (name, path) {
            (None, _) => "the client gives no name",
            (Some(_), None) => "nothing matches the name",
            (Some(_), Some(_)) => "nothing matches the name and path",
        };
        match routed {
            Ok(Routed { entry: Some(entry), .. }) => {
                foreseen.entry = table.entries.get(entry.entry as usize).map(|(pattern, _)| pattern.clone());
            }
            Err(Unrouted::NoProtocol) => {}
            Ok(_) => foreseen.say(format!("{what}: the listener's fallback takes it")),
            Err(_) => foreseen.say(format!("{what}, and the listener has no fallback")),
        }
    }
}

/// A thing that is looked for in a table.
#[derive(Clone, Copy)]
enum Looked<'a> {
    /// A request of this path.
    Request(&'a [u8]),
    /// A connection that offers this by ALPN.
    Connection(&'a Offered),
}

/// Returns the entry by ALPN that takes a connection of this name, if one does.
fn by_alpn<'t>(table: &'t NamedTable, way: Way, name: Option<&str>) -> Option<(Match, &'t AlpnWays)> {
    let entry = match name {
        None if way.fallback.is_some() => None,
        None => table.table.any(),
        Some(name) => table.table.lookup(name),
    }?;
    Some((entry, table.alpn_of(entry)?))
}
