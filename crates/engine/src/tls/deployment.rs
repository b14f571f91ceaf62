//! Deployment: a Plan and what the engine made of it, compiled as one and swapped as one.

use std::ops::Deref;
use std::sync::Arc;

use headworks_core::consult::ConsultantIndex;
use headworks_core::path;
use headworks_core::plan::Plan;
use headworks_core::problem::{Item, Problem};
use headworks_core::spec::Spec;
use headworks_core::table::BackendIndex;
use headworks_core::tls::Encryption;

use super::keys::Keys;
use super::{Acceptor, Connector};
use crate::consult::{Desk, OpenDesk};

/// A Plan with the TLS configurations of its listeners and backends.
#[derive(Debug)]
pub struct Deployment {
    plan: Plan,
    acceptors: Box<[Option<Acceptor>]>,
    connectors: Box<[Option<Connector>]>,
    /// Desks of the analyzers, in the order of the Plan; none in what was compiled and does not run.
    desks: Box<[Arc<OpenDesk>]>,
}

impl Deployment {
    /// Compiles `spec`, TLS included; or says everything that is wrong.
    pub fn compile(spec: &Spec) -> Result<Self, Vec<Problem>> {
        Self::new(Plan::compile(spec)?)
    }

    /// Makes what `plan` asks for, or says everything that is wrong.
    pub fn new(plan: Plan) -> Result<Self, Vec<Problem>> {
        let (mut errors, mut keys) = (Vec::new(), Keys::default());
        let acceptors = plan
            .listeners
            .iter()
            .map(|listener| {
                Acceptor::new(listener.tls.as_ref()?, &mut keys)
                    .map_err(|found| errors.extend(below(&path!["listeners", &*listener.name, "tls"], found)))
                    .ok()
            })
            .collect();
        let connectors = plan
            .backends
            .iter()
            .map(|backend| {
                Connector::new(backend.tls.as_ref()?, &mut keys)
                    .map_err(|found| errors.extend(below(&path!["backends", &*backend.name, "tls"], found)))
                    .ok()
            })
            .collect();
        if errors.is_empty() {
            Ok(Self { plan, acceptors, connectors, desks: Box::default() })
        } else {
            Err(errors)
        }
    }

    /// Copies it for an engine with `shards` workers. What was learnt under `previous` is taken over by
    /// identity, sessions included.
    pub fn adopt(&self, previous: Option<&Self>, shards: usize) -> Self {
        let plan = self.plan.adopt(previous.map(|previous| &previous.plan), shards);
        let acceptors = self.plan.listeners.iter().zip(&self.acceptors).map(|(listener, acceptor)| {
            let old = previous.and_then(|previous| previous.acceptor_of(&listener.name));
            let acceptor = acceptor.as_ref()?;
            Some(old.map_or_else(|| acceptor.clone(), |old| acceptor.adopt(old)))
        });
        let connectors = self.plan.backends.iter().zip(&self.connectors).map(|(backend, connector)| {
            let tls = backend.tls.as_ref()?;
            let same = previous.and_then(|previous| previous.connector_of(&backend.name, tls));
            same.or(connector.as_ref()).cloned()
        });
        let before = previous.map_or(&[][..], |previous| &previous.desks);
        let desks = OpenDesk::all(&plan, before, shards);
        Self { acceptors: acceptors.collect(), connectors: connectors.collect(), desks, plan }
    }

    /// Returns how TLS ends at the listener with this index; None where it does not.
    pub(crate) fn acceptor(&self, listener: u32) -> Option<&Acceptor> {
        self.acceptors.get(listener as usize)?.as_ref()
    }

    /// Returns how servers of the backend with this index are reached by TLS; None where they are not.
    pub(crate) fn connector(&self, backend: BackendIndex) -> Option<&Connector> {
        self.connectors.get(backend as usize)?.as_ref()
    }

    /// Returns the desk of the analyzer with this index; None in what does not run.
    pub(crate) fn desk(&self, analyzer: ConsultantIndex) -> Option<&Arc<Desk>> {
        self.desks.get(usize::from(analyzer)).map(|open| open.desk())
    }

    /// Closes every desk: nothing is asked any more.
    pub(crate) fn close_desks(&self) {
        self.desks.iter().for_each(|open| open.desk().close());
    }

    fn acceptor_of(&self, listener: &str) -> Option<&Acceptor> {
        self.acceptor(self.plan.listener(listener)?.0)
    }

    /// Returns the connector of `backend`, which has the sessions with its servers, if it was made of the
    /// same.
    fn connector_of(&self, backend: &str, tls: &Encryption) -> Option<&Connector> {
        let index = self.plan.backends.iter().position(|known| &*known.name == backend)?;
        let same = self.plan.backends[index].tls.as_deref() == Some(tls);
        self.connectors[index].as_ref().filter(|_| same)
    }
}

impl Deref for Deployment {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.plan
    }
}

/// Gives errors found below `root` their paths from there on.
fn below(root: &[Item], errors: Vec<Problem>) -> impl Iterator<Item = Problem> {
    errors.into_iter().map(|error| error.below(root))
}
