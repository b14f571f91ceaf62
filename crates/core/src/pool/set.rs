//! ServerSet: the servers of a backend, a list that may change while running.
//!
//! A server is known by its address: one that stays keeps its state and its turns, whatever else of it or of
//! the list changes, and one that comes back finds its state as long as it is remembered. Every worker reads
//! the list behind a lock of its own, so that none waits for another. Must never choose a server, nor say
//! when the list changes.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use crossbeam_utils::CachePadded;
use hashbrown::{HashMap, HashSet};

use crate::address::Address;
use crate::balance::{Memory, Ready};
use crate::lock::lock;
use crate::pool::state::changed;
use crate::pool::{Server, ServerSettings, ServerState};
use crate::time::Millis;

/// The servers of a backend.
#[derive(Debug)]
pub struct ServerSet {
    /// The list, once for each worker, with what that knows of it.
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    /// The servers that have left. A change of the list holds this lock.
    former: Mutex<Former>,
}

/// The servers of a backend at one moment, in order.
#[derive(Debug, Default)]
pub struct ServerList {
    servers: Box<[Arc<Server>]>,
    /// Number that no other list has.
    pub(super) number: u64,
    /// Turns are taken by all workers together: two connections that two workers accept go to two servers. So
    /// do those that still read a list before, as long as it has the same servers.
    pub(super) turns: Arc<Mutex<Eligible>>,
}

/// A worker's knowledge of the servers of a backend.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// The servers.
    pub(super) list: Arc<ServerList>,
    /// The servers that may be chosen, where a choice does not depend on those before.
    pub(super) eligible: Eligible,
}

/// The servers that may be chosen now.
#[derive(Debug, Default)]
pub(super) struct Eligible {
    /// The servers.
    pub(super) ready: Ready,
    /// Conditions under which `ready` is right.
    pub(super) fresh: Freshness,
}

/// The conditions under which what was found out stays right.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Freshness {
    /// Number of the list that it was found out of.
    pub(super) list: u64,
    /// [`changes`](super::state::changes), as it was.
    pub(super) changes: u64,
    /// Time at which it was found out.
    pub(super) from: Millis,
    /// Time at which the passing of time alone may change it.
    pub(super) until: Millis,
}

impl Freshness {
    /// Whether it still holds.
    #[inline]
    pub(super) fn holds(&self, list: u64, changes: u64, now: Millis) -> bool {
        // Workers read the clock at different times, but not that different.
        let in_time = self.from <= now.saturating_add(1_000) && now < self.until;
        self.list == list && self.changes == changes && in_time
    }
}

impl ServerSet {
    /// Makes a set with these servers, for `shards` workers. The state of those in `previous` is carried
    /// over.
    pub fn new(listed: Vec<ServerSettings>, previous: Option<&Self>, shards: usize) -> Self {
        let (old, mut former) = match previous {
            Some(set) => (set.list(), lock(&set.former).clone()),
            None => (Arc::default(), Former::default()),
        };
        let shards = shards.max(1);
        let list = Arc::new(old.successor(listed, &mut former, shards));
        let shard = || Mutex::new(Shard { list: Arc::clone(&list), ..Shard::default() });
        Self { shards: (0..shards).map(|_| CachePadded::new(shard())).collect(), former: Mutex::new(former) }
    }

    /// Returns the servers as they are now.
    pub fn list(&self) -> Arc<ServerList> {
        Arc::clone(&self.of(0).list)
    }

    /// Makes these the servers, in this order; of those with the same address the first counts. Connections
    /// to a server that leaves go on.
    pub fn set(&self, listed: Vec<ServerSettings>) {
        let mut former = lock(&self.former);
        let new = Arc::new(self.list().successor(listed, &mut former, self.shards.len()));
        for shard in &self.shards {
            *lock(shard) = Shard { list: Arc::clone(&new), ..Shard::default() };
        }
    }

    /// Returns the list as worker number `shard` reads it.
    #[inline]
    pub(super) fn of(&self, shard: usize) -> MutexGuard<'_, Shard> {
        lock(self.shards.get(shard).unwrap_or(&self.shards[0]))
    }
}

impl ServerList {
    /// Returns the list that follows this one. Servers that stay keep what is known of them; those that leave
    /// are remembered.
    fn successor(&self, listed: Vec<ServerSettings>, former: &mut Former, shards: usize) -> Self {
        let old: Numbers<'_> = self.iter().enumerate().map(|(at, server)| (&server.address, at)).collect();
        let (mut servers, mut seen) =
            (Vec::with_capacity(listed.len()), HashSet::with_capacity(listed.len()));
        for settings in listed {
            if seen.insert(settings.address.clone()) {
                let at = old.get(&settings.address).copied();
                servers.push(admit(settings, at.map(|at| &self[at]), former, shards));
            }
        }
        self.iter()
            .filter(|server| !seen.contains(&server.address))
            .for_each(|server| former.remember(server));
        let had = lock(&self.turns).ready.memory().clone();
        let turns_had = |server: &Arc<Server>| {
            let at = old.get(&server.address).copied();
            at.and_then(|at| had.current.get(at)).copied().unwrap_or(0)
        };
        let memory = Memory { current: servers.iter().map(turns_had).collect() };
        let same = servers.iter().map(|server| &server.address).eq(self.iter().map(|server| &server.address));
        let fresh = || Eligible { ready: Ready::new(memory), ..Eligible::default() };
        let turns = if same { Arc::clone(&self.turns) } else { Arc::new(Mutex::new(fresh())) };
        Self { servers: servers.into(), number: changed(), turns }
    }
}

