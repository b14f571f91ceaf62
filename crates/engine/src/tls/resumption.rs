//! Resumption: how the sessions of one listener are resumed, and under which policy they were made.
//!
//! Owns the one decision of which live state a reload takes over. A session says nothing of what its client
//! had to prove, so that one made under a laxer policy for client certificates would pass for one made under
//! the stricter: it must never leave the policy it was made under.

use std::sync::Arc;

use headworks_core::time::Millis;
use headworks_core::tls::{ClientCertificates, Termination};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ProducesTickets, StoresServerSessions};

use super::one_time::OneTimeSessions;
use super::tickets::Tickets;

/// The live state of a listener's sessions.
#[derive(Debug, Clone)]
pub(super) struct Resumption {
    policy: Policy,
    sessions: Sessions,
}

/// Demands that must be the same for an old session to be worth as much as a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    clients: Option<ClientCertificates>,
    rotation: Millis,
}

#[derive(Debug, Clone)]
enum Sessions {
    None,
    Tickets(Arc<Tickets>),
    Once(Arc<OneTimeSessions>),
}

/// One ticket for each TLS 1.3 handshake: every further one costs both sides an encryption and a record, most
/// clients open one connection after the other, and those that want more say so (RFC 9149).
const TICKETS: usize = 1;

/// Tickets that a client can ask for at most.
const MOST_TICKETS: usize = 4;

impl Resumption {
    /// Makes what `tls` asks for, without a session yet.
    pub(super) fn new(tls: &Termination) -> Result<Self, String> {
        let policy = Policy { clients: tls.clients.clone(), rotation: tls.spec.ticket_rotation };
        let sessions = match (tls.spec.tickets, tls.spec.early_data) {
            (false, _) => Sessions::None,
            (true, 0) => {
                let tickets =
                    Tickets::new(policy.rotation).map_err(|_| "no random bytes for a ticket key")?;
                Sessions::Tickets(Arc::new(tickets))
            }
            (true, _) => Sessions::Once(Arc::new(OneTimeSessions::new(policy.rotation))),
        };
        Ok(Self { policy, sessions })
    }

    /// Copies it, with the sessions of `previous` where those were made under the same policy and are of the
    /// same kind.
    pub(super) fn adopt(&self, previous: &Self) -> Self {
        let same_kind = std::mem::discriminant(&self.sessions) == std::mem::discriminant(&previous.sessions);
        if same_kind && self.policy == previous.policy { previous.clone() } else { self.clone() }
    }

    /// Puts it into the configuration of rustls.
    pub(super) fn configure(&self, config: &mut ServerConfig, early_data: u32) {
        let nowhere = || Arc::new(NoServerSessionStorage {}) as Arc<dyn StoresServerSessions>;
        (config.session_storage, config.send_tls13_tickets) = match &self.sessions {
            Sessions::None => (nowhere(), 0),
            Sessions::Tickets(tickets) => {
                config.ticketer = Arc::clone(tickets) as Arc<dyn ProducesTickets>;
                (nowhere(), TICKETS)
            }
            Sessions::Once(once) => {
                // rustls gives early data only where it keeps the sessions itself.
                config.max_early_data_size = early_data;
                // What early data is for: its answer does not wait for the end of the handshake, either.
                config.send_half_rtt_data = early_data > 0;
                (Arc::clone(once) as Arc<dyn StoresServerSessions>, TICKETS)
            }
        };
        if config.send_tls13_tickets > 0 {
            config.max_tls13_tickets = MOST_TICKETS;
        }
    }
}
