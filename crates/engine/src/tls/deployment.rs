//! Deployment: a Plan and what the engine made of it, swapped as one.

use std::ops::Deref;

use headworks_core::plan::Plan;
use headworks_core::problem::Problem;
use headworks_core::table::BackendIndex;
use headworks_core::tls::Encryption;

use super::acceptor::Inherited;
use super::keys::Keys;
use super::{Acceptor, Connector};

/// A Plan with the TLS configurations of its listeners and backends.
#[derive(Debug)]
pub struct Deployment {
    plan: Plan,
    acceptors: Box<[Option<Acceptor>]>,
    connectors: Box<[Option<Connector>]>,
    keys: Keys,
}

impl Deployment {
    /// Makes what `plan` asks for, taking live state (sessions, parsed keys) over from `previous`; or says everything that is wrong.
    pub fn new(plan: Plan, previous: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let mut errors = Vec::new();
        let mut keys = Keys::default();
        let old_keys = previous.map(|previous| &previous.keys);
        let acceptors = plan
            .listeners
            .iter()
            .map(|listener| {
                let tls = listener.tls.as_ref()?;
                let acceptor = previous.and_then(|previous| previous.acceptor_of(&listener.name));
                Acceptor::new(tls, &mut keys, Inherited { acceptor, keys: old_keys })
                    .map_err(|found| errors.extend(below(&["listeners", &listener.name, "tls"], found)))
                    .ok()
            })
            .collect();
        let connectors = plan
            .backends
            .iter()
            .map(|backend| {
                let tls = backend.tls.as_ref()?;
                if let Some(same) = previous.and_then(|previous| previous.connector_of(&backend.name, tls)) {
                    return Some(same.clone());
                }
                Connector::new(tls, &mut keys, old_keys)
                    .map_err(|found| errors.extend(below(&["backends", &backend.name, "tls"], found)))
                    .ok()
            })
            .collect();
        match errors.is_empty() {
            true => Ok(Self { plan, acceptors, connectors, keys }),
            false => Err(errors),
        }
    }

    /// How TLS ends at the listener with this index; None where it does not.
    pub(crate) fn acceptor(&self, listener: u32) -> Option<&Acceptor> {
        self.acceptors.get(listener as usize)?.as_ref()
    }

    /// How servers of the backend with this index are reached by TLS; None where they are not.
    pub(crate) fn connector(&self, backend: BackendIndex) -> Option<&Connector> {
        self.connectors.get(backend as usize)?.as_ref()
    }

    fn acceptor_of(&self, listener: &str) -> Option<&Acceptor> {
        self.acceptor(self.plan.listener(listener)?.0)
    }

    /// The connector of `backend`, which has the sessions with its servers, if it was made of the same.
    fn connector_of(&self, backend: &str, tls: &Encryption) -> Option<&Connector> {
        let index = self.plan.backends.iter().position(|known| &*known.name == backend)?;
        let same = self.plan.backends[index].tls.as_ref() == Some(tls);
        self.connectors[index].as_ref().filter(|_| same)
    }
}

impl Deref for Deployment {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

/// Paths from the root for errors found below it.
fn below(root: &[&str], mut errors: Vec<Problem>) -> Vec<Problem> {
    for error in &mut errors {
        error.path.splice(0..0, root.iter().map(|&key| key.to_owned()));
    }
    errors
}
