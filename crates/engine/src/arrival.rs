//! Arrival: a client that was accepted: who it is, as far as that is known, and what it brings.
//!
//! Every record of a connection has one, from accept to end; it goes from one supervisor to the next as a
//! whole. A value: must know no supervisor.

use std::net::SocketAddr;
use std::sync::Arc;

use headworks_core::buffer::Buffer;
use headworks_core::listener::{Listener, Permit};
use headworks_core::session::{Entrance, Greeting};
use headworks_core::time::Millis;
use headworks_core::wire::client_hello::Offered;

use crate::consult::Desk;
use crate::deployment::LocalPlan;
use crate::io::Socket;
use crate::row::{ConnectionRow, waits_for};
use crate::tools::Tools;

/// A client on its way to where it belongs.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The way by which it came: what was done with its first bytes.
    pub(crate) entrance: Entrance,
    /// The Plan it was accepted under.
    pub(crate) plan: LocalPlan,
    /// The client's listener in the Plan.
    pub(crate) listener: u32,
    /// The client's place at the listener; None: its Session has it.
    pub(crate) permit: Option<Permit>,
    /// The client's socket, with a TLS side if TLS ends here.
    pub(crate) socket: Socket,
    /// The client's address: as accepted, or from a PROXY header. None for a unix client.
    pub(crate) address: Option<SocketAddr>,
    /// The address that it connected to: from a PROXY header, or as the kernel knows it where the listener
    /// wants to.
    pub(crate) local: Option<SocketAddr>,
    /// The name it asked for.
    pub(crate) name: Option<Box<str>>,
    /// The protocols that it offered, where it is passed through.
    pub(crate) alpn: Offered,
    /// Bytes that the client sent and nobody has taken: the ClientHello of one that is passed through.
    pub(crate) held: Buffer,
    /// Time at which it was accepted.
    pub(crate) accepted: Millis,
    /// The number that no other connection of the process has.
    pub(crate) id: u64,
    /// The desk that is told of the end.
    pub(crate) told: Option<Arc<Desk>>,
    /// The words of analyzers on it when it had connected; None where nobody was asked.
    pub(crate) greeting: Option<Box<Greeting>>,
}

impl Arrival {
    /// Returns the client's listener.
    pub(crate) fn owner(&self) -> &Listener {
        &self.plan.listeners[self.listener as usize]
    }

    /// Returns the address that it connected to, where its listener learns that for the record.
    pub(crate) fn original(&self) -> Option<SocketAddr> {
        self.local.filter(|_| self.owner().spec.accept.learns_destination())
    }

    /// Tells whoever was asked about it that it is over.
    pub(crate) fn is_over(&self) {
        if let Some(desk) = &self.told {
            desk.is_over(self.id);
        }
    }

    /// Whether requests are made on it from now on.
    pub(crate) fn makes_requests(&self) -> bool {
        self.entrance != Entrance::PassedThrough && self.owner().protocol.exchanges()
    }

    /// Returns what lists of connections say of it while nothing else is known.
    pub(crate) fn row(&self, state: &'static str, tools: &Tools) -> ConnectionRow {
        ConnectionRow {
            id: self.id,
            listener: self.owner().name.to_string(),
            client: self.address.map_or_else(|| "unix".into(), |client| client.to_string()),
            address: self.address,
            sni: self.name.as_deref().map(str::to_owned),
            host: None,
            method: None,
            path: None,
            backend: None,
            server: None,
            state,
            waits_for: waits_for(state),
            requests: 0,
            bytes_in: 0,
            bytes_out: 0,
            age_ms: tools.now.saturating_sub(self.accepted),
            idle_ms: tools.now.saturating_sub(self.accepted),
            worker: tools.shard,
        }
    }
}