/// Returns the server with these settings: the one there was if nothing differs, or one with the state it has
/// or had.
fn admit(
    settings: ServerSettings,
    present: Option<&Arc<Server>>,
    former: &mut Former,
    shards: usize,
) -> Arc<Server> {
    let state = match present {
        Some(server) if server.settings() == settings => return Arc::clone(server),
        Some(server) => Arc::clone(&server.state),
        None => former.recall(&settings.address).unwrap_or_else(|| Arc::new(ServerState::new(shards))),
    };
    Arc::new(Server::new(settings, state))
}

/// Numbers of servers in a list, by address.
type Numbers<'a> = HashMap<&'a Address, usize>;

impl Deref for ServerList {
    type Target = [Arc<Server>];

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.servers
    }
}

/// States of servers that have left, the latest last.
#[derive(Debug, Clone, Default)]
struct Former(Vec<(Address, Arc<ServerState>)>);

impl Former {
    fn remember(&mut self, server: &Server) {
        if self.0.len() >= MOST_FORMER {
            self.0.remove(0);
        }
        self.0.push((server.address.clone(), Arc::clone(&server.state)));
    }

    /// Returns the state of a server that comes back. The server is taken to be up, as every server is that
    /// comes.
    fn recall(&mut self, address: &Address) -> Option<Arc<ServerState>> {
        let at = self.0.iter().position(|(known, _)| known == address)?;
        let (_, state) = self.0.remove(at);
        state.assume_up();
        Some(state)
    }
}

