//! Listing: which live connections somebody wants to see, and how far along the list of them a page goes.
//!
//! Workers look through their connections in slices, so that a long list holds none of them up. A connection
//! keeps its place for as long as one supervisor has it: it is in one page at most, and one that goes on to
//! another supervisor meanwhile may be missed. Must never change a connection.

use std::net::SocketAddr;
use std::str::FromStr;

use headworks_core::host::write_name;
use headworks_core::networks::Networks;
use headworks_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::row::ConnectionRow;

/// Places that a worker looks at before others get its turn.
pub(crate) const SLICE: usize = 256;

/// The connections that are wanted: those for which all of it holds. An empty one wants all.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionFilter {
    /// Name of the listener.
    pub listener: Option<String>,
    /// The client's network or address.
    pub client: Option<Network>,
    /// The name asked for: in the hello or by the request under way. `*.example.com` is any name below it.
    pub host: Option<String>,
    /// Name of the backend.
    pub backend: Option<String>,
    /// The server's address.
    pub server: Option<String>,
    /// The state, as rows say it.
    pub state: Option<String>,
    /// Milliseconds without a byte, at least.
    pub idle_over: Option<Millis>,
    /// Milliseconds since it was accepted, at least.
    pub age_over: Option<Millis>,
}

/// One network.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(Networks);

/// The connections on one page of a list.
#[derive(Debug, Default, Serialize)]
pub struct ConnectionPage {
    /// The connections that are wanted, in order of their places.
    pub connections: Vec<ConnectionRow>,
    /// The place where the next page begins; None after the last.
    pub cursor: Option<String>,
}

/// A place in the list of all connections: written `WORKER.SUPERVISOR.PLACE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Number of the worker.
    pub(crate) worker: usize,
    /// Number of its supervisor.
    pub(crate) supervisor: usize,
    /// The place there.
    pub(crate) place: usize,
}

/// The part of a page that one slice has given.
#[derive(Debug)]
pub(crate) struct Slice {
    /// The connections wanted.
    pub(crate) rows: Vec<ConnectionRow>,
    /// The place to go on from; None when the worker has no more.
    pub(crate) next: Option<Cursor>,
}

impl ConnectionFilter {
    /// Whether a connection is wanted.
    pub(crate) fn wants(&self, row: &ConnectionRow) -> bool {
        let Self { listener, client, host, backend, server, state, idle_over, age_over } = self;
        let same =
            |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        same(listener, Some(&row.listener))
            && same(backend, row.backend.as_deref())
            && same(server, row.server.as_deref())
            && same(state, Some(row.state))
            && idle_over.is_none_or(|over| row.idle_ms > over)
            && age_over.is_none_or(|over| row.age_ms > over)
            && client.as_ref().is_none_or(|network| network.contains(row.address))
            && host.as_ref().is_none_or(|wanted| row.names().any(|name| is_named(wanted, name)))
    }
}

/// Whether a name is the wanted one, or below it.
fn is_named(wanted: &str, name: &str) -> bool {
    let (mut wanted_name, mut found) = (String::new(), String::new());
    write_name(&mut found, name.as_bytes());
    let Some(parent) = wanted.strip_prefix("*.") else {
        write_name(&mut wanted_name, wanted.as_bytes());
        return wanted_name == found;
    };
    write_name(&mut wanted_name, parent.as_bytes());
    found.strip_suffix(&*wanted_name).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
}

impl Network {
    fn contains(&self, client: Option<SocketAddr>) -> bool {
        client.is_some_and(|client| self.0.contains(client.ip()))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        Networks::parse(&[written])
            .map(Self)
            .map_err(|errors| errors.into_iter().map(|(_, reason)| reason).next().unwrap_or_default())
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { worker, supervisor, place } = self;
        write!(f, "{worker}.{supervisor}.{place}")
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let mut numbers = written.split('.').map(str::parse);
        match [numbers.next(), numbers.next(), numbers.next(), numbers.next()] {
            [Some(Ok(worker)), Some(Ok(supervisor)), Some(Ok(place)), None] => {
                Ok(Self { worker, supervisor, place })
            }
            _ => Err(format!("\"{written}\" is no cursor that a page of connections gave")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_tables_do() {
        for (wanted, name, is) in [
            ("shop.example", "Shop.Example.:8080", true),
            ("Shop.example.", "shop.example", true),
            ("shop.example", "a.shop.example", false),
            ("*.example", "a.b.example:80", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.example", "badexample", false),
            ("shop.example", "", false),
        ] {
            assert_eq!(is_named(wanted, name), is, "{wanted} {name}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor { worker: 3, supervisor: 1, place: 70_000 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "1", "1.2", "1.2.3.4", "1.2.x", "-1.0.0", "1..2", "99999999999999999999.0.0"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_filter_is_read_whole_or_not_at_all() {
        let read = serde_json::from_str::<ConnectionFilter>;
        assert!(read("{}").is_ok() && read(r#"{"client": "10.0.0.0/8", "idle_over": 5}"#).is_ok());
        for wrong in [r#"{"clients": "::1"}"#, r#"{"client": "10.0.0.1/8"}"#, r#"{"idle_over": -1}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
