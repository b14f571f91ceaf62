//! Looking up: where the names of a backend lead now, for people who ask.
//!
//! Must never serve anybody: names in use are followed, see `following`.

use std::sync::mpsc::channel;

use headworks_core::address::Address;
use headworks_core::names::{Endpoint, Resolution, Unresolved};
use headworks_core::pool::Backend;
use headworks_core::time::Millis;
use serde::Serialize;

use crate::following::settings;
use crate::names::NameResolver;
use crate::tls::Deployment;

/// A name, and where it leads.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LookedUp {
    /// The name, as it is written or as a client asks for it.
    pub name: String,
    /// The reason why it leads nowhere.
    pub failure: Option<&'static str>,
    /// Addresses of the name.
    pub addresses: Vec<FoundAddress>,
}

/// An address of a name.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FoundAddress {
    /// IP address, and port.
    pub address: String,
    /// The reason why nobody is connected to it.
    pub refusal: Option<&'static str>,
}

/// Asks where the names of a backend lead, or `asked` where clients name its servers; each within `patience`.
/// None: there is no such backend.
pub fn look_up(
    plan: &Deployment,
    backend: &str,
    asked: Option<&str>,
    patience: Millis,
) -> Option<Vec<LookedUp>> {
    let backend = plan.backends.iter().find(|one| &*one.name == backend)?;
    let families = plan.resolver.families;
    let mut found = Vec::new();
    let sought: Vec<_> = match &backend.asked_for {
        None => backend.roll.sought(families).collect(),
        Some(asked_for) if asked_for.is_original() => Vec::new(),
        Some(asked_for) => match asked_for.sought(asked, families) {
            Ok(sought) => vec![(0, sought)],
            Err(refusal) => {
                let name = asked.unwrap_or_default().to_owned();
                found.push(LookedUp { name, failure: Some(refusal.as_str()), addresses: Vec::new() });
                Vec::new()
            }
        },
    };
    let resolver = NameResolver::new(settings(plan));
    let (sender, replies) = channel();
    for (number, sought) in sought {
        let sender = sender.clone();
        // Fails only when nobody waits any more.
        resolver.ask(sought, patience, move |outcome| drop(sender.send((number, outcome))));
    }
    drop(sender);
    let mut outcomes: Vec<_> = replies.into_iter().collect();
    outcomes.sort_by_key(|(number, _)| *number);
    let told = |(number, outcome)| tell(backend, number, asked, outcome);
    found.extend(outcomes.into_iter().map(told));
    Some(found)
}

fn tell(
    backend: &Backend,
    number: usize,
    asked: Option<&str>,
    outcome: Result<Resolution, Unresolved>,
) -> LookedUp {
    let name = match asked.filter(|_| backend.asked_for.is_some()) {
        Some(asked) => asked.to_owned(),
        None => backend.roll.locator(number).to_string(),
    };
    let (failure, endpoints) = match outcome {
        Ok(found) => (None, found.endpoints),
        Err(reason) => (Some(reason.as_str()), Vec::new()),
    };
    let addresses = endpoints.iter().map(|endpoint| address(backend, number, endpoint)).collect();
    LookedUp { name, failure, addresses }
}

fn address(backend: &Backend, number: usize, endpoint: &Endpoint) -> FoundAddress {
    let reached = match &backend.asked_for {
        Some(asked_for) => asked_for.reached(endpoint.address),
        None => backend.roll.locator(number).reached(endpoint).ok_or("nobody_is_there"),
    };
    let shown = |address: Address| address.to_string();
    match reached {
        Ok(address) => FoundAddress { address: shown(address), refusal: None },
        Err(refusal) => FoundAddress { address: endpoint.address.to_string(), refusal: Some(refusal) },
    }
}