/// Servers of a backend that are remembered after they have left, at most.
const MOST_FORMER: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Seed;
    use crate::pool::backend::tests::{backend, settings};
    use crate::pool::{Admin, Attempts, Backend, Next, Tried};
    use crate::tally::Count;

    fn names(set: &ServerSet) -> Vec<String> {
        set.list()
            .iter()
            .map(|server| server.name.rsplit(':').next().unwrap_or_default().to_owned())
            .collect()
    }

    /// Returns a backend with the servers of these ports, each of weight 1.
    fn backend_of(ports: &[u16]) -> Backend {
        Backend { servers: ServerSet::new(listed(ports), None, 2), ..backend() }
    }

    fn listed(ports: &[u16]) -> Vec<ServerSettings> {
        ports.iter().map(|port| settings(port - 8000, 1, false)).collect()
    }

    /// Adds a server at the end, or gives the one with this address other settings.
    fn add(set: &ServerSet, settings: ServerSettings) {
        let mut listed: Vec<_> = set.list().iter().map(|server| server.settings()).collect();
        match listed.iter_mut().find(|known| known.address == settings.address) {
            Some(known) => *known = settings,
            None => listed.push(settings),
        }
        set.set(listed);
    }

    /// Removes the server with this address.
    fn remove(set: &ServerSet, address: &Address) {
        let kept = |server: &&Arc<Server>| server.address != *address;
        set.set(set.list().iter().filter(kept).map(|server| server.settings()).collect());
    }

    fn turns(backend: &Backend, number: usize) -> Vec<u16> {
        let turn = |_| backend.choose(&Seed { now: 1, ..Seed::default() }, &Tried::new(), 1);
        let port = |server: Arc<Server>| server.name.rsplit(':').next().and_then(|port| port.parse().ok());
        (0..number).map(turn).map(|server| server.and_then(port).unwrap_or(0)).collect()
    }

    #[test]
    fn the_list_changes_for_every_worker() {
        let set = ServerSet::new(listed(&[8001, 8002]), None, 3);
        set.set(listed(&[8003, 8001, 8003]));
        assert_eq!(names(&set), ["8003", "8001"], "of two with one address the first counts");
        add(&set, settings(4, 1, false));
        remove(&set, &settings(1, 1, false).address);
        remove(&set, &settings(9, 1, false).address);
        assert_eq!(names(&set), ["8003", "8004"]);
        for shard in 0..4 {
            assert_eq!(set.of(shard).list.len(), 2);
        }
        set.set(Vec::new());
        assert!(set.list().is_empty());
    }

    #[test]
    fn a_server_that_stays_is_the_same_and_keeps_its_state_under_new_settings() {
        let set = ServerSet::new(listed(&[8001, 8002]), None, 1);
        let [first, second] = [0, 1].map(|at| Arc::clone(&set.list()[at]));
        second.state.set_admin(Admin::Drain);
        second.state.set_weight(Some(7));
        second.state.tally.add(0, Count::Connections, 5);
        add(&set, settings(2, 9, true));
        let list = set.list();
        assert!(Arc::ptr_eq(&list[0], &first) && !Arc::ptr_eq(&list[1], &second));
        assert!(Arc::ptr_eq(&list[1].state, &second.state));
        assert_eq!((list[1].weight, list[1].backup, list[1].identity), (9, true, second.identity));
        assert_eq!((list[1].state.admin(), list[1].state.tally.sum(Count::Connections)), (Admin::Drain, 5));
        assert_eq!(list[1].effective_weight(0, 0), 7 * crate::pool::SCALE);
    }

    #[test]
    fn a_connection_to_a_server_that_left_keeps_it_and_gives_its_place_back() {
        let backend = backend_of(&[8001]);
        let mut attempts = Attempts::default();
        attempts.begin(0);
        assert_eq!(attempts.next(&backend, &Seed::default(), None, 0), Next::Server);
        backend.servers.set(listed(&[8002]));
        let server = Arc::clone(attempts.server().unwrap());
        assert_eq!((server.name.as_ref(), server.state.active()), ("192.0.2.1:8001", 1));
        attempts.connected(&backend, 1, 1, 0);
        add(&backend.servers, settings(1, 1, false));
        assert_eq!(backend.servers.list()[1].state.active(), 1, "it is counted where it comes back");
        drop(attempts);
        assert_eq!(backend.servers.list()[1].state.active(), 0);
    }

    #[test]
    fn a_server_that_comes_back_has_its_state_and_is_taken_to_be_up() {
        let set = ServerSet::new(listed(&[8001, 8002]), None, 1);
        let state = Arc::clone(&set.list()[0].state);
        state.set_admin(Admin::Drain);
        state.set_up(false, 1);
        set.set(listed(&[8002]));
        assert!(!state.is_up());
        let next = ServerSet::new(listed(&[8002, 8001]), Some(&set), 1);
        assert!(Arc::ptr_eq(&next.list()[1].state, &state), "over a reload, too");
        assert!(state.is_up() && state.admin() == Admin::Drain);
    }

    #[test]
    fn those_that_left_first_are_forgotten_first() {
        let set = ServerSet::new(listed(&[8001]), None, 1);
        let state = Arc::clone(&set.list()[0].state);
        let others: Vec<u16> = (9000..9000 + MOST_FORMER as u16).collect();
        set.set(listed(&others));
        set.set(listed(&[8002]));
        set.set(listed(&[8001, 9255]));
        assert!(!Arc::ptr_eq(&set.list()[0].state, &state));
        assert!(lock(&set.former).0.len() <= MOST_FORMER);
    }

    #[test]
    fn turns_go_on_among_those_that_stay_wherever_they_stand() {
        let backend = backend_of(&[8001, 8002, 8003]);
        assert_eq!(turns(&backend, 4), [8001, 8002, 8003, 8001]);
        backend.servers.set(listed(&[8003, 8002, 8001]));
        assert_eq!(turns(&backend, 2), [8003, 8002], "8001 has had its turn");
        remove(&backend.servers, &settings(2, 1, false).address);
        let after = turns(&backend, 200).iter().filter(|port| **port == 8001).count();
        assert!((99..=101).contains(&after), "it stays fair: {after}");
    }

    #[test]
    fn retries_pass_over_a_server_that_was_tried_wherever_it_stands_now() {
        let backend = backend_of(&[8001, 8002]);
        let mut attempts = Attempts::default();
        attempts.begin(0);
        assert_eq!(attempts.next(&backend, &Seed::default(), None, 0), Next::Server);
        attempts.unanswered();
        backend.servers.set(listed(&[8003, 8001]));
        for _ in 0..5 {
            assert_eq!(attempts.next(&backend, &Seed::default(), None, 0), Next::Server);
            assert_eq!(attempts.server().map(|server| &*server.name), Some("192.0.2.1:8003"));
        }
    }

    #[test]
    fn affinity_finds_its_server_after_a_change() {
        let backend = backend_of(&[8001, 8002]);
        let named = backend.servers.list()[1].identity;
        backend.servers.set(listed(&[8005, 8004, 8002]));
        let mut attempts = Attempts::default();
        attempts.begin(0);
        assert_eq!(attempts.next(&backend, &Seed::default(), Some(named), 0), Next::Server);
        assert!(attempts.is_bound());
        backend.servers.set(listed(&[8005]));
        assert_eq!(attempts.next(&backend, &Seed::default(), Some(named), 0), Next::Server);
        assert!(!attempts.is_bound(), "it has left");
    }

    #[test]
    fn choices_and_changes_at_once() {
        let backend = backend_of(&[8001, 8002]);
        std::thread::scope(|scope| {
            for shard in 0..2 {
                let backend = &backend;
                scope.spawn(move || {
                    for now in 0..2_000 {
                        let mut attempts = Attempts::default();
                        attempts.begin(0);
                        let next = attempts.next(backend, &Seed { now, ..Seed::default() }, None, shard);
                        assert_eq!(next, Next::Server);
                    }
                });
            }
            for round in 0..500 {
                backend.servers.set(listed(if round % 2 == 0 { &[8002, 8003] } else { &[8001, 8002] }));
            }
        });
        assert!(backend.servers.list().iter().all(|server| server.state.active() == 0));
    }
}
