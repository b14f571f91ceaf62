//! Backend: a named pool of Servers with one balancing policy; a Plan owns it. Only its list of servers may
//! change.
//!
//! Chooses a server and takes a place there. Must never open a socket or read a clock: time is a parameter,
//! in milliseconds of the engine's clock.

use smallvec::SmallVec;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::address::Address;
use crate::balance::{Balance, Candidate, Memory, Seed};
use crate::close::CloseReason;
use crate::consult::Consultants;
use crate::histogram::Histogram;
use crate::http::check::HttpCheck;
use crate::http::listener::HttpBackend;
use crate::lock::lock;
use crate::names::{Resolution, Unresolved};
use crate::pool::set::{Eligible, Freshness, Shard};
use crate::pool::state::changes;
use crate::pool::{
    AskedFor, Place, Roll, RollChange, Server, ServerList, ServerSet, ServerSettings, Unusable,
};
use crate::spec::{BackendSpec, HealthSpec};
use crate::tally::{EndTally, Tally};
use crate::time::{Millis, NEVER};
use crate::tls::Encryption;
use crate::wire::proxy_protocol::HeaderVersion;

/// A named pool of servers with one balancing policy.
#[derive(Debug)]
pub struct Backend {
    /// Name in the configuration.
    pub name: Box<str>,
    /// Settings as they were written; plain values are read from here. The servers there are now are in
    /// `servers`.
    pub spec: Arc<BackendSpec>,
    /// The backend's servers.
    pub servers: ServerSet,
    /// The roll of them: how they came to be.
    pub roll: Roll,
    /// The servers that clients name, where they do.
    pub asked_for: Option<AskedFor>,
    /// Chooses among the eligible servers.
    pub balance: &'static dyn Balance,
    /// PROXY header sent to the servers.
    pub proxy_header: Option<HeaderVersion>,
    /// The address that our side is bound to before connecting.
    pub source: Option<Source>,
    /// Active checks.
    pub health: Option<Health>,
    /// The HTTP side.
    pub http: HttpBackend,
    /// The TLS side, where servers are reached by TLS.
    pub tls: Option<Arc<Encryption>>,
    /// Analyzers that people wrote.
    pub consultants: Consultants,
    /// Counters.
    pub tally: Arc<Tally>,
    /// Counters that servers do not have, carried over reloads.
    pub state: Arc<BackendState>,
}

/// The counters of a backend that its servers do not have.
#[derive(Debug)]
pub struct BackendState {
    /// Ends of connections and exchanges that were routed to it, by reason.
    pub ends: EndTally,
    /// Times that connects took which succeeded.
    pub connects: Histogram,
    /// Times that those waited who stood in line for a place at a server.
    pub waits: Histogram,
    /// Requests that stand in line now. It changes only where servers are full.
    pub waiting: AtomicUsize,
}

impl BackendState {
    /// Makes counters for `shards` workers.
    pub fn new(shards: usize) -> Self {
        Self {
            ends: EndTally::new(shards),
            connects: Histogram::new(shards),
            waits: Histogram::new(shards),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// The address that our side of connections to servers has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An address of ours; port 0 is any.
    Address(SocketAddr),
    /// The client's address, with a port of the kernel's choice.
    Client,
}

/// Active health checks of a backend.
#[derive(Debug, Clone)]
pub struct Health {
    /// Settings of the checks as they were written.
    pub spec: HealthSpec,
    /// The kind of the check.
    pub kind: HealthKind,
}

/// The kind of a check: what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthKind {
    /// Opens a connection.
    Tcp,
    /// Opens a connection and makes a request.
    Http(HttpCheck),
}

/// Identities of the servers that a connection has already tried (at most `retries + 1`).
pub type Tried = SmallVec<[u64; 4]>;

impl Backend {
    /// Copies it for an engine with `shards` workers, with the live state of `previous`, if there is any.
    /// `secret` signs what only this process must recognise.
    pub(crate) fn adopt(&self, previous: Option<&Self>, shards: usize, secret: &[u8; 32]) -> Self {
        let roll = self.roll.adopt(previous.map(|previous| &previous.roll));
        let old = previous.map(|previous| &previous.servers);
        let asked_before = previous.and_then(|previous| previous.asked_for.as_ref());
        let fresh = || Arc::new(Tally::new(shards));
        Self {
            name: self.name.clone(),
            spec: Arc::clone(&self.spec),
            servers: ServerSet::new(roll.settings(), old, shards),
            roll,
            asked_for: self.asked_for.as_ref().map(|asked| asked.adopt(asked_before, shards)),
            balance: self.balance,
            proxy_header: self.proxy_header,
            source: self.source,
            health: self.health.clone(),
            http: self.http.adopt(previous.map(|previous| &previous.http), secret),
            tls: self.tls.clone(),
            consultants: self.consultants.clone(),
            tally: previous.map_or_else(fresh, |previous| Arc::clone(&previous.tally)),
            state: previous
                .map_or_else(|| Arc::new(BackendState::new(shards)), |previous| Arc::clone(&previous.state)),
        }
    }

