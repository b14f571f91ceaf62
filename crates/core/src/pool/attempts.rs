//! Attempts: the search for a server that takes one connection or request, from the first choice to the last
//! retry.
//!
//! Sessions and Exchanges search alike through this: the choice, the place taken there, the servers that
//! failed and why. Owns the place, which comes back when it is given back or dropped. Must never open a
//! socket, read a clock or decide what a client is told.

use std::sync::Arc;

use crate::balance::Seed;
use crate::close::Fault;
use crate::pool::{Backend, Place, Server, Tried, Unusable};
use crate::table::BackendIndex;
use crate::tally::Count;
use crate::time::Millis;

/// The attempts to find a server for one connection or request.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Index of the backend.
    backend: Option<BackendIndex>,
    /// The server chosen last, with the place taken there until it is given back.
    place: Option<Place>,
    /// The servers that the name leads to which the client asked for, once it was resolved.
    found: Option<Box<[Arc<Server>]>>,
    /// The servers that failed.
    tried: Tried,
    /// The server chosen last is the one that affinity names.
    bound: bool,
    /// Fault of the last connect that failed.
    fault: Option<Fault>,
}

/// The answer to the search for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A server was chosen and a place taken there.
    Server,
    /// The name that the client asks for is to be resolved first.
    Unresolved,
    /// Nothing was tried, and usable servers hold all they may: waiting may help.
    Full,
    /// There is no server.
    Nobody,
}

impl Attempts {
    /// Begins to look for a server of this backend. Whatever was tried before is forgotten.
    pub fn begin(&mut self, backend: BackendIndex) {
        if self.backend.is_some() {
            *self = Self::default();
        }
        self.backend = Some(backend);
    }

    /// Chooses a server that was not tried and takes a place there. `bound`: identity of the server that
    /// affinity names, which comes first.
    ///
    /// A retry is counted when another server than the first was chosen, not when one was looked for.
    pub fn next(&mut self, backend: &Backend, seed: &Seed<'_>, bound: Option<u64>, shard: usize) -> Next {
        let named = |identity| backend.engage_identity(identity, seed.now, &self.tried, shard);
        let bound = bound.and_then(named);
        self.bound = bound.is_some();
        let Some(place) = bound.or_else(|| backend.engage(seed, &self.tried, shard)) else {
            // Where clients name the servers, the backend itself has none.
            if backend.asked_for.is_some() {
                return self.next_found(backend, seed.now, shard);
            }
            let may_wait = self.is_first() && backend.is_full(seed.now, shard);
            return if may_wait { Next::Full } else { Next::Nobody };
        };
        self.place = Some(place);
        if !self.is_first() {
            backend.tally.add(shard, Count::Retries, 1);
        }
        Next::Server
    }

    /// Takes the servers that the name leads to which the client asked for.
    pub fn found(&mut self, servers: Vec<Arc<Server>>) {
        self.found = Some(servers.into());
    }

    /// Chooses the next server that the name leads to.
    #[inline(never)]
    fn next_found(&mut self, backend: &Backend, now: Millis, shard: usize) -> Next {
        let Some(found) = &self.found else { return Next::Unresolved };
        let usable = |server: &&Arc<Server>| {
            !self.tried.contains(&server.identity)
                && server.unusable(now).is_none_or(|why| why == Unusable::Ejected)
        };
        let Some(place) = found.iter().filter(usable).find_map(Place::take) else { return Next::Nobody };
        self.place = Some(place);
        if !self.is_first() {
            backend.tally.add(shard, Count::Retries, 1);
        }
        Next::Server
    }

    /// Whether the server chosen is the one that affinity names.
    pub fn is_bound(&self) -> bool {
        self.bound
    }

    /// Notes that the server chosen was connected to; `since`: when that began.
    pub fn connected(&mut self, backend: &Backend, since: Millis, now: Millis, shard: usize) {
        if let Some(server) = self.server() {
            server.state.connected(now);
            server.state.tally.add(shard, Count::Connections, 1);
            backend.tally.add(shard, Count::Connections, 1);
            backend.state.connects.record(shard, now.saturating_sub(since));
        }
    }