    /// Whether a connection to a server speaks for the client that it was made for, and for no other.
    pub fn speaks_for_one(&self) -> bool {
        self.proxy_header.is_some() || self.source == Some(Source::Client)
    }

    /// Makes those the servers that its roll has now.
    pub fn refresh_servers(&self) -> RollChange {
        self.roll.refresh(&self.servers)
    }

    /// Adds a server, or gives the one with its address other settings, until the file says otherwise.
    pub fn add_server(&self, server: ServerSettings) -> RollChange {
        self.roll.add(server, &self.servers)
    }

    /// Takes a server off the list until the file says otherwise; connections to it go on.
    pub fn remove_server(&self, address: &Address) -> RollChange {
        self.roll.remove(address, &self.servers)
    }

    /// Makes these the servers that `source` gives.
    pub fn give_servers(&self, source: &str, listed: Vec<ServerSettings>) -> RollChange {
        self.roll.give(source, listed, &self.servers)
    }

    /// Whether a client may name its server, where clients do: that it asks for `name`, or why not.
    pub fn admits(&self, name: Option<&str>) -> Result<(), CloseReason> {
        match &self.asked_for {
            Some(asked) if !asked.is_original() => asked.admits(name).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Returns the servers that a client's name leads to, or why there is none.
    pub fn reached_by(
        &self,
        found: Result<&Resolution, Unresolved>,
    ) -> Result<Vec<Arc<Server>>, CloseReason> {
        match (&self.asked_for, found) {
            (Some(asked), Ok(found)) => asked.servers(found),
            (_, Err(Unresolved::BadName)) => Err(CloseReason::DestinationDenied),
            _ => Err(CloseReason::NameUnresolved),
        }
    }

    /// Chooses a server for a new connection, or None when none is usable. `shard`: number of the worker.
    ///
    /// Tiers, the first that has a usable server wins: servers, backups, ejected servers, ejected backups. A
    /// server that checks hold to be down is never chosen.
    pub fn choose(&self, seed: &Seed<'_>, tried: &Tried, shard: usize) -> Option<Arc<Server>> {
        let shard = &mut *self.servers.of(shard);
        let ready = self.choose_ready(shard, seed, tried);
        let has_place = |number: &usize| shard.list[*number].unusable(seed.now) != Some(Unusable::Full);
        let chosen = ready.filter(has_place).or_else(|| self.choose_among_all(shard, seed, tried));
        chosen.map(|number| Arc::clone(&shard.list[number]))
    }

    /// Chooses a server and takes a place there, or None when no usable one has a place.
    pub fn engage(&self, seed: &Seed<'_>, tried: &Tried, shard: usize) -> Option<Place> {
        let shard = &mut *self.servers.of(shard);
        let ready = self.choose_ready(shard, seed, tried);
        if let Some(place) = ready.and_then(|number| Place::take(&shard.list[number])) {
            return Some(place);
        }
        let mut passed_over = tried.clone();
        loop {
            let chosen = self.choose_among_all(shard, seed, &passed_over)?;
            if let Some(place) = Place::take(&shard.list[chosen]) {
                return Some(place);
            }
            // Another worker took the last place since it was looked at.
            passed_over.push(shard.list[chosen].identity);
        }
    }

    /// Takes a place at the server with this identity, if it may be chosen now and was not tried. One that
    /// drains keeps the clients it has, so that they can finish what they do there.
    pub fn engage_identity(&self, identity: u64, now: Millis, tried: &Tried, shard: usize) -> Option<Place> {
        let list = Arc::clone(&self.servers.of(shard).list);
        let server = list.iter().find(|server| server.identity == identity)?;
        let keeps = matches!(server.unusable(now), None | Some(Unusable::Draining | Unusable::NoWeight));
        if keeps && !tried.contains(&identity) { Place::take(server) } else { None }
    }

    /// Whether a server would be usable if it did not hold `max_connections`: waiting may help.
    pub fn is_full(&self, now: Millis, shard: usize) -> bool {
        self.servers.of(shard).list.iter().any(|server| server.unusable(now) == Some(Unusable::Full))
    }

    /// Returns the server that would be chosen; nothing is remembered.
    pub fn foresee(&self, seed: &Seed<'_>) -> Option<Arc<Server>> {
        let list = self.servers.list();
        let mut memory = lock(&list.turns).ready.memory().clone();
        self.choose_of(&list, &mut memory, seed, &Tried::new()).map(|number| Arc::clone(&list[number]))
    }

    /// Chooses among the servers that are kept ready, whether they have a place or not: None where that is no
    /// answer, since some were tried.
    #[inline]
    fn choose_ready(&self, shard: &mut Shard, seed: &Seed<'_>, tried: &Tried) -> Option<usize> {
        let Shard { list, eligible } = shard;
        if !tried.is_empty() {
            None
        } else if self.balance.remembers() {
            self.choose_eligible(list, &mut lock(&list.turns), seed)
        } else {
            self.choose_eligible(list, eligible, seed)
        }
    }

    #[inline]
    fn choose_eligible(&self, list: &ServerList, eligible: &mut Eligible, seed: &Seed<'_>) -> Option<usize> {
        let changes = changes();
        if !eligible.fresh.holds(list.number, changes, seed.now) {
            self.renew(
                list,
                eligible,
                Freshness { list: list.number, changes, from: seed.now, until: NEVER },
            );
        }
        let ready = &mut eligible.ready;
        match ready.candidates() {
            [] => None,
            [only] if !self.balance.counts_every_choice() => Some(only.server),
            _ => Some(self.balance.choose_ready(ready, seed, &|server| list[server].state.active())),
        }
    }

    /// Finds out anew which servers may be chosen: those of the first tier that has any.
    #[cold]
    fn renew(&self, list: &ServerList, eligible: &mut Eligible, fresh: Freshness) {
        let now = fresh.from;
        let until = list.iter().map(|server| server.next_change(now, self.spec.slow_start)).min();
        let tiers = Tier::all(now);
        let any = |tier: &&Tier| list.iter().any(|server| tier.has(server, server.barred(now)));
        let tier = tiers.iter().find(any);
        let of = tier.map(|tier| {
            let members = list.iter().enumerate();
            let members = members.filter(|(_, server)| tier.has(server, server.barred(now)));
            members.map(|(number, server)| self.candidate(number, server, now))
        });
        eligible.ready.renew(of.into_iter().flatten());
        eligible.fresh = Freshness { until: until.unwrap_or(NEVER), ..fresh };
    }

    fn choose_among_all(&self, shard: &Shard, seed: &Seed<'_>, tried: &Tried) -> Option<usize> {
        self.choose_of(&shard.list, lock(&shard.list.turns).ready.memory(), seed, tried)
    }

    fn choose_of(
        &self,
        list: &ServerList,
        memory: &mut Memory,
        seed: &Seed<'_>,
        tried: &Tried,
    ) -> Option<usize> {
        for tier in &Tier::all(seed.now) {
            let candidates = self.candidates(list, tier, tried);
            match candidates.as_slice() {
                [] => {}
                [only] if !self.balance.counts_every_choice() => return Some(only.server),
                several => return Some(self.balance.choose(several, seed, memory)),
            }
        }
        None
    }

    fn candidates(&self, list: &[Arc<Server>], tier: &Tier, tried: &Tried) -> SmallVec<[Candidate; 16]> {
        list.iter()
            .enumerate()
            .filter(|(_, server)| {
                tier.has(server, server.unusable(tier.now)) && !tried.contains(&server.identity)
            })
            .map(|(number, server)| self.candidate(number, server, tier.now))
            .collect()
    }

    fn candidate(&self, number: usize, server: &Server, now: Millis) -> Candidate {
        Candidate {
            server: number,
            weight: server.effective_weight(now, self.spec.slow_start),
            active: server.state.active(),
            identity: server.identity,
        }
    }
}

/// The servers that are looked at together, now.
struct Tier {
    ejected: bool,
    backup: bool,
    now: Millis,
}

impl Tier {
    /// Returns the tiers in their order.
    fn all(now: Millis) -> [Self; 4] {
        [(false, false), (false, true), (true, false), (true, true)].map(|(ejected, backup)| Self {
            ejected,
            backup,
            now,
        })
    }

    /// Whether a server that is not usable for this reason is one of them.
    fn has(&self, server: &Server, reason: Option<Unusable>) -> bool {
        server.backup == self.backup && reason == self.ejected.then_some(Unusable::Ejected)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;
    use crate::address::Address;
    use crate::balance;
    use crate::pool::{Admin, SCALE, ServerSettings, ServerState};

    pub(crate) fn settings(index: u16, weight: u32, backup: bool) -> ServerSettings {
        let address = Address::parse(&format!("192.0.2.1:{}", 8000 + index)).unwrap();
        ServerSettings { address, weight, backup, max_connections: 10 }
    }

    fn server(index: u16, weight: u32, backup: bool) -> Server {
        Server::new(settings(index, weight, backup), Arc::new(ServerState::new(1)))
    }

    /// Makes settings with the values that matter here.
    fn spec() -> BackendSpec {
        let text = r#"{
            "servers": [], "balance": "round_robin", "connect_timeout": 1000, "retries": 2, "keepalive": true,
            "slow_start": 10000, "host": null, "strip_prefix": null, "add_prefix": null, "request_headers": {},
            "response_headers": {}, "response_timeout": 1000, "interim_timeout": 1000,
            "interim_limit": 32, "queue_timeout": 1000, "queue_limit": 10,
            "hash_header": null, "maintenance": false, "pool": {"size": 1, "timeout": 1000}, "affinity": null,
            "error_pages": {}, "health": null, "ejection": {"failures": 3, "responses": 0, "duration": 5000}
        }"#;
        serde_json::from_str(text).unwrap()
    }

    /// Servers 0 and 1, backups 2 and 3.
    pub(crate) fn backend() -> Backend {
        Backend {
            name: "app".into(),
            servers: ServerSet::new((0..4).map(|index| settings(index, 1, index >= 2)).collect(), None, 1),
            roll: Roll::new(Vec::new()),
            asked_for: None,
            balance: balance::find("round_robin").unwrap(),
            spec: Arc::new(spec()),
            proxy_header: None,
            source: None,
            health: None,
            http: HttpBackend::default(),
            tls: None,
            consultants: Consultants::default(),
            tally: Arc::new(Tally::new(1)),
            state: Arc::new(BackendState::new(1)),
        }
    }

    /// Returns the number of the server chosen.
    fn choose(backend: &Backend, now: Millis, tried: &[usize]) -> Option<usize> {
        let list = backend.servers.list();
        let tried: Tried = tried.iter().map(|number| list[*number].identity).collect();
        let server = backend.choose(&Seed { random: now, now, ..Seed::default() }, &tried, 0)?;
        list.iter().position(|known| Arc::ptr_eq(known, &server))
    }

    fn why_not(backend: &Backend, number: usize, now: Millis) -> Option<Unusable> {
        backend.servers.list()[number].unusable(now)
    }

    /// Returns every server that is chosen in a few turns, in ascending order.
    fn chosen(backend: &Backend, now: Millis) -> Vec<usize> {
        let mut seen: Vec<_> = (0..20).filter_map(|_| choose(backend, now, &[])).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    fn eject(backend: &Backend, index: usize, now: Millis) {
        let ejections =
            (0..3).filter(|_| backend.servers.list()[index].state.connect_failed(now, 3, 5000)).count();
        assert_eq!(ejections, 1);
    }

    #[test]
    fn the_first_tier_with_a_usable_server_wins() {
        let backend = backend();
        assert_eq!(chosen(&backend, 100), [0, 1]);
        eject(&backend, 0, 100);
        assert_eq!(chosen(&backend, 100), [1]);
        eject(&backend, 1, 100);
        assert_eq!(chosen(&backend, 100), [2, 3], "backups before ejected servers");
        backend.servers.list()[2].state.set_up(false, 100);
        eject(&backend, 3, 100);
        assert_eq!(chosen(&backend, 100), [0, 1], "ejected servers before ejected backups");
        backend.servers.list()[0].state.set_up(false, 100);
        backend.servers.list()[1].state.set_admin(Admin::Maintenance);
        assert_eq!(chosen(&backend, 100), [3], "an ejected backup is the last resort");
        backend.servers.list()[3].state.set_up(false, 100);
        assert_eq!(choose(&backend, 100, &[]), None, "down is never chosen");
    }

    #[test]
    fn what_a_connection_has_tried_is_not_chosen_again() {
        let backend = backend();
        assert_eq!(choose(&backend, 0, &[0]), Some(1));
        assert!(matches!(choose(&backend, 0, &[0, 1]), Some(2 | 3)));
        assert_eq!(choose(&backend, 0, &[0, 1, 2]), Some(3));
        assert_eq!(choose(&backend, 0, &[0, 1, 2, 3]), None);
    }

    #[test]
    fn each_reason_not_to_choose_a_server() {
        let backend = backend();
        let state = &backend.servers.list()[0].state;
        assert_eq!(why_not(&backend, 0, 0), None);
        state.set_weight(Some(0));
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::NoWeight));
        state.set_weight(None);
        assert_eq!((0..11).filter(|_| state.take(10)).count(), 10);
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::Full));
        eject(&backend, 0, 0);
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::Full), "full even as a last resort");
        state.release();
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::Ejected));
        assert!(state.set_up(false, 0) && !state.set_up(false, 0));
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::Down));
        state.set_admin(Admin::Drain);
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::Draining));
        state.set_admin(Admin::Maintenance);
        assert_eq!(why_not(&backend, 0, 0), Some(Unusable::Maintenance));
        assert_eq!(chosen(&backend, 0), [1]);
        state.set_admin(Admin::Ready);
        assert!(state.set_up(true, 0) && !state.set_up(true, 0));
        assert_eq!(why_not(&backend, 0, 0), None, "coming up ends the ejection");
        assert_eq!(server(0, 0, false).unusable(0), Some(Unusable::NoWeight));
    }

    #[test]
    fn an_ejection_ends_by_time_or_by_success() {
        let backend = backend();
        let state = &backend.servers.list()[0].state;
        eject(&backend, 0, 100);
        assert!(state.is_ejected(5099) && !state.is_ejected(5100));
        assert!(state.connect_failed(6000, 3, 5000), "one more failure ejects again");
        assert!(!state.connect_failed(7000, 3, 5000), "it was ejected already");
        assert!(state.is_ejected(11_999));
        assert!(state.connected(8000) && !state.connected(8000));
        assert!(!state.is_ejected(8000) && state.failures() == 0);
        assert!(backend.servers.list()[0].effective_weight(8000, 10_000) < SCALE, "it starts slowly");
        assert!(!(0..100).any(|_| state.connect_failed(0, 0, 5000)), "0 never ejects");
        assert!(state.connect_failed(1, 1, Millis::MAX) && state.is_ejected(Millis::MAX - 1));
    }

    #[test]
    fn responses_in_a_row_eject_until_their_time_is_over() {
        let backend = backend();
        let state = &backend.servers.list()[0].state;
        let answered = |status, now| state.answered(status, now, 3, 5000);
        for status in [500, 503, 499, 599, 500, 200, 502, 500] {
            assert!(!answered(status, 100), "{status}");
        }
        assert!(answered(500, 100) && !answered(500, 200), "ejected once");
        assert!(state.is_ejected(5199) && !state.is_ejected(5200), "the last counts");
        assert_eq!(why_not(&backend, 0, 200), Some(Unusable::Ejected));
        assert!(!answered(200, 300) && !state.connected(300));
        assert!(state.is_ejected(300), "neither an answer nor a connect ends it");
        assert!(!answered(500, 6000) && !answered(500, 6000) && answered(500, 6000), "the run began anew");
        state.set_up(false, 6100);
        state.set_up(true, 6200);
        assert!(!state.is_ejected(6200), "checks that bring it up do");
        assert!(!(0..100).any(|_| state.answered(500, 0, 0, 5000)), "0 never ejects");
        assert_eq!(state.failures(), 0, "connects are counted apart");
    }

    #[test]
    fn a_server_that_came_up_starts_slowly() {
        let server = server(0, 100, false);
        assert_eq!(server.effective_weight(0, 10_000), 1600, "never down: whole weight");
        server.state.set_up(false, 0);
        server.state.set_up(true, 1000);
        for (now, weight) in
            [(0, 160), (1000, 160), (6000, 880), (10_999, 1599), (11_000, 1600), (99_999, 1600)]
        {
            assert_eq!(server.effective_weight(now, 10_000), weight, "{now}");
        }
        assert_eq!(server.effective_weight(1000, 0), 1600);
        server.state.set_weight(Some(1));
        assert_eq!(server.effective_weight(1000, 10_000), 1);
        assert_eq!(server.effective_weight(6000, 10_000), 8);
        assert_eq!(server.effective_weight(10_999, 10_000), 15);
        assert_eq!(server.effective_weight(u64::MAX - 1, u64::MAX), 15);
        server.state.set_weight(Some(9999));
        assert_eq!(server.effective_weight(11_000, 10_000), 256 * SCALE);
    }

    #[test]
    fn a_slow_start_gets_its_part_of_the_turns() {
        let backend = backend();
        backend.servers.list()[0].state.set_up(false, 0);
        backend.servers.list()[0].state.set_up(true, 1000);
        let count = |now| (0..110).filter(|_| choose(&backend, now, &[]) == Some(0)).count();
        let (start, middle, end) = (count(1000), count(6000), count(11_000));
        assert!(
            start < 12 && (35..40).contains(&middle) && (53..57).contains(&end),
            "{start} {middle} {end}"
        );
    }

    #[test]
    fn concurrent_takes_never_exceed_the_limit() {
        const LIMIT: u32 = 5;
        let state = ServerState::new(1);
        let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if state.take(LIMIT) {
                            most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                            inside.fetch_sub(1, Relaxed);
                            state.release();
                        }
                    }
                });
            }
        });
        assert!((1..=LIMIT).contains(&most.load(Relaxed)));
        assert_eq!(state.active(), 0);
    }

    #[test]
    fn every_algorithm_respects_the_tiers() {
        for balance in balance::REGISTRY {
            let backend = Backend { balance: *balance, ..backend() };
            backend.servers.list()[0].state.set_up(false, 0);
            for now in 0..50 {
                assert_eq!(choose(&backend, now, &[]), Some(1), "{}", balance.name());
            }
        }
    }
}