    /// Notes that the server chosen could not be connected to; if it is to blame, that may eject it.
    pub fn failed(&mut self, backend: &Backend, fault: Fault, now: Millis, shard: usize) {
        self.fault = Some(fault);
        if let Some(server) = self.server() {
            server.state.tally.add(shard, Count::ConnectFailures, 1);
            if fault.blames_server() {
                server.state.connect_failed(
                    now,
                    backend.spec.ejection.failures,
                    backend.spec.ejection.duration,
                );
            }
        }
        self.unanswered();
    }

    /// Notes that a fresh connection to the server chosen ended without an answer, which is no failed
    /// connect.
    pub fn unanswered(&mut self) {
        if let Some(place) = &mut self.place {
            place.give_back();
            self.tried.push(place.server().identity);
        }
    }

    /// Whether the backend allows another server after those that failed.
    pub fn may_try_another(&self, backend: &Backend) -> bool {
        self.tried.len() <= backend.spec.retries as usize
    }

    /// Gives the place back; whether there was one.
    pub fn release(&mut self) -> bool {
        self.place.as_mut().is_some_and(Place::give_back)
    }

    /// Whether a place is held.
    pub fn has_place(&self) -> bool {
        self.place.as_ref().is_some_and(Place::is_held)
    }

    /// Returns the backend's index in the Plan.
    pub fn backend(&self) -> Option<BackendIndex> {
        self.backend
    }

    /// Returns the server chosen last, also after it failed.
    pub fn server(&self) -> Option<&Arc<Server>> {
        self.place.as_ref().map(Place::server)
    }

    /// Whether nothing was tried before.
    pub fn is_first(&self) -> bool {
        self.tried.is_empty()
    }

    /// Returns the fault of the last connect that failed.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Returns how many other servers than the first were chosen, as the backend counts them.
    pub fn retries(&self) -> usize {
        let failed = self.server().is_some_and(|server| self.tried.contains(&server.identity));
        self.tried.len() - usize::from(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::backend::tests::backend;

    /// Returns the name of the server chosen next, or the answer.
    fn next(attempts: &mut Attempts, backend: &Backend, bound: Option<u64>) -> Result<String, Next> {
        match attempts.next(backend, &Seed { now: 100, ..Seed::default() }, bound, 0) {
            Next::Server => Ok(attempts.server().map(|server| server.name.to_string()).unwrap_or_default()),
            other => Err(other),
        }
    }

    fn begun() -> Attempts {
        let mut attempts = Attempts::default();
        attempts.begin(0);
        attempts
    }

    fn counts(backend: &Backend) -> [u64; 3] {
        let list = backend.servers.list();
        let failures = list.iter().map(|server| server.state.tally.sum(Count::ConnectFailures));
        [backend.tally.sum(Count::Connections), backend.tally.sum(Count::Retries), failures.sum()]
    }

    #[test]
    fn a_retry_is_counted_when_another_server_was_chosen() {
        let (backend, mut attempts) = (backend(), begun());
        assert_eq!(next(&mut attempts, &backend, None).as_deref(), Ok("192.0.2.1:8000"));
        assert!(attempts.is_first() && attempts.has_place() && !attempts.is_bound());
        attempts.failed(&backend, Fault::Refused, 100, 0);
        assert!(!attempts.has_place() && !attempts.is_first() && attempts.may_try_another(&backend));
        assert_eq!(counts(&backend), [0, 0, 1]);
        assert_eq!(attempts.server().map(|server| server.state.active()), Some(0), "still known");
        assert_eq!(next(&mut attempts, &backend, None).as_deref(), Ok("192.0.2.1:8001"));
        assert_eq!(counts(&backend), [0, 1, 1]);
        attempts.connected(&backend, 90, 100, 0);
        assert_eq!(counts(&backend), [1, 1, 1]);
        assert_eq!((attempts.fault(), attempts.retries()), (Some(Fault::Refused), 1));
        attempts.unanswered();
        assert_eq!((attempts.retries(), begun().retries()), (1, 0), "no third one was chosen");
    }

    #[test]
    fn with_one_server_there_is_nobody_to_retry_at_and_nothing_to_count() {
        let (backend, mut attempts) = (backend(), begun());
        backend.servers.list()[1..].iter().for_each(|server| _ = server.state.set_up(false, 0));
        assert!(next(&mut attempts, &backend, None).is_ok());
        attempts.failed(&backend, Fault::Refused, 100, 0);
        assert_eq!(next(&mut attempts, &backend, None), Err(Next::Nobody));
        assert_eq!((counts(&backend), attempts.retries()), ([0, 0, 1], 0));
    }

    #[test]
    fn retries_are_as_many_as_the_backend_says() {
        let (backend, mut attempts) = (backend(), begun());
        for tries in 1..=3 {
            assert!(attempts.may_try_another(&backend));
            assert!(next(&mut attempts, &backend, None).is_ok());
            attempts.unanswered();
            assert_eq!(attempts.retries() + 1, tries, "the first is no retry");
        }
        assert!(!attempts.may_try_another(&backend), "a first one and two retries");
        assert_eq!((counts(&backend), attempts.fault()), ([0, 2, 0], None), "no failed connects");
    }

    #[test]
    fn repeated_faults_of_the_server_eject_it_and_lacks_of_ours_do_not() {
        let backend = backend();
        for (fault, ejected) in [(Fault::Exhausted, false), (Fault::TimedOut, true)] {
            let state = &backend.servers.list()[0].state;
            let identity = backend.servers.list()[0].identity;
            for _ in 0..3 {
                let mut attempts = begun();
                assert!(next(&mut attempts, &backend, Some(identity)).is_ok());
                attempts.failed(&backend, fault, 100, 0);
            }
            assert_eq!(state.is_ejected(100), ejected);
        }
    }

    #[test]
    fn full_servers_are_worth_waiting_for_until_one_has_failed() {
        let (backend, mut first) = (backend(), begun());
        let places: Vec<_> = backend
            .servers
            .list()
            .iter()
            .flat_map(|server| std::iter::repeat_with(|| Place::take(server)).map_while(|place| place))
            .collect();
        assert_eq!((places.len(), next(&mut first, &backend, None)), (40, Err(Next::Full)));
        drop(places);
        assert!(next(&mut first, &backend, None).is_ok());
        first.unanswered();
        let _places: Vec<_> = backend
            .servers
            .list()
            .iter()
            .flat_map(|server| std::iter::repeat_with(|| Place::take(server)).map_while(|place| place))
            .collect();
        assert_eq!(next(&mut first, &backend, None), Err(Next::Nobody));
    }

    #[test]
    fn the_server_that_affinity_names_comes_first() {
        let backend = backend();
        let named = backend.servers.list()[3].identity;
        let mut attempts = begun();
        assert_eq!(next(&mut attempts, &backend, Some(named)).as_deref(), Ok("192.0.2.1:8003"));
        assert!(attempts.is_bound());
        attempts.unanswered();
        assert_eq!(next(&mut attempts, &backend, Some(named)).as_deref(), Ok("192.0.2.1:8000"));
        assert!(!attempts.is_bound(), "another one now");
        assert!(next(&mut begun(), &backend, Some(7)).is_ok(), "a name of nobody");
    }

    #[test]
    fn a_place_comes_back_once() {
        let (backend, mut attempts) = (backend(), begun());
        assert!(!attempts.release() && next(&mut attempts, &backend, None).is_ok());
        let state = Arc::clone(&backend.servers.list()[0].state);
        assert_eq!(state.active(), 1);
        assert!(attempts.release() && !attempts.release());
        drop(attempts);
        assert_eq!(state.active(), 0);
        let mut attempts = begun();
        assert!(next(&mut attempts, &backend, None).is_ok());
        attempts.begin(0);
        assert!(attempts.server().is_none());
        assert!(backend.servers.list().iter().all(|server| server.state.active() == 0));
    }
}
